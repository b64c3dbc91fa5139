"""The wheel from a tree with little in it."""

import base64
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

PACKAGING = Path(__file__).resolve().parents[1]


class Wheel(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        tree = self.folder / "tree"
        for name, mode in {"bin/pandacap": 0o755, "lib/pandacap/x86_64/panda_recctrl.so": 0o644,
                           "lib/pandacap/x86_64/recctrlu": 0o755, "share/doc/pandacap/LICENSE-MIT": 0o644,
                           "share/doc/pandacap/README.md": 0o644}.items():
            file = tree / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
            file.chmod(mode)
        (tree / "lib/pandacap/arm").mkdir()
        (tree / "lib/pandacap/arm/panda_recctrl.so").symlink_to("../x86_64/panda_recctrl.so")

    def made(self, name):
        out = self.folder / name
        out.mkdir()
        command = [sys.executable, PACKAGING / "wheel.py", "1.2.3", "2.34", self.folder / "tree", out]
        subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
        [wheel] = out.iterdir()
        return wheel

    def test_it_has_the_program_where_pip_puts_programs_and_its_files_where_it_looks(self):
        wheel = self.made("out")
        self.assertEqual(wheel.name, "pandacap-1.2.3-py3-none-manylinux_2_34_x86_64.whl")
        with zipfile.ZipFile(wheel) as opened:
            modes = {info.filename: info.external_attr >> 16 & 0o777 for info in opened.infolist()}
            self.assertEqual(modes["pandacap-1.2.3.data/scripts/pandacap"], 0o755)
            self.assertEqual(modes["pandacap-1.2.3.data/data/lib/pandacap/x86_64/recctrlu"], 0o755)
            self.assertEqual(modes["pandacap-1.2.3.data/data/lib/pandacap/arm/panda_recctrl.so"], 0o644)
            for name in ["pandacap/__init__.py", "pandacap/py.typed", "pandacap-1.2.3.dist-info/licenses/LICENSE-MIT"]:
                self.assertIn(name, modes)
            self.assertFalse([name for name in modes if "README" in name or "test" in name])

    def test_its_record_has_every_file_with_its_digest(self):
        with zipfile.ZipFile(self.made("out")) as opened:
            record = "pandacap-1.2.3.dist-info/RECORD"
            rows = {name: (digest, size) for name, digest, size in csv.reader(opened.read(record).decode().splitlines())}
            self.assertEqual(set(rows), set(opened.namelist()))
            for name in set(rows) - {record}:
                data = opened.read(name)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                self.assertEqual(rows[name], (f"sha256={digest}", str(len(data))))

    def test_the_same_tree_makes_the_same_bytes(self):
        self.assertEqual(self.made("one").read_bytes(), self.made("two").read_bytes())


if __name__ == "__main__":
    unittest.main()

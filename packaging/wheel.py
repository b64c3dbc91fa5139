#!/usr/bin/env python3
"""Makes the Python wheel: the module, and the program with its files as they lie below a prefix.

usage: wheel.py VERSION GLIBC TREE OUT
"""
import base64
import hashlib
import os
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULE = HERE / "python/pandacap"
METADATA = """\
Metadata-Version: 2.4
Name: pandacap
Version: {version}
Summary: Turns a disk image into verified PANDA traces, and opens them for PyPANDA
License-Expression: (MIT OR Apache-2.0) AND GPL-2.0-only
{licences}
Requires-Python: >=3.9
Provides-Extra: pypanda
Requires-Dist: cffi; extra == "pypanda"
Requires-Dist: colorama; extra == "pypanda"
Requires-Dist: protobuf<3.21; extra == "pypanda"
Project-URL: Repository, https://github.com/pandacap/pandacap
Classifier: Environment :: Console
Classifier: Operating System :: POSIX :: Linux
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

{readme}"""
WHEEL = """\
Wheel-Version: 1.0
Generator: pandacap
Root-Is-Purelib: false
Tag: {tag}
"""


class Wheel:
    """A wheel in the making."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        # a zip knows no time before 1980
        self.date = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800))[:6]
        self.record = ""

    def add(self, name, data, mode=0o644):
        """Puts a file in."""
        info = zipfile.ZipInfo(name, self.date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (0o100000 | mode) << 16
        self.zip.writestr(info, data, compresslevel=9)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record += f"{name},sha256={digest},{len(data)}\n"

    def close(self, record):
        """Puts the list of all files in, and ends the wheel."""
        self.record += f"{record},,\n"
        info = zipfile.ZipInfo(record, self.date)
        info.external_attr = 0o100644 << 16
        self.zip.writestr(info, self.record)
        self.zip.close()


def main():
    version, glibc, tree, out = sys.argv[1:]
    tree = Path(tree)
    tag = f"py3-none-manylinux_{glibc.replace('.', '_')}_x86_64"
    wheel = Wheel(Path(out) / f"pandacap-{version}-{tag}.whl")
    info, data = f"pandacap-{version}.dist-info", f"pandacap-{version}.data"
    for file in sorted(MODULE.iterdir()):
        if file.suffix in (".py", ".typed"):
            wheel.add(f"pandacap/{file.name}", file.read_bytes())
    # the program finds its files in ../lib/pandacap, in a prefix of pip's as in /usr; a wheel has no links
    wheel.add(f"{data}/scripts/pandacap", (tree / "bin/pandacap").read_bytes(), 0o755)
    for file in sorted((tree / "lib").rglob("*")):
        if file.is_file():
            mode = 0o755 if os.access(file, os.X_OK) else 0o644
            wheel.add(f"{data}/data/{file.relative_to(tree)}", file.read_bytes(), mode)
    doc = tree / "share/doc/pandacap"
    licences = sorted(file.name for file in doc.iterdir() if file.name.startswith(("LICENSE", "THIRD-PARTY")))
    for name in licences:
        wheel.add(f"{info}/licenses/{name}", (doc / name).read_bytes())
    listed = "\n".join(f"License-File: {name}" for name in licences)
    readme = (HERE / "python/README.md").read_text()
    metadata = METADATA.format(version=version, licences=listed, readme=readme)
    wheel.add(f"{info}/METADATA", metadata.encode())
    wheel.add(f"{info}/WHEEL", WHEEL.format(tag=tag).encode())
    wheel.close(f"{info}/RECORD")


main()

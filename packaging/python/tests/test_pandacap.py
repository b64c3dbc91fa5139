"""The module without a PANDA: manifests, machines, and what is refused."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import get_type_hints
from unittest import mock

import pandacap
from pandacap import _manifest, _trace

CHECKOUT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((CHECKOUT / "docs/schema/trace-manifest.json").read_text())
EXAMPLE = json.loads((CHECKOUT / "crates/trace/src/manifest-1.json").read_text())


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def trace(self, change=lambda manifest: None, **options):
        manifest = copy.deepcopy(EXAMPLE)
        change(manifest)
        (self.folder / "manifest.json").write_text(json.dumps(manifest))
        return pandacap.open(self.folder, **options)

    def refused(self, change, words):
        with self.assertRaises(pandacap.TraceError) as refused:
            self.trace(change)
        self.assertIn(words, str(refused.exception))


class Types(unittest.TestCase):
    def test_they_have_the_schemas_fields(self):
        types_by_title = {"Failed": "Failure", "RecordingInfo": "Recording"}
        for name, schema in [("Manifest", SCHEMA), *SCHEMA["$defs"].items()]:
            if name == "Failed":
                schema = schema["anyOf"][1]
            if name == "PandaEnd":
                schema = {"properties": {key: 0 for one in schema["oneOf"] for key in one["properties"]}}
            if "properties" not in schema:
                continue
            typed = getattr(_manifest, types_by_title.get(name, name))
            self.assertEqual(typed.__required_keys__ | typed.__optional_keys__, set(schema["properties"]), name)
            self.assertEqual(set(typed.__required_keys__), set(schema.get("required", [])), name)
            get_type_hints(typed)


class Reading(Folder):
    def test_the_first_schema_is_read_as_the_newest(self):
        def fail(manifest):
            manifest["verification"]["failure"] = "PANDA stopped"

        manifest = self.trace(fail).manifest
        self.assertEqual(manifest["schema"], pandacap.SCHEMA)
        self.assertEqual(manifest["verification"]["failure"], {"kind": "unknown", "message": "PANDA stopped"})
        self.assertIsNone(self.trace().manifest["verification"]["failure"])

    def test_a_newer_schema_is_refused(self):
        self.refused(lambda manifest: manifest.update(schema=3), "reads none newer than 2")

    def test_what_is_no_manifest_is_refused(self):
        for text in ["", "[]", "{}", '{"schema": "2"}', '{"schema": 2}', "[" * 100_000]:
            (self.folder / "manifest.json").write_text(text)
            with self.assertRaises(pandacap.TraceError, msg=text[:20]):
                pandacap.open(self.folder)

    def test_what_is_no_trace_is_refused(self):
        with self.assertRaises(pandacap.TraceError):
            pandacap.open(self.folder / "none")
        os.mkfifo(self.folder / "manifest.json")
        with self.assertRaises(pandacap.TraceError):
            pandacap.open(self.folder)

    def test_names_that_lead_out_of_the_folder_are_refused(self):
        for name in ["../x", "/etc/passwd", "", ".", "-x", "a/b", "a\n"]:
            self.refused(lambda manifest: manifest.update(name=name), "not a plain name")
            self.refused(lambda manifest: manifest["files"].update({name: {}}), "not a plain name")


class Machines(Folder):
    def test_a_replay_has_the_machine_that_was_recorded(self):
        trace = self.trace()
        replay = trace.manifest["arguments"]["replay"]
        self.assertEqual(trace.machine_arguments, replay[: replay.index("-replay")])
        self.assertEqual(trace.recording, str(self.folder / "uname-20261124-201526"))

    def test_disks_are_empty_and_the_network_leads_nowhere(self):
        def add(manifest):
            manifest["machine"].update(disk_bytes=1 << 20, bootstrap_bytes=4096, nic="e1000", vga=True)

        words = " ".join(self.trace(add).machine_arguments)
        self.assertIn("-vga std", words)
        self.assertIn("driver=null-co,size=1048576,if=ide", words)
        self.assertIn("driver=null-co,size=4096,if=virtio,readonly=on", words)
        self.assertIn("user,id=net0,restrict=on -device e1000,netdev=net0", words)

    def test_further_arguments_are_taken_only_from_those_who_are_trusted(self):
        def add(manifest):
            manifest["machine"]["more"] = ["-incoming", "exec:touch here"]

        with self.assertRaisesRegex(pandacap.TraceError, "exec:touch here.*trust_arguments"):
            self.trace(add).machine_arguments
        self.assertEqual(self.trace(add, trust_arguments=True).machine_arguments[-1], "exec:touch here")

    def test_a_machine_that_smuggles_arguments_is_refused(self):
        for key, value in [("disk_bytes", "1,file=/etc/passwd"), ("nic", "e1000,x=y"), ("memory_mib", None),
                           ("serial_ports", True), ("serial_ports", 1 << 40), ("more", [1]), ("more", None), ("other", 1)]:
            with self.subTest(key):
                self.refused(lambda manifest: manifest["machine"].update({key: value}), "")


class Pandas(Folder):
    def test_pypanda_gets_the_machine(self):
        made = mock.Mock()
        fake = types.SimpleNamespace(Panda=made)
        with mock.patch.dict(sys.modules, pandare=fake), mock.patch.object(_trace, "program", return_value=None):
            panda = self.trace().panda("-icount", "1", raw_monitor=True)
        self.assertIs(panda, made.return_value)
        options = made.call_args.kwargs
        self.assertEqual((options["arch"], options["mem"], options["raw_monitor"]), ("x86_64", "256", True))
        self.assertEqual(options["extra_args"][-2:], ["-icount", "1"])

    def test_a_library_that_does_not_load_is_told_with_what_to_do(self):
        fake = types.SimpleNamespace(Panda=mock.Mock(side_effect=OSError("libLLVM-11.so.1: cannot open")))
        with mock.patch.dict(sys.modules, pandare=fake), mock.patch.object(_trace, "program", return_value=None):
            with self.assertRaisesRegex(pandacap.TraceError, "libLLVM.*panda install --target x86_64"):
                self.trace().panda()

    def test_stand_ins_are_those_beside_pandacaps_panda(self):
        (self.folder / "stand-ins").mkdir()
        for name in ["libb.so", "liba.so"]:
            (self.folder / "stand-ins" / name).touch()
        answer = subprocess.CompletedProcess([], 0, stdout=f"{self.folder}/panda-system-arm\n")
        with mock.patch.object(_trace, "program", return_value="/x/pandacap"), \
                mock.patch.object(subprocess, "run", return_value=answer) as run, \
                mock.patch.object(_trace.ctypes, "CDLL") as load:
            _trace._load_stand_ins("arm")
        self.assertEqual(run.call_args.args[0], ["/x/pandacap", "panda", "path", "--target", "arm"])
        self.assertEqual([Path(call.args[0]).name for call in load.call_args_list], ["liba.so", "libb.so"])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Records a guest from PyPANDA, with recctrl loaded like any other plugin.

usage: record.py KERNEL INITRD [APPEND]

The guest starts and stops its recordings with recctrlu; they are written to the current folder, and the machine
ends when the guest powers off. README.md describes how to set up PyPANDA.
"""
import sys

from pandare import Panda

kernel, initrd = sys.argv[1:3]
append = sys.argv[3] if len(sys.argv) > 3 else "console=ttyS0 quiet panic=-1 no_timer_check"

panda = Panda(
    arch="x86_64",
    mem="256",
    extra_args=["-nodefaults", "-display", "none", "-no-reboot", "-serial", "file:console",
                "-kernel", kernel, "-initrd", initrd, "-append", append],
)
panda.load_plugin("recctrl", {"session_rec": "y", "events": "events.jsonl"})
panda.run()

#!/usr/bin/env python3
"""Replays a trace in PyPANDA, and prints which of the guest's blocks ran most often.

usage: blocks.py TRACE [HOW MANY]
"""
import sys
from collections import Counter

import pandacap

trace = pandacap.open(sys.argv[1])
many = int(sys.argv[2]) if len(sys.argv) > 2 else 5
panda = trace.panda()
blocks: Counter[int] = Counter()

@panda.cb_before_block_exec
def block(cpu, block):
    blocks[block.pc] += 1

panda.run_replay(trace.recording)
print(f"{trace.manifest['name']}: {len(blocks)} blocks ran {sum(blocks.values())} times")
for pc, times in blocks.most_common(many):
    print(f"{pc:#018x} {times}")

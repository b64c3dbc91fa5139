"""Opens pandacap's traces in Python, and replays them with PyPANDA.

    import pandacap

    trace = pandacap.open("traces/uname-20261124-201526")
    print(trace.manifest["recording"]["instructions"])
    panda = trace.panda()
    panda.run_replay(trace.recording)
"""

from ._manifest import SCHEMA, Manifest, TraceError
from ._trace import Trace, open, program

__all__ = ["SCHEMA", "Manifest", "Trace", "TraceError", "open", "program"]

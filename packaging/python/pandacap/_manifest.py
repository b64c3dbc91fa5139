"""A trace's manifest as types: the twin of docs/schema/trace-manifest.json, with which a test compares it."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, TypedDict, Union, cast

#: The newest schema that is read; older ones are too.
SCHEMA = 2

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)

#: An argument: text, or its bytes where they are not UTF-8.
Argument = Union[str, List[int]]


class TraceError(Exception):
    """A trace cannot be used; the message says why."""


class FileDigest(TypedDict):
    """A file's size and SHA-256."""

    bytes: int
    sha256: str


class PandaId(TypedDict):
    """Which PANDA."""

    version: str
    sha256: str


class Package(TypedDict):
    """A Debian package of which something is in a guest."""

    name: str
    version: str


class GuestId(TypedDict):
    """Which guest."""

    name: str
    packages: List[Package]
    files: Dict[str, FileDigest]


class _Machine(TypedDict):
    memory_mib: int
    serial_ports: int


class Machine(_Machine, total=False):
    """The machine, of which a replay needs the same."""

    disk_bytes: Optional[int]
    bootstrap_bytes: Optional[int]
    nic: Optional[str]
    vga: bool
    more: List[str]


class Base(TypedDict):
    """A disk image, as it was when a run began."""

    path: str
    format: str
    virtual_bytes: int
    bytes: int
    modified: str


class _DiskId(TypedDict):
    base: Base


class DiskId(_DiskId, total=False):
    """Which disk, and the trace's file with what the run wrote to it."""

    delta: Optional[str]


class Arguments(TypedDict):
    """PANDA's arguments, to be read: a replay's are made from the machine."""

    record: List[str]
    replay: List[str]


class Attempts(TypedDict, total=False):
    """How often something in the guest tried to do what only the agent of a locked recording may."""

    stop: int
    toggle: int
    key: int
    exit_status: int


class _Recording(TypedDict):
    instructions: int
    ended: str
    snapshot_bytes: int
    log_bytes: int


class Recording(_Recording, total=False):
    """What PANDA made."""

    locked: bool
    attempts: Attempts


class Seconds(TypedDict):
    """How long things took."""

    boot: float
    record: float
    shutdown: float


class PandaEnd(TypedDict, total=False):
    """How the PANDA that recorded ended: one of the two."""

    status: int
    signal: int


class Confinement(TypedDict):
    """How far that PANDA was confined."""

    mode: str
    missing: List[str]


class Failure(TypedDict):
    """Why a recording does not replay."""

    kind: str
    message: str


class _Verification(TypedDict):
    at: str
    panda: PandaId
    replayed: bool
    seconds: float


class Verification(_Verification, total=False):
    """What came of a replay on a PANDA without recctrl."""

    failure: Optional[Failure]


class _Manifest(TypedDict):
    schema: int
    name: str
    created: str
    pandacap: str
    target: str
    panda: PandaId
    guest: GuestId
    machine: Machine
    arguments: Arguments
    command: List[Argument]
    recording: Recording
    seconds: Seconds
    files: Dict[str, FileDigest]


class Manifest(_Manifest, total=False):
    """What a trace says of itself; docs/trace-format.md explains each field."""

    disk: Optional[DiskId]
    exit_status: Optional[int]
    panda_ended: Optional[PandaEnd]
    confinement: Optional[Confinement]
    verification: Optional[Verification]


def parse(text: bytes) -> Manifest:
    """Reads a manifest of any schema up to :data:`SCHEMA`, and gives it as one of that schema."""
    try:
        manifest: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"not a manifest: {error}") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if type(schema) is not int or schema < 1:
        raise TraceError("not a manifest: it has no schema")
    if schema > SCHEMA:
        raise TraceError(f"its schema is {schema}, and this pandacap reads none newer than {SCHEMA}")
    try:
        _check(manifest)
        verification = manifest.get("verification") or {}
        # in schema 1 a failure was its message alone
        if isinstance(verification.get("failure"), str):
            verification["failure"] = {"kind": "unknown", "message": verification["failure"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise TraceError(f"not a manifest: {error!r}") from error
    manifest["schema"] = SCHEMA
    return cast(Manifest, manifest)


def _check(manifest: Dict[str, Any]) -> None:
    """What the rest of the module relies on."""
    missing = _Manifest.__required_keys__ - manifest.keys()
    if missing:
        raise TraceError(f"not a manifest: it has no {', '.join(sorted(missing))}")
    for name in [manifest["name"], *manifest["files"]]:
        if not isinstance(name, str) or not _PLAIN.fullmatch(name):
            raise TraceError(f"it names a file {name!r}, which is not a plain name")
    if manifest["target"] not in ("x86_64", "i386", "arm", "aarch64"):
        raise TraceError(f"its target is {manifest['target']!r}, which is unknown here")
    machine = manifest["machine"]
    unknown = machine.keys() - Machine.__required_keys__ - Machine.__optional_keys__
    if unknown:
        raise TraceError(f"its machine has {', '.join(sorted(unknown))}, which is unknown here")
    numbers = {key: machine.get(key) for key in ("memory_mib", "serial_ports", "disk_bytes", "bootstrap_bytes")}
    for key, value in numbers.items():
        optional = key in Machine.__optional_keys__
        if not (type(value) is int and value >= 0 or optional and value is None):
            raise TraceError(f"its machine's {key} is {value!r}")
    if machine["serial_ports"] > 255:
        raise TraceError(f"its machine has {machine['serial_ports']} serial ports")
    nic = machine.get("nic")
    if nic is not None and not _PLAIN.fullmatch(nic):
        raise TraceError(f"its machine's nic is {nic!r}")
    if not all(isinstance(word, str) for word in machine.get("more", [])):
        raise TraceError("its machine's further arguments are no text")

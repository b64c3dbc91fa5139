"""A trace on disk, and the PyPANDA that replays it."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Union

from ._manifest import Manifest, TraceError, parse

if TYPE_CHECKING:
    from pandare import Panda  # type: ignore

#: Larger manifests are nothing that pandacap has written.
_MANIFEST_BYTES = 16 << 20


@dataclass(frozen=True)
class Trace:
    """A finished trace."""

    folder: Path
    manifest: Manifest
    #: Whether its own further arguments for PANDA are taken, which can do anything on this machine.
    trust_arguments: bool = False

    @property
    def recording(self) -> str:
        """The recording, as ``run_replay`` takes it: what its two files' paths begin with."""
        return str(self.folder / self.manifest["name"])

    @property
    def machine_arguments(self) -> List[str]:
        """PANDA's arguments for the machine that was recorded.

        Its disks are ones on which there is nothing: a replay takes what the guest read from the log.
        """
        machine = self.manifest["machine"]
        arguments = ["-nodefaults", "-display", "none", "-vga", "std" if machine.get("vga") else "none"]
        arguments += ["-no-reboot", "-m", str(machine["memory_mib"])]
        arguments += ["-serial", "null"] * machine["serial_ports"]
        if machine.get("disk_bytes") is not None:
            arguments += ["-drive", f"driver=null-co,size={machine['disk_bytes']},if=ide"]
        if machine.get("bootstrap_bytes") is not None:
            size = machine["bootstrap_bytes"]
            arguments += ["-drive", f"driver=null-co,size={size},if=virtio,readonly=on"]
        if machine.get("nic") is not None:
            arguments += ["-netdev", "user,id=net0,restrict=on", "-device", f"{machine['nic']},netdev=net0"]
        more = machine.get("more", [])
        if more and not self.trust_arguments:
            raise TraceError(
                f"{self.folder} has further arguments for PANDA, which can do anything on this machine: "
                f"{shlex.join(more)}; if you trust them, open it with trust_arguments=True"
            )
        return arguments + more

    def panda(self, *arguments: str, **options: Any) -> Panda:
        """A ``pandare.Panda`` on which the trace replays: ``trace.panda().run_replay(trace.recording)``.

        Takes further arguments for PANDA, and further options for ``pandare.Panda``. A process has one at most.
        PyPANDA is not confined: have ``pandacap verify`` look at a stranger's trace first.
        """
        machine = ["-no-user-config", *self.machine_arguments, *arguments]
        target = self.manifest["target"]
        _load_stand_ins(target)
        from pandare import Panda

        try:
            return Panda(arch=target, mem=str(self.manifest["machine"]["memory_mib"]), extra_args=machine, **options)
        except OSError as error:
            raise TraceError(
                f"PANDA's library does not load: {error}; `pandacap panda install --target {target}` makes "
                "stand-ins for the libraries that this machine lacks"
            ) from error


def open(folder: Union[str, os.PathLike[str]], *, trust_arguments: bool = False) -> Trace:
    """Opens a trace, which may be a stranger's."""
    path = Path(folder).absolute()
    file = path / "manifest.json"
    try:
        # asked before it is opened: opening a pipe would wait for its other end
        if not file.is_file() or file.stat().st_size > _MANIFEST_BYTES:
            raise TraceError(f"{path} is no trace: it has no {file.name}")
        manifest = parse(file.read_bytes())
    except OSError as error:
        raise TraceError(f"cannot read {file}: {error.strerror}") from error
    except TraceError as error:
        raise TraceError(f"{file}: {error}") from error
    return Trace(path, manifest, trust_arguments)


def program() -> Optional[str]:
    """The program pandacap: the one that came with this module, else the one on PATH."""
    return shutil.which("pandacap", path=sysconfig.get_path("scripts")) or shutil.which("pandacap")


def _load_stand_ins(target: str) -> None:
    """Loads pandacap's stand-ins for libraries that this machine lacks, so that libpanda finds them there."""
    pandacap = program()
    if pandacap is None:
        return
    found = subprocess.run([pandacap, "panda", "path", "--target", target], capture_output=True, text=True)
    # without them PANDA's library may load all the same
    if found.returncode == 0:
        folder = Path(found.stdout.strip()).parent / "stand-ins"
        for library in sorted(folder.glob("*")):
            ctypes.CDLL(str(library))

//! A guest's console on the terminal, on an overlay that is thrown away.

use std::io;

use crate::error::{GuestError, WarmError};
use crate::guest::Guest;
use crate::warm::WarmKey;
use machine::Interrupt;
use machine::life::{Cut, Ended, Plan};
use machine::{Boot, Outside, PortForward, Reach, SavedState};
use panda_host::Panda;

const OVERLAY: &str = "disk.qcow2";

/// Runs the guest until it powers off or its user leaves; whether it was interrupted instead.
pub fn shell(
    guest: &Guest,
    panda: &Panda,
    forwards: &[PortForward],
    reach: Reach,
    interrupt: &Interrupt,
) -> Result<bool, GuestError> {
    let Some(disk) = guest.base()? else { return Err(GuestError::NoDisk(guest.name.clone())) };
    let machine = guest.machine();
    let warm = match reach {
        Reach::Restricted => guest.warm(&WarmKey::of(guest, &machine, panda, None)?),
        // It keeps the network that it got when it booted.
        Reach::Open => None,
    };
    let base = warm.as_ref().map(|warm| warm.base(guest)).transpose()?.flatten().unwrap_or(disk);
    let forwards: Vec<_> =
        forwards.iter().map(|forward| forward.ready()).collect::<Result<_, _>>().map_err(WarmError::Port)?;
    let files = |source: io::Error| GuestError::Files { folder: guest.folder.clone(), source };
    let folder = tempfile::tempdir().map_err(files)?;
    let _hold = base.hold()?;
    base.overlay(folder.path(), OVERLAY)?;

    let (kernel, initramfs) = (guest.kernel(), guest.initramfs());
    let boot =
        Boot { kernel: kernel.as_deref(), initramfs: initramfs.as_deref(), append: &guest.manifest.append };
    let state = warm.as_ref().map(|warm| SavedState::open(&warm.state)).transpose().map_err(files)?;
    let incoming = state.as_ref().map(SavedState::incoming);
    let outside = Outside {
        serial: &["mon:stdio"],
        overlay: OVERLAY,
        forwards: &forwards,
        reach,
        state: incoming.as_deref(),
        ..Outside::default()
    };
    let mut command = panda.command();
    // Ctrl-], for Ctrl-A is what shells have for the beginning of the line.
    command.args(machine.boot_args(boot, outside)).args(["-echr", "0x1d"]);
    command.current_dir(folder.path()).env_remove("PANDA_DIR");
    let sandbox = outside.permit(panda.sandbox().write(folder.path()));
    let sandbox = sandbox.read_all(base.chain()).read_all(boot.files());
    let sandbox = sandbox.inherit(state.as_ref().map(SavedState::file));
    let failed = |error| GuestError::from(WarmError::Process(error));
    let lived = Plan::attached(command, sandbox).live(interrupt, &mut ()).map_err(failed)?;
    Ok(lived.ended == Ended::Cut(Cut::Interrupt))
}

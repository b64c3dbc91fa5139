//! The interface to PANDA: what the plugin needs of it, so that tests can use a fake.

use std::{ffi::CStr, time::Duration};

use protocol::Registers;

use crate::{
    files::{Files, Folder},
    recorder::Mode,
    refusal::Refusal,
};

/// Where a guest stands after [`Host::step_out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On its hypercall: its recording can begin.
    Here,
    /// Behind its hypercall once PANDA's execution loop is left; [`crate::Plugin::stepped_out`] is called there, before
    /// its next instruction.
    Outside,
}

/// PANDA, as far as the plugin needs it.
///
/// Every method is called with QEMU's big lock held, as all of a plugin's callbacks are.
pub trait Host: Send + Sync + 'static {
    /// A virtual processor, for as long as one callback lasts.
    type Cpu: Copy;

    /// What PANDA is doing.
    fn mode(&self) -> Mode;
    /// Why this machine can't be recorded at all.
    fn obstacle(&self) -> Option<Refusal>;
    /// Guest instructions since the recording began.
    fn instructions(&self) -> u64;
    /// The most bytes that a snapshot of this machine takes.
    fn snapshot_bytes(&self) -> u64;

    /// The four hypercall registers.
    fn registers(&self, cpu: Self::Cpu) -> Registers;
    /// Puts an answer into the hypercall registers, and into the log when one is being written.
    fn answer(&self, cpu: Self::Cpu, registers: Registers);
    /// Reads guest memory; false when any byte of it is not mapped.
    fn read(&self, cpu: Self::Cpu, address: u64, buffer: &mut [u8]) -> bool;

    /// Creates the files of a recording in `folder`, where `min_free` bytes have to be left beside the snapshot.
    fn reserve(&self, folder: &Folder, name: &str, min_free: u64) -> Result<Files, Refusal> {
        if let Some(obstacle) = self.obstacle() {
            return Err(obstacle);
        }
        let needed = self.snapshot_bytes().saturating_add(min_free);
        let free = folder.free();
        if free < needed {
            return Err(Refusal::Space { dir: folder.path().to_owned(), free, needed });
        }
        folder.reserve(name)
    }
    /// Has the guest, whose answer is in its registers, go where its recording can begin: an instruction that is not
    /// the hypercall. When it fails the guest is as it was.
    fn step_out(&self, cpu: Self::Cpu) -> Result<Place, Refusal>;
    /// Begins a recording where the guest, which has stepped out, is held.
    fn begin(&self, recording: &CStr) -> Result<(), Refusal>;
    /// Has the main loop begin a recording at its next turn, wherever the guest is then.
    fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal>;
    /// Whether the main loop has yet to act on what was asked of it.
    fn is_pending(&self) -> bool;
    /// Ends the recording while the guest is held; it is complete on disk when this returns.
    fn end(&self) -> Result<(), Refusal>;
    /// Has the main loop end the recording in this turn.
    fn ask_end(&self);
    /// A random number that cannot be predicted, if the system has one.
    fn random(&self) -> Option<u32>;
    /// Quits PANDA.
    fn quit(&self);
    /// Has the main loop call [`crate::Plugin::tick`] every so often until it returns false.
    fn arm_ticks(&self, every: Duration);
    /// Keeps this guest waiting, but not PANDA.
    fn pause(&self, time: Duration);
}

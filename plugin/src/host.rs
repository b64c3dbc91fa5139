//! The one door to PANDA: what the plugin needs of it, so that tests can stand in for it.

use std::{ffi::CStr, time::Duration};

use protocol::Registers;

use crate::recorder::Mode;

/// Why a recording can't begin or end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// Record and replay were left out of PANDA.
    #[error("this PANDA was built without record and replay")]
    Unable,
    /// KVM runs the guest behind PANDA's back.
    #[error("the machine runs on KVM, and only TCG can be recorded: start PANDA without -enable-kvm")]
    Kvm,
    /// More than one processor.
    #[error("the machine has {0} processors, and a recording of more than one does not replay: use -smp 1")]
    Smp(i32),
    /// There is too little room for the snapshot.
    #[error("{dir} has {free} bytes free, and the snapshot may need {needed}")]
    Space {
        /// Where the recording would be.
        dir: String,
        /// Free bytes.
        free: u64,
        /// Bytes of the largest snapshot, and those that `min_free` keeps.
        needed: u64,
    },
    /// As many recordings have been made as may be.
    #[error("{0} recordings have been made, and max_recordings allows no more")]
    TooMany(u32),
    /// The recordings take too much.
    #[error("the recordings take {used} bytes and the snapshot may need {needed}; max_bytes allows {most}")]
    MaxBytes {
        /// Bytes of those that are there, the first one's snapshot not counted.
        used: u64,
        /// Bytes of the largest snapshot.
        needed: u64,
        /// What is allowed.
        most: u64,
    },
    /// The files can't be made.
    #[error("can't create {path}: {reason}")]
    Files {
        /// The file.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// Where the guest stands can't be told, so it can't be made to go on behind its hypercall.
    #[error(
        "no cpuid instruction where the guest made its hypercall: real mode, or a segment not based at 0"
    )]
    Instruction,
    /// PANDA itself says no.
    #[error("PANDA refused, for another change of its recording state is under way ({0})")]
    Panda(i32),
    /// PANDA's main loop never came by.
    #[error("PANDA's main loop did not act on it; is the machine being paused?")]
    NoTurn,
    /// PANDA is going.
    #[error("PANDA ended before it began the recording")]
    Shutdown,
}

/// PANDA, as far as the plugin needs it.
///
/// Every method is called with QEMU's big lock held, as all of a plugin's callbacks are.
pub trait Host: Send + 'static {
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

    /// Puts the guest behind its hypercall, with `answer` in its registers, and has [`crate::Plugin::stepped_out`]
    /// called before its next instruction. When it fails the guest is as it was.
    fn step_out(&self, cpu: Self::Cpu, answer: Registers) -> Result<(), Refusal>;
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

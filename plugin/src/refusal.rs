//! Why a recording can't be made or ended.

use std::path::PathBuf;

/// Why a recording can't begin or end.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
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
    #[error("{} has {free} bytes free, and the snapshot may need {needed}", dir.display())]
    Space {
        /// Where the recording would be.
        dir: PathBuf,
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
    #[error("can't create {}: {reason}", path.display())]
    Files {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The end of the guest's hypercall can't be found, so the guest can't be made to go on behind it.
    #[error(
        "no cpuid instruction where the guest made its hypercall: real mode, or a segment not based at 0"
    )]
    Instruction,
    /// PANDA itself refuses.
    #[error("PANDA refused, for another change of its recording state is under way ({0})")]
    Panda(i32),
    /// PANDA's main loop never came by.
    #[error("PANDA's main loop did not act on it; is the machine being paused?")]
    NoTurn,
    /// PANDA is exiting.
    #[error("PANDA ended before it began the recording")]
    Shutdown,
}

impl Refusal {
    /// The word for it in the events file: a reader need not parse the message.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Unable => "no_record_replay",
            Refusal::Kvm => "kvm",
            Refusal::Smp(_) => "smp",
            Refusal::Space { .. } => "min_free",
            Refusal::TooMany(_) => "max_recordings",
            Refusal::MaxBytes { .. } => "max_bytes",
            Refusal::Files { .. } => "files",
            Refusal::Instruction => "instruction",
            Refusal::Panda(_) => "panda",
            Refusal::NoTurn => "main_loop",
            Refusal::Shutdown => "shutdown",
        }
    }
}

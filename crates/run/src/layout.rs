//! The files of a run, in its folder.

/// The guest's first serial port.
pub(crate) const CONSOLE: &str = "console.log";
/// What the recorded command wrote.
pub(crate) const OUTPUT: &str = "output.log";
/// What recctrl tells.
pub(crate) const EVENTS: &str = "events.jsonl";
/// What PANDA said while it recorded.
pub(crate) const PANDA_LOG: &str = "record.log";
/// What PANDA said while it replayed.
pub(crate) const REPLAY_LOG: &str = "replay.log";
/// Where the guest's kernel keeps what analyses read.
pub(crate) const PROFILE: &str = kernel_profile::FILE;
/// What the guest wrote to its disk.
pub(crate) const DISK: &str = "disk.qcow2";
/// What the tiny guest boots.
pub(crate) const INITRAMFS: &str = "initramfs.cpio";
/// The guest's bootstrap disk.
pub(crate) const BOOTSTRAP: &str = "bootstrap.img";

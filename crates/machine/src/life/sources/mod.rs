//! Where a machine's events come from: each source has a thread that waits for one thing, and all send to one channel.

pub(super) mod files;
pub(super) mod output;
pub(super) mod process;
pub(super) mod qmp;
pub(super) mod ssh;

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};

use super::event::Event;

/// Where events go. A send that fails means that the driver has finished, and is ignored.
pub(super) type Inbox = SyncSender<Event>;

/// Starts a thread that waits for one thing.
fn wait<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

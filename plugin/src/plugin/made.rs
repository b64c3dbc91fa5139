//! What recordings take on disk, so that a guest that makes them all the time does not fill it.

use crate::files::Files;

/// The recordings that are complete.
#[derive(Default)]
pub(super) struct Made(Vec<Files>);

impl Made {
    pub(super) fn add(&mut self, files: Files) {
        self.0.push(files);
    }

    /// The bytes of those that are still there, but for the snapshot of the first one: a machine with much memory is to
    /// be recorded once, whatever the bound.
    pub(super) fn bytes(&mut self) -> u64 {
        let mut sizes = Vec::with_capacity(self.0.len());
        self.0.retain(|files| {
            files.exist() && {
                sizes.push(files.sizes());
                true
            }
        });
        let snapshots: u64 = sizes.iter().skip(1).map(|sizes| sizes.snapshot_bytes).sum();
        snapshots + sizes.iter().map(|sizes| sizes.log_bytes).sum::<u64>()
    }

    /// The bytes of all of them with one more, whose files these are, by the same count; `before` is what
    /// [`Made::bytes`] was when it began.
    pub(super) fn bytes_with(&self, before: u64, files: &Files) -> u64 {
        let sizes = files.sizes();
        before + sizes.log_bytes + if self.0.is_empty() { 0 } else { sizes.snapshot_bytes }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

//! What finished recordings take on disk, so that a guest that makes them all the time does not fill it.

use crate::files::{Files, Sizes};

/// The finished recordings, as they were when they were last counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made(Vec<(Files, Sizes)>);

impl Made {
    /// One more; one that takes no room is not kept.
    pub fn add(&mut self, files: Files, sizes: Sizes) {
        if sizes != Sizes::default() {
            self.0.push((files, sizes));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of all, without the snapshot of the first one: a machine with much memory is to be recorded once,
    /// whatever the bound.
    pub fn bytes(&self) -> u64 {
        let all: u64 = self.0.iter().map(|(_, sizes)| sizes.snapshot_bytes + sizes.log_bytes).sum();
        all - self.0.first().map_or(0, |(_, sizes)| sizes.snapshot_bytes)
    }

    /// The bytes of all with one more, by the same count.
    pub fn bytes_with(&self, sizes: Sizes) -> u64 {
        self.bytes() + sizes.log_bytes + if self.is_empty() { 0 } else { sizes.snapshot_bytes }
    }

    /// Counts again; a recording of which `measure` finds nothing is gone.
    #[must_use]
    pub fn recounted(mut self, measure: impl Fn(&Files) -> Sizes) -> Made {
        self.0.retain_mut(|(files, sizes)| {
            *sizes = measure(files);
            *sizes != Sizes::default()
        });
        self
    }
}

//! The guest at one moment, for whoever is told of an event.

use std::fmt;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::task::Task;

/// The guest at the moment of an event: what runs, and what its memory says.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Its processor and memory.
    pub machine: &'a dyn Machine,
    /// Its kernel.
    pub kernel: &'a Kernel,
    /// The task that the event is about; it is the one that runs.
    pub current: Option<Task>,
}

impl fmt::Debug for Guest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("current", &self.current).finish_non_exhaustive()
    }
}

impl Guest<'_> {
    /// Guest instructions since the trace began.
    pub fn instructions(&self) -> u64 {
        self.machine.instructions()
    }

    /// Text in the running process up to a NUL, at most `most` bytes, as far as it is there.
    pub fn text(&self, address: u64, most: usize) -> Vec<u8> {
        self.machine.text(address, most)
    }

    /// Bytes in the running process, as far as they are there.
    pub fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        self.machine.mapped(address, length)
    }
}

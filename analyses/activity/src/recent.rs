//! The last system calls of each process, for what is worth a look back.

use std::collections::{HashMap, VecDeque};

use analysis::RecentCall;
use panda_linux::Call;

/// Calls that are kept for each process.
const CALLS: usize = 16;
/// Processes whose calls are kept.
const PROCESSES: usize = 8192;

/// The last calls of each process.
#[derive(Debug, Default)]
pub(crate) struct Recent(HashMap<u32, VecDeque<(Call, i64)>>);

impl Recent {
    /// Adds a call that has returned.
    pub(crate) fn add(&mut self, pid: u32, call: &Call, result: i64) {
        if self.0.len() >= PROCESSES && !self.0.contains_key(&pid) {
            self.0.clear();
        }
        let calls = self.0.entry(pid).or_default();
        if calls.len() == CALLS {
            calls.pop_front();
        }
        calls.push_back((*call, result));
    }

    /// The process has ended.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.0.remove(&pid);
    }

    /// A process's last calls, the oldest first.
    pub(crate) fn of(&self, pid: u32) -> Vec<RecentCall> {
        let calls = self.0.get(&pid).into_iter().flatten();
        calls
            .map(|(call, result)| RecentCall {
                instructions: call.made,
                call: crate::name(call),
                result: *result,
            })
            .collect()
    }
}

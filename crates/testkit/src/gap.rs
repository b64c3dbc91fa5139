//! How exactly a recording of the probe's `gap` begins and ends, read from its snapshot and its log.

use std::fs;
use std::path::Path;

use rr_log::{Event, Reader};
use trace::{log_name, snapshot_name};

/// Instructions in one turn of the loop behind the start, and of the loop of port reads behind the stop.
const INSTRUCTIONS_A_TURN: u64 = 4;
const INSTRUCTIONS_A_READ: u64 = 5;
/// What the probe writes, with the name that it gave and colons up to 32 bytes, in front of its count of turns.
const MARK: &str = "pandacap-mark-of";

/// What a recording of the probe's `gap` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Guest instructions that ran between the answer "started" and the snapshot.
    pub before: u64,
    /// Instructions recorded from the port read just before the stop to the recording's end.
    pub from_last: Option<u64>,
    /// Instructions of the probe's that were recorded behind the stop.
    pub after: u64,
}

impl Gap {
    /// Looks at the recording `name` in `dir`, which the probe has called `asked`.
    pub fn of(dir: &Path, name: &str, asked: &str) -> Gap {
        let snapshot = fs::read(dir.join(snapshot_name(name))).unwrap();
        let mark = format!("{::<32}", format!("{MARK}{asked}"));
        let at = find(&snapshot, mark.as_bytes()).expect("the probe's mark is in the snapshot");
        let turns = u64::from_le_bytes(snapshot[at + mark.len()..][..8].try_into().unwrap());

        let (mut reads, mut end) = (vec![], 0);
        for entry in Reader::open(&dir.join(log_name(name))).unwrap() {
            let entry = entry.unwrap();
            match entry.event {
                // PANDA logs a read of two bytes as what the device said, and then what became of it.
                Event::Input8(_) if entry.callsite.name() == "read_2" => reads.push(entry.instructions),
                Event::End => end = entry.instructions,
                _ => {}
            }
        }
        Gap {
            before: turns * INSTRUCTIONS_A_TURN,
            from_last: reads.get(1).map(|last| end - last),
            after: reads.len().saturating_sub(2) as u64 * INSTRUCTIONS_A_READ,
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

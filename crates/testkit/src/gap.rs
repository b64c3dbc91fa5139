//! Where exactly a recording of the probe's `gap` begins and ends, according to its snapshot and log.

use std::fs;
use std::path::Path;

use rr_log::{Event, Reader};
use trace::{log_name, snapshot_name};

/// Instructions in one turn of the loop after the start, and of the loop of port reads after the stop.
const INSTRUCTIONS_A_TURN: u64 = 4;
const INSTRUCTIONS_A_READ: u64 = 5;
/// What the probe writes before its count of turns, with the recording's name, padded with colons to 32 bytes.
const MARK: &str = "pandacap-mark-of";

/// What a recording of the probe's `gap` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Guest instructions that ran between the answer "started" and the snapshot.
    pub before: u64,
    /// Instructions recorded from the port read just before the stop to the recording's end.
    pub from_last: Option<u64>,
    /// The probe's instructions that were recorded after the stop.
    pub after: u64,
}

impl Gap {
    /// Examines the recording `name` in `dir`, which the probe called `asked`.
    pub fn of(dir: &Path, name: &str, asked: &str) -> Gap {
        let snapshot = fs::read(dir.join(snapshot_name(name))).unwrap();
        let mark = format!("{::<32}", format!("{MARK}{asked}"));
        let at = find(&snapshot, mark.as_bytes()).expect("the probe's mark is in the snapshot");
        let turns = u64::from_le_bytes(snapshot[at + mark.len()..][..8].try_into().unwrap());

        let (mut reads, mut end) = (vec![], 0);
        for entry in Reader::open(&dir.join(log_name(name))).unwrap() {
            let entry = entry.unwrap();
            match entry.event {
                // PANDA logs a two-byte read twice: the device's value, and then the resulting value.
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

//! The events file: one JSON object a line, bounded however much the guest causes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::quiet::Budget;

/// The version of the lines' schema, in every line's `v`.
const VERSION: u32 = 1;
/// What a guest can cause beyond its recordings stops being written when the file has this many bytes.
const CHATTER_BYTES: u64 = 16 << 20;

/// Writes events, if there is a file for them.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<File>,
    written: u64,
    chatter: Budget,
}

impl Events {
    /// Appends to the file at `path`; without one every event is dropped.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Events> {
        let append = |path| {
            OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)
        };
        Ok(Events { file: path.map(append).transpose()?, written: 0, chatter: Budget::new(1000, 100) })
    }

    /// Whether there is a file for them.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Writes what happened to a recording, without bounds.
    #[expect(clippy::disallowed_macros, reason = "it logs once: there is no file afterwards")]
    pub(crate) fn record(&mut self, event: &str, fields: Value) {
        let Some(file) = &mut self.file else { return };
        let mut line = json!({ "v": VERSION, "t": unix_seconds(), "event": event });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        let mut line = line.to_string();
        line.push('\n');
        self.written += line.len() as u64;
        if let Err(error) = file.write_all(line.as_bytes()) {
            log::error!("can't write to the events file, which ends here: {error}");
            self.file = None;
        }
    }

    /// Writes what a guest can cause at will, within bounds.
    pub(crate) fn chatter(&mut self, event: &str, fields: Value) {
        if self.written > CHATTER_BYTES {
            return;
        }
        if let Some(dropped) = self.chatter.spend() {
            if dropped > 0 {
                self.record("dropped", json!({ "events": dropped }));
            }
            self.record(event, fields);
        }
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| (time.as_secs_f64() * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.jsonl");
        let mut events = Events::open(Some(&path)).expect("opens");
        events.record("began", json!({ "name": "a\n\"b\u{0}" }));
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&line["v"], &line["event"], &line["name"]),
            (&json!(1), &json!("began"), &json!("a\n\"b\u{0}"))
        );
        assert!(line["t"].as_f64().is_some_and(|t| t > 1.6e9));
    }

    #[test]
    fn a_loud_guest_does_not_fill_the_disk_nor_hide_a_recording() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.jsonl");
        let mut events = Events::open(Some(&path)).expect("opens");
        for _ in 0..100_000 {
            events.chatter("message", json!({ "text": "x".repeat(1024) }));
        }
        events.record("ended", json!({}));
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.len() < 4 << 20, "{}", text.len());
        assert!(text.ends_with("}\n") && text.lines().last().is_some_and(|last| last.contains("ended")));
    }
}

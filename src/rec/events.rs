//! What recctrl tells while a machine runs: its events file, read as it grows.

use serde::Deserialize;

use crate::bootstrap;
use crate::vm::Tail;

/// What is known of a run so far. Events and fields that are not known are none of our business.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The recordings, in order.
    pub(super) recordings: Vec<Recorded>,
    /// Why a recording was refused.
    pub(super) refused: Option<String>,
    /// The command's exit status, which the guest reports when nothing is recorded.
    pub(super) exit_status: Option<u8>,
    /// How far the guest has come with its bootstrap disk.
    pub(super) bootstrap: Bootstrap,
    /// Whether the guest has said anything, but for its bootstrapping.
    pub(super) heard: bool,
}

/// What a guest that is bootstrapped has told about it.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Bootstrap {
    /// Nothing.
    #[default]
    Silent,
    /// A script runs.
    Runs,
    /// All of them have run.
    Done,
    /// This one failed, with its status.
    Failed(String),
}

/// What is known of a recording.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recorded {
    /// The name of its files.
    pub(super) name: String,
    /// When it began, in Unix seconds.
    pub(super) began: f64,
    /// When it ended.
    pub(super) ended: Option<f64>,
    /// Why it ended.
    pub(super) why: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    t: f64,
    name: Option<String>,
    why: Option<String>,
    text: Option<String>,
}

impl Story {
    /// Takes what is new in the events file; whether there was anything.
    pub(super) fn follow(&mut self, file: &mut Tail) -> std::io::Result<bool> {
        let lines = file.lines()?;
        let told = !lines.is_empty();
        for line in lines {
            match serde_json::from_slice(&line) {
                Ok(event) => self.take(event),
                Err(error) => log::debug!("an event that cannot be read: {error}"),
            }
        }
        Ok(told)
    }

    /// The recording that is on.
    fn current(&mut self) -> Option<&mut Recorded> {
        self.recordings.last_mut().filter(|recording| recording.ended.is_none())
    }

    fn take(&mut self, event: Event) {
        if self.bootstraps(&event) {
            return;
        }
        self.heard |= matches!(event.event.as_str(), "asked" | "began" | "message" | "refused");
        match (event.event.as_str(), event.name) {
            ("began", Some(name)) => {
                self.recordings.push(Recorded { name, began: event.t, ended: None, why: None });
            }
            ("ended", Some(name)) => {
                if let Some(recording) = self.current().filter(|recording| recording.name == name) {
                    recording.ended = Some(event.t);
                    recording.why = event.why;
                }
            }
            ("refused", _) => self.refused = event.why,
            // What is recorded can leave messages as well.
            ("message", _) if self.current().is_none() => {
                let text = event.text.as_deref().unwrap_or_default();
                let status = text.strip_prefix("exit=").and_then(|status| status.parse().ok());
                self.exit_status = self.exit_status.or(status);
            }
            _ => {}
        }
    }

    /// Takes a message of the bootstrap disk's. Nobody can log in before it is done; what comes later and looks
    /// like one is anybody's.
    fn bootstraps(&mut self, event: &Event) -> bool {
        let Some(text) = event.text.as_deref().filter(|_| event.event == "message") else { return false };
        if self.heard || matches!(self.bootstrap, Bootstrap::Done | Bootstrap::Failed(_)) {
            return false;
        }
        self.bootstrap = match (text.strip_prefix(bootstrap::STEP), text.strip_prefix(bootstrap::FAILED)) {
            (Some(bootstrap::DONE), _) => Bootstrap::Done,
            (Some(_), _) => Bootstrap::Runs,
            (_, Some(script)) => Bootstrap::Failed(script.to_owned()),
            _ => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(lines: &[&str]) -> Story {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.jsonl");
        std::fs::write(&path, lines.join("\n") + "\n").expect("written");
        let mut story = Story::default();
        story.follow(&mut Tail::of(path)).expect("read");
        story
    }

    #[test]
    fn a_run_is_told_by_its_events_whatever_else_is_among_them() {
        let story = story(&[
            r#"{"v":1,"t":1.0,"event":"loaded","version":"9"}"#,
            r#"{"v":1,"t":3.5,"event":"began","name":"ls_000","new":[1]}"#,
            "not JSON",
            r#"{"v":1,"t":4.0,"event":"ended","name":"ls_000","why":"guest"}"#,
            r#"{"v":1,"t":4.1,"event":"message","text":"exit=3","name":null}"#,
            r#"{"v":1,"t":5.0,"event":"began","name":"b_001"}"#,
        ]);
        let ended = Recorded {
            name: "ls_000".to_owned(),
            began: 3.5,
            ended: Some(4.0),
            why: Some("guest".to_owned()),
        };
        let on = Recorded { name: "b_001".to_owned(), began: 5.0, ended: None, why: None };
        assert_eq!(story.recordings, [ended, on]);
        assert_eq!(story.exit_status, Some(3));
    }

    #[test]
    fn the_end_of_a_run_is_told_however_much_a_guest_says_before() {
        let mut lines = vec![r#"{"event":"began","name":"a"}"#.to_owned()];
        let chatter = format!(r#"{{"event":"message","text":"{}"}}"#, "x".repeat(1000));
        lines.extend(vec![chatter; 3000]);
        lines.push(r#"{"event":"ended","name":"a","why":"guest"}"#.to_owned());
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.jsonl");
        std::fs::write(&path, lines.join("\n") + "\n").expect("written");
        let (mut story, mut file) = (Story::default(), Tail::of(path));
        while story.follow(&mut file).expect("read") {}
        assert_eq!(story.recordings[0].why.as_deref(), Some("guest"));
    }

    #[test]
    fn a_bootstrap_that_fails_is_told_from_a_guest_that_says_so_later() {
        let message = |text: &str| format!(r#"{{"event":"message","text":"{text}"}}"#);
        let after = |texts: &[&str]| {
            let lines: Vec<String> = texts.iter().map(|text| message(text)).collect();
            story(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let failed = after(&["bootstrap: 10_a.sh", "bootstrap failed: 10_a.sh status 7"]);
        assert_eq!(failed.bootstrap, Bootstrap::Failed("10_a.sh status 7".to_owned()));
        assert!(!failed.heard, "a guest that bootstraps has not booted");
        let done = after(&["bootstrap: 10_a.sh", "bootstrap: done", "bootstrap failed: 10_a.sh status 7"]);
        assert_eq!(done.bootstrap, Bootstrap::Done);
        assert!(done.heard);
        assert_eq!(after(&["hello", "bootstrap failed: x"]).bootstrap, Bootstrap::Silent);
    }

    #[test]
    fn a_recorded_command_cannot_report_its_own_status() {
        let story = story(&[
            r#"{"event":"began","name":"a"}"#,
            r#"{"event":"message","text":"exit=0","name":"a"}"#,
            r#"{"event":"ended","name":"a","why":"guest"}"#,
            r#"{"event":"message","text":"exit=1"}"#,
        ]);
        assert_eq!(story.exit_status, Some(1));
    }

    #[test]
    fn a_guest_is_heard_once_it_asks_for_something() {
        assert!(!story(&[r#"{"event":"loaded"}"#]).heard);
        assert!(story(&[r#"{"event":"loaded"}"#, r#"{"event":"asked","name":"a"}"#]).heard);
    }
}

//! What recctrl tells while a machine runs: its events file, read as it grows.

use serde::Deserialize;

use files::Tail;
use guest::bootstrap;
use trace::{Attempts, EndedBy};

/// What is known of a run so far. Unknown events and fields are ignored.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// The recordings, in order.
    pub(crate) recordings: Vec<Recorded>,
    /// Why a recording was refused.
    pub(crate) refused: Option<String>,
    /// The exit status that the guest has told when nothing was being recorded, as its last word; anything in the guest
    /// can.
    pub(crate) told_status: Option<u8>,
    /// How far the guest has come with its bootstrap disk.
    pub(crate) bootstrap: Bootstrap,
    /// Whether the guest has said anything, but for its bootstrapping.
    pub(crate) heard: bool,
}

/// What a guest that is bootstrapped has told about it.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Bootstrap {
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
pub(crate) struct Recorded {
    /// The name of its files.
    pub(crate) name: String,
    /// When it began, in Unix seconds.
    pub(crate) began: f64,
    /// When it ended.
    pub(crate) ended: Option<f64>,
    /// Who ended it.
    pub(crate) by: Option<EndedBy>,
    /// Whether nothing in the guest but the agent that began it could end it.
    pub(crate) locked: bool,
    /// How what was recorded has ended; only the agent of a locked recording can tell.
    pub(crate) exit_status: Option<u8>,
    /// What else in the guest tried to do what only that agent may.
    pub(crate) attempts: Attempts,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    t: f64,
    name: Option<String>,
    why: Option<String>,
    what: Option<String>,
    text: Option<String>,
    #[serde(default)]
    locked: bool,
    exit_status: Option<u8>,
    #[serde(default)]
    denied: Attempts,
}

impl Story {
    /// The exit status of the command, which is the first thing recorded. Where its agent locks its recordings nothing
    /// else is believed.
    pub(crate) fn exit_status(&self) -> Option<u8> {
        match self.recordings.first() {
            Some(recording) if recording.locked => recording.exit_status,
            _ => self.told_status,
        }
    }

    /// Takes what is new in the events file, up to a bound.
    pub(crate) fn follow(&mut self, file: &mut Tail) -> std::io::Result<()> {
        for line in file.lines()? {
            match serde_json::from_slice(&line) {
                Ok(event) => self.take(event),
                Err(error) => log::debug!("an event that cannot be read: {error}"),
            }
        }
        Ok(())
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
                self.recordings.push(Recorded {
                    name,
                    began: event.t,
                    ended: None,
                    by: None,
                    locked: event.locked,
                    exit_status: None,
                    attempts: Attempts::default(),
                });
            }
            ("ended", Some(name)) => {
                if let Some(recording) = self.current().filter(|recording| recording.name == name) {
                    recording.ended = Some(event.t);
                    recording.by = event.why.map(EndedBy::from);
                    recording.exit_status = event.exit_status;
                    let Attempts { stop, toggle, key, .. } = event.denied;
                    recording.attempts = Attempts { stop, toggle, key, ..recording.attempts };
                }
            }
            // Of a recording whose end is told, that has their exact number.
            ("denied", _) => {
                if let Some(recording) = self.current() {
                    let attempts = &mut recording.attempts;
                    match event.what.as_deref() {
                        Some("stop") => attempts.stop += 1,
                        Some("toggle") => attempts.toggle += 1,
                        _ => attempts.key += 1,
                    }
                }
            }
            ("refused", _) => self.refused = event.why,
            ("message", _) => {
                let text = event.text.as_deref().unwrap_or_default();
                if let Some(status) = text.strip_prefix("exit=") {
                    self.take_status(status.parse().ok());
                }
            }
            _ => {}
        }
    }

    /// Takes a message that tells an exit status: the startup's last word, or a forgery of it.
    fn take_status(&mut self, status: Option<u8>) {
        let mut on = false;
        if let Some(recording) = self.recordings.last_mut() {
            // What is recorded can leave messages as well.
            on = recording.ended.is_none();
            let forged = recording.locked && (on || recording.exit_status != status);
            recording.attempts.exit_status += u64::from(forged);
        }
        if !on {
            self.told_status = self.told_status.or(status);
        }
    }

    /// Takes a message of the bootstrap disk's. No login is possible before it is done; what comes later and looks
    /// like one may come from any program.
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
            by: Some(EndedBy::Guest),
            locked: false,
            exit_status: None,
            attempts: Attempts::default(),
        };
        let on = Recorded { name: "b_001".to_owned(), began: 5.0, ended: None, by: None, ..ended.clone() };
        assert_eq!(story.recordings, [ended, on]);
        assert_eq!(story.exit_status(), Some(3));
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
        story.follow(&mut file).expect("read");
        while file.has_more() {
            story.follow(&mut file).expect("read");
        }
        assert_eq!(story.recordings[0].by, Some(EndedBy::Guest));
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
        assert_eq!(story.exit_status(), Some(1));
    }

    #[test]
    fn the_agent_of_a_locked_recording_is_believed_and_nothing_else() {
        let story = story(&[
            r#"{"event":"began","name":"a","locked":true}"#,
            r#"{"event":"denied","name":"a","what":"stop"}"#,
            r#"{"event":"ended","name":"a","why":"guest","exit_status":3,"denied":{"stop":2,"toggle":1,"key":9}}"#,
            r#"{"event":"message","text":"exit=0"}"#,
            r#"{"event":"message","text":"exit=3"}"#,
            r#"{"event":"began","name":"b","locked":true}"#,
            r#"{"event":"ended","name":"b","why":"guest","exit_status":0}"#,
            r#"{"event":"message","text":"exit=0"}"#,
        ]);
        assert_eq!(story.exit_status(), Some(3));
        assert_eq!(story.recordings[0].attempts, Attempts { stop: 2, toggle: 1, key: 9, exit_status: 1 });
    }

    #[test]
    fn a_locked_recording_that_its_agent_did_not_end_has_no_exit_status() {
        let story = story(&[
            r#"{"event":"began","name":"a","locked":true}"#,
            r#"{"event":"message","text":"exit=137","name":"a"}"#,
            r#"{"event":"ended","name":"a","why":"shutdown"}"#,
            r#"{"event":"message","text":"exit=0"}"#,
        ]);
        assert_eq!(story.exit_status(), None);
        assert_eq!(story.recordings[0].attempts, Attempts { exit_status: 2, ..Attempts::default() });
    }

    #[test]
    fn a_guest_is_heard_once_it_asks_for_something() {
        assert!(!story(&[r#"{"event":"loaded"}"#]).heard);
        assert!(story(&[r#"{"event":"loaded"}"#, r#"{"event":"asked","name":"a"}"#]).heard);
    }
}

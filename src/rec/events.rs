//! What recctrl tells while a machine runs: its events file, read as it grows.

use serde::Deserialize;

use super::tail::Tail;

/// What is known of a run so far. Events and fields that are not known are none of our business.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The name of the first recording's files.
    pub(super) recording: Option<String>,
    /// When it began, in Unix seconds.
    pub(super) began: Option<f64>,
    /// When it ended.
    pub(super) ended: Option<f64>,
    /// Why it ended.
    pub(super) why: Option<String>,
    /// Why a recording was refused.
    pub(super) refused: Option<String>,
    /// The command's exit status, which the guest reports once nothing is recorded any more.
    pub(super) exit_status: Option<u8>,
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
    /// Takes what is new in the events file.
    pub(super) fn follow(&mut self, file: &mut Tail) -> std::io::Result<()> {
        for line in file.lines()? {
            match serde_json::from_slice(&line) {
                Ok(event) => self.take(event),
                Err(error) => log::debug!("an event that cannot be read: {error}"),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        let ours = self.recording.is_some() && event.name == self.recording;
        match event.event.as_str() {
            "began" if self.recording.is_none() => {
                self.recording = event.name;
                self.began = Some(event.t);
            }
            "began" => log::warn!("the guest began another recording, which is not kept"),
            "ended" if ours => {
                self.ended = Some(event.t);
                self.why = event.why;
            }
            "refused" => self.refused = event.why,
            // The command can leave messages as well, as long as it runs.
            "message" if self.began.is_none() || self.ended.is_some() => {
                let status = event.text.as_deref().and_then(|text| text.strip_prefix("exit="));
                self.exit_status = self.exit_status.or(status.and_then(|status| status.parse().ok()));
            }
            _ => {}
        }
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
        ]);
        assert_eq!((story.began, story.ended), (Some(3.5), Some(4.0)));
        assert_eq!((story.recording.as_deref(), story.why.as_deref()), (Some("ls_000"), Some("guest")));
        assert_eq!(story.exit_status, Some(3));
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
}

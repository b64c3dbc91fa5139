//! What recctrl tells while it records: a line of `events.jsonl` each.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::ended::EndedBy;
use crate::manifest::Attempts;

/// One line of a trace's `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct Event {
    /// The version of the line's schema.
    pub v: u32,
    /// When it happened, in Unix seconds.
    pub t: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum What {
    /// PANDA has loaded recctrl.
    Loaded {
        /// recctrl's version.
        version: String,
        /// Where recordings go.
        dir: PathBuf,
        /// Whether sessions are counted.
        session_rec: bool,
        /// Whether recordings are only pretended.
        dry: bool,
    },
    /// The guest or another plugin has asked for a recording.
    Asked {
        /// What it asked to be called, as far as that is a plain name.
        name: Option<String>,
    },
    /// A recording has begun.
    Began {
        /// The name of its files.
        name: String,
        /// The size of its snapshot.
        snapshot_bytes: u64,
        /// Whether nothing in the guest but the program that began it can end it.
        #[serde(default)]
        locked: bool,
        /// How long the guest was held for the snapshot.
        held_seconds: Option<f64>,
    },
    /// A recording is complete on disk.
    Ended {
        /// The name of its files.
        name: String,
        /// Why it ended.
        why: EndedBy,
        /// Guest instructions.
        instructions: u64,
        /// The size of its snapshot.
        snapshot_bytes: u64,
        /// The size of its log.
        log_bytes: u64,
        /// How long it took.
        seconds: f64,
        /// Whether it was only pretended.
        dry: bool,
        /// How the recorded command ended; only the agent of a locked recording can tell.
        exit_status: Option<u8>,
        /// What else in the guest tried to end it.
        #[serde(default)]
        denied: Attempts,
    },
    /// A recording was refused.
    Refused {
        /// Why, for people.
        why: String,
        /// Why, in a word.
        reason: Option<String>,
    },
    /// Something in the guest tried to end a locked recording that is not its own.
    Denied {
        /// The recording.
        name: String,
        /// What it tried: `stop`, `toggle` or `key`.
        what: String,
    },
    /// The guest has left a message.
    Message {
        /// Its text.
        text: String,
        /// The recording in which it was left, if any.
        name: Option<String>,
        /// Guest instructions since the recording began, if any.
        instructions: Option<u64>,
    },
    /// Events were left out, for the guest made too many.
    Dropped {
        /// How many.
        events: u64,
    },
    /// Something that this pandacap does not know.
    #[serde(other)]
    Unknown,
}

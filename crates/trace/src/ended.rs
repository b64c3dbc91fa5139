//! Who ended a recording, in the words of events and manifests.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Who ended a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EndedBy {
    /// The guest asked for it.
    Guest,
    /// It lasted as long as it may.
    Timeout,
    /// It had as many instructions as it may.
    MaxInstr,
    /// The recordings took as many bytes as they may.
    MaxBytes,
    /// The disk ran low.
    MinFree,
    /// The guest wrote as much to the host as it may.
    MaxOutput,
    /// PANDA's monitor ended it.
    Monitor,
    /// Another plugin asked for it.
    Plugin,
    /// The machine went down, or PANDA was told to end.
    Shutdown,
    /// PANDA died.
    Died,
    /// Something that this version does not know.
    Other(String),
}

impl EndedBy {
    const WORDS: [(&str, EndedBy); 10] = [
        ("guest", EndedBy::Guest),
        ("timeout", EndedBy::Timeout),
        ("max_instr", EndedBy::MaxInstr),
        ("max_bytes", EndedBy::MaxBytes),
        ("min_free", EndedBy::MinFree),
        ("max_output", EndedBy::MaxOutput),
        ("monitor", EndedBy::Monitor),
        ("plugin", EndedBy::Plugin),
        ("shutdown", EndedBy::Shutdown),
        ("died", EndedBy::Died),
    ];
}

impl JsonSchema for EndedBy {
    fn schema_name() -> Cow<'static, str> {
        "EndedBy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = EndedBy::WORDS.map(|(word, _)| word);
        json_schema!({
            "type": "string",
            "description": "Who ended a recording. Newer versions may say other words than these.",
            "examples": words,
        })
    }
}

impl From<String> for EndedBy {
    fn from(word: String) -> EndedBy {
        let known = EndedBy::WORDS.into_iter().find(|(known, _)| *known == word);
        known.map_or(EndedBy::Other(word), |(_, ended)| ended)
    }
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = EndedBy::WORDS.iter().find(|(_, ended)| ended == self).map(|(word, _)| *word);
        f.write_str(match self {
            EndedBy::Other(word) => word,
            _ => known.unwrap_or_default(),
        })
    }
}

impl From<EndedBy> for String {
    fn from(ended: EndedBy) -> String {
        ended.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_written_and_one_that_is_not_known_is_kept() {
        let words = EndedBy::WORDS.iter().map(|(word, _)| *word).chain(["eclipse"]);
        for word in words {
            let ended: EndedBy = serde_json::from_value(word.into()).expect("a word");
            assert_eq!(serde_json::to_value(&ended).expect("a word"), word);
            assert_eq!(matches!(ended, EndedBy::Other(_)), word == "eclipse");
        }
    }
}

//! The version of a file's schema, which is looked at before anything else in the file.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of a file's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Schema(u32);

impl Schema {
    /// This version.
    pub const fn new(version: u32) -> Schema {
        Schema(version)
    }

    /// The version that a JSON document has in its `schema`, whatever else is in it.
    pub fn of(document: &[u8]) -> Result<Schema, serde_json::Error> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: Schema,
        }
        serde_json::from_slice(document).map(|Versioned { schema }| schema)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! The formats of images that pandacap takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A format that pandacap takes, as QEMU calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The disk's bytes as they are.
    Raw,
    /// QEMU's own.
    Qcow2,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 2] = [Format::Raw, Format::Qcow2];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

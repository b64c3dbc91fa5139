//! PANDA's word for a guest architecture.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A guest architecture on which recctrl can record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Target {
    /// 64-bit PC
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32-bit PC
    #[serde(rename = "i386")]
    I386,
    /// 32-bit ARM
    #[serde(rename = "arm")]
    Arm,
    /// 64-bit ARM
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Target {
    /// Every target, in the order of the documentation.
    pub const ALL: [Target; 4] = [Target::X86_64, Target::I386, Target::Arm, Target::Aarch64];

    /// The name that PANDA uses in its file names.
    pub fn name(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64",
            Target::I386 => "i386",
            Target::Arm => "arm",
            Target::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Target, UnknownTarget> {
        Target::ALL
            .into_iter()
            .find(|target| target.name() == name)
            .ok_or_else(|| UnknownTarget(name.to_owned()))
    }
}

/// A name that is no target's.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a target: use x86_64, i386, arm or aarch64")]
pub struct UnknownTarget(String);

//! What a kernel was built for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The architecture of a kernel, in PANDA's words. A machine that is x86_64 may well run a kernel for i386.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Architecture {
    /// 64-bit PC
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

impl Architecture {
    /// Its name, which is also how profiles write it.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::I386 => "i386",
            Architecture::Arm => "arm",
            Architecture::Aarch64 => "aarch64",
        }
    }

    /// The size of a pointer, and of a long, in bytes.
    pub fn pointer_bytes(self) -> u64 {
        match self {
            Architecture::X86_64 | Architecture::Aarch64 => 8,
            Architecture::I386 | Architecture::Arm => 4,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

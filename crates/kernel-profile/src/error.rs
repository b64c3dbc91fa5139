//! Why a profile cannot be read.

use crate::profile::{MAX_BYTES, SCHEMA};

/// Why a profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is something else, or has too much in it.
    #[error("it is not a kernel profile")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("its schema is {0}, and only schema {SCHEMA} can be read; make the profile again")]
    Schema(u32),
    /// It is too large.
    #[error("it has {0} bytes, and a kernel profile has at most {MAX_BYTES}")]
    Large(usize),
}

//! What a recording's files are called.

use std::path::Path;

/// The name of the recording's snapshot.
pub fn snapshot_name(name: &str) -> String {
    format!("{name}-rr-snp")
}

/// The name of the recording's log.
pub fn log_name(name: &str) -> String {
    format!("{name}-rr-nondet.log")
}

/// A path in a JSON report, readable also where it is not UTF-8.
pub fn lossy<S: serde::Serializer>(path: &impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.as_ref().to_string_lossy())
}

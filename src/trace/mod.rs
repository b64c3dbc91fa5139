//! One recording on disk.

pub mod log;

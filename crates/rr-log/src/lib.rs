#![doc = include_str!("../README.md")]

mod check;
mod decode;
mod encode;
mod entry;
mod reader;
mod recording;
mod salvage;
mod summary;
mod target;
#[cfg(test)]
mod tests;
mod timeline;

pub use check::{CheckError, Fault, Limits, check};
pub use encode::{encode, encode_header};
pub use entry::{Call, Callsite, Direction, Entry, Event, Memory};
pub use reader::{Data, Error, Reader, open};
pub use recording::{Recording, RecordingError};
pub use salvage::{Cut, SalvageError, Salvaged, default_name, salvage};
pub use summary::{Bucket, Class, Count, End, Row, Summary, Traffic};
pub use target::{Target, UnknownTarget};

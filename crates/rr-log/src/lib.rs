#![doc = include_str!("../README.md")]

mod check;
mod class;
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
pub use class::{Bucket, Class, Count};
pub use encode::{encode, encode_header};
pub use entry::{Call, Callsite, Direction, Entry, Event, Memory};
pub use reader::{Data, Error, Reader, open};
pub use recording::{Recording, RecordingError};
pub use salvage::{CutPoint, SalvageError, Salvaged, default_name, salvage};
pub use summary::{End, Row, Summary, Traffic};
pub use target::{Target, UnknownTarget};

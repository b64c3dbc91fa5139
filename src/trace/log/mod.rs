//! PANDA's log of non-deterministic inputs: read it, sum it up, mend it; `docs/nondet-log.md` is its prose twin.
//!
//! ```no_run
//! use pandacap::trace::log::{Call, Event, Reader};
//!
//! let reader = Reader::open("probe_000-rr-nondet.log".as_ref())?;
//! for entry in reader {
//!     let entry = entry?;
//!     if let Event::Call(Call::Packet { direction, len }) = entry.event {
//!         println!("{}: {len} bytes {direction:?}", entry.instructions);
//!     }
//! }
//! # Ok::<(), pandacap::trace::log::Error>(())
//! ```

mod check;
pub mod cli;
mod decode;
mod encode;
mod entry;
mod plot;
mod reader;
mod recording;
mod salvage;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod timeline;

pub use check::{CheckError, Fault, Limits, check};
pub use encode::{encode, encode_header};
pub use entry::{Call, Callsite, Direction, Entry, Event, Memory};
pub use reader::{Data, Error, Reader};
pub use recording::{Recording, RecordingError};
pub use salvage::{Cut, SalvageError, Salvaged, salvage};
pub use summary::{Bucket, Class, Count, End, Row, Summary, Traffic};

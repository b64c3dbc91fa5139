//! Progress of long operations, however it is shown.

use std::fmt::Debug;

/// How long something is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Not at all.
    Unknown,
    /// This number of bytes.
    Bytes(u64),
    /// A hundred percent.
    Percent,
}

/// Where progress is shown: a terminal, a log, nowhere.
pub trait Progress: Debug + Send + Sync {
    /// Something begins; it is over when the task is dropped.
    fn begin(&self, what: &str, length: Length) -> Box<dyn Task>;

    /// Tells the user one line.
    fn say(&self, line: &str);

    /// Whether the user sees a terminal, where a program may draw its own progress.
    fn is_terminal(&self) -> bool {
        false
    }

    /// Something begins whose length is not known.
    fn waiting(&self, what: &str) -> Box<dyn Task> {
        self.begin(what, Length::Unknown)
    }
}

/// Something that is going on.
pub trait Task: Debug + Send + Sync {
    /// It has come to this many bytes or percent.
    fn reach(&self, position: u64) {
        let _ = position;
    }

    /// This many more bytes are done.
    fn advance(&self, by: u64) {
        let _ = by;
    }

    /// Says anew what it is.
    fn note(&self, what: &str) {
        let _ = what;
    }
}

/// Tells nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _length: Length) -> Box<dyn Task> {
        Box::new(Silent)
    }

    fn say(&self, _line: &str) {}
}

impl Task for Silent {}

//! The life of one machine, from its start to its end.
//!
//! [`Life`] decides, as a pure function over a state, an event and its time. [`Plan::live`] drives it: each source of
//! events has a thread that waits for one thing (the process, its files, what it says, QMP, an SSH server), all of them
//! and the signals send to one channel, and deadlines are how long that is waited for. Whatever runs a machine is a plan.

mod driver;
mod event;
mod sources;
mod state;

pub use self::driver::{Follow, Lived, Output, Place, Plan, ProcessError};
pub use self::event::{Bound, Cut, Effect, Ended, Event, Notice};
pub use self::state::{GRACE, Hook, Life, Rules, Way};

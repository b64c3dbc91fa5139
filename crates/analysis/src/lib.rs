#![doc = include_str!("../README.md")]

mod event;
mod privilege;
mod process;
mod prov;
mod read;
mod report;

pub use self::event::{
    Access, Call, Credentials, Direction, Event, Fate, Header, How, KIND, Line, RecentCall, SCHEMA, Socket,
};
pub use self::privilege::Escalation;
pub use self::process::{Connection, NameChange, Named, Process, Program, Use, UserChange, Way};
pub use self::prov::Provenance;
pub use self::read::{Events, ReadError};
pub use self::report::{Report, Terminal};

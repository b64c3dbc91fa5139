#![doc = include_str!("../README.md")]

mod bounds;
mod context;
mod error;
mod events;
mod keep;
mod layout;
pub mod maint;
mod options;
mod plan;
mod record;
mod run;
mod shown;
mod subject;
mod watch;

pub use machine::life::{Bound, Cut};

pub use self::context::{Context, Sink};
pub use self::error::{NAME_LENGTH, RecError};
pub use self::keep::Kept;
pub use self::options::{Booting, Image, Options};
pub use self::record::{Done, Made};

#![doc = include_str!("../README.md")]

mod architecture;
mod bounded;
mod error;
mod profile;

pub use self::architecture::Architecture;
pub use self::bounded::MAX_SIZE;
pub use self::error::ReadError;
pub use self::profile::{FILE, MAX_BYTES, Profile, SCHEMA};

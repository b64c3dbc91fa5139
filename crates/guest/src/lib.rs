#![doc = include_str!("../README.md")]

mod apt;
pub mod bootstrap;
pub mod cpio;
pub mod debian;
mod draft;
mod error;
mod guest;
mod import;
mod manifest;
mod profile;
mod shell;
pub mod startup;
mod store;
pub mod tiny;
mod tool;
pub mod warm;

pub use self::apt::{AptError, Package};
pub use self::error::{GuestError, WarmError};
pub use self::guest::{Guest, Listed, guests};
pub use self::import::{Import, import, shrink};
pub use self::manifest::{BootSign, GuestDisk, GuestManifest, Login, MANIFEST, Origin, SCHEMA};
pub use self::profile::read_profile;
pub use self::shell::shell;
pub use self::store::remove;
pub use self::tool::ToolError;
pub use self::warm::{Warm, WarmKey};

//! Guest images: what a machine boots.

mod apt;
pub mod cpio;
pub mod startup;
pub mod tiny;

pub use self::apt::Package;
pub use self::tiny::{GuestError, Tiny};

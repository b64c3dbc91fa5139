//! pandacap in a container: the image with PANDA and all that it needs, and the same command run in it.
//!
//! ```
//! use container::{Mount, Access};
//!
//! let mount: Mount = "rr:/data/traces".parse()?;
//! assert_eq!((mount.target.to_str(), mount.access), (Some("/rr"), Access::Write));
//! # Ok::<(), String>(())
//! ```

mod engine;
mod error;
mod image;
mod invocation;
mod mount;
mod relay;

pub use self::engine::Engine;
pub use self::error::ContainerError;
pub use self::image::{Built, DEFAULT_BASE, IMAGE, Listed, Recipe, build, list, remove};
pub use self::invocation::{Ended, Invocation, Network};
pub use self::mount::{Access, BOOTSTRAP, Mount, Mounts};
pub use self::relay::Relay;

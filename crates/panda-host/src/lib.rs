#![doc = include_str!("../README.md")]

mod builder;
pub mod confine;
mod dist;
mod embedded;
mod install;
mod loader;
mod on_path;
mod panda;
mod plugin_folder;
mod plugin_spec;
mod plugins;
pub mod progress;
mod standin;
mod wheel;

pub use self::builder::exposed_paths;
pub use self::dist::{Dist, DistError};
pub use self::embedded::{Embedded, RELEASE, RecordError};
pub use self::install::{Change, Fit, InstallError, Installed, fit, install};
pub use self::loader::LoaderError;
pub use self::on_path::on_path;
pub use self::panda::{NO_CONFIGURATION, Panda, PandaError, Selection, Source};
pub use self::plugin_folder::{ACTIVITY, Folder, FolderError, Owner, RECCTRL};
pub use self::plugin_spec::{NoPlugin, PluginSpec};
pub use self::plugins::LoadError;
pub use self::progress::Progress;
pub use self::wheel::{WheelError, pip};

//! What a run is about to do, with everything found and checked.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use machine::{PortForward, Reach};
use panda_host::{Panda, PluginSpec};

use crate::context::Context;
use crate::subject::Subject;

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) panda: &'a Panda,
    pub(crate) recctrl: &'a Path,
    pub(crate) recctrl_args: String,
    pub(crate) plugins: &'a [PluginSpec],
    pub(crate) subject: &'a Subject,
    pub(crate) forwards: &'a [PortForward],
    pub(crate) reach: Reach,
    pub(crate) display: Option<&'a str>,
    pub(crate) name: &'a str,
    /// What the guest is to run; nothing when it is left to itself.
    pub(crate) command: &'a [OsString],
    pub(crate) boot_timeout: Duration,
    pub(crate) timeout: Option<Duration>,
    /// How many bytes each of its serial ports may say.
    pub(crate) max_output: u64,
    /// Where it happens.
    pub(crate) context: Context<'a>,
}

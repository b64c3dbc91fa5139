//! How a command that is to be recorded reaches a guest with a disk of its own.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::BootstrapError;
use super::render::set_mode;
use crate::startup;

/// A command to run, recorded, after the last script.
///
/// Its output goes to the second serial port, or to the console of a guest that has none; then the message
/// `exit=STATUS` tells how it ended.
#[derive(Clone, Copy, Debug)]
pub struct GuestCommand<'a> {
    /// What recctrl is to call the recording.
    pub recording: &'a str,
    /// The program and its arguments, which reach the guest byte for byte.
    pub argv: &'a [OsString],
    /// Whether the guest powers off afterwards.
    pub power_off: bool,
}

impl GuestCommand<'_> {
    /// Adds it to a rendered folder.
    pub(super) fn add_to(&self, folder: &Path) -> Result<(), BootstrapError> {
        let path = folder.join("command.sh");
        fs::write(&path, self.script()).map_err(BootstrapError::file("write", &path))?;
        set_mode(&path, 0o755)
    }

    fn script(&self) -> Vec<u8> {
        let mut script = b"#!/bin/sh\n".to_vec();
        script.extend(startup::script(self.recording, self.argv));
        script.extend_from_slice(include_bytes!("guest/command.sh"));
        if self.power_off {
            script.extend_from_slice(b"sync\npoweroff\n");
        }
        script
    }
}

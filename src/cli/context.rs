//! What every command knows.

use std::path::PathBuf;

use panda_host::{Dist, Selection};

use super::output::Output;
use super::progress::Bars;

/// What every command may need to know, resolved from the command line and the environment.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where pandacap keeps PANDA and guests.
    pub home: PathBuf,
    /// Which PANDA to use.
    pub selection: Selection,
    /// The program that runs.
    pub program: PathBuf,
    /// Where pandacap's own files lie.
    pub dist: Dist,
    /// Where results go.
    pub output: Output,
    /// Where the user hears what takes long.
    pub progress: Bars,
}

impl Context {
    /// The same for a run, whose command's output goes nowhere.
    pub fn run(&self) -> run::Context<'_> {
        run::Context {
            home: &self.home,
            selection: &self.selection,
            dist: &self.dist,
            version: env!("PANDACAP_VERSION"),
            progress: &self.progress,
            output: None,
        }
    }
}

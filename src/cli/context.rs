//! The context in which commands run.

use std::path::PathBuf;

use panda_host::{Dist, Selection};

use super::output::Output;
use super::progress::Bars;

/// What commands need to know, resolved from the command line and the environment.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where pandacap keeps PANDA and guests.
    pub home: PathBuf,
    /// Which PANDA to use.
    pub selection: Selection,
    /// The running program.
    pub program: PathBuf,
    /// Where pandacap's own files are.
    pub dist: Dist,
    /// Where results go.
    pub output: Output,
    /// Where progress is shown.
    pub progress: Bars,
}

impl Context {
    /// The context of a run, whose command's output is not shown.
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

//! Progress on standard error: a bar on a terminal, a plain line elsewhere.

use std::time::Duration;

use crate::terminal::{self, printable};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows that something is going on, until it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Something of which nobody knows how long it takes.
    pub fn waiting(what: &str) -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress::show(bar, "{spinner} {msg} ({elapsed})", what)
    }

    /// Something of so many bytes.
    pub fn bytes(what: &str, total: u64) -> Progress {
        Progress::show(ProgressBar::new(total), "{msg} [{bar:32}] {bytes}/{total_bytes} {eta}", what)
    }

    /// Something that goes to 100 %.
    pub fn percent(what: &str) -> Progress {
        Progress::show(ProgressBar::new(100), "{msg} [{bar:32}] {percent} % {elapsed}", what)
    }

    /// Says something beside it.
    pub fn say(&self, line: &str) {
        self.aside(|| terminal::say(line));
    }

    /// Does something that writes to the terminal.
    pub fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }

    /// Says anew what is going on.
    pub fn note(&self, what: &str) {
        self.0.set_message(printable(what).into_owned());
    }

    /// So many percent are done.
    pub fn reach(&self, percent: f64) {
        self.0.set_position(percent as u64);
    }

    /// So many more are done.
    pub fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    fn show(bar: ProgressBar, template: &str, what: &str) -> Progress {
        if bar.is_hidden() {
            terminal::say(what);
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(printable(what).into_owned());
        Progress(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

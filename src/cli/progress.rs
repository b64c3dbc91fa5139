//! Progress on standard error: a bar on a terminal, a plain line elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use panda_host::Progress;
use panda_host::progress::{Length, Task};

use super::terminal::{self, printable};

/// Shows progress on standard error.
#[derive(Clone, Debug, Default)]
pub struct Bars(MultiProgress);

impl Bars {
    /// Runs `write` with the bars hidden, so that it can write to the terminal.
    pub fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, length: Length) -> Box<dyn Task> {
        let (bar, template) = match length {
            Length::Unknown => (ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})"),
            Length::Bytes(total) => (ProgressBar::new(total), "{msg} [{bar:32}] {bytes}/{total_bytes} {eta}"),
            Length::Percent => (ProgressBar::new(100), "{msg} [{bar:32}] {percent} % {elapsed}"),
        };
        let bar = self.0.add(bar);
        if self.0.is_hidden() {
            terminal::say(what);
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if length == Length::Unknown {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar.set_message(printable(what).into_owned());
        Box::new(Bar(bar))
    }

    fn say(&self, line: &str) {
        self.aside(|| terminal::say(line));
    }

    fn is_terminal(&self) -> bool {
        !self.0.is_hidden()
    }
}

/// One bar, which is cleared when dropped.
#[derive(Debug)]
struct Bar(ProgressBar);

impl Task for Bar {
    fn reach(&self, position: u64) {
        self.0.set_position(position);
    }

    fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    fn note(&self, what: &str) {
        self.0.set_message(printable(what).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

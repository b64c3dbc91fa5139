//! Why a replay did not come to the recording's end, as PANDA's own words tell: whether the recording is to blame, or
//! what was loaded to look at it.

use std::fmt;
use std::process::ExitStatus;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sound::Unsound;

/// What PANDA prints when the log's last entry was reached as it was recorded.
const COMPLETED: &str = "Replay completed successfully";
/// What it prints when a replay is ended before that on purpose; only a plugin can.
const STOPPED: &str = "Replay terminated at user request.";
/// What it prints once its plugins are loaded and the recording is next.
const BEGUN: &str = "loading snapshot";
/// What it prints, or a part of it, when the guest does not do what the log says.
const DIVERGED: [&str; 5] = [
    "RR rr_assertion",
    "FOUND DISAGREEMENT",
    "Queue is empty, will return NULL",
    "detect_infinite_loops",
    "Failed to load vmstate",
];

/// Why a replay is not the recorded run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// PANDA was not given it.
    #[error("PANDA was not given the recording")]
    Refused(#[from] Unsound),
    /// A plugin did not load, so there was no replay.
    #[error("the plugin {plugin} did not load: {reason}")]
    Plugin {
        /// The plugin, and for which other one it was loaded.
        plugin: PluginName,
        /// Why not.
        reason: Reason,
    },
    /// PANDA does not know the guest's system by this name, so there was no replay.
    #[error("PANDA does not know the guest system given with --os: see `panda-system-x86_64 -os help`")]
    Os,
    /// Plugins were loaded, and then PANDA died without a word about the recording.
    #[error("with its plugins PANDA {how}")]
    Watched {
        /// What happened.
        how: String,
    },
    /// A plugin ended it.
    #[error("a plugin ended the replay before the recording's end")]
    Stopped,
    /// PANDA says, or shows, that the recording does not replay.
    #[error("PANDA {how}")]
    Diverged {
        /// What happened.
        how: String,
    },
}

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The recording's files could harm PANDA, which was not given them.
    Refused,
    /// A plugin did not load.
    Plugin,
    /// PANDA does not know the guest's system.
    Os,
    /// PANDA died with plugins loaded, and says nothing about the recording.
    Watched,
    /// A plugin ended the replay.
    Stopped,
    /// The recording does not replay.
    Diverged,
    /// An earlier pandacap has not said.
    #[serde(other)]
    Unknown,
}

/// A failure as it stands in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Told")]
pub struct Failed {
    /// What it is about.
    pub kind: FailureKind,
    /// What happened, for people.
    pub message: String,
}

/// Earlier pandacaps wrote the message alone.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Told {
    Message(String),
    Failed { kind: FailureKind, message: String },
}

impl From<Told> for Failed {
    fn from(told: Told) -> Failed {
        match told {
            Told::Message(message) => Failed { kind: FailureKind::Unknown, message },
            Told::Failed { kind, message } => Failed { kind, message },
        }
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Failed {
        let kind = match failure {
            Failure::Refused(_) => FailureKind::Refused,
            Failure::Plugin { .. } => FailureKind::Plugin,
            Failure::Os => FailureKind::Os,
            Failure::Watched { .. } => FailureKind::Watched,
            Failure::Stopped => FailureKind::Stopped,
            Failure::Diverged { .. } => FailureKind::Diverged,
        };
        Failed { kind, message: files::chain(failure) }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A plugin that failed, and the one that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginName {
    /// PANDA's name for it.
    pub name: String,
    /// The one that needs it.
    pub needed_by: Option<String>,
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.needed_by.as_ref().map_or(Ok(()), |other| write!(f, " (which {other} needs)"))
    }
}

/// Why a plugin did not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The system's loader did not find a library.
    #[error("the library {0} is not there; install the package that has it")]
    Library(String),
    /// The system's loader did not take it.
    #[error("{0}; it was built for another PANDA, or needs a full one (--panda PREFIX)")]
    Loader(String),
    /// PANDA did not find it.
    #[error("PANDA has no such plugin")]
    NotFound,
    /// It looks into the guest's system, and was not told which.
    #[error("it has to know the guest's system: name it with --os")]
    NeedsOs,
    /// It refused, or stopped PANDA.
    #[error("{0}; its arguments may be wrong, or it may need another plugin before it")]
    Gave(String),
}

/// What PANDA's output says, line by line.
#[derive(Debug, Default)]
pub(crate) struct Said {
    completed: bool,
    stopped: bool,
    begun: bool,
    /// The first line that says so.
    diverged: Option<String>,
    unknown_os: bool,
    /// The plugin that was being loaded last, and why it was not, in order of how much that tells.
    plugin: Option<PluginName>,
    reason: Option<Reason>,
    last: Vec<String>,
}

impl Said {
    const KEPT: usize = 4;

    /// Takes in a line.
    pub(crate) fn hear(&mut self, line: &str) {
        self.completed |= line == COMPLETED;
        self.stopped |= line == STOPPED;
        self.begun |= line == BEGUN;
        if self.diverged.is_none() && DIVERGED.iter().any(|word| line.contains(word)) {
            self.diverged = Some(line.to_owned());
        }
        if !self.begun {
            self.hear_plugin(line);
        }
        if !line.trim().is_empty() {
            if self.last.len() == Said::KEPT {
                self.last.remove(0);
            }
            self.last.push(line.to_owned());
        }
    }

    /// Takes in a line that comes while plugins are loaded.
    fn hear_plugin(&mut self, line: &str) {
        let core = line.strip_prefix("PANDA[core]:");
        if let Some(name) = core.and_then(|said| said.strip_prefix("loading required plugin ")) {
            let needed_by = self.plugin.take().map(|plugin| plugin.name);
            self.plugin = Some(PluginName { name: name.to_owned(), needed_by });
        } else if let Some(name) = core.and_then(|said| said.strip_prefix("initializing ")) {
            // One that is needed by another keeps that.
            if self.plugin.as_ref().is_none_or(|plugin| plugin.name != name) {
                self.plugin = Some(PluginName { name: name.to_owned(), needed_by: None });
            }
        } else if core.is_some_and(|said| said.starts_with("FAILED to find required plugin ")) {
            self.reason = Some(Reason::NotFound);
        } else if let Some((path, why)) =
            line.strip_prefix("Failed to load ").and_then(|said| said.split_once(".so: "))
        {
            let name = path.rsplit('/').next().map_or(path, |file| file.trim_start_matches("panda_"));
            if self.plugin.as_ref().is_none_or(|plugin| plugin.name != name) {
                self.plugin = Some(PluginName { name: name.to_owned(), needed_by: None });
            }
            let missing = why.strip_suffix(": cannot open shared object file: No such file or directory");
            self.reason = Some(match missing {
                Some(library) => Reason::Library(library.to_owned()),
                None => Reason::Loader(why.to_owned()),
            });
        } else if line.contains("os_supported") {
            self.unknown_os = true;
        } else if line.contains("OS_UNKNOWN") || line.contains("No OS profile specified") {
            self.reason = Some(Reason::NeedsOs);
        } else if let (Some((_, assertion)), None) = (line.split_once("Assertion "), &self.reason) {
            self.reason = Some(Reason::Gave(format!("assertion {assertion}")));
        }
    }

    /// Why it was no success, once PANDA has ended; `watched` says whether plugins were loaded.
    pub(crate) fn failure(self, status: ExitStatus, watched: bool) -> Option<Failure> {
        if status.success() && self.completed {
            return None;
        }
        if !self.begun && self.unknown_os {
            return Some(Failure::Os);
        }
        if !self.begun
            && watched
            && let Some(plugin) = self.plugin
        {
            let said = || self.last.iter().rev().find(|line| !line.starts_with("FAIL")).or(self.last.last());
            let gave = || Reason::Gave(said().cloned().unwrap_or_else(|| status.to_string()));
            return Some(Failure::Plugin { plugin, reason: self.reason.unwrap_or_else(gave) });
        }
        if status.success() && self.stopped && watched {
            return Some(Failure::Stopped);
        }
        let how = match status.success() {
            true => format!("ended before the recording did{}", self.tail()),
            false => format!("died ({status}){}", self.tail()),
        };
        Some(if watched && self.diverged.is_none() {
            Failure::Watched { how }
        } else {
            Failure::Diverged { how }
        })
    }

    /// The same for a PANDA that had to be killed.
    pub(crate) fn hung(&self, seconds: u64, watched: bool) -> Failure {
        let how = format!("hung: no progress for {seconds} s{}", self.tail());
        if watched { Failure::Watched { how } } else { Failure::Diverged { how } }
    }

    /// What it said last, and where it said that the guest went another way.
    fn tail(&self) -> String {
        let first = self.diverged.iter().filter(|line| !self.last.contains(line));
        let words: Vec<&str> = first.chain(&self.last).map(String::as_str).collect();
        if words.is_empty() { String::new() } else { format!("; its last words: {}", words.join(" | ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn after(output: &str, status: i32, watched: bool) -> Option<Failure> {
        let mut said = Said::default();
        output.lines().for_each(|line| said.hear(line));
        said.failure(ExitStatus::from_raw(status), watched)
    }

    #[test]
    fn a_replay_passes_only_when_panda_says_so_and_ends_well() {
        let done = "max_queue_len = 77\nReplay completed successfully\nExiting\n";
        assert!(after(done, 0, false).is_none());
        assert!(after(done, 6, false).is_some_and(|why| why.to_string().contains("died")));
        assert!(after("guest says: Replay completed successfully\n", 0, false).is_some());
        let stopped = "loading snapshot\nReplay terminated at user request.\n";
        assert!(
            matches!(after(stopped, 0, false), Some(Failure::Diverged { how }) if how.contains("user request"))
        );
        assert!(matches!(after(stopped, 0, true), Some(Failure::Stopped)));
    }

    #[test]
    fn a_plugin_that_did_not_load_is_named_with_the_reason() {
        let told = |output: &str| after(output, 6, true).expect("it failed");
        let asid = "PANDA[core]:initializing asidstory\nPANDA[core]:loading required plugin osi\n\
                    PANDA[core]:initializing osi\nqemu: os_intro.c:164: init_plugin: Assertion \
                    `!(panda_os_familyno == OS_UNKNOWN)' failed.\n";
        let failure = told(asid);
        assert_eq!(
            failure.to_string(),
            "the plugin osi (which asidstory needs) did not load: it has to know the guest's system: name it with --os"
        );
        assert!(matches!(failure, Failure::Plugin { reason: Reason::NeedsOs, .. }));
        let library = "Failed to load /p/panda_coverage.so: libcapstone.so.4: cannot open shared object file: No such \
                       file or directory\nFAIL: Unable to load plugin `/p/panda_coverage.so'\n";
        let failure = told(library);
        assert!(
            failure
                .to_string()
                .starts_with("the plugin coverage did not load: the library libcapstone.so.4 is")
        );
        assert!(matches!(failure, Failure::Plugin { reason: Reason::Library(_), .. }));
        let symbol =
            "Failed to load /p/panda_taint2.so: /p/panda_taint2.so: undefined symbol: _ZN4llvm9DebugFlagE\n";
        assert!(matches!(told(symbol), Failure::Plugin { reason: Reason::Loader(_), .. }));
        let refused = "PANDA[core]:initializing pri_dwarf\nDwarf plugin not supported on this architecture\nFAIL: Unable \
                       to load plugin `/p/panda_pri_dwarf.so'\n";
        let failure = told(refused);
        assert!(
            failure.to_string().contains("pri_dwarf did not load: Dwarf plugin not supported"),
            "{failure}"
        );
        assert!(matches!(failure, Failure::Plugin { reason: Reason::Gave(_), .. }));
        assert!(matches!(told("panda_set_os_name: Assertion `os_supported' failed.\n"), Failure::Os));
    }

    #[test]
    fn a_recording_is_in_doubt_only_where_panda_says_that_the_guest_diverged() {
        let during =
            |said: &str, watched| after(&format!("loading snapshot\n{said}\n"), 6, watched).expect("died");
        let assertion = "RR rr_assertion `current_item' failed at rr_log.c:960";
        let kind = |said: &str, watched| Failed::from(&during(said, watched)).kind;
        assert_eq!([true, false].map(|watched| kind(assertion, watched)), [FailureKind::Diverged; 2]);
        assert_eq!(kind("stumbled", true), FailureKind::Watched);
        assert_eq!(kind("stumbled", false), FailureKind::Diverged);
    }
}

//! The exit codes of `pandacap`, and the one place that maps errors to them. `docs/exit-codes.md` documents them.
//!
//! Every error is matched by name, so a new one must be given a code here, and the same cause always gets the
//! same code.

use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use container::ContainerError;
use guest::bootstrap::BootstrapError;
use guest::{AptError, GuestError, ToolError, WarmError};
use machine::DiskError;
use panda_host::{FolderError, InstallError, LoadError, WheelError};
use run::RecError;
use run::maint::MaintError;
use trace::{Failure, Reason, ReplayError};

use super::error::{AnalyzeError, Error, NewError, PluginError, ReadError, ReplayTraceError};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for was done.
    Done = 0,
    /// Something failed; the message says what, and what to do next.
    Failed = 1,
    /// The command line was wrong (clap's own code).
    Usage = 2,
    /// Something that is needed is not installed; `pandacap doctor` says what.
    Missing = 3,
    /// A trace did not pass its verification.
    Unverified = 4,
    /// The guest or its machine failed: it did not boot, its command could not be run, PANDA died.
    Guest = 5,
    /// Stopped by Ctrl-C or SIGTERM, after everything was ended properly.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Every way to end.
    const ALL: [Exit; 7] = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Missing,
        Exit::Unverified,
        Exit::Guest,
        Exit::Interrupted,
    ];

    /// What a pandacap in a container exited with; a code that is none of pandacap's is a failure.
    pub fn from_code(code: u8) -> Exit {
        Exit::ALL.into_iter().find(|&exit| exit as u8 == code).unwrap_or(Exit::Failed)
    }
}

/// What `--json` prints in place of a result.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Report {
    error: Told,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Told {
    code: u8,
    kind: Exit,
    message: String,
    causes: Vec<String>,
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Report {
        Report::of(error.into(), error.to_string(), causes(error))
    }
}

impl From<&ReadError> for Report {
    fn from(error: &ReadError) -> Report {
        let message = error.to_string();
        Report::of(Exit::Usage, message.trim().trim_start_matches("error: ").to_owned(), causes(error))
    }
}

/// What brought an error about, the nearest cause first.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect()
}

impl Report {
    fn of(kind: Exit, message: String, causes: Vec<String>) -> Report {
        Report { error: Told { code: kind as u8, kind, message, causes } }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Exit {
        match error {
            Error::Home | Error::Myself(_) | Error::Output(_) | Error::Man { .. } | Error::Log(_) => {
                Exit::Failed
            }
            Error::Kernelinfo(_) | Error::Isf(_) => Exit::Failed,
            Error::Panda(_) | Error::Dist(_) => Exit::Missing,
            Error::Install(error) => error.into(),
            Error::Guest(error) => error.into(),
            Error::Plugin(error) => error.into(),
            Error::Rec(error) => error.into(),
            Error::Replay(error) => error.into(),
            Error::ReplayTrace(error) => error.into(),
            Error::Analyze(error) => error.into(),
            Error::Maint(error) => error.into(),
            Error::Bootstrap(error) => error.into(),
            Error::Container(error) => error.into(),
        }
    }
}

impl From<&InstallError> for Exit {
    fn from(error: &InstallError) -> Exit {
        match error {
            InstallError::Libraries { .. } | InstallError::Wheel(WheelError::NoPip) => Exit::Missing,
            InstallError::Machine | InstallError::Wheel(_) | InstallError::Loader(_) => Exit::Failed,
            InstallError::StandIn { .. } | InstallError::Start(_) | InstallError::Io { .. } => Exit::Failed,
        }
    }
}

impl From<&GuestError> for Exit {
    fn from(error: &GuestError) -> Exit {
        match error {
            GuestError::Name(_) | GuestError::TinyName => Exit::Usage,
            GuestError::Root | GuestError::Unknown { .. } | GuestError::Target(_) => Exit::Missing,
            GuestError::Package(error) => error.into(),
            GuestError::Tool(ToolError::Start { .. }) => Exit::Missing,
            GuestError::Warm(error) => error.as_ref().into(),
            GuestError::Disk(error) => error.into(),
            GuestError::Taken(_) | GuestError::Busy(_) | GuestError::InUse(_) | GuestError::NoDisk(_) => {
                Exit::Failed
            }
            GuestError::Needed { .. } | GuestError::Tool(ToolError::Failed { .. }) => Exit::Failed,
            GuestError::Files { .. } | GuestError::Schema { .. } | GuestError::Damaged { .. } => Exit::Failed,
            GuestError::NoKernel(_) | GuestError::Kernel { .. } => Exit::Failed,
            GuestError::ProfileFile { .. } | GuestError::Profile { .. } => Exit::Failed,
        }
    }
}

impl From<&AptError> for Exit {
    fn from(error: &AptError) -> Exit {
        match error {
            AptError::Run { .. } | AptError::Unknown(_) | AptError::Failed { .. } => Exit::Missing,
            AptError::Strange { .. } => Exit::Missing,
            AptError::Files { .. } => Exit::Failed,
        }
    }
}

impl From<&WarmError> for Exit {
    fn from(error: &WarmError) -> Exit {
        match error {
            WarmError::Boot { .. } | WarmError::Died(_) | WarmError::Save(_) => Exit::Guest,
            WarmError::Process(_) => Exit::Guest,
            WarmError::Interrupted => Exit::Interrupted,
            WarmError::Disk(error) => error.into(),
            WarmError::Files { .. } | WarmError::Port(_) => Exit::Failed,
        }
    }
}

impl From<&DiskError> for Exit {
    fn from(error: &DiskError) -> Exit {
        match error {
            DiskError::Tool(_) => Exit::Missing,
            DiskError::Unreadable { .. } | DiskError::Refused { .. } | DiskError::Busy { .. } => Exit::Failed,
            DiskError::Foreign { .. } | DiskError::Changed { .. } | DiskError::Malformed { .. } => {
                Exit::Failed
            }
            DiskError::DataFile(_) | DiskError::Backing { .. } | DiskError::BadBacking { .. } => Exit::Failed,
            DiskError::Encrypted(_) | DiskError::Truncated { .. } | DiskError::TooNew { .. } => Exit::Failed,
        }
    }
}

impl From<&PluginError> for Exit {
    fn from(error: &PluginError) -> Exit {
        match error {
            PluginError::Panda(_) | PluginError::Folder(FolderError::None { .. }) => Exit::Missing,
            PluginError::New(NewError::Unknown(_)) => Exit::Missing,
            PluginError::New(NewError::NotEmpty(_) | NewError::NoLayer(_)) => Exit::Usage,
            PluginError::OneTarget | PluginError::NoDir(_) => Exit::Usage,
            PluginError::Load(LoadError::Refused { .. } | LoadError::Try { .. }) => Exit::Failed,
            PluginError::Folder(FolderError::Io { .. }) | PluginError::Io { .. } => Exit::Failed,
        }
    }
}

impl From<&RecError> for Exit {
    fn from(error: &RecError) -> Exit {
        match error {
            RecError::Name(_) | RecError::OtherTarget { .. } | RecError::NoCommand => Exit::Usage,
            RecError::TinyBootstrap | RecError::NoNic | RecError::Target(_) | RecError::Plugin(_) => {
                Exit::Usage
            }
            RecError::Panda(_) | RecError::Dist(_) => Exit::Missing,
            RecError::Bootstrap(error) => error.into(),
            RecError::Disk(error) => error.into(),
            RecError::Guest(error) => error.into(),
            RecError::Replay(error) => error.into(),
            RecError::Left { source, .. } => source.as_ref().into(),
            RecError::BootstrapFailed { .. } | RecError::NoHook | RecError::Command(_) => Exit::Guest,
            RecError::Agent(_) | RecError::Refused(_) | RecError::Panic(_) | RecError::Boot { .. } => {
                Exit::Guest
            }
            RecError::Timeout { .. } | RecError::Died(..) | RecError::Process(_) => Exit::Guest,
            RecError::Output(_) | RecError::Full => Exit::Guest,
            RecError::Unreadable { .. } | RecError::Port(_) | RecError::Memory(_) => Exit::Failed,
            RecError::Space(_) | RecError::Partial(_) | RecError::Files(_) => Exit::Failed,
            RecError::Interrupted => Exit::Interrupted,
        }
    }
}

impl From<&ReplayError> for Exit {
    fn from(error: &ReplayError) -> Exit {
        match error {
            ReplayError::Process(_) => Exit::Guest,
            ReplayError::Output(_) => Exit::Failed,
            ReplayError::Interrupted => Exit::Interrupted,
        }
    }
}

impl From<&Failure> for Exit {
    /// [`Exit::Unverified`] only if the recording itself may be at fault.
    fn from(failure: &Failure) -> Exit {
        match failure {
            Failure::Refused(_) | Failure::Diverged { .. } => Exit::Unverified,
            Failure::Os | Failure::Plugin { reason: Reason::NeedsOs, .. } => Exit::Usage,
            Failure::Plugin { reason: Reason::Library(_) | Reason::Loader(_) | Reason::NotFound, .. } => {
                Exit::Missing
            }
            Failure::Plugin { reason: Reason::Gave(_), .. } => Exit::Failed,
            Failure::Watched { .. } | Failure::Stopped => Exit::Failed,
        }
    }
}

impl From<&ReplayTraceError> for Exit {
    fn from(error: &ReplayTraceError) -> Exit {
        match error {
            ReplayTraceError::Trace(_) | ReplayTraceError::Missing(_) => Exit::Unverified,
            ReplayTraceError::Plugin(_) => Exit::Usage,
            ReplayTraceError::Pandalog => Exit::Missing,
        }
    }
}

impl From<&AnalyzeError> for Exit {
    fn from(error: &AnalyzeError) -> Exit {
        match error {
            AnalyzeError::NoProfile { .. } => Exit::Missing,
            AnalyzeError::Events(_) | AnalyzeError::Write { .. } => Exit::Failed,
            AnalyzeError::Target(_) => Exit::Usage,
        }
    }
}

impl From<&MaintError> for Exit {
    fn from(error: &MaintError) -> Exit {
        match error {
            MaintError::Panda(_) => Exit::Missing,
            MaintError::Disk(error) => error.into(),
            MaintError::Failed(_) | MaintError::Process(_) => Exit::Guest,
            MaintError::ReadOnly { .. } | MaintError::Needed { .. } | MaintError::Port(_) => Exit::Failed,
            MaintError::Memory(_) | MaintError::Files(_) => Exit::Failed,
        }
    }
}

impl From<&ContainerError> for Exit {
    fn from(error: &ContainerError) -> Exit {
        match error {
            ContainerError::NoEngine | ContainerError::NoImage(_) | ContainerError::Dist(_) => Exit::Missing,
            ContainerError::Start { .. } => Exit::Missing,
            ContainerError::Install(error) => error.into(),
            ContainerError::Guest(error) => error.into(),
            ContainerError::Panda | ContainerError::Path { .. } | ContainerError::Text(_) => Exit::Usage,
            ContainerError::Engine { .. } | ContainerError::NotOurs(_) | ContainerError::Relay { .. } => {
                Exit::Failed
            }
            ContainerError::NotStarted { .. } | ContainerError::Port(_) | ContainerError::Files { .. } => {
                Exit::Failed
            }
        }
    }
}

impl From<&BootstrapError> for Exit {
    fn from(error: &BootstrapError) -> Exit {
        match error {
            BootstrapError::Program { .. } => Exit::Missing,
            BootstrapError::File { .. } | BootstrapError::NoScripts(_) | BootstrapError::NotEmpty(_) => {
                Exit::Failed
            }
            BootstrapError::ScriptName(_) | BootstrapError::Strange(_) | BootstrapError::Outside(_) => {
                Exit::Failed
            }
            BootstrapError::TooMuch { .. } | BootstrapError::Clash { .. } => Exit::Failed,
            BootstrapError::Template { .. } | BootstrapError::Variables { .. } => Exit::Failed,
            BootstrapError::Setting { .. } | BootstrapError::Disk { .. } => Exit::Failed,
            BootstrapError::Container { .. } => Exit::Guest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use trace::PluginName;

    #[test]
    fn the_documentation_lists_exactly_the_exit_codes_that_exist() {
        let page = include_str!("../../docs/exit-codes.md");
        let lines = page.lines().filter_map(|line| line.strip_prefix("| "));
        let told: Vec<(u8, &str)> = lines
            .filter_map(|line| {
                let mut cells = line.split(" | ");
                Some((cells.next()?.parse().ok()?, cells.next()?.trim_matches('`')))
            })
            .collect();
        let words = Exit::ALL.map(|exit| serde_json::to_value(exit).expect("a word"));
        let known: Vec<(u8, &str)> = std::iter::zip(Exit::ALL, &words)
            .map(|(exit, word)| (exit as u8, word.as_str().expect("a word")))
            .collect();
        assert_eq!(told, known);
    }

    #[test]
    fn the_same_cause_has_the_same_code_in_every_command() {
        let mke2fs = || BootstrapError::Program { program: "mke2fs", source: io::ErrorKind::NotFound.into() };
        let qemu_img = || DiskError::Tool(io::ErrorKind::NotFound.into());
        let tool =
            ToolError::Start { program: "x".into(), package: "x", source: io::ErrorKind::NotFound.into() };
        let warm = |error: WarmError| Error::from(GuestError::from(error));
        let missing: [Error; 7] = [
            mke2fs().into(),
            RecError::from(mke2fs()).into(),
            RecError::from(qemu_img()).into(),
            MaintError::from(qemu_img()).into(),
            GuestError::from(qemu_img()).into(),
            warm(qemu_img().into()),
            GuestError::from(tool).into(),
        ];
        for error in missing {
            assert_eq!(Exit::from(&error), Exit::Missing, "{error}");
        }
        let boot = WarmError::Boot { name: "g".into(), after: 1, said: String::new() };
        assert_eq!(Exit::from(&warm(boot)), Exit::Guest);
        assert_eq!(Exit::from(&warm(WarmError::Died(String::new()))), Exit::Guest);
        assert_eq!(Exit::from(&warm(WarmError::Interrupted)), Exit::Interrupted);
        let interrupted = [
            Error::from(ReplayError::Interrupted),
            RecError::from(ReplayError::Interrupted).into(),
            RecError::Interrupted.into(),
        ];
        assert!(interrupted.iter().all(|error| Exit::from(error) == Exit::Interrupted));
    }

    #[test]
    fn only_a_recording_that_may_be_to_blame_is_unverified() {
        let plugin = |reason| {
            let plugin = PluginName { name: "coverage".to_owned(), needed_by: None };
            Exit::from(&Failure::Plugin { plugin, reason })
        };
        assert_eq!(plugin(Reason::NeedsOs), Exit::Usage);
        assert_eq!(plugin(Reason::Library("libcapstone.so.4".to_owned())), Exit::Missing);
        assert_eq!(plugin(Reason::Loader("undefined symbol".to_owned())), Exit::Missing);
        assert_eq!(plugin(Reason::NotFound), Exit::Missing);
        assert_eq!(plugin(Reason::Gave("not supported".to_owned())), Exit::Failed);
        let how = || "died".to_owned();
        assert_eq!(Exit::from(&Failure::Os), Exit::Usage);
        assert_eq!(Exit::from(&Failure::Diverged { how: how() }), Exit::Unverified);
        assert_eq!(Exit::from(&Failure::Watched { how: how() }), Exit::Failed);
        assert_eq!(Exit::from(&Failure::Stopped), Exit::Failed);
    }
}

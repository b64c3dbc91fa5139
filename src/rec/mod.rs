//! `pandacap rec`: what happens in a guest, recorded as verified traces.

mod args;
mod bounds;
mod events;
mod keep;
mod report;
mod run;
mod subject;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

pub use self::args::{Args, mib};
use self::bounds::Bound;
use self::keep::{Kept, Run};
use self::run::{Cut, Plan};
use self::subject::Subject;
use crate::bootstrap::BootstrapError;
use crate::cli::{Context, Error, enough};
use crate::dist::{self, DistError};
use crate::exit::Exit;
use crate::guest::GuestError;
use crate::interrupt::Interrupt;
use crate::panda::{Panda, PandaError};
use crate::target::Target;
use crate::terminal;
use crate::trace::{PandaEnd, Partial, PartialError, ReplayError, is_plain, leftovers};
use crate::vm::{
    DiskError, NoMemory, NoPlugin, NoSpace, Overlays, PortError, ProcessError, Reach, check_memory,
    check_space,
};

/// The files of a run.
const CONSOLE: &str = "console.log";
const OUTPUT: &str = "output.log";
const EVENTS: &str = "events.jsonl";
const PANDA_LOG: &str = "record.log";
const REPLAY_LOG: &str = "replay.log";
const DISK: &str = "disk.qcow2";
const INITRAMFS: &str = "initramfs.cpio";
const BOOTSTRAP: &str = "bootstrap.img";

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum RecError {
    /// A name that recctrl would change.
    #[error(
        "--name {0:?}: use at most {NAME_LENGTH} letters, digits, `.`, `_` and `-`, the first no `.` or `-`"
    )]
    Name(String),
    /// The guest is for another architecture.
    #[error("--target {asked}: the guest {guest} is for {target}")]
    OtherTarget {
        /// The guest.
        guest: String,
        /// Its architecture.
        target: Target,
        /// What was asked for.
        asked: Target,
    },
    /// The tiny guest does nothing by itself.
    #[error(
        "what is to be recorded? give the tiny guest a command after `--`, or take a guest with a disk (--guest, --disk)"
    )]
    NoCommand,
    /// The tiny guest has no disk driver.
    #[error(
        "--bootstrap: the tiny guest has no driver for a disk; take a guest with one, as `guest build debian` makes"
    )]
    TinyBootstrap,
    /// The command is on a disk that nobody reads.
    #[error(
        "the guest has booted and does not run its bootstrap disk, on which the command is; put pandacap's hook \
         into it (docs/guide/bootstrap.md), or leave the command out and call `recctrlu run NAME -- CMD` in it"
    )]
    NoHook,
    /// The bootstrap disk cannot be made.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A script failed.
    #[error(
        "bootstrapping the guest failed at {script}; nothing was recorded; the end of its console:{said}"
    )]
    BootstrapFailed {
        /// The script and its status.
        script: String,
        /// What the guest said.
        said: String,
    },
    /// A port that leads nowhere.
    #[error("--port-fwd, --net: the guest has no network card; give it one, as in --nic e1000")]
    NoNic,
    /// No machine that boots a disk.
    #[error("--disk: an image can be booted on x86_64 and i386, and not on {0}")]
    Target(Target),
    /// Something to boot cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The image cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A port cannot be used.
    #[error("--port-fwd: {0}")]
    Port(#[from] PortError),
    /// A plugin is not there.
    #[error("--plugin: {0}")]
    Plugin(#[from] NoPlugin),
    /// The host is full.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] NoSpace),
    /// There is no PANDA.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// The guest is missing.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Plugin or agent are missing.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// The trace's folder cannot be made.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// PANDA does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The recording cannot be replayed.
    #[error("cannot verify the recording: {0}")]
    Replay(#[from] ReplayError),
    /// Files of the run cannot be handled.
    #[error("cannot handle the files of the run: {0}")]
    Files(#[from] io::Error),
    /// Recorded, and not made a trace.
    #[error("{error}; what was recorded is left in {}", .folder.display())]
    Left {
        /// Where.
        folder: PathBuf,
        /// Why.
        error: Box<RecError>,
    },
    /// The guest has no such command.
    #[error("the guest cannot run the command, so nothing was recorded:{0}")]
    Command(String),
    /// The agent failed.
    #[error("the guest's agent could not record:{0}")]
    Agent(String),
    /// recctrl refused.
    #[error("recctrl refused to record: {0}")]
    Refused(String),
    /// Its kernel gave up.
    #[error(
        "the guest's kernel gave up before anything was recorded; where it does not find its disk, it needs the \
         driver in its initramfs (--initrd) and root= in --append; the end of its console:{0}"
    )]
    Panic(String),
    /// It took too long to boot.
    #[error(
        "the guest shows no sign of having booted within {after} s; see what its kernel waits for (the disk: a \
         driver in --initrd, root= in --append), or give it more with --boot-timeout; the end of its console:{said}"
    )]
    Boot {
        /// Seconds.
        after: u64,
        /// The end of the console.
        said: String,
    },
    /// It took too long.
    #[error("nothing was recorded within {after} s; the end of the guest's console:{said}")]
    Timeout {
        /// Seconds.
        after: u64,
        /// The end of the console.
        said: String,
    },
    /// It said too much.
    #[error("the guest has written as much to {0} as it may, so the run ended; --max-output allows more")]
    Output(&'static str),
    /// There is no room left.
    #[error("the disk of --out is full, so the run ended")]
    Full,
    /// PANDA ended early.
    #[error("PANDA ended ({0}) before anything was recorded:{1}")]
    Died(ExitStatus, String),
    /// Ctrl-C before anything was recorded.
    #[error("interrupted before anything was recorded")]
    Interrupted,
}

/// What a run has made.
#[derive(Debug)]
struct Made {
    kept: Vec<Kept>,
    cut: Option<Cut>,
}

/// The longest name of a run: recctrl adds to it, and the whole has to be a plain name.
const NAME_LENGTH: usize = 100;

impl From<Bound> for RecError {
    fn from(bound: Bound) -> RecError {
        match bound {
            Bound::Output(file) => RecError::Output(file),
            Bound::Space => RecError::Full,
        }
    }
}

impl Args {
    /// Records, verifies, reports.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let made = self.record(context, &interrupt).map_err(|error| match error {
            // The programs that prepare the run have had the Ctrl-C as well, and failed of it.
            error if !interrupt.is_set() || matches!(error, RecError::Left { .. }) => error,
            _ => RecError::Interrupted,
        });
        let Some(Made { kept, cut }) = made? else { return Ok(Exit::Done) };
        if self.command.is_empty() {
            enough(report::print_all(&kept, context.json))?;
        } else if let [kept] = &kept[..] {
            enough(report::print(kept, context.json))?;
        }
        let verifications = || kept.iter().map(|kept| &kept.manifest.verification);
        Ok(match cut {
            Some(Cut::Interrupt) => Exit::Interrupted,
            _ if verifications().any(Option::is_none) => Exit::Interrupted,
            _ if verifications().flatten().any(|verification| !verification.replayed) => Exit::Unverified,
            _ if kept.iter().any(|kept| kept.manifest.panda_ended.is_some_and(PandaEnd::is_crash)) => {
                Exit::Guest
            }
            Some(Cut::Bound(_)) => Exit::Guest,
            Some(Cut::Timeout) if !self.command.is_empty() => Exit::Guest,
            _ => Exit::Done,
        })
    }

    /// Does all of it; a dry run, which prints what would be done, makes nothing.
    fn record(&self, context: &Context, interrupt: &Interrupt) -> Result<Option<Made>, RecError> {
        if let Some(name) = &self.name
            && (!is_plain(name) || name.len() > NAME_LENGTH)
        {
            return Err(RecError::Name(name.clone()));
        }
        let mut subject = Subject::of(self, context)?;
        let panda = Panda::find(&context.home, &context.selection, subject.target)?;
        let recctrl = dist::find("panda_recctrl.so", panda.target)?;
        self.plugin.iter().try_for_each(|plugin| plugin.check(&panda))?;
        if !self.cold && self.net == Reach::Restricted {
            subject.find_warm(&context.home, &panda, interrupt, !self.dry_run)?;
        }
        let _hold = subject.base().map(|base| base.hold()).transpose()?;
        let forwards = self.port_fwd.iter().map(|forward| forward.ready()).collect::<Result<Vec<_>, _>>()?;
        check_memory(subject.machine.memory_mib)?;
        check_space(&self.out, subject.machine.memory_mib)?;

        let created = Timestamp::now();
        let (name, claimed) = if self.dry_run {
            (self.name.clone().unwrap_or_else(|| self.default_name(&subject, created)), None)
        } else {
            for folder in leftovers(&self.out) {
                log::warn!(
                    "{} holds recordings of a run that was killed; see `pandacap trace salvage`, or remove it",
                    folder.display()
                );
            }
            let (name, partial) = self.claim(&subject, created)?;
            subject.prepare(partial.folder(), &name, &self.command)?;
            (name, Some(partial))
        };
        let plan = Plan {
            panda: &panda,
            recctrl: &recctrl,
            recctrl_args: self.recctrl(EVENTS),
            plugins: &self.plugin,
            subject: &subject,
            forwards: &forwards,
            reach: self.net,
            display: self.display.as_deref(),
            name: &name,
            command: &self.command,
            boot_timeout: Duration::from_secs(self.boot_timeout),
            timeout: self.limit(),
            max_output: self.max_output,
            show: !context.json,
        };
        let Some(partial) = claimed else {
            let folder = std::path::absolute(&self.out)?.join(&name);
            let mut out = terminal::verbatim();
            plan.dry(&folder)?.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            return Ok(None);
        };
        for (asked, ready) in self.port_fwd.iter().zip(&forwards).filter(|(asked, _)| asked.host == 0) {
            terminal::say(format_args!(
                "port {} of the guest is port {} of this machine",
                asked.guest, ready.host
            ));
        }
        let outcome = plan.run(partial.folder(), interrupt)?;
        let overlays = Overlays::of(&context.home);
        let (out, discard_disk) = (&*self.out, self.discard_disk);
        let run = Run { plan: &plan, outcome: &outcome, created, out, overlays: &overlays, discard_disk };
        Ok(Some(Made { kept: run.keep(partial, interrupt)?, cut: outcome.cut }))
    }

    /// The run's name and its folder in the making.
    fn claim(&self, subject: &Subject, now: Timestamp) -> Result<(String, Partial), RecError> {
        if let Some(name) = &self.name {
            return Ok((name.clone(), Partial::claim(&self.out, name)?));
        }
        let base = self.default_name(subject, now);
        let mut name = base.clone();
        for count in 2.. {
            match Partial::claim(&self.out, &name) {
                Err(PartialError::Taken(_) | PartialError::Busy(_) | PartialError::Left(_)) => {
                    name = format!("{base}-{count}");
                }
                claimed => return Ok((name, claimed?)),
            }
        }
        Err(RecError::Name(base))
    }

    /// `ls-20260131-235959`
    fn default_name(&self, subject: &Subject, now: Timestamp) -> String {
        let program = self.command.first().map(Path::new).and_then(Path::file_name);
        let what = program.map_or(subject.id.name.clone().into(), OsString::from);
        let what = what.to_string_lossy();
        let plain = protocol::Name::from_guest(what.trim_start_matches(['-', '.']).as_bytes());
        let what = plain.as_ref().map_or("run", |name| name.as_str());
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S");
        format!("{what:.40}-{time}")
    }
}

//! `pandacap rec`: a command, recorded in a guest, as a verified trace.

mod events;
mod report;
mod run;
mod tail;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use self::run::{Cut, Outcome, Plan};
use crate::cli::{Context, Error};
use crate::digest::FileDigest;
use crate::dist::{self, DistError};
use crate::exit::Exit;
use crate::guest::{Guest, GuestError, tiny};
use crate::interrupt::Interrupt;
use crate::panda::Panda;
use crate::progress::Progress;
use crate::target::Target;
use crate::trace::{
    Arguments, GuestId, Manifest, Partial, PartialError, Recording, ReplayError, SCHEMA, Verification,
    is_plain, log_name, replay, snapshot_name,
};
use crate::vm::ProcessError;

const REPLAY_LOG: &str = "replay.log";

/// What was typed.
///
/// Boots the tiny guest (Debian's kernel and busybox, fetched with apt the first time), runs the command in
/// it, and records exactly that command: from its first instruction to its last. The recording is then
/// replayed on a PANDA without recctrl, and kept as a trace: a folder with the recording, its manifest and
/// its logs, which `pandacap verify` checks at any time.
///
/// The command's output is shown as it comes; its exit status is part of the result and changes nothing about
/// pandacap's own, which tells whether there is a verified trace.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The trace's name: letters, digits, `.`, `_` and `-` [default: the command's name and the time]
    #[arg(long)]
    name: Option<String>,

    /// Where the trace's folder is made
    #[arg(long, value_name = "DIR", default_value = "traces")]
    out: PathBuf,

    /// End the run after so many seconds, for a guest that never boots or a command that never ends; what was
    /// recorded until then is kept
    #[arg(long, value_name = "SECS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    /// The command and its arguments, which reach the guest byte for byte
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum RecError {
    /// A name that recctrl would change.
    #[error(
        "--name {0:?}: use at most {NAME_LENGTH} letters, digits, `.`, `_` and `-`, the first no `.` or `-`"
    )]
    Name(String),
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
    /// The guest has no such command.
    #[error("the guest cannot run the command, so nothing was recorded:{0}")]
    Command(String),
    /// The agent failed.
    #[error("the guest's agent could not record:{0}")]
    Agent(String),
    /// recctrl refused.
    #[error("recctrl refused to record: {0}")]
    Refused(String),
    /// It took too long.
    #[error("nothing was recorded within {after} s; the end of the guest's console:{said}")]
    Timeout {
        /// Seconds.
        after: u64,
        /// The end of the console.
        said: String,
    },
    /// PANDA ended early.
    #[error("PANDA ended ({0}) before anything was recorded:{1}")]
    Died(ExitStatus, String),
    /// Ctrl-C before anything was recorded.
    #[error("interrupted before anything was recorded")]
    Interrupted,
}

/// The longest name of a trace: recctrl adds to it, and the whole has to be a plain name.
const NAME_LENGTH: usize = 100;

impl RecError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            RecError::Name(_) => Exit::Usage,
            RecError::Guest(_) | RecError::Dist(_) => Exit::Missing,
            RecError::Command(_) | RecError::Agent(_) | RecError::Refused(_) => Exit::Guest,
            RecError::Timeout { .. } | RecError::Died(..) | RecError::Process(_) => Exit::Guest,
            RecError::Interrupted => Exit::Interrupted,
            RecError::Partial(_) | RecError::Replay(_) | RecError::Files(_) => Exit::Failed,
        }
    }
}

impl Args {
    /// Records, verifies, reports.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        if let Some(name) = &self.name
            && (!is_plain(name) || name.len() > NAME_LENGTH)
        {
            return Err(RecError::Name(name.clone()).into());
        }
        let target = Target::X86_64;
        let panda = Panda::find(&context.home, &context.selection, target)?;
        let (folder, manifest, cut) = self.record(context, &panda, &interrupt)?;
        report::print(&folder, &manifest, context.json)?;
        Ok(match (cut, &manifest.verification) {
            (Some(Cut::Interrupt), _) | (_, None) => Exit::Interrupted,
            (_, Some(verification)) if !verification.replayed => Exit::Unverified,
            (Some(Cut::Timeout), _) => Exit::Guest,
            (None, _) => Exit::Done,
        })
    }

    fn record(
        &self,
        context: &Context,
        panda: &Panda,
        interrupt: &Interrupt,
    ) -> Result<(PathBuf, Manifest, Option<Cut>), RecError> {
        let plugin = dist::find("panda_recctrl.so", panda.target)?;
        let agent = dist::find("recctrlu", panda.target)?;
        let guest = Guest::ready_tiny(&context.home, panda.target)?;
        let created = Timestamp::now();
        let (name, partial) = self.claim(created)?;
        let folder = partial.folder();
        let plan = Plan {
            panda,
            plugin: &plugin,
            guest: &guest,
            agent: &fs::read(&agent)?,
            name: &name,
            command: &self.command,
            timeout: Duration::from_secs(self.timeout),
            show: !context.json,
        };
        let outcome = plan.run(folder, interrupt)?;
        take_name(folder, &outcome.recording, &name)?;

        let (files, verification) = thread::scope(|scope| {
            let files = scope.spawn(|| digests(folder, &name));
            let verification = match outcome.cut {
                Some(Cut::Interrupt) => Ok(None),
                _ => verify(panda, folder, &name, interrupt),
            };
            // A thread that panicked has said why.
            (files.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())), verification)
        });
        let (files, verification) = (files?, verification?);
        let mut booted = guest.manifest.files.clone();
        booted.insert("recctrlu".to_owned(), FileDigest::of(&agent)?);
        let Outcome { ended, exit_status, arguments, seconds, cut, .. } = outcome;
        let manifest = Manifest {
            schema: SCHEMA,
            created,
            pandacap: env!("CARGO_PKG_VERSION").to_owned(),
            target: panda.target,
            panda: panda.into(),
            guest: GuestId { name: guest.name.clone(), packages: guest.packages().to_owned(), files: booted },
            machine: tiny::MACHINE,
            arguments: Arguments { record: arguments, replay: tiny::MACHINE.replay_args(&name) },
            command: self.command.clone(),
            exit_status,
            recording: Recording {
                instructions: instructions(&folder.join(log_name(&name)))?,
                ended,
                snapshot_bytes: fs::metadata(folder.join(snapshot_name(&name)))?.len(),
                log_bytes: fs::metadata(folder.join(log_name(&name)))?.len(),
            },
            seconds,
            files,
            verification,
            name,
        };
        Ok((partial.finish(&manifest)?, manifest, cut))
    }

    /// The trace's name and its folder in the making.
    fn claim(&self, now: Timestamp) -> Result<(String, Partial), RecError> {
        if let Some(name) = &self.name {
            return Ok((name.clone(), Partial::claim(&self.out, name)?));
        }
        let base = default_name(&self.command, now);
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
}

/// `ls-20260131-235959`
fn default_name(command: &[OsString], now: Timestamp) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let program = program.to_string_lossy();
    let plain = protocol::Name::from_guest(program.trim_start_matches('-').as_bytes());
    let program = plain.as_ref().map_or("command", |name| name.as_str());
    let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S");
    format!("{program:.40}-{time}")
}

/// Gives the recording the trace's name, and removes others that the guest may have made.
fn take_name(folder: &Path, recorded: &str, name: &str) -> io::Result<()> {
    for file in [snapshot_name, log_name] {
        fs::rename(folder.join(file(recorded)), folder.join(file(name)))?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let ours = [snapshot_name(name), log_name(name)].iter().any(|ours| file == **ours);
        if !ours && file.to_string_lossy().contains("-rr-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The digests of every file that is final.
fn digests(folder: &Path, name: &str) -> io::Result<std::collections::BTreeMap<String, FileDigest>> {
    let logs = [run::CONSOLE, run::OUTPUT, run::EVENTS, run::PANDA_LOG].map(str::to_owned);
    let files = logs.into_iter().chain([snapshot_name(name), log_name(name)]);
    files.map(|file| FileDigest::of(&folder.join(&file)).map(|digest| (file, digest))).collect()
}

/// The guest instructions in a recording: the first thing in its log.
fn instructions(log: &Path) -> io::Result<u64> {
    let mut header = [0; 8];
    io::Read::read_exact(&mut File::open(log)?, &mut header)?;
    Ok(u64::from_le_bytes(header))
}

/// Replays the recording; `None` when that was interrupted.
fn verify(
    panda: &Panda,
    folder: &Path,
    name: &str,
    interrupt: &Interrupt,
) -> Result<Option<Verification>, RecError> {
    let mut log = io::BufWriter::new(File::create(folder.join(REPLAY_LOG))?);
    let progress = Progress::percent("replaying");
    let percent = |done| progress.reach(done);
    let replayed = match replay(panda, &tiny::MACHINE, folder, name, &mut log, interrupt, percent) {
        Err(ReplayError::Interrupted) => None,
        replayed => Some(replayed?),
    };
    log.flush()?;
    Ok(replayed.map(|replay| Verification {
        at: Timestamp::now(),
        panda: panda.into(),
        replayed: replay.failure.is_none(),
        failure: replay.failure,
        seconds: replay.seconds,
    }))
}

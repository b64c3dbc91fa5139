//! `pandacap analyze`: replays a trace and reports what its guest did.

mod tree;

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ::guest::Guest;
use analysis::{Events, Provenance, Report};
use kernel_profile::FILE as PROFILE;
use machine::Interrupt;
use panda_host::{ACTIVITY, Panda, PluginSpec};
use rr_log::Target;
use schemars::JsonSchema;
use serde::Serialize;
use trace::{Failed, ReplayError, ReplayOf, Trace};

use super::context::Context;
use super::error::{AnalyzeError, Error, ReplayTraceError};
use super::exit::Exit;
use super::replay::{self, Said};
use super::terminal::complain;
use super::values;

/// Where the plugin writes what it sees.
const EVENTS: &str = "activity.jsonl";

/// Report what the guest did in a trace: processes, files, connections, users
///
/// Replays the trace with a plugin that follows the guest's kernel, and prints the tree of its processes: their
/// programs and arguments, when they began and how they ended, the files that they opened, read, wrote, renamed and
/// removed, their connections, and every change of users. Times are guest instructions.
///
/// The plugin needs the profile of the guest's kernel (see `pandacap guest profile`), which is in the trace as a rule.
/// Guests are x86_64, with 32-bit programs too.
///
/// Exits with 0 if the whole trace was followed, with 3 if there is no profile, with 1 if the guest cannot be followed,
/// and otherwise as `pandacap replay` does.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace's folder
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// The profile of the guest's kernel [default: the trace's, or the guest's if it is still there]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    /// Also write every event to this file, as JSON Lines
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,

    /// With --events: every system call too
    #[arg(long, requires = "events")]
    calls: bool,

    /// Also write who made or changed what from what to this file, as W3C PROV-JSON
    #[arg(long, value_name = "FILE")]
    prov: Option<PathBuf>,

    /// Record the environment of each program too
    #[arg(long)]
    environment: bool,

    /// Show idle processes and all files, libraries among them
    #[arg(long)]
    all: bool,

    /// Stop recording events at SIZE bytes (suffixes: K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "1G")]
    max_events: u64,

    /// Use the extra PANDA arguments in the trace (`rec --qemu-arg`), which can do anything on this machine
    #[arg(long)]
    trust_args: bool,
}

/// What `--json` prints.
#[derive(JsonSchema, Serialize)]
pub(super) struct Document<'a> {
    #[serde(serialize_with = "trace::lossy")]
    #[schemars(with = "String")]
    trace: &'a PathBuf,
    /// Why the trace was not replayed to its end; the report goes as far as it was.
    failure: Option<Failed>,
    seconds: f64,
    #[serde(flatten)]
    report: Report,
}

impl Args {
    /// Analyses the trace, and reports.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let trace = replay::open(&self.trace)?;
        if trace.manifest.target != Target::X86_64 {
            return Err(AnalyzeError::Target(trace.manifest.target).into());
        }
        let profile = self.profile(context, &trace)?;
        let panda = Panda::find(&context.home, &context.selection, trace.manifest.target)?;
        let plugin = self.plugin(context, trace.manifest.target)?;
        let own = tempfile::tempdir()?;
        let work = self.work()?;
        let plugins = panda.plugins_below(own.path());
        fs::create_dir_all(&plugins)?;
        let link = plugin.link(&plugins)?;
        if let Some((file, place)) = &link {
            symlink(file, place)?;
        }
        fs::write(work.path().join(PROFILE), profile)?;
        let what = ReplayOf {
            panda: &panda,
            machine: trace.machine(self.trust_args).map_err(ReplayTraceError::from)?,
            recording: &trace.recording()?,
            work: work.path(),
            more: &["-panda".to_owned(), plugin.to_string()],
            panda_dir: Some(own.path()),
            plugins: &[own.path().to_owned()]
                .into_iter()
                .chain(link.map(|(file, _)| file))
                .collect::<Vec<_>>(),
        };
        let replayed = match replay::show(&what, &interrupt, &trace.manifest.name, context, Said::Logged) {
            Err(ReplayError::Interrupted) => return Ok(Exit::Interrupted),
            replayed => replayed?,
        };
        let exit = replayed.failure.as_ref().map_or(Exit::Done, Exit::from);
        if let Some(failure) = &replayed.failure {
            replay::tell(&trace.folder, failure);
        }
        let report = self.report(work.path(), exit)?;
        let exit = self.judge(&report, exit);
        if let Some(path) = &self.prov {
            let document = serde_json::to_vec(&Provenance::of(&report)).map_err(io::Error::from)?;
            files::replace(path, &document)
                .map_err(|source| AnalyzeError::Write { path: path.clone(), source })?;
        }
        let document = Document {
            trace: &trace.folder,
            failure: replayed.failure.as_ref().map(Failed::from),
            seconds: replayed.seconds,
            report,
        };
        context.output.give(&document, |out| tree::write(out, &document.report, self.all))?;
        Ok(exit)
    }

    /// The profile of the kernel that was recorded, as JSON: the trace's, or that of the guest, if it is still there. One
    /// of another kernel does no harm: the plugin compares the kernels.
    fn profile(&self, context: &Context, trace: &Trace) -> Result<Vec<u8>, Error> {
        let profile = match &self.profile {
            Some(path) => ::guest::read_profile(path)?,
            None => match trace.profile().map_err(ReplayTraceError::from)? {
                Some(profile) => profile,
                None => Guest::open(&context.home, &trace.manifest.guest.name)
                    .and_then(|guest| guest.profile())
                    .map_err(|source| AnalyzeError::NoProfile {
                        trace: trace.folder.clone(),
                        source: Box::new(source),
                    })?,
            },
        };
        Ok(profile.to_json().map_err(io::Error::from)?)
    }

    fn plugin(&self, context: &Context, target: Target) -> Result<PluginSpec, Error> {
        let flag = |wanted: bool| if wanted { "y" } else { "n" };
        let arguments = format!(
            "profile={PROFILE},out={EVENTS},most={},calls={},environment={}",
            self.max_events,
            flag(self.calls),
            flag(self.environment)
        );
        Ok(PluginSpec::of_file("activity", context.dist.find(ACTIVITY, target)?, arguments))
    }

    /// Where PANDA runs: on the disk on which the events are kept, if they are.
    fn work(&self) -> Result<tempfile::TempDir, Error> {
        let Some(events) = &self.events else { return Ok(tempfile::tempdir()?) };
        let folder = events.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        Ok(tempfile::Builder::new().prefix(".pandacap-").tempdir_in(folder)?)
    }

    /// Reads the events, and keeps them if they are wanted.
    fn report(&self, work: &Path, exit: Exit) -> Result<Report, Error> {
        let path = work.join(EVENTS);
        // PANDA may have been under the trace's control.
        let events = match files::open_unlinked(&path).map(BufReader::new) {
            // A replay that did not begin has none.
            Err(error) if error.kind() == io::ErrorKind::NotFound && exit != Exit::Done => {
                return Ok(Report::default());
            }
            opened => opened?,
        };
        let report = Events::open(events).and_then(Report::of).map_err(AnalyzeError::from)?;
        if let Some(kept) = &self.events {
            let failed = |source| AnalyzeError::Write { path: kept.clone(), source };
            fs::rename(&path, kept).map_err(failed)?;
        }
        Ok(report)
    }

    /// A guest that could not be followed is a failure, even if its trace was replayed.
    fn judge(&self, report: &Report, exit: Exit) -> Exit {
        let followed = report.complete && !report.processes.is_empty();
        for why in &report.left_out {
            complain(why);
        }
        if exit == Exit::Done && !followed { Exit::Failed } else { exit }
    }
}

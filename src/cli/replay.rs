//! `pandacap replay`: replays a trace on the machine that it was recorded on, with plugins that analyse it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use kernel_profile::FILE as PROFILE;
use machine::Interrupt;
use panda_host::progress::{Length, Progress};
use panda_host::{Panda, PluginSpec, Source};
use schemars::JsonSchema;
use serde::Serialize;
use trace::{Failed, Failure, Odd, Replay, ReplayError, ReplayOf, Step, Trace, log_name, snapshot_name};

use super::container::{DockerArgs, started};
use super::context::Context;
use super::error::{Error, ReplayTraceError};
use super::exit::Exit;
use super::output::Output;
use super::progress::Bars;
use super::terminal::{self, complain};

/// Where the commands of a dry run put plugins that are not PANDA's own.
const PLUGINS: &str = "panda-dir";

/// Replay a trace, optionally with plugins
///
/// Rebuilds the machine from the trace's manifest and replays the recording on it, instruction by instruction. The
/// trace is only read, and neither the disk image nor the overlay is needed: what the guest read from its disk is in
/// the recording.
///
/// Plugins' output goes to standard output. The files that they write go to the current folder; an existing file is
/// replaced only if a plugin's arguments name it. PANDA itself runs in an empty folder.
///
/// Exits with 0 only if the replay reaches the end of the recording, and with 4 if the trace is damaged or does not
/// replay. Other codes mean that something else failed, such as a plugin (see docs/exit-codes.md).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace's folder
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// Load a plugin, by name if it is PANDA's or from a file; may be repeated
    ///
    /// A file must be given as a path with a slash, and its name must be panda_NAME.so or, as cargo builds it,
    /// libpanda_NAME.so: --plugin target/release/libpanda_NAME.so:ARG=VALUE. `pandacap plugin new` creates a plugin.
    #[arg(long, value_name = "NAME|./FILE[:ARG=VALUE,...]")]
    plugin: Vec<PluginSpec>,

    /// The guest's operating system, in PANDA's syntax, for plugins that inspect it, for example
    /// linux-64-ubuntu:4.4.0-130-generic
    #[arg(long, value_name = "OS")]
    os: Option<String>,

    /// Write the plugins' results to this pandalog; needs a PANDA with all its libraries
    #[arg(long, value_name = "FILE")]
    plog: Option<PathBuf>,

    /// An extra argument for PANDA; repeat the option for each word
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    qemu_arg: Vec<String>,

    /// Use the extra PANDA arguments in the trace (`rec --qemu-arg`), which can do anything on this machine
    #[arg(long)]
    trust_args: bool,

    /// Print the command line, quoted for a shell, instead of running it
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) docker: DockerArgs,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Report<'a> {
    #[serde(serialize_with = "trace::lossy")]
    #[schemars(with = "String")]
    trace: &'a PathBuf,
    replayed: bool,
    failure: Option<Failed>,
    instructions: u64,
    seconds: f64,
}

impl Args {
    /// Replays the trace, and reports whether it reached its end.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        started(None, &[])?;
        let trace = open(&self.trace)?;
        let (manifest, name) = (&trace.manifest, &trace.manifest.name);
        let panda = Panda::find(&context.home, &context.selection, manifest.target)?;
        let more = self.more(&panda)?;
        let own = tempfile::tempdir()?;
        let out = std::env::current_dir()?;
        // Plugins' files are moved to the current folder afterwards, so they are written on the same disk.
        let work = match more.is_empty() || self.dry_run {
            true => tempfile::tempdir()?,
            false => tempfile::Builder::new().prefix(".pandacap-").tempdir_in(&out)?,
        };
        let folder = panda.plugins_below(own.path());
        let links = self.links(&folder)?;
        let mut plugins: Vec<PathBuf> = links.iter().map(|(file, _)| file.clone()).collect();
        plugins.push(own.path().to_owned());
        let what = ReplayOf {
            panda: &panda,
            machine: trace.machine(self.trust_args || self.dry_run).map_err(ReplayTraceError::from)?,
            recording: &trace.recording()?,
            work: work.path(),
            more: &more,
            panda_dir: Some(own.path()),
            plugins: &plugins,
        };
        if self.dry_run {
            self.dry(&what)?;
            return Ok(Exit::Done);
        }
        fs::create_dir_all(&folder)?;
        for (file, place) in links {
            symlink(file, place)?;
        }
        // Where analyses of Linux guests look for it.
        let profile = work.path().join(PROFILE);
        if let (false, Some(known)) = (more.is_empty(), trace.profile().map_err(ReplayTraceError::from)?) {
            fs::write(&profile, known.to_json().map_err(io::Error::from)?)?;
        }
        let replayed = show(&what, &interrupt, name, context, Said::Shown);
        if let Err(error) = fs::remove_file(&profile)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        for Odd(what) in trace::bring(work.path(), &out, &more)? {
            complain(what);
        }
        let replay = match replayed {
            Err(ReplayError::Interrupted) => return Ok(Exit::Interrupted),
            replay => replay?,
        };
        let exit = replay.failure.as_ref().map_or(Exit::Done, Exit::from);
        report(&trace, replay, context.output)?;
        Ok(exit)
    }

    /// The links through which PANDA finds the user's own plugins.
    fn links(&self, plugins: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        self.plugin.iter().filter_map(|plugin| plugin.link(plugins).transpose()).collect()
    }

    /// Prints the replay as shell commands.
    fn dry(&self, what: &ReplayOf<'_>) -> io::Result<()> {
        let mut out = terminal::verbatim();
        let plugins = what.panda.plugins_below(Path::new(PLUGINS));
        let links = self.links(&plugins)?;
        for (file, place) in &links {
            let [plugins, file, place] = [&plugins, file, place].map(|path| path.to_string_lossy());
            writeln!(out, "{}", shell_words::join(["mkdir", "-p", &plugins]))?;
            writeln!(out, "{}", shell_words::join(["ln", "-sf", &file, &place]))?;
        }
        let own = if links.is_empty() { String::new() } else { format!("PANDA_DIR={PLUGINS} ") };
        writeln!(out, "{own}{}", what.shell())
    }

    /// PANDA's arguments for plugins and the like.
    fn more(&self, panda: &Panda) -> Result<Vec<String>, Error> {
        let mut more = Vec::new();
        for plugin in &self.plugin {
            plugin.check(panda).map_err(ReplayTraceError::from)?;
            more.extend(["-panda".to_owned(), plugin.to_string()]);
        }
        if let Some(os) = &self.os {
            more.extend(["-os".to_owned(), os.clone()]);
        }
        if let Some(file) = &self.plog {
            if panda.source == Source::Embedded {
                return Err(ReplayTraceError::Pandalog.into());
            }
            // A plain file name stays in the folder where PANDA runs, like other results.
            let file = match file.components().count() {
                1 => file.clone(),
                _ => std::path::absolute(file)?,
            };
            more.extend(["-pandalog".to_owned(), file.to_string_lossy().into_owned()]);
        }
        more.extend(self.qemu_arg.iter().cloned());
        Ok(more)
    }
}

/// Opens a trace that has both files of its recording.
pub(super) fn open(folder: &Path) -> Result<Trace, Error> {
    let trace = Trace::open(folder).map_err(ReplayTraceError::from)?;
    let name = &trace.manifest.name;
    let files = [snapshot_name(name), log_name(name)].map(|file| trace.folder.join(file));
    match files.into_iter().find(|file| !file.is_file()) {
        Some(missing) => Err(ReplayTraceError::Missing(missing).into()),
        None => Ok(trace),
    }
}

/// What becomes of PANDA's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is shown.
    Shown,
    /// It is logged, for who asks for that.
    Logged,
}

/// Replays, and shows progress.
pub(super) fn show(
    what: &ReplayOf<'_>,
    interrupt: &Interrupt,
    name: &str,
    context: &Context,
    said: Said,
) -> Result<Replay, ReplayError> {
    let progress: &Bars = &context.progress;
    let task = progress.begin(&format!("replaying {name}"), Length::Percent);
    let began = Instant::now();
    let mut written = Ok(());
    let replayed = trace::replay(what, interrupt, |line| match line.step {
        Some(Step { instructions, percent }) => {
            let speed = instructions as f64 / began.elapsed().as_secs_f64() / 1e6;
            task.note(&format!("{name}: {} instructions, {speed:.0} M/s", HumanCount(instructions)));
            task.reach(percent as u64);
        }
        None if said == Said::Logged => log::info!("{}", line.text),
        None if written.is_err() => {}
        None if context.output.json => progress.say(line.text),
        None => written = progress.aside(|| writeln!(terminal::out(), "{}", line.text)),
    })?;
    // A reader that stops early does not change the outcome of the replay.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(replayed),
    }
}

fn report(trace: &Trace, replay: Replay, output: Output) -> io::Result<()> {
    let instructions = trace.manifest.recording.instructions;
    let Replay { failure, seconds } = replay;
    let report = Report {
        trace: &trace.folder,
        replayed: failure.is_none(),
        failure: failure.as_ref().map(Failed::from),
        instructions,
        seconds,
    };
    output.give(&report, |out| match &failure {
        Some(failure) => {
            tell(&trace.folder, failure);
            Ok(())
        }
        None => {
            let speed = instructions as f64 / seconds / 1e6;
            let count = HumanCount(instructions);
            writeln!(out, "replayed {count} instructions in {seconds:.2} s ({speed:.0} M/s)")
        }
    })
}

/// Reports on standard error why a trace did not replay.
pub(super) fn tell(folder: &Path, failure: &Failure) {
    let folder = folder.display();
    match failure {
        Failure::Plugin { .. } | Failure::Os => {
            complain(format_args!(
                "{failure}; the replay was not started, and the recording is not in doubt"
            ));
        }
        Failure::Stopped => complain(format_args!("{folder}: {failure}; the recording is not in doubt")),
        Failure::Watched { .. } => complain(format_args!(
            "{folder}: {failure}; to check whether the recording is sound, run `pandacap verify {folder}`, which \
             replays it without plugins"
        )),
        Failure::Refused(_) => complain(format_args!("{folder}: {}", files::chain(failure))),
        Failure::Diverged { .. } => {
            complain(format_args!("{folder}: the recording does not replay: {failure}"))
        }
    }
}

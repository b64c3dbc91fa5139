//! `pandacap replay`: a trace, run again on the machine that it was recorded on, with plugins that look at it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use machine::Interrupt;
use panda_host::progress::{Length, Progress};
use panda_host::{Panda, PluginSpec, Source};
use schemars::JsonSchema;
use serde::Serialize;
use trace::{Failed, Failure, Odd, Replay, ReplayError, ReplayOf, Step, Trace, log_name, snapshot_name};

use super::context::Context;
use super::error::{Error, ReplayTraceError};
use super::exit::Exit;
use super::output::Output;
use super::progress::Bars;
use super::terminal::{self, complain};

/// Where the lines of a dry run put plugins that PANDA does not have.
const PLUGINS: &str = "panda-dir";

/// Replay a trace, with plugins if you like
///
/// Rebuilds the machine from the trace's manifest and replays the recording on it, instruction by instruction.
/// The trace is only read: neither the disk image nor the overlay is needed, for what the guest read from its
/// disk is in the recording. What plugins print goes to standard output, and the files that they write to the
/// current folder: files that are there already are replaced only where a plugin's arguments name them. PANDA itself
/// runs in an empty folder. Exits with 0 only when the replay came to the recording's end, else with 4.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace's folder
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// Load this PANDA plugin, one of PANDA's or a file; repeat it for more
    ///
    /// A file has a slash in its name, which ends in panda_NAME.so or, as cargo makes it, libpanda_NAME.so:
    /// --plugin target/release/libpanda_NAME.so:ARG=VALUE. `pandacap plugin new` starts one.
    #[arg(long, value_name = "NAME|./FILE[:ARG=VALUE,...]")]
    plugin: Vec<PluginSpec>,

    /// The guest's operating system, in PANDA's words, for plugins that look into it:
    /// linux-64-ubuntu:4.4.0-130-generic
    #[arg(long, value_name = "OS")]
    os: Option<String>,

    /// Write plugins' results to this pandalog; needs a PANDA with its own libraries
    #[arg(long, value_name = "FILE")]
    plog: Option<PathBuf>,

    /// One more argument for PANDA; repeat it for each word
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    qemu_arg: Vec<String>,

    /// Take the trace's own further arguments for PANDA (`rec --qemu-arg`), which can do anything on this machine
    #[arg(long)]
    trust_args: bool,

    /// Print the command line instead of running it, quoted for a shell
    #[arg(long)]
    dry_run: bool,
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
    /// Replays, and says whether that came to its end.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let trace = Trace::open(&self.trace).map_err(ReplayTraceError::from)?;
        let (manifest, name) = (&trace.manifest, &trace.manifest.name);
        let files = [snapshot_name(name), log_name(name)].map(|file| trace.folder.join(file));
        if let Some(missing) = files.into_iter().find(|file| !file.is_file()) {
            return Err(ReplayTraceError::Missing(missing).into());
        }
        let panda = Panda::find(&context.home, &context.selection, manifest.target)?;
        let more = self.more(&panda)?;
        let own = tempfile::tempdir()?;
        let out = std::env::current_dir()?;
        // What plugins write is moved to where the user is, and therefore made on the same disk.
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
        let replayed = show(&what, &interrupt, name, context);
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

    /// The links by which PANDA finds the user's own plugins.
    fn links(&self, plugins: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        self.plugin.iter().filter_map(|plugin| plugin.link(plugins).transpose()).collect()
    }

    /// Prints the replay as lines for a shell.
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

    /// PANDA's arguments for what looks at the replay.
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
            // A plain name is one in the folder where PANDA runs, like other results.
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

/// Replays with everything that there is to see.
fn show(
    what: &ReplayOf<'_>,
    interrupt: &Interrupt,
    name: &str,
    context: &Context,
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
        None if written.is_err() => {}
        None if context.output.json => progress.say(line.text),
        None => written = progress.aside(|| writeln!(terminal::out(), "{}", line.text)),
    })?;
    // A reader that has read enough of it does not change what came of the replay.
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

/// Says on standard error why a trace did not replay.
fn tell(folder: &Path, failure: &Failure) {
    let folder = folder.display();
    match failure {
        Failure::Plugin { .. } | Failure::Os => {
            complain(format_args!("{failure}; the replay was not begun, and the recording is not in doubt"));
        }
        Failure::Stopped => complain(format_args!("{folder}: {failure}; the recording is not in doubt")),
        Failure::Watched { .. } => complain(format_args!(
            "{folder}: {failure}; whether the recording is sound, `pandacap verify {folder}` tells: it replays it \
             without any"
        )),
        Failure::Refused(_) => complain(format_args!("{folder}: {}", files::chain(failure))),
        Failure::Diverged { .. } => {
            complain(format_args!("{folder}: the recording does not replay: {failure}"))
        }
    }
}

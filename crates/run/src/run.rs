//! One run of a machine: from PANDA's start until it has ended, with recordings or without.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bounds::{self, Bound};
use crate::context::{Context, Sink};
use crate::error::RecError;
use crate::events::{Bootstrap, Recorded, Story};
use crate::layout::{BOOTSTRAP, CONSOLE, DISK, EVENTS, OUTPUT, PANDA_LOG};
use crate::subject::Subject;
use files::{Tail, last_lines};
use machine::Interrupt;
use machine::{Base, Outside, PANIC, PortForward, Process, Reach, SavedState, Sign, Signs, shell};
use panda_host::confine::Sandbox;
use panda_host::progress::Task;
use panda_host::{Panda, PluginSpec, RECCTRL};
use trace::PandaEnd;

/// A folder that nobody needs after the run.
const PLUGINS: &str = "panda-dir";
/// How long after its boot a guest may take to run its bootstrap disk, which it should have done before.
const HOOK_PATIENCE: Duration = Duration::from_secs(20);
/// How long a guest may take to power off after its command; it told how that ended before.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often the run is looked at.
const TICK: Duration = Duration::from_millis(10);

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) panda: &'a Panda,
    pub(crate) recctrl: &'a Path,
    pub(crate) recctrl_args: String,
    pub(crate) plugins: &'a [PluginSpec],
    pub(crate) subject: &'a Subject,
    pub(crate) forwards: &'a [PortForward],
    pub(crate) reach: Reach,
    pub(crate) display: Option<&'a str>,
    pub(crate) name: &'a str,
    /// What the guest is to run; nothing when it is left to itself.
    pub(crate) command: &'a [OsString],
    pub(crate) boot_timeout: Duration,
    pub(crate) timeout: Option<Duration>,
    /// How many bytes each of its serial ports may say.
    pub(crate) max_output: u64,
    /// Where it happens.
    pub(crate) context: Context<'a>,
}

/// Who ended the run, if not the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Ctrl-C or SIGTERM.
    Interrupt,
    /// The run took too long.
    Timeout,
    /// The guest has made the host keep as much as it may.
    Bound(Bound),
    /// The guest has not booted in time.
    Boot,
    /// The guest's kernel has given up.
    Panic,
    /// A script of the bootstrap disk has failed.
    Bootstrap,
    /// The guest does not look at its bootstrap disk, where the command is.
    NoHook,
}

/// What came of a run that recorded something.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was recorded: at least one.
    pub(crate) recordings: Vec<Recorded>,
    pub(crate) exit_status: Option<u8>,
    pub(crate) arguments: Vec<String>,
    /// When PANDA was started, in Unix seconds.
    pub(crate) started: f64,
    /// When it had ended.
    pub(crate) ended: f64,
    pub(crate) cut: Option<Cut>,
    /// How PANDA ended.
    pub(crate) panda: PandaEnd,
}

impl Plan<'_> {
    /// What the machine is connected to.
    fn outside<'a>(&'a self, serial: &'a [&'a str], state: Option<&'a str>) -> Outside<'a> {
        Outside {
            serial,
            overlay: DISK,
            bootstrap: BOOTSTRAP,
            forwards: self.forwards,
            reach: self.reach,
            display: self.display,
            state,
            monitor: false,
        }
    }

    /// PANDA's arguments, firmware left out.
    fn arguments(&self, state: Option<&str>) -> Vec<String> {
        let serial = self.subject.serial();
        let serial: Vec<&str> = serial.iter().map(String::as_str).collect();
        let outside = self.outside(&serial, state);
        self.subject.machine.record_args(self.subject.boot(), outside, &self.recctrl_args, self.plugins)
    }

    fn plugins_folder(&self) -> PathBuf {
        self.panda.plugins_below(Path::new(PLUGINS))
    }

    /// The links by which PANDA finds recctrl and the user's own plugins.
    fn links(&self) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let plugins = self.plugins_folder();
        let recctrl = (self.recctrl.to_owned(), plugins.join(RECCTRL));
        let own = self.plugins.iter().filter_map(|plugin| plugin.link(&plugins).transpose());
        std::iter::once(Ok(recctrl)).chain(own).collect()
    }

    /// The run as lines for a shell.
    pub(crate) fn dry(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = folder.to_string_lossy();
        let quote = |words: &[&str]| shell_words::join(words);
        let mut lines = vec![
            quote(&["mkdir", "-p", &folder]),
            quote(&["cd", &folder]),
            quote(&["mkdir", "-p", &self.plugins_folder().to_string_lossy()]),
        ];
        for (file, place) in self.links()? {
            lines.push(quote(&["ln", "-s", &file.to_string_lossy(), &place.to_string_lossy()]));
        }
        match self.subject.base() {
            Some(base) => {
                lines.push(format!("qemu-img {}", shell_words::join(base.overlay_args(DISK))));
                if self.subject.is_seeded() {
                    lines.push(format!("# {BOOTSTRAP} is made by pandacap: see `pandacap bootstrap render`"));
                }
            }
            None => {
                lines.push("# initramfs.cpio is made by pandacap: the guest's, and the command".to_owned())
            }
        }
        let mut command = self.panda.command();
        let state = self.subject.state().map(|state| state.to_string_lossy());
        let state = state.map(|state| format!("exec:cat {}", shell_words::quote(&state)));
        command.args(self.arguments(state.as_deref()));
        lines.push(format!("PANDA_DIR={PLUGINS} {}", shell(&command)));
        Ok(lines)
    }

    /// What PANDA needs beside the folder of the run: what it boots, and what was asked for.
    fn sandbox(&self, state: Option<&SavedState>) -> Sandbox {
        let images = self.subject.base().into_iter().flat_map(Base::chain);
        let plugins = self.plugins.iter().filter_map(PluginSpec::file);
        let sandbox = self.outside(&[], None).permit(self.panda.sandbox());
        let sandbox = sandbox.read_all(images).read_all(self.subject.boot().files());
        let sandbox = sandbox.read_all(plugins).read(self.recctrl).named_by(&self.subject.machine.more);
        let sandbox = sandbox.named_by(&self.plugins.iter().map(PluginSpec::to_string).collect::<Vec<_>>());
        sandbox.inherit(state.map(SavedState::file))
    }

    /// Runs it in `folder`, where its subject is prepared.
    pub(crate) fn run(&self, folder: &Path, interrupt: &Interrupt) -> Result<Outcome, RecError> {
        fs::create_dir_all(folder.join(self.plugins_folder()))?;
        for (file, place) in self.links()? {
            symlink(file, folder.join(place))?;
        }
        let state = self.subject.state().map(SavedState::open).transpose()?;
        let incoming = state.as_ref().map(SavedState::incoming);
        let arguments = self.arguments(incoming.as_deref());
        let log = File::create(folder.join(PANDA_LOG))?;
        let mut command: Command = self.panda.command();
        command.args(&arguments).env("PANDA_DIR", PLUGINS);
        command.stdout(log.try_clone()?).stderr(log);

        let (began, started) = (Instant::now(), unix_seconds());
        let mut process = Process::start(command, folder, self.sandbox(state.as_ref()))?;
        let mut run = Watch::new(folder, self);
        let mut cut = None;
        let status = loop {
            run.look()?;
            if let Some(status) = process.ended()? {
                break status;
            }
            let bound = bounds::reached(folder, self.max_output)?;
            let late = |limit: Duration| began.elapsed() > limit;
            cut = match run.state {
                _ if interrupt.is_set() => Some(Cut::Interrupt),
                _ if self.subject.is_seeded() && matches!(run.story.bootstrap, Bootstrap::Failed(_)) => {
                    Some(Cut::Bootstrap)
                }
                _ if bound.is_some() => bound.map(Cut::Bound),
                Sign::Panic => Some(Cut::Panic),
                Sign::None if late(self.boot_timeout) => Some(Cut::Boot),
                Sign::Booted if run.ignores_its_disk() && !self.command.is_empty() => Some(Cut::NoHook),
                _ if self.timeout.is_some_and(late) => Some(Cut::Timeout),
                _ => None,
            };
            // The tiny guest powers off by itself once it has told the status; quitting is faster.
            if cut.is_some() || (!self.command.is_empty() && run.has_said_all()) {
                break process.end()?;
            }
            sleep(TICK);
        };
        let ended = unix_seconds();
        run.look_to_the_end()?;
        let story = run.finish();
        self.subject.clean(folder)?;
        fs::remove_dir_all(folder.join(PLUGINS))?;

        if story.recordings.is_empty() {
            return Err(self.nothing(folder, story, cut, status));
        }
        if let Some(Cut::Bound(bound)) = cut {
            self.context.progress.say(&format!("pandacap: {}", RecError::from(bound)));
        }
        let exit_status = story.exit_status();
        let recordings = story.recordings;
        if !self.command.is_empty() && !recordings[0].locked {
            log::warn!(
                "the guest's recctrlu is older than this pandacap: what it records can end its own recording; \
                 build the guest anew, or copy the new recctrlu into it"
            );
        }
        Ok(Outcome { recordings, exit_status, arguments, started, ended, cut, panda: status.into() })
    }

    /// Why nothing was recorded.
    fn nothing(&self, folder: &Path, story: Story, cut: Option<Cut>, status: ExitStatus) -> RecError {
        let command = !self.command.is_empty();
        match cut {
            Some(Cut::Interrupt) => RecError::Interrupted,
            Some(Cut::Bootstrap) => {
                let script = match story.bootstrap {
                    Bootstrap::Failed(script) => script,
                    _ => "a script".to_owned(),
                };
                RecError::BootstrapFailed { script, said: said(folder, CONSOLE) }
            }
            Some(Cut::Bound(bound)) => bound.into(),
            Some(Cut::NoHook) => RecError::NoHook,
            Some(Cut::Panic) => RecError::Panic(gave_up(folder)),
            Some(Cut::Boot) => {
                RecError::Boot { after: self.boot_timeout.as_secs(), said: said(folder, CONSOLE) }
            }
            Some(Cut::Timeout) => RecError::Timeout {
                after: self.timeout.unwrap_or_default().as_secs(),
                said: said(folder, CONSOLE),
            },
            None => match (story.refused, story.told_status) {
                (Some(why), _) => RecError::Refused(why),
                (None, Some(127 | 126)) if command => RecError::Command(said(folder, OUTPUT)),
                (None, Some(_)) if command => RecError::Agent(said(folder, OUTPUT)),
                _ => RecError::Died(status, said(folder, PANDA_LOG) + &said(folder, CONSOLE)),
            },
        }
    }
}

/// What can be seen of a run from outside.
struct Watch<'a> {
    story: Story,
    events: Tail,
    output: Tail,
    signs: Signs,
    /// How far the boot is.
    state: Sign,
    /// Whether it had booted before.
    warm: bool,
    /// Whether there is a bootstrap disk.
    seeded: bool,
    /// When it was seen to have booted.
    booted: Option<Instant>,
    /// When the command was seen to have ended.
    ended: Option<Instant>,
    context: Context<'a>,
    /// Where the command's output is shown.
    shown: Option<&'a dyn Sink>,
    /// How many recordings have been announced as begun and as ended; none are when there is a command.
    announced: Option<(usize, usize)>,
    /// The refusal that has been announced.
    refused: Option<String>,
    began: Instant,
    task: Option<Box<dyn Task>>,
}

impl<'a> Watch<'a> {
    fn new(folder: &Path, plan: &Plan<'a>) -> Watch<'a> {
        Watch {
            story: Story::default(),
            events: Tail::of(folder.join(EVENTS)),
            output: Tail::of(folder.join(OUTPUT)),
            signs: Signs::new(folder.join(CONSOLE), plan.forwards, "login:"),
            state: Sign::None,
            warm: plan.subject.state().is_some(),
            seeded: plan.subject.is_seeded(),
            booted: None,
            ended: None,
            context: plan.context,
            shown: plan.context.output,
            refused: None,
            announced: plan.command.is_empty().then_some((0, 0)),
            began: Instant::now(),
            task: Some(plan.context.progress.waiting(&format!("booting {}", plan.subject.id.name))),
        }
    }

    /// Takes what is new; whether there was anything.
    fn look(&mut self) -> io::Result<bool> {
        let told = self.story.follow(&mut self.events)?;
        self.look_for_boot()?;
        self.announce();
        let output = self.output.bytes()?;
        if let Some(shown) = self.shown.filter(|_| !output.is_empty()) {
            // The output must not end up in the line of the spinner.
            self.task = None;
            // What is recorded does not depend on who reads along; all of it is in the trace.
            if let Err(error) = shown.write(&output) {
                self.shown = None;
                if error.kind() != io::ErrorKind::BrokenPipe {
                    log::warn!("cannot show the command's output any more: {error}");
                }
            }
        }
        Ok(told || !output.is_empty())
    }

    fn look_for_boot(&mut self) -> io::Result<()> {
        if self.state != Sign::None {
            return Ok(());
        }
        self.state = if self.warm || self.story.heard { Sign::Booted } else { self.signs.look()? };
        if self.state == Sign::Booted {
            self.booted = Some(Instant::now());
            self.task = None;
            if self.announced.is_some() {
                let progress = self.context.progress;
                self.task = Some(progress.waiting("the guest decides what is recorded; Ctrl-C ends the run"));
                progress.say(&format!("booted after {:.1} s", self.began.elapsed().as_secs_f64()));
            }
        }
        Ok(())
    }

    /// Whether the guest's startup has come to its end; one that the command has broken never says so.
    fn has_said_all(&mut self) -> bool {
        if self.ended.is_none() && self.story.exit_status().is_some() {
            self.ended = Some(Instant::now());
        }
        self.story.told_status.is_some() || self.ended.is_some_and(|ended| ended.elapsed() > LAST_WORDS)
    }

    /// Whether the guest has a bootstrap disk, and has been up for long enough to have looked at it.
    fn ignores_its_disk(&self) -> bool {
        let patient = self.booted.is_some_and(|booted| booted.elapsed() < HOOK_PATIENCE);
        self.seeded && self.story.bootstrap == Bootstrap::Silent && !self.story.heard && !patient
    }

    fn announce(&mut self) {
        let silent = self.ignores_its_disk();
        let (Some((begun, ended)), progress) = (&mut self.announced, self.context.progress) else { return };
        if self.story.refused != self.refused {
            self.refused.clone_from(&self.story.refused);
            if let Some(why) = &self.refused {
                progress.say(&format!("refused to record: {why}"));
            }
        }
        if silent {
            progress.say("the guest has booted and does not run its bootstrap disk: has it pandacap's hook?");
            self.seeded = false;
        }
        for recording in &self.story.recordings[*begun..] {
            progress.say(&format!("recording {}", recording.name));
            *begun += 1;
        }
        let over = self.story.recordings[*ended..].iter().take_while(|recording| recording.ended.is_some());
        for recording in over.collect::<Vec<_>>() {
            let why = recording.why.as_deref().unwrap_or("nobody knows whom");
            let seconds = recording.ended.unwrap_or(recording.began) - recording.began;
            progress.say(&format!("recorded {} ({seconds:.1} s, ended by {why})", recording.name));
            *ended += 1;
        }
    }

    fn look_to_the_end(&mut self) -> io::Result<()> {
        while self.look()? {}
        Ok(())
    }

    fn finish(self) -> Story {
        self.story
    }
}

/// The end of what a file of the run says, to explain a failure with.
fn said(folder: &Path, file: &str) -> String {
    let tail = last_lines(&folder.join(file), 5).unwrap_or_default().join("\n  ");
    if tail.is_empty() { format!("\n  ({file} is empty)") } else { format!("\n  {tail}") }
}

/// What the guest's kernel said up to where it gave up; what follows is a list of its functions.
fn gave_up(folder: &Path) -> String {
    let mut lines = last_lines(&folder.join(CONSOLE), 200).unwrap_or_default();
    match lines.iter().position(|line| line.contains(PANIC)) {
        Some(panic) => {
            lines.truncate(panic + 1);
            format!("\n  {}", lines[lines.len().saturating_sub(5)..].join("\n  "))
        }
        None => said(folder, CONSOLE),
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_gave_up_is_quoted_however_much_it_says_afterwards() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let trace = "[ 1.5]  kernel_init+0x1a/0x130\n".repeat(30);
        let console = format!("[ 1.4] List of all partitions:\n[ 1.5] {PANIC}: VFS: no root\n{trace}");
        fs::write(dir.path().join(CONSOLE), console).expect("written");
        let quoted = gave_up(dir.path());
        assert!(quoted.ends_with("not syncing: VFS: no root") && quoted.contains("List of all"), "{quoted}");
    }
}

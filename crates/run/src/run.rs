//! One run of a machine: from PANDA's start until it has ended, with recordings or without.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use files::last_lines;
use machine::life::{self, Cut, Ended, Hook, Rules};
use machine::{Base, Interrupt, Outside, PANIC, ProcessError, SavedState, shell, ssh_port};
use panda_host::confine::Sandbox;
use panda_host::{PluginSpec, RECCTRL};
use trace::PandaEnd;

use crate::error::RecError;
use crate::events::{Bootstrap, Recorded, Story};
use crate::layout::{BOOTSTRAP, CONSOLE, DISK, EVENTS, OUTPUT, PANDA_LOG};
use crate::plan::Plan;
use crate::shown::Shown;
use crate::watch::Watch;

/// A folder that is of no use after the run.
const PLUGINS: &str = "panda-dir";
/// How long after its boot a guest may take to run its bootstrap disk, which it should have done before.
const HOOK_PATIENCE: Duration = Duration::from_secs(20);
/// How long a guest may take to power off after its command; it told how that ended before.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often the files of the run are looked at even if nothing tells that they have changed, and what is free on the disk.
const LOOK: Duration = Duration::from_secs(1);

/// The result of a run that recorded something.
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
    /// Who ended it.
    pub(crate) ended_by: Ended,
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

    /// How its machine lives.
    fn rules(&self) -> Rules {
        let command = !self.command.is_empty();
        Rules {
            boot: self.subject.state().is_none().then_some(self.boot_timeout),
            hook: self.subject.is_seeded().then_some(Hook { patience: HOOK_PATIENCE, needed: command }),
            last_words: LAST_WORDS,
            timeout: self.timeout,
            look: Some(LOOK),
            ..Rules::OPEN
        }
    }

    /// Runs it in `folder`, where its subject is prepared; what its command writes goes to `shown` as it comes.
    pub(crate) fn run(
        &self,
        folder: &Path,
        shown: Option<&Shown>,
        interrupt: &Interrupt,
    ) -> Result<Outcome, RecError> {
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

        let forwards = self.forwards;
        let plan = life::Plan {
            files: &[CONSOLE, OUTPUT, EVENTS, PANDA_LOG],
            ssh: ssh_port(forwards).filter(|_| state.is_none()),
            ..life::Plan::apart(command, self.sandbox(state.as_ref()), folder, self.rules())
        };
        let mut watch = Watch::new(folder, self, shown);
        let started = unix_seconds();
        let lived = plan.live(interrupt, &mut watch).map_err(|error| match error {
            ProcessError::Follow(error) => RecError::Files(error),
            error => RecError::Process(error),
        })?;
        let (ended, ended_by, status) = (unix_seconds(), lived.ended, lived.status);
        let story = watch.finish();
        self.subject.clean(folder)?;
        fs::remove_dir_all(folder.join(PLUGINS))?;

        if story.recordings.is_empty() {
            return Err(self.nothing(folder, story, ended_by, status));
        }
        if let Ended::Cut(Cut::Bound(bound)) = ended_by {
            self.context.progress.say(&format!("pandacap: {}", RecError::from(bound)));
        }
        let exit_status = story.exit_status();
        let recordings = story.recordings;
        if !self.command.is_empty() && !recordings[0].locked {
            log::warn!(
                "the guest's recctrlu is older than this pandacap: the recorded command can end its own recording; \
                 build the guest again, or copy the new recctrlu into it"
            );
        }
        Ok(Outcome { recordings, exit_status, arguments, started, ended, ended_by, panda: status.into() })
    }

    /// Why nothing was recorded.
    fn nothing(&self, folder: &Path, story: Story, ended: Ended, status: ExitStatus) -> RecError {
        let command = !self.command.is_empty();
        match ended {
            Ended::Cut(Cut::Interrupt) => RecError::Interrupted,
            Ended::Cut(Cut::Bootstrap) => {
                let script = match story.bootstrap {
                    Bootstrap::Failed(script) => script,
                    _ => "a script".to_owned(),
                };
                RecError::BootstrapFailed { script, said: said(folder, CONSOLE) }
            }
            Ended::Cut(Cut::Bound(bound)) => bound.into(),
            Ended::Cut(Cut::NoHook) => RecError::NoHook,
            Ended::Cut(Cut::Panic) => RecError::Panic(gave_up(folder)),
            Ended::Cut(Cut::Boot) => {
                RecError::Boot { after: self.boot_timeout.as_secs(), said: said(folder, CONSOLE) }
            }
            Ended::Cut(Cut::Timeout) => RecError::Timeout {
                after: self.timeout.unwrap_or_default().as_secs(),
                said: said(folder, CONSOLE),
            },
            Ended::Itself | Ended::Done | Ended::Cut(Cut::Silence | Cut::NotSaved | Cut::Lost) => {
                match (story.refused, story.told_status) {
                    (Some(why), _) => RecError::Refused(why),
                    (None, Some(127 | 126)) if command => RecError::Command(said(folder, OUTPUT)),
                    (None, Some(_)) if command => RecError::Agent(said(folder, OUTPUT)),
                    _ => RecError::Died(status, said(folder, PANDA_LOG) + &said(folder, CONSOLE)),
                }
            }
        }
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

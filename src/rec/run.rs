//! One run of a machine: from PANDA's start until it has ended, with a recording or without.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::RecError;
use super::events::Story;
use super::tail::Tail;
use crate::guest::{Guest, startup, tiny};
use crate::interrupt::Interrupt;
use crate::panda::Panda;
use crate::progress::Progress;
use crate::trace::Seconds;
use crate::vm::{Boot, Process};

/// The files that a run leaves in its folder.
pub(super) const CONSOLE: &str = "console.log";
pub(super) const OUTPUT: &str = "output.log";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const PANDA_LOG: &str = "record.log";
/// Those that nobody needs afterwards.
const INITRAMFS: &str = "initramfs.cpio";
const PLUGINS: &str = "panda-dir";
/// How often the run is looked at.
const TICK: Duration = Duration::from_millis(10);

/// What is to be run.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) panda: &'a Panda,
    pub(super) plugin: &'a Path,
    pub(super) guest: &'a Guest,
    pub(super) agent: &'a [u8],
    pub(super) name: &'a str,
    pub(super) command: &'a [OsString],
    pub(super) timeout: Duration,
    /// Whether the command's output goes to standard output.
    pub(super) show: bool,
}

/// Who ended the run, if not the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Ctrl-C or SIGTERM.
    Interrupt,
    /// The run took too long.
    Timeout,
}

/// What came of a run that recorded something.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The name that recctrl gave the recording's files.
    pub(super) recording: String,
    /// Why the recording ended.
    pub(super) ended: String,
    pub(super) exit_status: Option<u8>,
    pub(super) arguments: Vec<String>,
    pub(super) seconds: Seconds,
    pub(super) cut: Option<Cut>,
}

impl Plan<'_> {
    /// Runs it in `folder`, which is empty.
    pub(super) fn run(&self, folder: &Path, interrupt: &Interrupt) -> Result<Outcome, RecError> {
        self.prepare(folder)?;
        let kernel = self.guest.kernel().unwrap_or_default();
        let boot = Boot { kernel: &kernel, initramfs: INITRAMFS, append: tiny::APPEND };
        let serial = [CONSOLE, OUTPUT].map(|file| format!("file:{file}"));
        let arguments = tiny::MACHINE.record_args(boot, &serial.each_ref().map(String::as_str));
        let log = File::create(folder.join(PANDA_LOG))?;
        let mut command = self.panda.command();
        command.args(&arguments).env("PANDA_DIR", PLUGINS);
        command.stdout(log.try_clone()?).stderr(log);

        let (began, started) = (Instant::now(), unix_seconds());
        let mut process = Process::start(command, folder)?;
        let mut run = Watch::new(folder, self.show);
        let mut cut = None;
        let status = loop {
            run.look()?;
            if let Some(status) = process.ended()? {
                break status;
            }
            cut = match () {
                () if interrupt.is_set() => Some(Cut::Interrupt),
                () if began.elapsed() > self.timeout => Some(Cut::Timeout),
                () => None,
            };
            // The guest powers off by itself once it has told the status; quitting is faster.
            if cut.is_some() || run.story.exit_status.is_some() {
                break process.end()?;
            }
            sleep(TICK);
        };
        let ended = unix_seconds();
        run.look_to_the_end()?;
        drop(run.booting);
        fs::remove_file(folder.join(INITRAMFS))?;
        fs::remove_dir_all(folder.join(PLUGINS))?;

        let story = run.story;
        let Some((recording, first)) = story.recording.zip(story.began) else {
            return Err(match cut {
                Some(Cut::Interrupt) => RecError::Interrupted,
                Some(Cut::Timeout) => {
                    RecError::Timeout { after: self.timeout.as_secs(), said: said(folder, CONSOLE) }
                }
                None => match (story.refused, story.exit_status) {
                    (Some(why), _) => RecError::Refused(why),
                    (None, Some(127 | 126)) => RecError::Command(said(folder, OUTPUT)),
                    (None, Some(_)) => RecError::Agent(said(folder, OUTPUT)),
                    (None, None) => RecError::Died(status, said(folder, PANDA_LOG) + &said(folder, CONSOLE)),
                },
            });
        };
        let last = story.ended.unwrap_or(ended);
        Ok(Outcome {
            recording,
            ended: story.why.unwrap_or_else(|| "died".to_owned()),
            exit_status: story.exit_status,
            arguments,
            seconds: Seconds { boot: first - started, record: last - first, shutdown: ended - last },
            cut,
        })
    }

    /// Puts into the folder what PANDA reads: the initramfs, and the only plugin that it is to find.
    fn prepare(&self, folder: &Path) -> io::Result<()> {
        let mut initramfs = fs::read(self.guest.initramfs().unwrap_or_default())?;
        initramfs.extend(startup::initramfs(self.agent, self.name, self.command));
        fs::write(folder.join(INITRAMFS), initramfs)?;
        let plugins = folder.join(PLUGINS).join(format!("{}-softmmu/panda/plugins", self.panda.target));
        fs::create_dir_all(&plugins)?;
        symlink(self.plugin, plugins.join("panda_recctrl.so"))
    }
}

/// What can be seen of a run from outside.
struct Watch {
    story: Story,
    events: Tail,
    output: Tail,
    show: bool,
    booting: Option<Progress>,
}

impl Watch {
    fn new(folder: &Path, show: bool) -> Watch {
        Watch {
            story: Story::default(),
            events: Tail::of(folder.join(EVENTS)),
            output: Tail::of(folder.join(OUTPUT)),
            show,
            booting: Some(Progress::waiting("booting the tiny guest")),
        }
    }

    /// Takes what is new; whether there was output.
    fn look(&mut self) -> io::Result<bool> {
        self.story.follow(&mut self.events)?;
        if self.story.began.is_some() {
            self.booting = None;
        }
        let output = self.output.bytes()?;
        if self.show && !output.is_empty() {
            // The output must not end up in the line of the spinner.
            self.booting = None;
            let mut out = io::stdout().lock();
            out.write_all(&output)?;
            out.flush()?;
        }
        Ok(!output.is_empty())
    }

    fn look_to_the_end(&mut self) -> io::Result<()> {
        while self.look()? {}
        Ok(())
    }
}

/// The end of what a file of the run says, to explain a failure with.
fn said(folder: &Path, file: &str) -> String {
    let text = fs::read(folder.join(file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(5)..].join("\n  ");
    if tail.is_empty() { format!("\n  ({file} is empty)") } else { format!("\n  {tail}") }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

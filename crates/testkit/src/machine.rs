//! A machine for tests: PANDA with any recctrl, and the tiny guest with the test's own script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use guest::Guest;
use guest::cpio::Archive;
use panda_host::Panda;
use rr_log::Target;
use serde_json::Value;

use crate::checkout::{dist, root, scratch};
use crate::program::{home, selection};
use crate::wait;

/// Which recctrl PANDA loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// None.
    Absent,
    /// Ours, built by `scripts/build`.
    Ours,
    /// Upstream's, which comes with PANDA.
    Upstreams,
}

/// The time limit for anything that a test makes a machine do.
const PATIENCE: Duration = Duration::from_secs(300);

/// The guest's first process: runs the test's script, then powers off.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc none /proc; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp
. /script
poweroff -f
";

/// PANDA, the tiny guest and recctrl, for tests that drive them without `pandacap rec`.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let panda = Panda::find(home(), &selection(), Target::X86_64).unwrap();
        Lab::open(panda, home())
    })
}

/// A PANDA, a guest, and what they need from the checkout.
pub struct Lab {
    panda: Panda,
    guest: Guest,
    /// Guest programs, by name.
    programs: Vec<(&'static str, Vec<u8>)>,
    plugin: PathBuf,
}

impl Lab {
    /// The lab for a PANDA; its guest is kept in `home`.
    pub fn open(panda: Panda, home: &Path) -> Lab {
        let guest = guest::tiny::ready(home, None, Target::X86_64, &panda_host::progress::Silent).unwrap();
        let built = |file: &str| {
            let path = dist().join("x86_64").join(file);
            assert!(path.is_file(), "{} is not there: run scripts/build", path.display());
            path
        };
        let [agent, setup] = ["recctrlu", "recctrlu-setup"].map(|file| fs::read(built(file)).unwrap());
        let programs = vec![("recctrlu", agent), ("recctrlu-setup", setup), ("probe", probe())];
        Lab { panda, guest, programs, plugin: built("panda_recctrl.so") }
    }

    /// The profile of the guest's kernel.
    pub fn profile(&self) -> Vec<u8> {
        self.guest.profile().unwrap().to_json().unwrap()
    }

    /// PANDA with the machine, but without a guest.
    pub fn panda(&self) -> Command {
        let mut panda = self.panda.command();
        panda.args(["-nodefaults", "-display", "none", "-vga", "none", "-no-reboot", "-m", "256"]);
        panda.stdin(Stdio::null());
        panda
    }

    /// PANDA, about to boot the guest with `script`; the console goes to `console` in `dir`.
    pub fn booting(&self, dir: &Path, script: &str, plugin: Plugin, arguments: &str) -> Command {
        let mut archive = Archive::default().file("init", 0o755, INIT.as_bytes());
        for (name, program) in &self.programs {
            archive = archive.file(&format!("bin/{name}"), 0o755, program);
        }
        let own = archive.file("script", 0o644, script.as_bytes()).finish();
        let initramfs = [fs::read(self.guest.initramfs().unwrap()).unwrap(), own].concat();
        fs::write(dir.join("initramfs"), initramfs).unwrap();

        let mut panda = self.panda();
        panda
            .current_dir(dir)
            .arg("-kernel")
            .arg(self.guest.kernel().unwrap())
            .args(["-initrd", "initramfs"]);
        panda.args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check 8250.nr_uarts=2"]);
        panda.args(["-serial", "file:console"]);
        if plugin == Plugin::Ours {
            self.plugins(dir, &mut panda);
        }
        if plugin != Plugin::Absent {
            let colon = if arguments.is_empty() { "" } else { ":" };
            panda.arg("-panda").arg(format!("recctrl{colon}{arguments}"));
        }
        panda
    }

    /// Makes `panda` look for plugins first in a folder below `dir`, which has ours; returns the folder.
    pub fn plugins(&self, dir: &Path, panda: &mut Command) -> PathBuf {
        let plugins = dir.join("panda-dir/x86_64-softmmu/panda/plugins");
        fs::create_dir_all(&plugins).unwrap();
        fs::copy(&self.plugin, plugins.join("panda_recctrl.so")).unwrap();
        panda.env("PANDA_DIR", dir.join("panda-dir"));
        plugins
    }

    /// Boots the guest with `script`, and waits until PANDA has ended.
    pub fn run(&self, script: &str, plugin: Plugin, arguments: &str) -> Run {
        let dir = tempfile::tempdir().unwrap();
        let panda = self.booting(dir.path(), script, plugin, arguments);
        Run::of(dir, panda)
    }

    /// Replays a recording on a PANDA without recctrl; if it does not reach its end, the error is PANDA's output.
    pub fn replay(&self, dir: &Path, name: &str) -> Result<(), String> {
        self.replay_with(dir, name, &[])
    }

    /// The same, with further PANDA arguments.
    pub fn replay_with(&self, dir: &Path, name: &str, arguments: &[&str]) -> Result<(), String> {
        let log = dir.join("replay.out");
        let mut panda = self.panda();
        let out = fs::File::create(&log).unwrap();
        panda.args(["-serial", "null", "-replay", name]).args(arguments).current_dir(dir);
        panda.env("PANDA_DIR", dir.join("panda-dir"));
        let status =
            wait::ended(panda.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap(), PATIENCE);
        let said = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let completed = said.contains("Replay completed successfully");
        if status.success() && completed { Ok(()) } else { Err(format!("{status}: {}", tail(&said))) }
    }
}

/// What a machine left behind.
pub struct Run {
    /// Its folder.
    pub dir: tempfile::TempDir,
    /// How PANDA ended.
    pub status: ExitStatus,
    /// What the guest wrote to its console.
    pub console: String,
    /// What PANDA and its plugins wrote.
    pub said: String,
}

impl Run {
    /// Starts PANDA and waits for its end.
    pub fn of(dir: tempfile::TempDir, mut panda: Command) -> Run {
        let log = fs::File::create(dir.path().join("said")).unwrap();
        let child = panda.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Run::after(dir, child)
    }

    /// Waits for a running PANDA to end, and collects what it left behind.
    pub fn after(dir: tempfile::TempDir, panda: Child) -> Run {
        let status = wait::ended(panda, PATIENCE);
        let read =
            |file| String::from_utf8_lossy(&fs::read(dir.path().join(file)).unwrap_or_default()).into_owned();
        let (console, said) = (read("console").replace('\r', ""), read("said"));
        Run { dir, status, console, said }
    }

    /// The names of the recordings, in order.
    pub fn recordings(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names
            .filter_map(|name| name.to_str()?.strip_suffix("-rr-nondet.log").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The lines of the events file.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The events of one kind.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// Asserts that the guest printed all of `lines`, in this order.
    pub fn assert_says(&self, lines: &[&str]) {
        let mut rest = self.console.lines();
        for line in lines {
            assert!(
                rest.any(|said| said.contains(line)),
                "no {line:?} (in order) in:\n{}\n{}",
                self.console,
                self.said
            );
        }
    }
}

/// The end of a long text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The guest program of `tests/guest/probe.rs`, compiled.
fn probe() -> Vec<u8> {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    PROBE
        .get_or_init(|| {
            let program = tempfile::NamedTempFile::new_in(scratch()).unwrap().into_temp_path();
            let mut rustc = Command::new("rustc");
            rustc.args(["--edition", "2024", "-O", "-Cstrip=symbols", "-Ctarget-feature=+crt-static", "-o"]);
            crate::run(rustc.arg(&program).arg(root().join("tests/guest/probe.rs")));
            fs::read(&program).unwrap()
        })
        .clone()
}

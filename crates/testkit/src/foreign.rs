//! Machines of every target, with guests from Debian packages: recorded by recctrl, or by the monitor without it.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guest::cpio::Archive;
use panda_host::Panda;
use rr_log::Target;

use crate::checkout::{dist, root, scratch};
use crate::wait::{comes, ended};

/// The time limit for anything that a machine does.
const PATIENCE: Duration = Duration::from_secs(120);

/// The work to record, once.
const WORK: &str = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; ls /bin | md5sum";

/// Where the agent's file is in a guest's memory.
const AGENT: usize = 0x40_0000;

/// Leaves the processor idle for a moment, which frees PANDA's main loop if it hangs: docs/panda.md.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t devtmpfs dev /dev
sleep 1; echo READY
";

/// A kind of machine: a target and PANDA's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The target that PANDA emulates.
    pub target: Target,
    /// PANDA's arguments for the machine.
    pub machine: &'static str,
    /// Debian's name of the architecture.
    arch: &'static str,
    /// The package of the guest's kernel.
    pub kernel: &'static str,
    /// The machine's device tree, from the kernel's package.
    tree: Option<&'static str>,
    /// The kernel's command line.
    append: &'static str,
}

const PC: &str = "console=ttyS0 no_timer_check";
/// Never idle, because PANDA's replays with the generic timer stall where the processor waits.
const VIRT: &str = "console=ttyAMA0 nohlt";
/// Without calibrating its delay loop, during which PANDA often hangs: docs/panda.md.
const CUBIEBOARD: &str = "console=ttyS0 lpj=1000000";

/// Every machine of docs/targets.md, in its order.
pub const KINDS: [Kind; 7] = [
    Kind {
        target: Target::X86_64,
        machine: "",
        arch: "amd64",
        kernel: "linux-image-cloud-amd64",
        tree: None,
        append: PC,
    },
    Kind {
        target: Target::I386,
        machine: "",
        arch: "i386",
        kernel: "linux-image-686",
        tree: None,
        append: PC,
    },
    Kind {
        target: Target::Arm,
        machine: "-M cubieboard",
        arch: "armhf",
        kernel: "linux-image-armmp",
        tree: Some("sun4i-a10-cubieboard.dtb"),
        append: CUBIEBOARD,
    },
    Kind {
        target: Target::Arm,
        machine: "-M virt",
        arch: "armhf",
        kernel: "linux-image-armmp",
        tree: None,
        append: VIRT,
    },
    Kind {
        target: Target::Arm,
        machine: "-M virt -icount 7 -singlestep",
        arch: "armhf",
        kernel: "linux-image-armmp",
        tree: None,
        append: VIRT,
    },
    Kind {
        target: Target::Aarch64,
        machine: "-M virt -cpu cortex-a57",
        arch: "arm64",
        kernel: "linux-image-cloud-arm64",
        tree: None,
        append: VIRT,
    },
    Kind {
        target: Target::Aarch64,
        machine: "-M virt -cpu cortex-a57 -icount 7 -singlestep",
        arch: "arm64",
        kernel: "linux-image-cloud-arm64",
        tree: None,
        append: VIRT,
    },
];

static FETCHING: Mutex<()> = Mutex::new(());

/// One kind of machine, with its guest and PANDA.
pub struct Foreign {
    kind: Kind,
    /// The PANDA.
    pub panda: Panda,
    packages: PathBuf,
    dist: PathBuf,
}

/// The results of some recordings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Recordings that were made.
    pub made: u32,
    /// Recordings that replay to their end, without recctrl.
    pub replayed: u32,
    /// Recordings in which the agent continues right after its hypercall.
    pub exact: u32,
}

impl Foreign {
    /// Downloads the guest's packages, once.
    pub fn open(kind: Kind, panda: Panda) -> Foreign {
        let packages = scratch().join(format!("guest-{}", kind.arch));
        // One at a time, because two tests may need the same guest.
        let _turn = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
        if !packages.join("boot").exists() {
            let fetch = root().join("scripts/fetch");
            let names = [kind.kernel, "busybox-static"].map(|package| format!("{package}:{}", kind.arch));
            let fresh = tempfile::tempdir_in(scratch()).unwrap();
            let status = Command::new(fetch).arg(fresh.path()).args(names).status().unwrap();
            assert!(status.success(), "Debian's packages for {} could not be had", kind.arch);
            fs::rename(fresh.path(), &packages).unwrap();
        }
        Foreign { kind, panda, packages, dist: dist().join(kind.target.name()) }
    }

    /// The size of the guest's agent in bytes.
    pub fn agent_bytes(&self) -> u64 {
        fs::metadata(self.dist.join("recctrlu")).unwrap().len()
    }

    /// Makes the guest record its work `times` times with recctrl, and replays the recordings without it.
    pub fn by_recctrl(&self, times: u32) -> Count {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("while :; do recctrlu run r -- sh -c '{WORK}'; done");
        let mut panda = self.booting(dir.path(), &script);
        self.load_ours(dir.path(), &mut panda);
        panda.args(["-monitor", "none", "-panda", &format!("recctrl:nrec={times}")]);
        wait(panda.stdin(Stdio::null()).spawn().unwrap());
        let mut count = self.count(dir.path());
        count.exact = (0..count.made).filter(|n| self.is_exact(dir.path(), &recording(*n))).count() as u32;
        count
    }

    /// Makes PANDA find our recctrl before its own.
    fn load_ours(&self, dir: &Path, panda: &mut Command) {
        let plugins = dir.join(format!("panda-dir/{}-softmmu/panda/plugins", self.kind.target));
        fs::create_dir_all(&plugins).unwrap();
        let plugin = self.dist.join("panda_recctrl.so");
        std::os::unix::fs::symlink(plugin, plugins.join("panda_recctrl.so")).unwrap();
        panda.env("PANDA_DIR", dir.join("panda-dir"));
    }

    /// Boots the guest with `script`, which powers off, and another program beside the agent, with our recctrl or
    /// with upstream's; returns its console output, and the recordings.
    pub fn says(&self, script: &str, program: (&str, &[u8]), ours: bool) -> (String, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let mut panda = self.booting(dir.path(), script);
        let more = Archive::default().file(&format!("bin/{}", program.0), 0o755, program.1).finish();
        let initramfs = dir.path().join("initramfs");
        fs::write(&initramfs, [fs::read(&initramfs).unwrap(), more].concat()).unwrap();
        if ours {
            self.load_ours(dir.path(), &mut panda);
        }
        panda.args(["-monitor", "none", "-panda", "recctrl"]).stdin(Stdio::null());
        wait(panda.spawn().unwrap());
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let logs = names.filter_map(|name| Some(name.to_str()?.strip_suffix("-rr-nondet.log")?.to_owned()));
        let mut recordings: Vec<String> = logs.collect();
        recordings.sort();
        (fs::read_to_string(dir.path().join("console")).unwrap(), recordings)
    }

    /// The same from PANDA's monitor, with no plugin.
    pub fn by_monitor(&self, times: u32) -> Count {
        let dir = tempfile::tempdir().unwrap();
        let mut made = 0;
        // This PANDA can miss that its main loop wants to run. If the guest is never idle, the loop then never runs.
        for _boot in 0..5 {
            made = self.ask_monitor(dir.path(), made..times);
        }
        self.count(dir.path())
    }

    /// Boots the guest, and makes these recordings from PANDA's monitor; returns the first that could not be made.
    fn ask_monitor(&self, dir: &Path, recordings: Range<u32>) -> u32 {
        if recordings.is_empty() {
            return recordings.end;
        }
        let console = dir.join("console");
        fs::remove_file(&console).ok();
        let mut panda = self.booting(dir, &format!("while :; do {WORK}; done"));
        let mut child = panda.args(["-monitor", "stdio"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut monitor = child.stdin.take().unwrap();
        let ready = || fs::read_to_string(&console).is_ok_and(|said| said.contains("READY"));
        let mut made = recordings.start;
        if comes(Duration::from_secs(60), ready) {
            for n in recordings.clone() {
                let log = dir.join(format!("{}-rr-nondet.log", recording(n)));
                fs::remove_file(&log).ok();
                let asked = writeln!(monitor, "begin_record {}", recording(n));
                let begun = || log.exists();
                // If PANDA has died, it is started again, too.
                if asked.is_err() || !comes(Duration::from_secs(20), begun) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(300));
                if writeln!(monitor, "end_record").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(500));
                made = n + 1;
            }
        }
        if made < recordings.end {
            child.kill().unwrap();
        } else {
            writeln!(monitor, "quit").ok();
        }
        wait(child);
        made
    }

    /// PANDA with the machine, about to boot the guest; its output goes to `said` in `dir`.
    fn booting(&self, dir: &Path, script: &str) -> Command {
        let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let folders = ["bin", "dev", "proc"].into_iter().fold(Archive::default(), Archive::folder);
        let initramfs = folders
            .file("bin/busybox", 0o755, &read(self.packages.join("bin/busybox")))
            .file("bin/recctrlu", 0o755, &read(self.dist.join("recctrlu")))
            .file("init", 0o755, format!("{INIT}{script}\n").as_bytes());
        fs::write(dir.join("initramfs"), initramfs.finish()).unwrap();
        let mut panda = self.machine(dir, "said");
        panda.arg("-kernel").arg(find(&self.packages.join("boot"), "vmlinuz"));
        panda.args(["-initrd", "initramfs", "-serial", "file:console"]);
        panda.arg("-append").arg(format!("{} quiet panic=-1 cryptomgr.notests", self.kind.append));
        if let Some(tree) = self.kind.tree {
            panda.arg("-dtb").arg(find(&self.packages.join("usr/lib"), "linux-image-").join(tree));
        }
        panda
    }

    /// PANDA with the machine.
    fn machine(&self, dir: &Path, log: &str) -> Command {
        let log = File::create(dir.join(log)).unwrap();
        let mut panda = self.panda.command();
        panda.args(["-nodefaults", "-display", "none", "-vga", "none", "-no-reboot", "-m", "256"]);
        panda.args(self.kind.machine.split_whitespace()).env_remove("PANDA_DIR");
        panda.current_dir(dir).stdout(log.try_clone().unwrap()).stderr(log);
        panda
    }

    /// Replays every recording on a PANDA with no plugin.
    fn count(&self, dir: &Path) -> Count {
        let mut count = Count::default();
        for n in 0.. {
            let name = recording(n);
            if !dir.join(format!("{name}-rr-nondet.log")).exists() {
                break;
            }
            count.made += 1;
            let ended = wait(self.replaying(dir, &name, &[]));
            let said = String::from_utf8_lossy(&fs::read(dir.join("replayed")).unwrap()).into_owned();
            count.replayed += u32::from(ended && said.contains("Replay completed successfully"));
        }
        count
    }

    /// Starts the replay of a recording.
    fn replaying(&self, dir: &Path, name: &str, more: &[&str]) -> Child {
        let mut panda = self.machine(dir, "replayed");
        panda.args(["-serial", "null", "-monitor", "none", "-replay", name]).args(more).stdin(Stdio::null());
        if self.kind.machine.contains("-icount") {
            on_one_core(&mut panda);
        }
        panda.spawn().unwrap()
    }

    /// Whether the agent continues right after its hypercall in a recording, according to the blocks of a replay.
    ///
    /// The hypercall that ends a recording is its last instruction, so this can only be the one that began it.
    fn is_exact(&self, dir: &Path, name: &str) -> bool {
        let agent = format!("{AGENT:#x}+{:#x}", self.agent_bytes());
        let trace = ["-d", "exec,nochain", "-dfilter", &agent, "-D", "blocks"];
        wait(self.replaying(dir, name, &trace));
        // Trace HOST [PROCESSOR: ADDRESS] SYMBOL
        let blocks = fs::read_to_string(dir.join("blocks")).unwrap_or_default();
        let executed = blocks.lines().filter_map(|line| line.strip_prefix("Trace ")?.split_once(": "));
        let addresses = executed.filter_map(|(_, block)| block.split_once(']'));
        let mut places =
            addresses.filter_map(|(address, _)| usize::from_str_radix(address, 16).ok()?.checked_sub(AGENT));
        places.any(|place| self.is_answered(place))
    }

    /// Whether there is a hypercall just before this offset in the agent's file.
    fn is_answered(&self, at: usize) -> bool {
        let hypercall: &[u8] = match self.kind.target {
            Target::X86_64 | Target::I386 => &[0x0f, 0xa2],
            // Thumb code: two halfwords, each with its low byte first.
            Target::Arm => &[0x00, 0xee, 0x10, 0x07],
            Target::Aarch64 => &0xd500_501f_u32.to_le_bytes(),
        };
        fs::read(self.dist.join("recctrlu")).unwrap()[..at].ends_with(hypercall)
    }
}

/// Makes PANDA's threads share one core, on which the main loop runs whenever it needs to: docs/targets.md.
///
/// With -icount, a replay stands still while a timer is due, and PANDA gives up after 20 attempts.
fn on_one_core(panda: &mut Command) {
    // SAFETY: between fork and exec there are plain system calls only; what they are given lives until they return.
    unsafe {
        panda.pre_exec(|| {
            let mut core: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(0, &mut core);
            let first = libc::sched_param { sched_priority: 1 };
            let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
            if libc::sched_setaffinity(0, size_of_val(&core), &raw const core) != 0
                || libc::sched_setscheduler(0, policy, &raw const first) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// The name of a recording.
fn recording(n: u32) -> String {
    format!("r_{n:03}")
}

/// The entry of a folder whose name starts with this.
fn find(dir: &Path, name: &str) -> PathBuf {
    let mut entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} in {}", dir.display())).path()
}

/// Waits for a PANDA with a time limit; returns whether it succeeded.
fn wait(panda: Child) -> bool {
    ended(panda, PATIENCE).success()
}

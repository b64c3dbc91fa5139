//! Machines of every target, with guests of Debian's packages: recorded by recctrl, or by the monitor without it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pandacap::guest::cpio::Archive;
use pandacap::panda::{Panda, Selection};
use pandacap::target::Target;

/// How long a machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is recorded, once.
const WORK: &str = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; ls /bin | md5sum";

const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t devtmpfs dev /dev
echo READY
";

/// A kind of machine: a target and what PANDA is told.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub target: Target,
    /// PANDA's arguments for the machine.
    pub machine: &'static str,
    /// Debian's name of the architecture, and of the kernel's package.
    arch: &'static str,
    kernel: &'static str,
    console: &'static str,
}

const PC: &str = "console=ttyS0 no_timer_check";
/// Never idle: PANDA's replays of ARM stand still where the processor waits.
const ARM: &str = "console=ttyAMA0 nohlt";

/// Every machine of docs/targets.md, in its order.
pub const KINDS: [Kind; 6] = [
    Kind {
        target: Target::X86_64,
        machine: "",
        arch: "amd64",
        kernel: "linux-image-cloud-amd64",
        console: PC,
    },
    Kind { target: Target::I386, machine: "", arch: "i386", kernel: "linux-image-686", console: PC },
    Kind {
        target: Target::Arm,
        machine: "-M virt",
        arch: "armhf",
        kernel: "linux-image-armmp",
        console: ARM,
    },
    Kind {
        target: Target::Arm,
        machine: "-M virt -icount 7 -singlestep",
        arch: "armhf",
        kernel: "linux-image-armmp",
        console: ARM,
    },
    Kind {
        target: Target::Aarch64,
        machine: "-M virt -cpu cortex-a57",
        arch: "arm64",
        kernel: "linux-image-cloud-arm64",
        console: ARM,
    },
    Kind {
        target: Target::Aarch64,
        machine: "-M virt -cpu cortex-a57 -icount 7 -singlestep",
        arch: "arm64",
        kernel: "linux-image-cloud-arm64",
        console: ARM,
    },
];

/// One kind of machine, with its guest and PANDA.
pub struct Foreign {
    kind: Kind,
    panda: Panda,
    root: PathBuf,
    dist: PathBuf,
}

/// What recordings came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub made: u32,
    pub replayed: u32,
}

impl Foreign {
    /// Gets the guest's packages into `scratch`; PANDA is in `home`, our own files are in `dist`.
    pub fn open(kind: Kind, home: &Path, dist: &Path, scratch: &Path) -> Foreign {
        let panda = Panda::find(home, &Selection::default(), kind.target).unwrap();
        let root = scratch.join(format!("guest-{}", kind.arch));
        if !root.join("boot").exists() {
            let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch");
            let packages = [kind.kernel, "busybox-static"].map(|package| format!("{package}:{}", kind.arch));
            let fresh = tempfile::tempdir_in(scratch).unwrap();
            let status = Command::new(fetch).arg(fresh.path()).args(packages).status().unwrap();
            assert!(status.success(), "Debian's packages for {} could not be had", kind.arch);
            fs::rename(fresh.path(), &root).unwrap();
        }
        Foreign { kind, panda, root, dist: dist.join(kind.target.name()) }
    }

    /// The size of the guest's agent in bytes.
    pub fn agent_bytes(&self) -> u64 {
        fs::metadata(self.dist.join("recctrlu")).unwrap().len()
    }

    /// Has the guest record its work `times` times with recctrl, and replays what was made without.
    pub fn by_recctrl(&self, times: u32) -> Count {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join(format!("panda-dir/{}-softmmu/panda/plugins", self.kind.target));
        fs::create_dir_all(&plugins).unwrap();
        let plugin = self.dist.join("panda_recctrl.so");
        std::os::unix::fs::symlink(plugin, plugins.join("panda_recctrl.so")).unwrap();
        let script = format!(
            "n=0; while [ $n -lt {times} ]; do recctrlu run r -- sh -c '{WORK}'; n=$((n+1)); done; poweroff -f"
        );
        let mut panda = self.booting(dir.path(), &script);
        panda.args(["-monitor", "none", "-panda", "recctrl"]).env("PANDA_DIR", dir.path().join("panda-dir"));
        wait(panda.stdin(Stdio::null()).spawn().unwrap());
        self.count(dir.path())
    }

    /// The same from PANDA's monitor, with no plugin.
    pub fn by_monitor(&self, times: u32) -> Count {
        let dir = tempfile::tempdir().unwrap();
        let mut panda = self.booting(dir.path(), &format!("while :; do {WORK}; done"));
        let mut child = panda.args(["-monitor", "stdio"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut monitor = child.stdin.take().unwrap();
        let (begun, console) = (Instant::now(), dir.path().join("console"));
        while !fs::read_to_string(&console).is_ok_and(|said| said.contains("READY")) {
            assert!(begun.elapsed() < PATIENCE, "{:?} does not boot", self.kind);
            std::thread::sleep(Duration::from_millis(50));
        }
        for n in 0..times {
            writeln!(monitor, "begin_record r_{n:03}").unwrap();
            while !dir.path().join(format!("r_{n:03}-rr-nondet.log")).exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(300));
            writeln!(monitor, "end_record").unwrap();
            std::thread::sleep(Duration::from_millis(500));
        }
        writeln!(monitor, "quit").unwrap();
        wait(child);
        self.count(dir.path())
    }

    /// PANDA with the machine, about to boot the guest; what it says goes to `said` in `dir`.
    fn booting(&self, dir: &Path, script: &str) -> Command {
        let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let folders = ["bin", "dev", "proc"].into_iter().fold(Archive::default(), Archive::folder);
        let initramfs = folders
            .file("bin/busybox", 0o755, &read(self.root.join("bin/busybox")))
            .file("bin/recctrlu", 0o755, &read(self.dist.join("recctrlu")))
            .file("init", 0o755, format!("{INIT}{script}\n").as_bytes());
        fs::write(dir.join("initramfs"), initramfs.finish()).unwrap();
        let boot = fs::read_dir(self.root.join("boot")).unwrap().map(|entry| entry.unwrap());
        let kernel = boot.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("vmlinuz"));
        let mut panda = self.machine(dir, "said");
        panda.arg("-kernel").arg(kernel.unwrap()).args(["-initrd", "initramfs", "-serial", "file:console"]);
        panda.arg("-append").arg(format!("{} quiet panic=-1 cryptomgr.notests", self.kind.console));
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
            let name = format!("r_{n:03}");
            if !dir.join(format!("{name}-rr-nondet.log")).exists() {
                break;
            }
            count.made += 1;
            let mut panda = self.machine(dir, "replayed");
            panda.args(["-serial", "null", "-monitor", "none", "-replay", &name]).stdin(Stdio::null());
            let ended = wait(panda.spawn().unwrap());
            let said = String::from_utf8_lossy(&fs::read(dir.join("replayed")).unwrap()).into_owned();
            count.replayed += u32::from(ended && said.contains("Replay completed successfully"));
        }
        count
    }
}

/// Waits for a PANDA, but not for ever; whether it ended well.
fn wait(mut child: Child) -> bool {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! `pandacap rec`: what happens in a guest, recorded as verified traces.

pub(super) mod report;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use guest::bootstrap::Setting;
use machine::{Interrupt, PortForward, Reach};
use panda_host::PluginSpec;
use rr_log::Target;
use run::{Booting, Cut, Done, Image, Made, Options, Sink};
use trace::PandaEnd;

use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::image::ImageArgs;
use super::{terminal, values};

/// Record what happens in a guest, and verify the recording
///
/// With a command: boots the guest, runs the command in it, and records exactly that command, from its first
/// instruction to its last. The command's output is shown as it comes; its exit status is part of the result
/// and changes nothing about pandacap's own, which tells whether there is a verified trace. The tiny guest
/// (Debian's kernel and busybox, fetched with apt the first time) is there for that; a guest with a disk needs
/// pandacap's bootstrap hook.
///
/// Without: boots the guest and leaves it to itself, until it powers off, a limit is reached, or Ctrl-C. The
/// guest says what is recorded: `recctrlu` in it, by hand or on each login (PAM).
///
/// Each recording is then replayed on a PANDA without recctrl, and kept as a trace: a folder with the
/// recording, its manifest and its logs, which `pandacap verify` checks and `pandacap replay` replays at any
/// time. A command's trace has the run's name; a recording that the guest began has its own name after it.
///
/// A disk image is never written to: what the guest writes goes to a thin overlay, which becomes part of the
/// trace (disk.qcow2).
///
/// Exit code 0: there is a verified trace. 4: it does not replay. 5: the guest or its machine failed. 130: Ctrl-C,
/// which keeps what was recorded until then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's name: letters, digits, `.`, `_` and `-` [default: what is run, and the time]
    #[arg(long, visible_alias = "run-id")]
    name: Option<String>,

    /// Where traces are made
    #[arg(short, long, value_name = "DIR", default_value = "traces")]
    out: PathBuf,

    /// Print the command lines instead of running them, quoted for a shell
    #[arg(long)]
    dry_run: bool,

    /// The guest to boot, of those that `pandacap guest ls` shows; `tiny` is made when it is not there
    ///
    /// If its state after a boot is kept (`pandacap guest warm`), the machine goes on from there.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tiny",
        conflicts_with = "disk",
        help_heading = "Machine"
    )]
    guest: String,

    /// The disk image to boot (raw or qcow2), as its first IDE disk
    #[arg(short, long, value_name = "IMAGE", help_heading = "Machine")]
    disk: Option<PathBuf>,

    #[command(flatten)]
    image: ImageArgs,

    /// Boot this kernel [default: the disk's own boot loader]
    #[arg(long, value_name = "FILE", requires = "disk", help_heading = "Machine")]
    kernel: Option<PathBuf>,

    /// The kernel's initramfs
    #[arg(long, value_name = "FILE", requires = "kernel", help_heading = "Machine")]
    initrd: Option<PathBuf>,

    /// The kernel's command line
    #[arg(
        long,
        value_name = "ARGS",
        requires = "kernel",
        default_value = "root=/dev/sda1 console=ttyS0 panic=-1 no_timer_check",
        help_heading = "Machine"
    )]
    append: String,

    /// The guest architecture [default: the guest's; x86_64 for an image]
    #[arg(short, long, value_parser = values::target(), help_heading = "Machine")]
    target: Option<Target>,

    /// The guest's memory, in MiB or with G [default: 512, and 256 for the tiny guest]
    #[arg(short, long, value_name = "MIB", value_parser = values::mib, help_heading = "Machine")]
    mem: Option<u32>,

    /// The network card, or `none` [default: e1000 with a disk, else none]
    #[arg(long, value_name = "CARD", value_parser = values::nic, help_heading = "Machine")]
    nic: Option<values::Card>,

    /// What the guest reaches over its network; `open` boots it cold, for it asks for its routes when it boots
    #[arg(long, value_parser = values::reach(), default_value = "restricted", value_name = "NET", help_heading = "Machine")]
    net: Reach,

    /// Forward port TO of this machine to port FROM of the guest; repeat it for more
    ///
    /// FROM is a number, `ssh` (22) or `sftp` (2222). TO is a number; 0 takes one that is free, and says which.
    /// SCOPE is `l` for this machine alone (the default), or `*` for everybody who reaches it. PROTO is tcp (the
    /// default) or udp. Example: ssh:10000
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]", help_heading = "Machine")]
    port_fwd: Vec<PortForward>,

    /// Where to show the screen, in QEMU's words, for instance vnc=127.0.0.1:1 [default: nowhere]
    #[arg(short = 'D', long, value_name = "DISPLAY", help_heading = "Machine")]
    display: Option<String>,

    /// One more argument for PANDA; repeat it for each word. The replay gets it too
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = "Machine")]
    qemu_arg: Vec<String>,

    /// Bootstrap the guest from this folder before anybody can log in (`pandacap bootstrap new` makes one)
    ///
    /// The guest boots cold, and needs pandacap's hook, which the guests have that `pandacap guest build` makes,
    /// but for the tiny one.
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    bootstrap: Option<PathBuf>,

    /// Give one of the bootstrap folder's variables another value; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", requires = "bootstrap", help_heading = "Machine")]
    set: Vec<Setting>,

    /// Load this PANDA plugin while recording, one of PANDA's or a file; repeat it for more
    #[arg(long, value_name = "NAME|./FILE[:ARG=VALUE,...]", help_heading = "Recording")]
    plugin: Vec<PluginSpec>,

    /// Record from the first open session to the last close
    #[arg(long, conflicts_with = "command", help_heading = "Recording")]
    sessions: bool,

    /// End the run after so many recordings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command", help_heading = "Recording")]
    nrec: Option<u32>,

    /// End each recording after so many seconds
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Recording")]
    timeout_rec: Option<u32>,

    /// End each recording after about so many instructions of the guest (K, M, G)
    #[arg(long, value_name = "N", value_parser = values::scaled, help_heading = "Recording")]
    max_instr: Option<String>,

    /// Refuse to make more recordings; 0: any number
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        conflicts_with = "command",
        help_heading = "Limits"
    )]
    max_recordings: u32,

    /// The most bytes of all recordings together (K, M, G) [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = values::scaled, help_heading = "Limits")]
    max_bytes: Option<String>,

    /// End the run when the guest has written more bytes than this to its console or its command's output (K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "256M", help_heading = "Limits")]
    max_output: u64,

    /// Boot the guest even if its state after a boot is kept (`pandacap guest warm`)
    #[arg(long, help_heading = "Machine")]
    cold: bool,

    /// Drop what the guest wrote to its disk, instead of keeping it in the trace
    #[arg(long, help_heading = "Recording")]
    discard_disk: bool,

    /// Give up after so many seconds on a guest that shows no sign of having booted: a word to recctrl, a login
    /// on its console, an SSH server on a forwarded port
    #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    boot_timeout: u64,

    /// End the run after so many seconds; what was recorded until then is kept [default: 600 with a command]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    timeout: Option<u64>,

    /// The command and its arguments, which reach the guest byte for byte
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// Records, verifies, reports.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let options = self.resolve();
        let shown: Option<&dyn Sink> = if context.output.json { None } else { Some(&Shown) };
        let done = options.record(run::Context { output: shown, ..context.run() }, &interrupt)?;
        let Made { kept, cut } = match done {
            Done::Made(made) => made,
            Done::Dry(lines) => {
                let mut out = terminal::verbatim();
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
                return Ok(Exit::Done);
            }
        };
        let command = !options.command.is_empty();
        match &kept[..] {
            [kept] if command => report::print(kept, context.output)?,
            kept => report::print_all(kept, context.output)?,
        }
        let verifications = || kept.iter().map(|kept| &kept.manifest.verification);
        Ok(match cut {
            Some(Cut::Interrupt) => Exit::Interrupted,
            _ if verifications().any(Option::is_none) => Exit::Interrupted,
            _ if verifications().flatten().any(|verification| !verification.replayed) => Exit::Unverified,
            _ if kept.iter().any(|kept| kept.manifest.panda_ended.is_some_and(PandaEnd::is_crash)) => {
                Exit::Guest
            }
            Some(Cut::Bound(_)) => Exit::Guest,
            Some(Cut::Timeout) if command => Exit::Guest,
            _ => Exit::Done,
        })
    }

    /// What was typed as a plan.
    fn resolve(self) -> Options {
        let below = self.image.below();
        let boot = match self.disk {
            None => Booting::Guest(self.guest),
            Some(disk) => Booting::Image(Image {
                disk,
                format: self.image.format,
                below,
                kernel: self.kernel,
                initrd: self.initrd,
                append: self.append,
            }),
        };
        Options {
            name: self.name,
            out: self.out,
            dry_run: self.dry_run,
            boot,
            target: self.target,
            mem: self.mem,
            nic: self.nic,
            net: self.net,
            port_fwd: self.port_fwd,
            display: self.display,
            qemu_arg: self.qemu_arg,
            bootstrap: self.bootstrap,
            set: self.set,
            plugin: self.plugin,
            sessions: self.sessions,
            nrec: self.nrec,
            timeout_rec: self.timeout_rec,
            max_instr: self.max_instr,
            max_recordings: self.max_recordings,
            max_bytes: self.max_bytes,
            max_output: self.max_output,
            cold: self.cold,
            discard_disk: self.discard_disk,
            boot_timeout: Duration::from_secs(self.boot_timeout),
            timeout: self.timeout.map(Duration::from_secs),
            command: self.command,
        }
    }
}

/// The command's output on standard output.
struct Shown;

impl Sink for Shown {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = terminal::verbatim();
        out.write_all(bytes).and_then(|()| out.flush())
    }
}

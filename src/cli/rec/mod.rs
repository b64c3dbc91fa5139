//! `pandacap rec`: records what happens in a guest as verified traces.

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

use super::container::{DockerArgs, started};
use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::image::ImageArgs;
use super::{terminal, values};

/// Record what happens in a guest, and verify the recording
///
/// With a command: boots the guest, runs the command in it and records exactly that command, from its first
/// instruction to its last. The command's output is shown as it arrives. Its exit status is part of the result but
/// does not affect pandacap's own, which says whether there is a verified trace. The default guest, tiny, is made for
/// this (Debian's kernel and busybox, fetched with apt on first use); a guest with a disk needs pandacap's bootstrap
/// hook.
///
/// Without a command: boots the guest and lets it run until it powers off, a limit is reached or you press Ctrl-C. The
/// guest decides what is recorded by running `recctrlu`, by hand or at each login (PAM).
///
/// Each recording is then replayed on a PANDA without recctrl and kept as a trace: a folder with the recording, its
/// manifest and its logs. `pandacap verify` checks a trace and `pandacap replay` replays it at any time. A command's
/// trace has the name of the run; for a recording that the guest started, the recording's own name is appended.
///
/// A disk image is never written to: the guest's writes go to a thin overlay, which becomes part of the trace
/// (disk.qcow2).
///
/// Exit codes: 0, there is a verified trace; 4, a trace does not replay; 5, the guest or its machine failed; 130,
/// interrupted by Ctrl-C, which keeps what was recorded until then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the run: letters, digits, `.`, `_` and `-` [default: what is run, and the time]
    #[arg(long, visible_alias = "run-id")]
    name: Option<String>,

    /// Folder to put traces in
    #[arg(short, long, value_name = "DIR", default_value = "traces")]
    out: PathBuf,

    /// Print the command lines, quoted for a shell, instead of running them
    #[arg(long)]
    dry_run: bool,

    /// The guest to boot (see `pandacap guest ls`); `tiny` is built if it does not exist
    ///
    /// If the guest has a warm state (see `pandacap guest warm`), the machine resumes from it.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tiny",
        conflicts_with = "disk",
        help_heading = "Machine"
    )]
    guest: String,

    /// The disk image to boot (raw or qcow2), attached as the first IDE disk
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

    /// The guest architecture [default: the guest's own; x86_64 for an image]
    #[arg(short, long, value_parser = values::target(), help_heading = "Machine")]
    target: Option<Target>,

    /// The guest's memory in MiB, or with a suffix M or G [default: 512; 256 for the tiny guest]
    #[arg(short, long, value_name = "MIB", value_parser = values::mib, help_heading = "Machine")]
    mem: Option<u32>,

    /// The network card, or `none` [default: e1000 with a disk, else none]
    #[arg(long, value_name = "CARD", value_parser = values::nic, help_heading = "Machine")]
    nic: Option<values::Card>,

    /// What the guest can reach over its network; `open` forces a cold boot, because a guest gets its routes at boot
    #[arg(long, value_parser = values::reach(), default_value = "restricted", value_name = "NET", help_heading = "Machine")]
    net: Reach,

    /// Forward port TO of this machine to port FROM of the guest; may be repeated
    ///
    /// FROM is a number, `ssh` (22) or `sftp` (2222). TO is a number; 0 picks a free port and prints it. SCOPE is `l`
    /// to accept connections from this machine only (the default), or `*` to accept them from anywhere. PROTO is tcp
    /// (the default) or udp. Example: ssh:10000
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]", help_heading = "Machine")]
    port_fwd: Vec<PortForward>,

    /// Where to show the screen, in QEMU's syntax, for example vnc=127.0.0.1:1 [default: nowhere]
    #[arg(short = 'D', long, value_name = "DISPLAY", help_heading = "Machine")]
    display: Option<String>,

    /// An extra argument for PANDA, used for the replay too; repeat the option for each word
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = "Machine")]
    qemu_arg: Vec<String>,

    /// Bootstrap the guest from this folder before logins are possible (`pandacap bootstrap new` creates one)
    ///
    /// The guest boots cold and needs pandacap's hook. Guests from `pandacap guest build` have it, except for tiny.
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    bootstrap: Option<PathBuf>,

    /// Override a variable of the bootstrap folder; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "bootstrap", help_heading = "Machine")]
    set: Vec<Setting>,

    /// Load a plugin while recording, by name if it is PANDA's or from a file; may be repeated
    #[arg(long, value_name = "NAME|./FILE[:ARG=VALUE,...]", help_heading = "Recording")]
    plugin: Vec<PluginSpec>,

    /// Record from the first `open_session` to the last `close_session`
    #[arg(long, conflicts_with = "command", help_heading = "Recording")]
    sessions: bool,

    /// End the run after N recordings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command", help_heading = "Recording")]
    nrec: Option<u32>,

    /// End each recording after SECS seconds
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Recording")]
    timeout_rec: Option<u32>,

    /// End each recording after about N guest instructions (suffixes: K, M, G)
    #[arg(long, value_name = "N", value_parser = values::scaled, help_heading = "Recording")]
    max_instr: Option<String>,

    /// Refuse to make more than N recordings; 0 means no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        conflicts_with = "command",
        help_heading = "Limits"
    )]
    max_recordings: u32,

    /// Limit the total size of all recordings, in bytes (suffixes: K, M, G) [default: half of the free space]
    #[arg(long, value_name = "SIZE", value_parser = values::scaled, help_heading = "Limits")]
    max_bytes: Option<String>,

    /// End the run if the guest's console or its command's output exceeds SIZE bytes (suffixes: K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "256M", help_heading = "Limits")]
    max_output: u64,

    /// Boot the guest even if it has a warm state (see `pandacap guest warm`)
    #[arg(long, help_heading = "Machine")]
    cold: bool,

    /// Discard what the guest wrote to its disk instead of keeping it in the trace
    #[arg(long, help_heading = "Recording")]
    discard_disk: bool,

    /// Give up after SECS seconds without a sign that the guest has booted: a call to recctrl, a login prompt on its
    /// console, or an SSH server on a forwarded port
    #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    boot_timeout: u64,

    /// End the run after SECS seconds, keeping what was recorded until then [default: 600 with a command]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    timeout: Option<u64>,

    #[command(flatten)]
    pub(super) docker: DockerArgs,

    /// The command and its arguments, passed to the guest byte for byte
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// Records, verifies, reports.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        started(self.bootstrap.as_deref(), &self.set)?;
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

    /// Resolves the arguments into a plan.
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

/// Copies the command's output to standard output.
struct Shown;

impl Sink for Shown {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = terminal::verbatim();
        out.write_all(bytes).and_then(|()| out.flush())
    }
}

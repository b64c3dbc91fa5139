//! What can be typed after `pandacap rec`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::bootstrap::Setting;
use crate::target::Target;
use crate::vm::{ImageArgs, Nic, PluginSpec, PortForward, Reach};

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
    pub(super) name: Option<String>,

    /// Where traces are made
    #[arg(short, long, value_name = "DIR", default_value = "traces")]
    pub(super) out: PathBuf,

    /// Print the command lines instead of running them, quoted for a shell
    #[arg(long)]
    pub(super) dry_run: bool,

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
    pub(super) guest: String,

    /// The disk image to boot (raw or qcow2), as its first IDE disk
    #[arg(short, long, value_name = "IMAGE", help_heading = "Machine")]
    pub(super) disk: Option<PathBuf>,

    #[command(flatten)]
    pub(super) image: ImageArgs,

    /// Boot this kernel [default: the disk's own boot loader]
    #[arg(long, value_name = "FILE", requires = "disk", help_heading = "Machine")]
    pub(super) kernel: Option<PathBuf>,

    /// The kernel's initramfs
    #[arg(long, value_name = "FILE", requires = "kernel", help_heading = "Machine")]
    pub(super) initrd: Option<PathBuf>,

    /// The kernel's command line
    #[arg(
        long,
        value_name = "ARGS",
        requires = "kernel",
        default_value = "root=/dev/sda1 console=ttyS0 panic=-1 no_timer_check",
        help_heading = "Machine"
    )]
    pub(super) append: String,

    /// The guest architecture [default: the guest's; x86_64 for an image]
    #[arg(short, long, help_heading = "Machine")]
    pub(super) target: Option<Target>,

    /// The guest's memory, in MiB or with G [default: 512, and 256 for the tiny guest]
    #[arg(short, long, value_name = "MIB", value_parser = mib, help_heading = "Machine")]
    pub(super) mem: Option<u32>,

    /// The network card, or `none` [default: e1000 with a disk, else none]
    #[arg(long, value_name = "CARD", value_parser = nic, help_heading = "Machine")]
    pub(super) nic: Option<Card>,

    /// What the guest reaches over its network; `open` boots it cold, for it asks for its routes when it boots
    #[arg(long, value_enum, default_value_t, help_heading = "Machine")]
    pub(super) net: Reach,

    /// Forward port TO of this machine to port FROM of the guest; repeat it for more
    ///
    /// FROM is a number, `ssh` (22) or `sftp` (2222). TO is a number; 0 takes one that is free, and says which.
    /// SCOPE is `l` for this machine alone (the default), or `*` for everybody who reaches it. PROTO is tcp (the
    /// default) or udp. Example: ssh:10000
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]", help_heading = "Machine")]
    pub(super) port_fwd: Vec<PortForward>,

    /// Where to show the screen, in QEMU's words, for instance vnc=127.0.0.1:1 [default: nowhere]
    #[arg(short = 'D', long, value_name = "DISPLAY", help_heading = "Machine")]
    pub(super) display: Option<String>,

    /// One more argument for PANDA; repeat it for each word. The replay gets it too
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = "Machine")]
    pub(super) qemu_arg: Vec<String>,

    /// Bootstrap the guest from this folder before anybody can log in (`pandacap bootstrap new` makes one)
    ///
    /// The guest boots cold, and needs pandacap's hook, which the guests have that `pandacap guest build` makes,
    /// but for the tiny one.
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    pub(super) bootstrap: Option<PathBuf>,

    /// Give one of the bootstrap folder's variables another value; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", requires = "bootstrap", help_heading = "Machine")]
    pub(super) set: Vec<Setting>,

    /// Load this PANDA plugin while recording, one of PANDA's or a file; repeat it for more
    #[arg(long, value_name = "NAME|./FILE[:ARG=VALUE,...]", help_heading = "Recording")]
    pub(super) plugin: Vec<PluginSpec>,

    /// Record from the first open session to the last close
    #[arg(long, conflicts_with = "command", help_heading = "Recording")]
    pub(super) sessions: bool,

    /// End the run after so many recordings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command", help_heading = "Recording")]
    pub(super) nrec: Option<u32>,

    /// End each recording after so many seconds
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Recording")]
    pub(super) timeout_rec: Option<u32>,

    /// End each recording after about so many instructions of the guest (K, M, G)
    #[arg(long, value_name = "N", value_parser = scaled, help_heading = "Recording")]
    pub(super) max_instr: Option<String>,

    /// Refuse to make more recordings; 0: any number
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        conflicts_with = "command",
        help_heading = "Limits"
    )]
    pub(super) max_recordings: u32,

    /// The most bytes of all recordings together (K, M, G) [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = scaled, help_heading = "Limits")]
    pub(super) max_bytes: Option<String>,

    /// End the run when the guest has written more bytes than this to its console or its command's output (K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "256M", help_heading = "Limits")]
    pub(super) max_output: u64,

    /// Boot the guest even if its state after a boot is kept (`pandacap guest warm`)
    #[arg(long, help_heading = "Machine")]
    pub(super) cold: bool,

    /// Drop what the guest wrote to its disk, instead of keeping it in the trace
    #[arg(long, help_heading = "Recording")]
    pub(super) discard_disk: bool,

    /// Give up after so many seconds on a guest that shows no sign of having booted: a word to recctrl, a login
    /// on its console, an SSH server on a forwarded port
    #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(super) boot_timeout: u64,

    /// End the run after so many seconds; what was recorded until then is kept [default: 600 with a command]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(super) timeout: Option<u64>,

    /// The command and its arguments, which reach the guest byte for byte
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

impl Args {
    /// recctrl's arguments, for a PANDA that runs in the folder of the run.
    pub(super) fn recctrl(&self, events: &str) -> String {
        let mut arguments = format!("dir=.,events={events}");
        if self.sessions {
            arguments += ",session_rec=y";
        }
        // A guest that goes on after its command is not recorded any more.
        let most = if self.command.is_empty() { self.max_recordings } else { 1 };
        let limits = [
            ("max_recordings", Some(most.to_string())),
            ("max_bytes", self.max_bytes.clone()),
            ("nrec", self.nrec.map(|count| count.to_string())),
            ("timeout", self.timeout_rec.map(|seconds| seconds.to_string())),
            ("max_instr", self.max_instr.clone()),
        ];
        for (name, value) in limits {
            if let Some(value) = value {
                arguments += &format!(",{name}={value}");
            }
        }
        arguments
    }

    /// How long the run may take.
    pub(super) fn limit(&self) -> Option<Duration> {
        let default = (!self.command.is_empty()).then_some(600);
        self.timeout.or(default).map(Duration::from_secs)
    }
}

/// A guest's memory: `512`, `512M` or `2G`.
pub fn mib(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1024),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1),
        _ => (text, 1),
    };
    let number = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    number
        .filter(|mib| (16..=1 << 20).contains(mib))
        .ok_or_else(|| "give 16 MiB or more, as in 512 or 2G".to_owned())
}

/// A network card, or none.
type Card = Option<Nic>;

fn nic(text: &str) -> Result<Card, String> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

/// A number of bytes: `512`, `64K`, `2G`.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, suffix) = number(text)?;
    let shift = match suffix {
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => 0,
    };
    Ok(u64::from(number) << shift)
}

fn scaled(text: &str) -> Result<String, String> {
    number(text).map(|_| text.to_owned())
}

/// A number above 0, and the suffix that scales it, if it has one.
fn number(text: &str) -> Result<(u32, &str), String> {
    let digits = text.strip_suffix(['K', 'M', 'G', 'k', 'm', 'g']).unwrap_or(text);
    match digits.parse::<u32>() {
        Ok(number @ 1..) => Ok((number, &text[digits.len()..])),
        _ => Err("give a whole number above 0, perhaps with K, M or G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_mib_and_nonsense_is_refused() {
        assert_eq!(["256", "512M", "2G"].map(mib), [Ok(256), Ok(512), Ok(2048)]);
        for bad in ["", "G", "0", "15", "-1", "1.5G", "5000000G", "512K"] {
            assert!(mib(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_are_counted_as_recctrl_counts_them() {
        assert_eq!(["7", "3k", "256M", "2G"].map(bytes), [Ok(7), Ok(3 << 10), Ok(256 << 20), Ok(2 << 30)]);
        assert!(["", "0", "K", "-1", "1T"].map(bytes).iter().all(Result::is_err));
    }

    #[test]
    fn an_instruction_limit_is_one_that_recctrl_understands() {
        assert_eq!(["7", "3k", "2G"].map(|text| scaled(text).is_ok()), [true; 3]);
        assert_eq!(["", "0", "K", "1T", "-1", "1,nrec=2"].map(|text| scaled(text).is_err()), [true; 6]);
    }
}

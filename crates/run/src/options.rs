//! What a run is to be, with nothing left to be looked up but files and guests.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use guest::bootstrap::Setting;
use machine::{Below, Format, Nic, PortForward, Reach};
use panda_host::PluginSpec;
use rr_log::Target;

/// What is to be recorded, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run's name; without one, what is run, and the time.
    pub name: Option<String>,
    /// Where traces are made.
    pub out: PathBuf,
    /// Say what would be run, and run nothing.
    pub dry_run: bool,
    /// What is booted.
    pub boot: Booting,
    /// The guest architecture; without one, the guest's.
    pub target: Option<Target>,
    /// The guest's memory, in MiB.
    pub mem: Option<u32>,
    /// Its network card, or none.
    pub nic: Option<Option<Nic>>,
    /// What it reaches over its network.
    pub net: Reach,
    /// The host's ports that lead into it.
    pub port_fwd: Vec<PortForward>,
    /// Where its screen is shown, in QEMU's words.
    pub display: Option<String>,
    /// Further arguments for PANDA.
    pub qemu_arg: Vec<String>,
    /// The folder that it is bootstrapped from.
    pub bootstrap: Option<PathBuf>,
    /// Values of that folder's variables.
    pub set: Vec<Setting>,
    /// PANDA plugins to load while recording.
    pub plugin: Vec<PluginSpec>,
    /// Record from the first open session to the last close.
    pub sessions: bool,
    /// End the run after this number of recordings.
    pub nrec: Option<u32>,
    /// End each recording after this number of seconds.
    pub timeout_rec: Option<u32>,
    /// End each recording after about this number of instructions, in recctrl's words (K, M, G).
    pub max_instr: Option<String>,
    /// The most recordings; 0 is any number.
    pub max_recordings: u32,
    /// The most bytes of all recordings together, in recctrl's words; without one, half of what is free.
    pub max_bytes: Option<String>,
    /// The most bytes that the guest may write to one of its serial ports.
    pub max_output: u64,
    /// Boot even where there is a warm state.
    pub cold: bool,
    /// Drop what the guest wrote to its disk.
    pub discard_disk: bool,
    /// How long the guest may take to boot.
    pub boot_timeout: Duration,
    /// How long the run may take; with a command, 600 seconds where nothing is said.
    pub timeout: Option<Duration>,
    /// The command to record; empty when the guest itself says what is recorded.
    pub command: Vec<OsString>,
}

/// What is booted.
#[derive(Clone, Debug)]
pub enum Booting {
    /// A guest of pandacap's, by its name.
    Guest(String),
    /// An image of the user's.
    Image(Image),
}

/// An image of the user's, and how it is taken.
#[derive(Clone, Debug)]
pub struct Image {
    /// The image.
    pub disk: PathBuf,
    /// Its format, where it is not as when the image was first used.
    pub format: Option<Format>,
    /// What may be below it.
    pub below: Below<'static>,
    /// The kernel to boot; without one, the disk has a boot loader.
    pub kernel: Option<PathBuf>,
    /// Its initramfs.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub append: String,
}

impl Default for Options {
    /// The tiny guest, restricted, bounded as the command line bounds a run; nothing is recorded without a command.
    fn default() -> Options {
        Options {
            name: None,
            out: PathBuf::from("traces"),
            dry_run: false,
            boot: Booting::Guest(guest::tiny::RECIPE.to_owned()),
            target: None,
            mem: None,
            nic: None,
            net: Reach::Restricted,
            port_fwd: Vec::new(),
            display: None,
            qemu_arg: Vec::new(),
            bootstrap: None,
            set: Vec::new(),
            plugin: Vec::new(),
            sessions: false,
            nrec: None,
            timeout_rec: None,
            max_instr: None,
            max_recordings: 1000,
            max_bytes: None,
            max_output: 256 << 20,
            cold: false,
            discard_disk: false,
            boot_timeout: Duration::from_secs(300),
            timeout: None,
            command: Vec::new(),
        }
    }
}

impl Options {
    /// recctrl's arguments, for a PANDA that runs in the folder of the run.
    pub(crate) fn recctrl(&self, events: &str) -> String {
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
    pub(crate) fn limit(&self) -> Option<Duration> {
        let default = (!self.command.is_empty()).then_some(Duration::from_secs(600));
        self.timeout.or(default)
    }
}

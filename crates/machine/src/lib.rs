#![doc = include_str!("../README.md")]

mod booted;
mod disk;
mod disk_error;
mod format;
mod formats;
mod host;
mod interrupt;
pub mod life;
mod net;
mod overlays;
mod qcow2;
mod state;

use std::path::Path;
use std::process::Command;

use panda_host::PluginSpec;
use panda_host::confine::Sandbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::booted::{Console, PANIC, ssh_port};
pub use self::disk::{Base, Below, Hold};
pub use self::disk_error::DiskError;
pub use self::format::Format;
pub use self::formats::Formats;
pub use self::host::{NoMemory, NoSpace, available_memory, check_memory, check_space, free_space};
pub use self::interrupt::{Interrupt, Listening};
pub use self::life::ProcessError;
pub use self::net::{Nic, PortError, PortForward, Protocol, Reach, network};
pub use self::overlays::{Overlays, how_many};
pub use self::qcow2::{Backing, Header, Malformed};
pub use self::state::SavedState;

/// The name of the QMP socket in the folder where PANDA runs.
const QMP_SOCKET: &str = "qmp.sock";

/// A machine's hardware, which a replay has to have as well.
///
/// Kernel and initramfs are not part of it: they are in the snapshot's memory. Nor is what is on the disk: what
/// the guest read from it is in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// How many serial ports it has.
    pub serial_ports: u8,
    /// The size of its disk in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// The size of its bootstrap disk in bytes, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_bytes: Option<u64>,
    /// Its network card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<Nic>,
    /// Whether it has a graphics card.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vga: bool,
    /// Further arguments of PANDA's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
}

/// What a machine boots; without a kernel, its disk.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: Option<&'a Path>,
    /// Its initramfs.
    pub initramfs: Option<&'a Path>,
    /// Its command line.
    pub append: &'a str,
}

impl<'a> Boot<'a> {
    /// The files that PANDA reads to boot it, but for the disk's.
    pub fn files(&self) -> impl Iterator<Item = &'a Path> {
        self.kernel.into_iter().chain(self.initramfs)
    }
}

/// What a machine is connected to while it is recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outside<'a> {
    /// Where its serial ports go, in QEMU's words; the rest go nowhere.
    pub serial: &'a [&'a str],
    /// The overlay behind its disk.
    pub overlay: &'a str,
    /// The image of its bootstrap disk.
    pub bootstrap: &'a str,
    /// The host's ports that lead into it.
    pub forwards: &'a [PortForward],
    /// What it reaches by its network card.
    pub reach: Reach,
    /// Where its screen is shown, in QEMU's words.
    pub display: Option<&'a str>,
    /// A saved state of the same machine, from which it goes on instead of booting, in QEMU's words.
    pub state: Option<&'a str>,
    /// Whether there is a monitor, to save the machine's state by.
    pub monitor: bool,
}

/// QEMU's arguments for the first IDE disk.
pub fn drive(file: &str, format: Format) -> [String; 2] {
    // Within an option a comma is written twice.
    let file = file.replace(',', ",,");
    ["-drive".to_owned(), format!("file={file},format={format},if=ide")]
}

/// A command as a line for a shell.
pub fn shell(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_words::join(words.map(|word| word.to_string_lossy().into_owned()))
}

impl Outside<'_> {
    /// Lets a PANDA have what connects its machine.
    pub fn permit(&self, sandbox: Sandbox) -> Sandbox {
        let mut sandbox = sandbox.display(self.display);
        for forward in self.forwards {
            sandbox = match forward.protocol {
                Protocol::Tcp => sandbox.listen([forward.host]),
                Protocol::Udp => sandbox.datagrams(),
            };
        }
        if self.reach == Reach::Open {
            sandbox = sandbox.whole_network();
        }
        if self.monitor { sandbox.monitor() } else { sandbox }
    }
}

impl Machine {
    /// PANDA's arguments for the machine, which is connected to `outside`, or to nothing at all.
    fn args(&self, outside: Option<Outside<'_>>) -> Vec<String> {
        let there = outside.unwrap_or_default();
        let mut args: Vec<String> =
            ["-nodefaults", "-display", there.display.unwrap_or("none")].map(str::to_owned).into();
        args.extend(["-vga", if self.vga { "std" } else { "none" }, "-no-reboot", "-m"].map(str::to_owned));
        args.push(self.memory_mib.to_string());
        for port in there.serial.iter().chain(std::iter::repeat(&"null")).take(self.serial_ports.into()) {
            args.extend(["-serial", port].map(str::to_owned));
        }
        if let Some(bytes) = self.disk_bytes {
            args.extend(match outside {
                Some(outside) => drive(outside.overlay, Format::Qcow2),
                None => ["-drive".to_owned(), format!("driver=null-co,size={bytes},if=ide")],
            });
        }
        if let Some(bytes) = self.bootstrap_bytes {
            let image = match outside {
                Some(outside) => format!("file={},format=raw", outside.bootstrap),
                None => format!("driver=null-co,size={bytes}"),
            };
            args.extend(["-drive".to_owned(), format!("{image},if=virtio,readonly=on")]);
        }
        if let Some(nic) = &self.nic {
            args.extend(network(nic.model(), there.forwards, there.reach));
        }
        args.extend(self.more.iter().cloned());
        args
    }

    /// PANDA's arguments that boot the machine, in the folder where its files go.
    pub fn boot_args(&self, boot: Boot<'_>, outside: Outside<'_>) -> Vec<String> {
        let mut args = self.args(Some(outside));
        if let Some(kernel) = boot.kernel {
            args.extend(["-kernel".to_owned(), kernel.to_string_lossy().into_owned()]);
            if let Some(initramfs) = boot.initramfs {
                args.extend(["-initrd".to_owned(), initramfs.to_string_lossy().into_owned()]);
            }
            args.extend(["-append", boot.append].map(str::to_owned));
        }
        if let Some(state) = outside.state {
            args.extend(["-incoming", state].map(str::to_owned));
        }
        if outside.monitor {
            args.extend(["-qmp".to_owned(), format!("unix:{QMP_SOCKET},server,nowait")]);
        }
        args
    }

    /// The same with recctrl, which takes `recctrl` as its arguments, and further plugins loaded.
    pub fn record_args(
        &self,
        boot: Boot<'_>,
        outside: Outside<'_>,
        recctrl: &str,
        plugins: &[PluginSpec],
    ) -> Vec<String> {
        let mut args = self.boot_args(boot, outside);
        let plugins = plugins.iter().map(PluginSpec::to_string);
        for plugin in std::iter::once(format!("recctrl:{recctrl}")).chain(plugins) {
            args.extend(["-panda".to_owned(), plugin]);
        }
        args
    }

    /// PANDA's arguments that replay the recording `name`, in the folder where it is.
    ///
    /// The disk is one on which there is nothing, and which keeps nothing: a replay takes what the guest read
    /// from the log, and needs neither the image nor the overlay.
    pub fn replay_args(&self, name: &str) -> Vec<String> {
        let mut args = self.args(None);
        args.extend(["-replay", name].map(str::to_owned));
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> Boot<'static> {
        Boot { kernel: Some(Path::new("/k")), initramfs: Some(Path::new("i")), append: "quiet" }
    }

    fn machine() -> Machine {
        Machine {
            memory_mib: 256,
            serial_ports: 2,
            disk_bytes: Some(1 << 20),
            bootstrap_bytes: Some(1 << 12),
            nic: "e1000".parse().ok(),
            vga: false,
            more: vec!["-device".to_owned(), "usb-tablet".to_owned()],
        }
    }

    #[test]
    fn a_replay_has_the_same_machine_and_nothing_of_what_it_booted() {
        let outside = Outside { serial: &["file:console.log", "file:output.log"], ..Outside::default() };
        let record = machine().record_args(boot(), outside, "dir=.", &[]);
        let replay = machine().replay_args("ls-1");
        let hardware =
            |args: &[String]| args.iter().take_while(|arg| *arg != "-kernel" && *arg != "-replay").count();
        assert_eq!(hardware(&record), hardware(&replay));
        assert!(replay.ends_with(&["-replay", "ls-1"].map(str::to_owned)));
        assert!(!replay.iter().any(|arg| arg == "-panda"), "{replay:?}");
    }

    #[test]
    fn a_replay_reaches_neither_a_disk_nor_a_port() {
        let forward = "ssh:10000".parse().expect("parses");
        let forwards = [forward];
        let outside = Outside {
            overlay: "disk.qcow2",
            bootstrap: "first.img",
            forwards: &forwards,
            ..Outside::default()
        };
        let boot = machine().boot_args(boot(), outside).join(" ");
        assert!(boot.contains("file=disk.qcow2,format=qcow2") && boot.contains("-:22"), "{boot}");
        assert!(boot.contains("file=first.img,format=raw,if=virtio,readonly=on"), "{boot}");
        let replay = machine().replay_args("a").join(" ");
        assert!(replay.contains("driver=null-co,size=1048576,if=ide"), "{replay}");
        assert!(replay.contains("driver=null-co,size=4096,if=virtio,readonly=on"), "{replay}");
        assert!(!replay.contains("hostfwd") && !replay.contains("file="), "{replay}");
    }
}

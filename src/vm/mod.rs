//! One running machine: what it is made of, how PANDA starts it, and how it is ended.

mod process;
mod qmp;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::process::{Process, ProcessError};

/// The name of the QMP socket in the folder where PANDA runs.
const QMP_SOCKET: &str = "qmp.sock";

/// What a machine is made of, as far as a replay has to have the same.
///
/// Kernel and initramfs are not part of it: they are in the snapshot's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// How many serial ports it has.
    pub serial_ports: u8,
}

/// What a machine boots.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// Its initramfs.
    pub initramfs: &'a str,
    /// Its command line.
    pub append: &'a str,
}

impl Machine {
    /// PANDA's arguments for the machine; each of `serial` is where one serial port goes.
    fn args<'a>(&self, serial: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut args: Vec<String> =
            ["-nodefaults", "-display", "none", "-vga", "none", "-no-reboot"].map(str::to_owned).into();
        args.extend(["-m".to_owned(), self.memory_mib.to_string()]);
        for port in serial.into_iter().chain(std::iter::repeat("null")).take(self.serial_ports.into()) {
            args.extend(["-serial".to_owned(), port.to_owned()]);
        }
        args
    }

    /// PANDA's arguments that boot the machine with recctrl loaded, in the folder where the recording goes.
    pub fn record_args(&self, boot: Boot<'_>, serial: &[&str]) -> Vec<String> {
        let mut args = self.args(serial.iter().copied());
        let kernel = boot.kernel.to_string_lossy().into_owned();
        args.extend(["-kernel".to_owned(), kernel]);
        args.extend(["-initrd", boot.initramfs, "-append", boot.append].map(str::to_owned));
        args.extend(["-qmp".to_owned(), format!("unix:{QMP_SOCKET},server,nowait")]);
        args.extend(["-panda", "recctrl:dir=.,events=events.jsonl"].map(str::to_owned));
        args
    }

    /// PANDA's arguments that replay the recording `name`, in the folder where it is.
    pub fn replay_args(&self, name: &str) -> Vec<String> {
        let mut args = self.args([]);
        args.extend(["-replay", name].map(str::to_owned));
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_has_the_same_machine_and_nothing_of_what_it_booted() {
        let machine = Machine { memory_mib: 256, serial_ports: 2 };
        let boot = Boot { kernel: Path::new("/k"), initramfs: "i", append: "quiet" };
        let record = machine.record_args(boot, &["file:console.log", "file:output.log"]);
        let replay = machine.replay_args("ls-1");
        let hardware =
            |args: &[String]| args.iter().take_while(|arg| *arg != "-kernel" && *arg != "-replay").count();
        assert_eq!(hardware(&record), hardware(&replay));
        assert!(replay.ends_with(&["-serial", "null", "-replay", "ls-1"].map(str::to_owned)));
        assert!(!replay.iter().any(|arg| arg == "-panda"), "{replay:?}");
    }
}

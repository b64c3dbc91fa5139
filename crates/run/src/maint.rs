//! A disk image booted to change it: writable, its console on the terminal, and nothing is recorded.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use files::list;
use machine::{
    Base, DiskError, Formats, Interrupt, NoMemory, Outside, Overlays, PortError, PortForward, ProcessError,
    Reach, check_memory, drive, how_many, life, network,
};
use panda_host::confine::{Mode, Sandbox, Settings};
use panda_host::{NO_CONFIGURATION, Panda, PandaError, on_path};
use rr_log::Target;

use crate::context::Context;
use crate::options::Image;

/// What is booted, and how.
#[derive(Clone, Debug)]
pub struct Maint {
    /// The image.
    pub image: Image,
    /// The guest architecture.
    pub target: Target,
    /// The guest's memory, in MiB.
    pub mem: u32,
    /// The host's ports that lead into it.
    pub port_fwd: Vec<PortForward>,
    /// What it reaches over its network.
    pub net: Reach,
    /// Where its screen is shown, in QEMU's words.
    pub display: String,
    /// Further arguments for QEMU.
    pub qemu_arg: Vec<String>,
    /// Emulate the processor, even where there is KVM.
    pub no_kvm: bool,
    /// Change the image although traces depend on it.
    pub force: bool,
    /// Say what would be run, and run nothing.
    pub dry_run: bool,
}

/// How the machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was run: this line for a shell would do it.
    Dry(String),
    /// By itself.
    Done,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
}

/// Why an image cannot be booted to change it.
#[derive(Debug, thiserror::Error)]
pub enum MaintError {
    /// The image cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It may not be written to.
    #[error("cannot write to {}", .image.display())]
    ReadOnly {
        /// The image.
        image: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Traces need it as it is.
    #[error(
        "{} is the base of the disks of {} ({}); change a copy of it, or use --force and lose their disks",
        .image.display(), how_many(.traces.len()), some(.traces)
    )]
    Needed {
        /// The image.
        image: PathBuf,
        /// The traces.
        traces: Vec<PathBuf>,
    },
    /// A port cannot be used.
    #[error("cannot forward the ports of --port-fwd")]
    Port(#[from] PortError),
    /// The host is full.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// There is nothing to run it.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// It does not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It failed.
    #[error("the machine ended with {0}; see its output above")]
    Failed(ExitStatus),
    /// Its files cannot be handled.
    #[error("cannot use a temporary file")]
    Files(#[from] io::Error),
}

/// A path that means the same wherever the machine runs.
fn whole(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn some(traces: &[PathBuf]) -> String {
    list(traces.get(..3).unwrap_or(traces)) + if traces.len() > 3 { ", ..." } else { "" }
}

impl Maint {
    /// Boots the image and waits until the machine has ended.
    pub fn run(&self, context: Context<'_>, interrupt: &Interrupt) -> Result<Ended, MaintError> {
        let image = &self.image;
        let formats = Formats::of(context.home);
        let base = Base::inspect(&image.disk, formats.decide(&image.disk, image.format)?, image.below)?;
        let read_only = |source| MaintError::ReadOnly { image: base.path.clone(), source };
        OpenOptions::new().read(true).write(true).open(&base.path).map_err(read_only)?;
        // First of all: a run that is about to end is about to leave a trace.
        let _hold = (!self.dry_run).then(|| base.hold_alone()).transpose()?;
        let traces = Overlays::of(context.home).on(&base.path)?;
        if !self.force && !traces.is_empty() {
            return Err(MaintError::Needed { image: base.path, traces });
        }
        let forwards = self.port_fwd.iter().map(|forward| forward.ready()).collect::<Result<Vec<_>, _>>()?;
        check_memory(self.mem)?;
        let (mut command, sandbox) = self.emulator(context)?;
        command.args(self.arguments(&base, &forwards));
        if self.dry_run {
            return Ok(Ended::Dry(machine::shell(&command)));
        }
        // What the guest writes to its beginning must not change it.
        formats.remember(&base.path, base.format)?;
        let progress = context.progress;
        progress
            .say(&format!("pandacap: overlays on {} become invalid once it is changed", base.path.display()));
        for forward in &forwards {
            progress.say(&format!(
                "port {} of the guest is port {} of this machine",
                forward.guest, forward.host
            ));
        }
        let work = tempfile::tempdir()?;
        command.current_dir(work.path());
        let outside = Outside {
            forwards: &forwards,
            reach: self.net,
            display: Some(&self.display),
            ..Outside::default()
        };
        let sandbox = outside.permit(sandbox).write(work.path()).write(&base.path).read_all(base.chain());
        let sandbox = sandbox.read_all(&image.kernel).read_all(&image.initrd).named_by(&self.qemu_arg);
        let lived = life::Plan::attached(command, sandbox).live(interrupt, &mut ())?;
        match lived.ended {
            life::Ended::Cut(life::Cut::Interrupt) => Ok(Ended::Interrupted),
            _ if lived.status.success() => Ok(Ended::Done),
            _ => Err(MaintError::Failed(lived.status)),
        }
    }

    /// What runs the machine: QEMU, with KVM if it can be had, else PANDA.
    fn emulator(&self, context: Context<'_>) -> Result<(Command, Sandbox), MaintError> {
        let program = format!("qemu-system-{}", self.target);
        let Some(qemu) = on_path(&program, context.selection.path.as_deref()) else {
            let panda = Panda::find(context.home, context.selection, self.target)?;
            return Ok((panda.command(), panda.sandbox()));
        };
        let mut command = Command::new(&qemu);
        command.arg(NO_CONFIGURATION);
        let kvm = || OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        let here = cfg!(target_arch = "x86_64") && matches!(self.target, Target::X86_64 | Target::I386);
        if !self.no_kvm && here && kvm() {
            // With QEMU's own processor, which is PANDA's: nothing on the image gets used to a better one.
            command.arg("-enable-kvm");
        }
        // It belongs to the distribution, which fixes it.
        let open = Settings { mode: Mode::Off, ..context.selection.confine.clone() };
        Ok((command, Sandbox::of(&qemu, &open)))
    }

    fn arguments(&self, base: &Base, forwards: &[PortForward]) -> Vec<String> {
        let mut args =
            ["-nodefaults", "-vga", "std", "-serial", "mon:stdio", "-display", &self.display, "-m"]
                .map(str::to_owned)
                .to_vec();
        args.push(self.mem.to_string());
        args.extend(drive(&base.path.to_string_lossy(), base.format));
        args.extend(network("e1000", forwards, self.net));
        if let Some(kernel) = &self.image.kernel {
            args.extend(["-kernel".to_owned(), whole(kernel)]);
            args.extend(["-append".to_owned(), self.image.append.clone()]);
        }
        if let Some(initrd) = &self.image.initrd {
            args.extend(["-initrd".to_owned(), whole(initrd)]);
        }
        args.extend(self.qemu_arg.iter().cloned());
        args
    }
}

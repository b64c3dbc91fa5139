//! `pandacap maint`: a disk image itself, writable, to change what is on it; nothing is recorded.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::cli::{Context, Error};
use crate::confine::{Mode, Sandbox, Settings};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::panda::{NO_CONFIGURATION, Panda, PandaError};
use crate::rec::mib;
use crate::target::Target;
use crate::terminal::{self, list};
use crate::vm::{
    Attached, Base, DiskError, Formats, ImageArgs, NoMemory, Overlays, PortError, PortForward, ProcessError,
    Reach, check_memory, drive, how_many, network,
};

/// Boot a disk image to change it, without recording
///
/// Boots the image with its serial console on this terminal (Ctrl-A X ends the machine). What you change is on
/// the image afterwards, and every overlay on it becomes invalid: the disks of traces that were recorded from
/// it. The traces still replay. Where pandacap knows of such traces it refuses, unless --force is given.
///
/// Debian's qemu-system-x86_64 runs the machine where it is installed, with KVM if that is there; else PANDA.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The disk image
    #[arg(short, long, value_name = "IMAGE")]
    disk: PathBuf,

    #[command(flatten)]
    image: ImageArgs,

    /// Boot this kernel [default: the disk's own boot loader]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,

    /// The kernel's initramfs
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,

    /// The kernel's command line
    #[arg(long, value_name = "ARGS", requires = "kernel", default_value = "root=/dev/sda1 console=ttyS0")]
    append: String,

    /// The guest architecture
    #[arg(short, long, default_value = "x86_64")]
    target: Target,

    /// The guest's memory, in MiB or with G
    #[arg(short, long, value_name = "MIB", value_parser = mib, default_value = "4096")]
    mem: u32,

    /// Forward port TO of this machine to port FROM of the guest (see `pandacap rec --help`)
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]")]
    port_fwd: Vec<PortForward>,

    /// What the guest reaches over its network: `open` to fetch packages
    #[arg(long, value_enum, default_value_t)]
    net: Reach,

    /// Where to show the screen, in QEMU's words, for instance vnc=127.0.0.1:1
    #[arg(short = 'D', long, value_name = "DISPLAY", default_value = "none")]
    display: String,

    /// One more argument for QEMU; repeat it for each word
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    qemu_arg: Vec<String>,

    /// Emulate the processor, even where there is KVM
    #[arg(long)]
    no_kvm: bool,

    /// Change the image although traces depend on it
    #[arg(long)]
    force: bool,

    /// Print the command line instead of running it, quoted for a shell
    #[arg(long)]
    dry_run: bool,
}

/// Why an image cannot be booted to change it.
#[derive(Debug, thiserror::Error)]
pub enum MaintError {
    /// The image cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It may not be written to.
    #[error("cannot write to {}: {error}", .image.display())]
    ReadOnly {
        /// The image.
        image: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Traces need it as it is.
    #[error(
        "{} is the base of the disks of {} ({}); change a copy of it, or say --force and lose their disks",
        .image.display(), how_many(.traces.len()), some(.traces)
    )]
    Needed {
        /// The image.
        image: PathBuf,
        /// The traces.
        traces: Vec<PathBuf>,
    },
    /// A port cannot be used.
    #[error("--port-fwd: {0}")]
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
    #[error("the machine ended with {0}; what it said is above")]
    Failed(ExitStatus),
    /// Its files cannot be handled.
    #[error("cannot handle files: {0}")]
    Files(#[from] io::Error),
}

/// A path that means the same wherever the machine runs.
fn whole(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn some(traces: &[PathBuf]) -> String {
    list(traces.get(..3).unwrap_or(traces)) + if traces.len() > 3 { ", ..." } else { "" }
}

impl Args {
    /// Boots the image and waits until the machine has ended.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        Ok(self.maintain(context)?)
    }

    fn maintain(&self, context: &Context) -> Result<Exit, MaintError> {
        let interrupt = Interrupt::catch()?;
        let formats = Formats::of(&context.home);
        let format = formats.decide(&self.disk, self.image.format)?;
        let base = Base::inspect(&self.disk, format, self.image.below())?;
        let read_only = |error| MaintError::ReadOnly { image: base.path.clone(), error };
        OpenOptions::new().read(true).write(true).open(&base.path).map_err(read_only)?;
        // First of all: a run that is about to end is about to leave a trace.
        let _hold = (!self.dry_run).then(|| base.hold_alone()).transpose()?;
        let traces = Overlays::of(&context.home).on(&base.path)?;
        if !self.force && !traces.is_empty() {
            return Err(MaintError::Needed { image: base.path, traces });
        }
        let forwards = self.port_fwd.iter().map(|forward| forward.ready()).collect::<Result<Vec<_>, _>>()?;
        check_memory(self.mem)?;
        let (mut command, sandbox) = self.emulator(context)?;
        command.args(self.arguments(&base, &forwards));
        if self.dry_run {
            writeln!(terminal::verbatim(), "{}", crate::vm::shell(&command))?;
            return Ok(Exit::Done);
        }
        // What the guest writes to its beginning must not change it.
        formats.remember(&base.path, base.format)?;
        terminal::say(format_args!(
            "pandacap: overlays on {} become invalid once it is changed",
            base.path.display()
        ));
        for forward in &forwards {
            terminal::say(format_args!(
                "port {} of the guest is port {} of this machine",
                forward.guest, forward.host
            ));
        }
        let work = tempfile::tempdir()?;
        command.current_dir(work.path());
        let sandbox = sandbox.write(work.path()).write(&base.path).read_all(base.chain());
        let sandbox = sandbox.forwards(&forwards).reach(self.net).display(Some(&self.display));
        let sandbox = sandbox.read_all(&self.kernel).read_all(&self.initrd).named_by(&self.qemu_arg);
        match Attached::start(command, &sandbox)?.wait(&interrupt)? {
            Some(status) if status.success() => Ok(Exit::Done),
            Some(status) => Err(MaintError::Failed(status)),
            None => Ok(Exit::Interrupted),
        }
    }

    /// What runs the machine: QEMU, with KVM if it can be had, else PANDA.
    fn emulator(&self, context: &Context) -> Result<(Command, Sandbox), MaintError> {
        let program = format!("qemu-system-{}", self.target);
        let path = context.selection.path.iter().flat_map(std::env::split_paths);
        let Some(qemu) = path.map(|folder| folder.join(&program)).find(|program| program.is_file()) else {
            let panda = Panda::find(&context.home, &context.selection, self.target)?;
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
        // It is the distribution's, and mended there.
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
        if let Some(kernel) = &self.kernel {
            args.extend(["-kernel".to_owned(), whole(kernel)]);
            args.extend(["-append".to_owned(), self.append.clone()]);
        }
        if let Some(initrd) = &self.initrd {
            args.extend(["-initrd".to_owned(), whole(initrd)]);
        }
        args.extend(self.qemu_arg.iter().cloned());
        args
    }
}

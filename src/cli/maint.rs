//! `pandacap maint`: boots a disk image writable, to change what is on it; nothing is recorded.

use std::io::Write;
use std::path::PathBuf;

use machine::{Interrupt, PortForward, Reach};
use rr_log::Target;
use run::Image;
use run::maint::{Ended, Maint};

use super::container::{DockerArgs, started};
use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::image::ImageArgs;
use super::terminal;
use super::values::{self, mib};
/// Boot a disk image to change it, without recording
///
/// Boots the image with its serial console on this terminal (Ctrl-A X ends the machine). Changes are written to
/// the image itself. They invalidate every overlay on it: the disks of traces that were recorded from it, although
/// those traces still replay. If pandacap knows of such traces, it refuses to boot the image unless --force is given.
///
/// The machine runs in Debian's qemu-system-x86_64 if that is installed, with KVM if available, and otherwise in
/// PANDA.
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
    #[arg(short, long, value_parser = values::target(), default_value = "x86_64")]
    target: Target,

    /// The guest's memory in MiB, or with a suffix M or G
    #[arg(short, long, value_name = "MIB", value_parser = mib, default_value = "4096")]
    mem: u32,

    /// Forward port TO of this machine to port FROM of the guest (see `pandacap rec --help`)
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]")]
    port_fwd: Vec<PortForward>,

    /// What the guest can reach over its network; use `open` to fetch packages
    #[arg(long, value_parser = values::reach(), value_name = "NET", default_value = "restricted")]
    net: Reach,

    /// Where to show the screen, in QEMU's syntax, for example vnc=127.0.0.1:1
    #[arg(short = 'D', long, value_name = "DISPLAY", default_value = "none")]
    display: String,

    /// An extra argument for QEMU; repeat the option for each word
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    qemu_arg: Vec<String>,

    /// Emulate the processor even if KVM is available
    #[arg(long)]
    no_kvm: bool,

    /// Boot the image even if traces depend on it
    #[arg(long)]
    force: bool,

    /// Print the command line, quoted for a shell, instead of running it
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) docker: DockerArgs,
}

impl Args {
    /// Boots the image and waits until the machine has ended.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        started(None, &[])?;
        let maint = Maint {
            image: Image {
                disk: self.disk,
                format: self.image.format,
                below: self.image.below(),
                kernel: self.kernel,
                initrd: self.initrd,
                append: self.append,
            },
            target: self.target,
            mem: self.mem,
            port_fwd: self.port_fwd,
            net: self.net,
            display: self.display,
            qemu_arg: self.qemu_arg,
            no_kvm: self.no_kvm,
            force: self.force,
            dry_run: self.dry_run,
        };
        match maint.run(context.run(), &interrupt)? {
            Ended::Dry(line) => writeln!(terminal::verbatim(), "{line}")?,
            Ended::Done => {}
            Ended::Interrupted => return Ok(Exit::Interrupted),
        }
        Ok(Exit::Done)
    }
}

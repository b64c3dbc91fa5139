//! What is recorded: the guest with all that boots it, found and looked at before anything starts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::args::Args;
use super::{CONSOLE, DISK, INITRAMFS, OUTPUT, RecError};
use crate::digest::FileDigest;
use crate::dist;
use crate::guest::{Guest, startup, tiny};
use crate::target::Target;
use crate::trace::GuestId;
use crate::vm::{Base, Boot, Machine, Nic};

/// The memory of an image that is no guest of pandacap's, in MiB, if nobody says.
const MEMORY_MIB: u32 = 512;
const NIC: &str = "e1000";

/// A guest that is about to be recorded.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) id: GuestId,
    pub(super) target: Target,
    pub(super) machine: Machine,
    kernel: Option<PathBuf>,
    initramfs: Option<PathBuf>,
    append: String,
    kind: Kind,
    /// Nobody removes the guest meanwhile.
    _guest: Option<Guest>,
}

#[derive(Debug)]
enum Kind {
    /// Its startup runs one command, with this agent.
    Startup(Vec<u8>),
    /// It runs what is on its disk.
    Disk(Base),
}

impl Subject {
    /// The guest that was asked for.
    pub(super) fn of(args: &Args, home: &Path) -> Result<Subject, RecError> {
        let mut subject = match &args.disk {
            Some(image) => Subject::image(args, image)?,
            None if args.guest == tiny::RECIPE && args.command.is_empty() => return Err(RecError::NoCommand),
            None if args.guest == tiny::RECIPE => {
                Subject::guest(Guest::ready_tiny(home, args.target.unwrap_or_default())?)?
            }
            None => Subject::guest(Guest::open(home, &args.guest)?)?,
        };
        match (&subject.kind, args.target) {
            (Kind::Disk(_), _) if !args.command.is_empty() => return Err(RecError::Startup),
            (Kind::Startup(_), _) if args.command.is_empty() => return Err(RecError::NoCommand),
            (_, Some(asked)) if asked != subject.target => {
                return Err(RecError::OtherTarget { guest: subject.id.name, target: subject.target, asked });
            }
            _ => {}
        }
        let machine = &mut subject.machine;
        machine.memory_mib = args.mem.unwrap_or(machine.memory_mib);
        if let Some(nic) = &args.nic {
            machine.nic = nic.clone();
        }
        if !args.port_fwd.is_empty() && machine.nic.is_none() {
            return Err(RecError::NoNic);
        }
        machine.vga |= args.display.as_ref().is_some_and(|display| display != "none");
        machine.more = args.qemu_arg.clone();
        Ok(subject)
    }

    /// A guest of pandacap's.
    fn guest(guest: Guest) -> Result<Subject, RecError> {
        let manifest = &guest.manifest;
        let mut files = manifest.files.clone();
        let base = guest.disk().map(|disk| Base::inspect(&disk)).transpose()?;
        let mut machine = tiny::MACHINE;
        machine.memory_mib = manifest.memory_mib;
        machine.nic = manifest.nic.as_deref().and_then(|nic| nic.parse().ok());
        let kind = match base {
            Some(base) => {
                machine.serial_ports = 1;
                machine.disk_bytes = Some(base.virtual_bytes);
                machine.vga = manifest.kernel.is_none();
                Kind::Disk(base)
            }
            None => {
                let agent = dist::find("recctrlu", manifest.target)?;
                files.insert("recctrlu".to_owned(), FileDigest::of(&agent)?);
                Kind::Startup(fs::read(agent)?)
            }
        };
        Ok(Subject {
            id: GuestId { name: guest.name.clone(), packages: guest.packages().to_owned(), files },
            target: manifest.target,
            machine,
            kernel: guest.kernel(),
            initramfs: guest.initramfs(),
            append: manifest.append.clone(),
            kind,
            _guest: Some(guest),
        })
    }

    /// An image of the user's.
    fn image(args: &Args, image: &Path) -> Result<Subject, RecError> {
        let target = args.target.unwrap_or_default();
        if !matches!(target, Target::X86_64 | Target::I386) {
            return Err(RecError::Target(target));
        }
        let base = Base::inspect(image)?;
        let mut files = BTreeMap::new();
        let mut file = |name: &str, path: &Option<PathBuf>| -> Result<Option<PathBuf>, RecError> {
            let Some(path) = path else { return Ok(None) };
            let whole = std::path::absolute(path)?;
            let unreadable = |error| RecError::Unreadable { path: whole.clone(), error };
            files.insert(name.to_owned(), FileDigest::of(&whole).map_err(unreadable)?);
            Ok(Some(whole))
        };
        let (kernel, initramfs) = (file("vmlinuz", &args.kernel)?, file("initrd", &args.initrd)?);
        let name = base.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let machine = Machine {
            memory_mib: MEMORY_MIB,
            serial_ports: 1,
            disk_bytes: Some(base.virtual_bytes),
            nic: NIC.parse::<Nic>().ok(),
            // Boot loaders want a screen.
            vga: kernel.is_none(),
            more: Vec::new(),
        };
        Ok(Subject {
            id: GuestId { name, packages: Vec::new(), files },
            target,
            machine,
            kernel,
            initramfs,
            append: args.append.clone(),
            kind: Kind::Disk(base),
            _guest: None,
        })
    }

    /// The image below the guest's disk, if it has one.
    pub(super) fn base(&self) -> Option<&Base> {
        match &self.kind {
            Kind::Startup(_) => None,
            Kind::Disk(base) => Some(base),
        }
    }

    /// What the machine boots, in the folder of the run.
    pub(super) fn boot(&self) -> Boot<'_> {
        let initramfs = match &self.kind {
            Kind::Startup(_) => Some(Path::new(INITRAMFS)),
            Kind::Disk(_) => self.initramfs.as_deref(),
        };
        Boot { kernel: self.kernel.as_deref(), initramfs, append: &self.append }
    }

    /// The files of the run that serial ports write.
    pub(super) fn serial(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Startup(_) => &[CONSOLE, OUTPUT],
            Kind::Disk(_) => &[CONSOLE],
        }
    }

    /// Makes what the machine boots, in the folder of the run.
    pub(super) fn prepare(
        &self,
        folder: &Path,
        recording: &str,
        command: &[OsString],
    ) -> Result<(), RecError> {
        match (&self.kind, &self.initramfs) {
            (Kind::Startup(agent), initramfs) => {
                let mut archive = initramfs.as_ref().map(fs::read).transpose()?.unwrap_or_default();
                archive.extend(startup::initramfs(agent, recording, command));
                fs::write(folder.join(INITRAMFS), archive)?;
            }
            (Kind::Disk(base), _) => base.overlay(folder, DISK)?,
        }
        Ok(())
    }

    /// Removes what only the running machine needed.
    pub(super) fn clean(&self, folder: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Startup(_) => fs::remove_file(folder.join(INITRAMFS)),
            Kind::Disk(_) => Ok(()),
        }
    }
}

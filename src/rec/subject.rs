//! What is recorded: the guest with all that boots it, found and looked at before anything starts.

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

/// The memory of a guest with a disk, in MiB, if nobody says.
const MEMORY_MIB: u32 = 512;
const NIC: &str = "e1000";

/// A guest that is about to be recorded.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) id: GuestId,
    pub(super) machine: Machine,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Its startup runs one command.
    Tiny { guest: Guest, agent: Vec<u8> },
    /// It runs what is on its disk.
    Disk {
        base: Base,
        kernel: Option<PathBuf>,
        initrd: Option<PathBuf>,
        append: String,
        /// Keeps the guest from being removed.
        _guest: Option<Guest>,
    },
}

impl Subject {
    /// The guest that was asked for.
    pub(super) fn of(args: &Args, home: &Path) -> Result<Subject, RecError> {
        let mut subject = match &args.disk {
            Some(image) => Subject::disk(args, image)?,
            None if args.guest != tiny::RECIPE => Subject::guest(args, Guest::open(home, &args.guest)?)?,
            None if args.command.is_empty() => return Err(RecError::NoCommand),
            None => Subject::tiny(home, args.target)?,
        };
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

    fn tiny(home: &Path, target: Target) -> Result<Subject, RecError> {
        let guest = Guest::ready_tiny(home, target)?;
        let agent = dist::find("recctrlu", target)?;
        let mut files = guest.manifest.files.clone();
        files.insert("recctrlu".to_owned(), FileDigest::of(&agent)?);
        let id = GuestId { name: guest.name.clone(), packages: guest.packages().to_owned(), files };
        let kind = Kind::Tiny { guest, agent: fs::read(agent)? };
        Ok(Subject { id, machine: tiny::MACHINE, kind })
    }

    /// A guest of pandacap's that has a disk.
    fn guest(args: &Args, guest: Guest) -> Result<Subject, RecError> {
        if !args.command.is_empty() {
            return Err(RecError::Startup);
        }
        let Some(disk) = guest.disk() else { return Err(RecError::NoGuest(args.guest.clone())) };
        let base = Base::inspect(&disk)?;
        let packages = guest.packages().to_owned();
        let id = GuestId { name: guest.name.clone(), packages, files: guest.manifest.files.clone() };
        let kind = Kind::Disk {
            base,
            kernel: guest.kernel(),
            initrd: guest.initramfs(),
            append: guest.manifest.append.clone(),
            _guest: Some(guest.clone()),
        };
        Ok(Subject { id, machine: guest.machine(), kind })
    }

    fn disk(args: &Args, image: &Path) -> Result<Subject, RecError> {
        if !matches!(args.target, Target::X86_64 | Target::I386) {
            return Err(RecError::Target(args.target));
        }
        if !args.command.is_empty() {
            return Err(RecError::Startup);
        }
        let base = Base::inspect(image)?;
        let mut files = std::collections::BTreeMap::new();
        let mut file = |name: &str, path: &Option<PathBuf>| -> Result<Option<PathBuf>, RecError> {
            let Some(path) = path else { return Ok(None) };
            let whole = std::path::absolute(path)?;
            let unreadable = |error| RecError::Unreadable { path: whole.clone(), error };
            files.insert(name.to_owned(), FileDigest::of(&whole).map_err(unreadable)?);
            Ok(Some(whole))
        };
        let kernel = file("vmlinuz", &args.kernel)?;
        let initrd = file("initrd", &args.initrd)?;
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
        let kind = Kind::Disk { base, kernel, initrd, append: args.append.clone(), _guest: None };
        Ok(Subject { id: GuestId { name, packages: Vec::new(), files }, machine, kind })
    }

    /// The image below the guest's disk, if it has one.
    pub(super) fn base(&self) -> Option<&Base> {
        match &self.kind {
            Kind::Tiny { .. } => None,
            Kind::Disk { base, .. } => Some(base),
        }
    }

    /// What the machine boots, in the folder of the run.
    pub(super) fn boot<'a>(&'a self, kernel: &'a mut PathBuf) -> Boot<'a> {
        match &self.kind {
            Kind::Tiny { guest, .. } => {
                *kernel = guest.kernel().unwrap_or_default();
                Boot { kernel: Some(kernel), initramfs: Some(Path::new(INITRAMFS)), append: tiny::APPEND }
            }
            Kind::Disk { kernel, initrd, append, .. } => {
                Boot { kernel: kernel.as_deref(), initramfs: initrd.as_deref(), append }
            }
        }
    }

    /// The files of the run that serial ports write.
    pub(super) fn serial(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Tiny { .. } => &[CONSOLE, OUTPUT],
            Kind::Disk { .. } => &[CONSOLE],
        }
    }

    /// Makes what the machine boots, in the folder of the run.
    pub(super) fn prepare(
        &self,
        folder: &Path,
        recording: &str,
        command: &[OsString],
    ) -> Result<(), RecError> {
        match &self.kind {
            Kind::Tiny { guest, agent } => {
                let mut initramfs = fs::read(guest.initramfs().unwrap_or_default())?;
                initramfs.extend(startup::initramfs(agent, Some(&startup::script(recording, command))));
                fs::write(folder.join(INITRAMFS), initramfs)?;
            }
            Kind::Disk { base, .. } => base.overlay(folder, DISK)?,
        }
        Ok(())
    }

    /// Removes what only the running machine needed.
    pub(super) fn clean(&self, folder: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Tiny { .. } => fs::remove_file(folder.join(INITRAMFS)),
            Kind::Disk { .. } => Ok(()),
        }
    }
}

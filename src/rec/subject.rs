//! What is recorded: the guest with all that boots it, found and looked at before anything starts.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::args::Args;
use super::{CONSOLE, DISK, INITRAMFS, OUTPUT, RecError};
use crate::digest::FileDigest;
use crate::dist;
use crate::guest::{Guest, GuestError, Warm, WarmKey, startup, tiny, warm};
use crate::interrupt::Interrupt;
use crate::panda::Panda;
use crate::progress::Progress;
use crate::target::Target;
use crate::trace::GuestId;
use crate::vm::{Base, Boot, Machine, Nic, Overlays};

/// The memory of a guest with a disk, in MiB, if nobody says.
const MEMORY_MIB: u32 = 512;
/// The pipe, in QEMU's sense, through which a warm guest is told its command.
const MESSAGE: &str = "command";
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
    Tiny { guest: Guest, agent: Vec<u8>, warm: Option<Warm> },
    /// It runs what is on its disk.
    Disk {
        base: Base,
        kernel: Option<PathBuf>,
        initrd: Option<PathBuf>,
        append: String,
        /// The guest that the image belongs to.
        guest: Option<Guest>,
        warm: Option<Warm>,
    },
}

impl Subject {
    /// The guest that was asked for.
    pub(super) fn of(args: &Args, home: &Path) -> Result<Subject, RecError> {
        let mut subject = match &args.disk {
            Some(image) => Subject::disk(args, image)?,
            None if args.guest != tiny::RECIPE => Subject::of_guest(args, Guest::open(home, &args.guest)?)?,
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
        let kind = Kind::Tiny { guest, agent: fs::read(agent)?, warm: None };
        Ok(Subject { id, machine: tiny::MACHINE, kind })
    }

    /// A guest of pandacap's that has a disk.
    fn of_guest(args: &Args, guest: Guest) -> Result<Subject, RecError> {
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
            guest: Some(guest.clone()),
            warm: None,
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
        let kind = Kind::Disk { base, kernel, initrd, append: args.append.clone(), guest: None, warm: None };
        Ok(Subject { id: GuestId { name, packages: Vec::new(), files }, machine, kind })
    }

    /// Finds the state from which the machine can go on. One that does not fit any more is made anew, unless the
    /// machine is not the guest's usual one.
    pub(super) fn find_warm(
        &mut self,
        home: &Path,
        panda: &Panda,
        interrupt: &Interrupt,
    ) -> Result<(), RecError> {
        let initramfs = match &self.kind {
            Kind::Tiny { guest, agent, .. } => Some(warm::tiny_initramfs(guest, agent)?),
            Kind::Disk { .. } => None,
        };
        let Some(guest) = self.guest().filter(|guest| guest.was_warm()) else { return Ok(()) };
        let key = WarmKey::of(guest, &self.machine, panda, initramfs.as_deref())?;
        let found = match guest.warm(&key) {
            None if self.machine == guest.machine() => {
                let what = format!("the warm state of {} does not fit any more: booting it anew", guest.name);
                let _progress = Progress::waiting(&what);
                let made = guest.make_warm(&key, panda, initramfs.as_deref(), warm::PATIENCE, interrupt);
                let made = made.map_err(GuestError::from)?;
                guest.forget_stale(&key, &Overlays::of(home)).map_err(GuestError::from)?;
                Some(made)
            }
            found => found,
        };
        match (&mut self.kind, found) {
            (Kind::Tiny { warm, .. }, found) => *warm = found,
            (Kind::Disk { base, warm, .. }, Some(Warm { state, disk: Some(disk), initramfs })) => {
                *base = Base::inspect(&disk)?;
                *warm = Some(Warm { state, disk: Some(disk), initramfs });
            }
            (Kind::Disk { .. }, _) => {}
        }
        Ok(())
    }

    fn guest(&self) -> Option<&Guest> {
        match &self.kind {
            Kind::Tiny { guest, .. } => Some(guest),
            Kind::Disk { guest, .. } => guest.as_ref(),
        }
    }

    /// The state from which the machine goes on, if it does not boot.
    pub(super) fn state(&self) -> Option<&Path> {
        let (Kind::Tiny { warm, .. } | Kind::Disk { warm, .. }) = &self.kind;
        warm.as_ref().map(|warm| &*warm.state)
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
            Kind::Tiny { guest, warm, .. } => {
                let initramfs = warm.as_ref().and_then(|warm| warm.initramfs.as_deref());
                let initramfs = initramfs.unwrap_or(Path::new(INITRAMFS));
                *kernel = guest.kernel().unwrap_or_default();
                Boot { kernel: Some(kernel), initramfs: Some(initramfs), append: &guest.manifest.append }
            }
            Kind::Disk { kernel, initrd, append, .. } => {
                Boot { kernel: kernel.as_deref(), initramfs: initrd.as_deref(), append }
            }
        }
    }

    /// Where the serial ports go, in QEMU's words.
    pub(super) fn serial(&self) -> Vec<String> {
        let [console, output] = [CONSOLE, OUTPUT].map(|file| format!("file:{file}"));
        match &self.kind {
            Kind::Tiny { warm: None, .. } => vec![console, output],
            // Both ways: the guest waits for its command.
            Kind::Tiny { .. } => vec![console, format!("pipe:{MESSAGE}")],
            Kind::Disk { .. } => vec![console],
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
            Kind::Tiny { warm: Some(_), .. } => {
                let script = startup::script(recording, command);
                fs::write(folder.join(format!("{MESSAGE}.in")), startup::message(&script))?;
                fs::write(folder.join(OUTPUT), [])?;
                symlink(OUTPUT, folder.join(format!("{MESSAGE}.out")))?;
            }
            Kind::Tiny { guest, agent, .. } => {
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
            Kind::Tiny { warm: Some(_), .. } => ["in", "out"]
                .into_iter()
                .try_for_each(|way| fs::remove_file(folder.join(format!("{MESSAGE}.{way}")))),
            Kind::Tiny { .. } => fs::remove_file(folder.join(INITRAMFS)),
            Kind::Disk { .. } => Ok(()),
        }
    }
}

//! What is recorded: the guest with all that boots it, found and looked at before anything starts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::error::RecError;
use crate::layout::{BOOTSTRAP, CONSOLE, DISK, INITRAMFS, OUTPUT, PROFILE};
use crate::options::{Booting, Image, Options};
use files::FileDigest;
use guest::bootstrap::{self, Bootstrap, GuestCommand, Place, Setting};
use guest::{Guest, GuestError, Warm, WarmKey, startup, tiny, warm};
use kernel::Kernel;
use kernel_profile::Profile;
use machine::Interrupt;
use machine::{Base, Boot, Formats, Machine, Nic, Overlays, Reach};
use panda_host::Panda;
use rr_log::Target;
use trace::{GuestId, Package};

/// The memory of an image that is no guest of pandacap's, in MiB, by default.
const MEMORY_MIB: u32 = 512;
const NIC: &str = "e1000";
/// The pipe, in QEMU's sense, through which a warm guest is told its command.
const MESSAGE: &str = "command";

/// A guest that is about to be recorded.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) id: GuestId,
    pub(crate) target: Target,
    pub(crate) machine: Machine,
    kernel: Option<PathBuf>,
    initramfs: Option<PathBuf>,
    append: String,
    kind: Kind,
    /// The pandacap guest that it is, which cannot be removed meanwhile.
    guest: Option<Guest>,
    /// The state from which the machine goes on, if it does not boot.
    warm: Option<Warm>,
    /// What the guest finds on a small disk when it boots, if it has one.
    seed: Option<Seed>,
}

/// The bootstrap disk: a folder's scripts, the command, or both.
#[derive(Debug)]
struct Seed {
    source: Option<PathBuf>,
    settings: Vec<Setting>,
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
    pub(crate) fn of(args: &Options, context: Context<'_>) -> Result<Subject, RecError> {
        let mut subject = match &args.boot {
            Booting::Image(image) => Subject::image(args, image, context)?,
            Booting::Guest(name) if name == tiny::RECIPE => {
                if args.bootstrap.is_some() {
                    return Err(RecError::TinyBootstrap);
                }
                if args.command.is_empty() {
                    return Err(RecError::NoCommand);
                }
                // Before it is fetched: without a PANDA it is of no use.
                Panda::find(context.home, context.selection, Target::default())?;
                let target = args.target.unwrap_or_default();
                let shipped = context.dist.home();
                let guest = tiny::ready(context.home, shipped.as_deref(), target, context.progress)?;
                Subject::guest(guest, context)?
            }
            Booting::Guest(name) => Subject::guest(Guest::open(context.home, name)?, context)?,
        };
        match (&subject.kind, args.target) {
            (Kind::Startup(_), _) if args.bootstrap.is_some() => return Err(RecError::TinyBootstrap),
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
        if (!args.port_fwd.is_empty() || args.net == Reach::Open) && machine.nic.is_none() {
            return Err(RecError::NoNic);
        }
        machine.vga |= args.display.as_ref().is_some_and(|display| display != "none");
        machine.more = args.qemu_arg.clone();
        if let (Kind::Disk(_), true) = (&subject.kind, args.bootstrap.is_some() || !args.command.is_empty()) {
            if !args.command.is_empty() {
                machine.serial_ports = 2;
            }
            let seed = Seed { source: args.bootstrap.clone(), settings: args.set.clone() };
            // To hear now what is wrong with it.
            machine.bootstrap_bytes = Some(seed.disk(tempfile::tempdir()?.path(), "a", &args.command)?);
            subject.seed = Some(seed);
        }
        Ok(subject)
    }

    /// A guest of pandacap's.
    fn guest(guest: Guest, context: Context<'_>) -> Result<Subject, RecError> {
        let manifest = &guest.manifest;
        let mut files = manifest.files.clone();
        // It is not booted.
        files.remove(PROFILE);
        let kind = match guest.base()? {
            Some(base) => Kind::Disk(base),
            None => {
                let agent = context.dist.find("recctrlu", manifest.target)?;
                files.insert("recctrlu".to_owned(), FileDigest::of(&agent)?);
                Kind::Startup(fs::read(agent)?)
            }
        };
        let packages = guest.packages().iter();
        let packages = packages
            .map(|package| Package { name: package.name.clone(), version: package.version.clone() })
            .collect();
        Ok(Subject {
            id: GuestId { name: guest.name.clone(), packages, files },
            target: manifest.target,
            machine: guest.machine(),
            kernel: guest.kernel(),
            initramfs: guest.initramfs(),
            append: manifest.append.clone(),
            kind,
            guest: Some(guest),
            warm: None,
            seed: None,
        })
    }

    /// An image of the user's.
    fn image(args: &Options, image: &Image, context: Context<'_>) -> Result<Subject, RecError> {
        let target = args.target.unwrap_or_default();
        if !matches!(target, Target::X86_64 | Target::I386) {
            return Err(RecError::Target(target));
        }
        let formats = Formats::of(context.home);
        let disk = &image.disk;
        let base = Base::inspect(disk, formats.decide(disk, image.format)?, image.below)?;
        if !args.dry_run {
            formats.remember(&base.path, base.format)?;
        }
        let mut files = BTreeMap::new();
        let mut file = |name: &str, path: &Option<PathBuf>| -> Result<Option<PathBuf>, RecError> {
            let Some(path) = path else { return Ok(None) };
            let whole = std::path::absolute(path)?;
            let unreadable = |source| RecError::Unreadable { path: whole.clone(), source };
            files.insert(name.to_owned(), FileDigest::of(&whole).map_err(unreadable)?);
            Ok(Some(whole))
        };
        let (kernel, initramfs) = (file("vmlinuz", &image.kernel)?, file("initrd", &image.initrd)?);
        let name = base.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let machine = Machine {
            memory_mib: MEMORY_MIB,
            serial_ports: 1,
            disk_bytes: Some(base.virtual_bytes),
            bootstrap_bytes: None,
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
            append: image.append.clone(),
            kind: Kind::Disk(base),
            guest: None,
            warm: None,
            seed: None,
        })
    }

    /// Finds the state from which the machine can go on. One that does not fit any more is made anew if it may be,
    /// unless the machine is not the guest's usual one.
    pub(crate) fn find_warm(
        &mut self,
        context: Context<'_>,
        panda: &Panda,
        interrupt: &Interrupt,
        make: bool,
    ) -> Result<(), RecError> {
        let Some(guest) = self.guest.as_ref().filter(|guest| guest.was_warm()) else { return Ok(()) };
        let initramfs = match &self.kind {
            Kind::Startup(agent) => Some(warm::tiny_initramfs(guest, agent)?),
            Kind::Disk(_) => None,
        };
        let key = WarmKey::of(guest, &self.machine, panda, initramfs.as_deref())?;
        let found = match guest.warm(&key) {
            None if make && self.machine == guest.machine() => {
                let what = format!("the warm state of {} does not fit any more: booting it anew", guest.name);
                let _waiting = context.progress.waiting(&what);
                let made = guest.make_warm(&key, panda, initramfs.as_deref(), warm::PATIENCE, interrupt);
                let made = made.map_err(GuestError::from)?;
                guest.forget_stale(&key, &Overlays::of(context.home)).map_err(GuestError::from)?;
                Some(made)
            }
            found => found,
        };
        if let (Kind::Disk(base), Some(warm)) = (&mut self.kind, &found)
            && let Some(warm) = warm.base(guest)?
        {
            *base = warm;
        }
        self.warm = found;
        Ok(())
    }

    /// The state from which the machine goes on, if it does not boot.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.warm.as_ref().map(|warm| &*warm.state)
    }

    /// The image below the guest's disk, if it has one.
    pub(crate) fn base(&self) -> Option<&Base> {
        match &self.kind {
            Kind::Startup(_) => None,
            Kind::Disk(base) => Some(base),
        }
    }

    /// Whether the guest finds a bootstrap disk.
    pub(crate) fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }

    /// What the machine boots, in the folder of the run.
    pub(crate) fn boot(&self) -> Boot<'_> {
        let initramfs = match &self.kind {
            Kind::Startup(_) => {
                let warm = self.warm.as_ref().and_then(|warm| warm.initramfs.as_deref());
                Some(warm.unwrap_or(Path::new(INITRAMFS)))
            }
            Kind::Disk(_) => self.initramfs.as_deref(),
        };
        Boot { kernel: self.kernel.as_deref(), initramfs, append: &self.append }
    }

    /// Where the serial ports go, in QEMU's words.
    pub(crate) fn serial(&self) -> Vec<String> {
        let [console, output] = [CONSOLE, OUTPUT].map(|file| format!("file:{file}"));
        match (&self.kind, &self.warm) {
            (Kind::Startup(_), None) => vec![console, output],
            // Both ways: the guest waits for its command.
            (Kind::Startup(_), Some(_)) => vec![console, format!("pipe:{MESSAGE}")],
            (Kind::Disk(_), _) if self.machine.serial_ports > 1 => vec![console, output],
            (Kind::Disk(_), _) => vec![console],
        }
    }

    /// The profile of the kernel that boots, if it is known.
    fn profile(&self) -> Option<Profile> {
        let profile = match (&self.guest, &self.kernel) {
            (Some(guest), _) => guest.profile().map_err(|error| files::chain(&error)),
            (None, Some(kernel)) => {
                Kernel::open(kernel).and_then(|kernel| kernel.profile()).map_err(|error| files::chain(&error))
            }
            (None, None) => return None,
        };
        profile.inspect_err(|why| log::info!("the trace will have no kernel profile: {why}")).ok()
    }

    /// Makes what the machine boots, in the folder of the run.
    pub(crate) fn prepare(
        &mut self,
        folder: &Path,
        recording: &str,
        command: &[OsString],
    ) -> Result<(), RecError> {
        if let Some(profile) = self.profile() {
            fs::write(folder.join(PROFILE), profile.to_json().map_err(io::Error::from)?)?;
        }
        match (&self.kind, &self.warm) {
            (Kind::Startup(_), Some(_)) => {
                let script = startup::script(recording, command);
                fs::write(folder.join(format!("{MESSAGE}.in")), startup::message(&script))?;
                fs::write(folder.join(OUTPUT), [])?;
                symlink(OUTPUT, folder.join(format!("{MESSAGE}.out")))?;
            }
            (Kind::Startup(agent), None) => {
                let mut archive = self.initramfs.as_ref().map(fs::read).transpose()?.unwrap_or_default();
                archive.extend(startup::initramfs(agent, Some(&startup::script(recording, command))));
                fs::write(folder.join(INITRAMFS), archive)?;
            }
            (Kind::Disk(base), _) => {
                base.overlay(folder, DISK)?;
                if let Some(seed) = &self.seed {
                    self.machine.bootstrap_bytes = Some(seed.disk(folder, recording, command)?);
                }
            }
        }
        Ok(())
    }

    /// Removes what only the running machine needed.
    pub(crate) fn clean(&self, folder: &Path) -> io::Result<()> {
        match (&self.kind, &self.warm) {
            (Kind::Startup(_), Some(_)) => ["in", "out"]
                .into_iter()
                .try_for_each(|way| fs::remove_file(folder.join(format!("{MESSAGE}.{way}")))),
            (Kind::Startup(_), None) => fs::remove_file(folder.join(INITRAMFS)),
            (Kind::Disk(_), _) => Ok(()),
        }
    }
}

impl Seed {
    /// Makes the disk in the folder of the run; its size in bytes.
    fn disk(&self, folder: &Path, recording: &str, command: &[OsString]) -> Result<u64, RecError> {
        let settings = &self.settings;
        let bootstrap = self.source.as_ref().map(|source| Bootstrap { source, settings, place: Place::Vm });
        let command = GuestCommand { recording, argv: command, power_off: true };
        let command = (!command.argv.is_empty()).then_some(command);
        Ok(bootstrap::disk(bootstrap, command, &folder.join(BOOTSTRAP))?.bytes)
    }
}

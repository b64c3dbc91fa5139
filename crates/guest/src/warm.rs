//! Warm starts: the state of a guest that has booted, kept so that machines can go on from it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;

use crate::error::WarmError;
use crate::guest::Guest;
use crate::startup;
use files::sha256;
use files::{is_left, last_lines};
use machine::life::{Cut, Ended, Event, Follow, Plan, Rules};
use machine::{
    Base, Below, Boot, Console, DiskError, Format, Interrupt, Machine, Outside, Overlays, ProcessError,
    ssh_port,
};
use panda_host::Panda;

/// The files of a warm state.
const STATE: &str = "state";
pub(crate) const DISK: &str = "disk.qcow2";
const INITRAMFS: &str = "initramfs.cpio";
const KEY: &str = "key.json";
const CONSOLE: &str = "console.log";
/// What a guest may still have to do when it answers, before it only waits.
const CALM: Duration = Duration::from_secs(3);
/// How long a guest may take to boot by default.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often its console is looked at even if nothing tells that it has changed.
const LOOK: Duration = Duration::from_secs(1);

/// Everything that a state depends on: with another of any of it, the state is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WarmKey {
    panda: String,
    machine: Machine,
    kernel: Option<String>,
    /// The whole initramfs, which has the agent in it where there is no disk.
    initramfs: Option<String>,
    append: String,
    disk: Option<Base>,
}

impl Warm {
    /// The disk, which depends on the guest's.
    pub fn base(&self, guest: &Guest) -> Result<Option<Base>, DiskError> {
        self.disk.as_ref().map(|disk| on_guests(disk, guest)).transpose()
    }
}

/// The disk of a warm state of the guest's.
fn on_guests(disk: &Path, guest: &Guest) -> Result<Base, DiskError> {
    let own = guest.disk().unwrap_or_default();
    let own = fs::canonicalize(&own).map_err(|source| DiskError::Unreadable { path: own, source })?;
    Base::inspect(disk, Format::Qcow2, Below::Only(&own))
}

/// A saved state.
#[derive(Clone, Debug)]
pub struct Warm {
    /// The state of the machine, for `-incoming`.
    pub state: PathBuf,
    /// The disk to make overlays on, as it was at that moment.
    pub disk: Option<PathBuf>,
    /// The initramfs that was booted: the machine has to be started with the same.
    pub initramfs: Option<PathBuf>,
}

impl WarmKey {
    /// The key of `guest` on `machine`; `initramfs` is what it boots when that is not its own.
    pub fn of(
        guest: &Guest,
        machine: &Machine,
        panda: &Panda,
        initramfs: Option<&[u8]>,
    ) -> Result<WarmKey, DiskError> {
        let manifest = &guest.manifest;
        let digest = |file: &Option<String>| Some(manifest.files.get(file.as_ref()?)?.sha256.clone());
        Ok(WarmKey {
            panda: panda.digest.clone(),
            machine: machine.clone(),
            kernel: digest(&manifest.kernel),
            initramfs: initramfs.map(sha256).or_else(|| digest(&manifest.initramfs)),
            append: manifest.append.clone(),
            disk: guest.base()?,
        })
    }

    /// The key as the name of a folder.
    fn name(&self) -> Result<String, serde_json::Error> {
        Ok(sha256(&serde_json::to_vec(self)?)[..16].to_owned())
    }
}

/// What a guest without a disk boots for a warm state: it stops where it needs to know the command.
pub fn tiny_initramfs(guest: &Guest, agent: &[u8]) -> io::Result<Vec<u8>> {
    let mut initramfs = fs::read(guest.initramfs().unwrap_or_default())?;
    initramfs.extend(startup::initramfs(agent, None));
    Ok(initramfs)
}

impl Guest {
    /// Where its warm states are.
    pub fn warm_folder(&self) -> PathBuf {
        self.folder.join("warm")
    }

    /// Whether it is to be kept warm: there is a state, for whichever PANDA.
    pub fn was_warm(&self) -> bool {
        let mut states = fs::read_dir(self.warm_folder()).into_iter().flatten().flatten();
        states.any(|state| !is_hidden(&state.path()))
    }

    /// The warm state for `key`, if there is one; states for another key are not looked at.
    pub fn warm(&self, key: &WarmKey) -> Option<Warm> {
        let folder = self.warm_folder().join(key.name().ok()?);
        let there = |file: &str| Some(folder.join(file)).filter(|path| path.is_file());
        Some(Warm { state: there(STATE)?, disk: there(DISK), initramfs: there(INITRAMFS) })
    }

    /// Boots the guest, and keeps its state under `key`. `initramfs` as in [`WarmKey::of`].
    pub fn make_warm(
        &self,
        key: &WarmKey,
        panda: &Panda,
        initramfs: Option<&[u8]>,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Warm, WarmError> {
        let warm = self.warm_folder();
        let files = |source| WarmError::Files { folder: warm.clone(), source };
        fs::create_dir_all(&warm).map_err(files)?;
        let made = tempfile::Builder::new().prefix(".").tempdir_in(&warm).map_err(files)?;
        // Marks it as being made: the lock goes with the process.
        let lock = File::open(made.path()).map_err(files)?;
        lock.try_lock().map_err(|error| files(error.into()))?;
        if let Some(initramfs) = initramfs {
            fs::write(made.path().join(INITRAMFS), initramfs).map_err(files)?;
        }
        if let Some(base) = &key.disk {
            base.overlay(made.path(), DISK)?;
        }
        self.boot_and_save(key, panda, made.path(), initramfs.is_some(), patience, interrupt)?;
        let text = serde_json::to_vec_pretty(key).map_err(|error| files(error.into()))?;
        fs::write(made.path().join(KEY), text).map_err(files)?;
        fs::remove_file(made.path().join(CONSOLE)).map_err(files)?;
        files::sync_folder(made.path()).map_err(files)?;
        let place = warm.join(key.name().map_err(|error| files(error.into()))?);
        match renameat_with(CWD, made.path(), CWD, &place, RenameFlags::NOREPLACE) {
            // Another process has made it meanwhile: that one is as good.
            Err(rustix::io::Errno::EXIST) | Ok(()) => {}
            Err(error) => return Err(files(error.into())),
        }
        self.warm(key).ok_or_else(|| files(io::ErrorKind::NotFound.into()))
    }

    fn boot_and_save(
        &self,
        key: &WarmKey,
        panda: &Panda,
        folder: &Path,
        own_initramfs: bool,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<(), WarmError> {
        let (kernel, initramfs) = (self.kernel(), self.initramfs());
        let initramfs = if own_initramfs { Some(PathBuf::from(INITRAMFS)) } else { initramfs };
        let boot = Boot {
            kernel: kernel.as_deref(),
            initramfs: initramfs.as_deref(),
            append: &self.manifest.append,
        };
        let forwards: Vec<_> = self
            .manifest
            .booted
            .forward()
            .into_iter()
            .map(|forward| forward.ready())
            .collect::<Result<_, _>>()?;
        let serial = format!("file:{CONSOLE}");
        let outside = Outside {
            serial: &[&serial],
            overlay: DISK,
            forwards: &forwards,
            monitor: true,
            ..Outside::default()
        };
        let mut command = panda.command();
        command.args(key.machine.boot_args(boot, outside)).env_remove("PANDA_DIR");
        let files = |source| WarmError::Files { folder: folder.to_owned(), source };
        let log = tempfile::tempfile().map_err(files)?;
        command.stdout(log.try_clone().map_err(files)?).stderr(log);

        let images = key.disk.iter().flat_map(Base::chain);
        let sandbox = outside.permit(panda.sandbox()).read_all(images).read_all(boot.files());
        let calm = if key.disk.is_some() { CALM } else { Duration::ZERO };
        let rules = Rules { boot: Some(patience), save: Some(calm), look: Some(LOOK), ..Rules::OPEN };
        let plan = Plan {
            files: &[CONSOLE],
            ssh: ssh_port(&forwards),
            state: STATE,
            ..Plan::apart(command, sandbox, folder, rules)
        };
        let began = Instant::now();
        let mut signs = Signs(Console::of(folder.join(CONSOLE), self.manifest.booted.text()));
        let lived = plan.live(interrupt, &mut signs).map_err(|error| match error {
            ProcessError::Save(error) => WarmError::Save(error),
            ProcessError::Follow(error) => files(error),
            error => WarmError::Process(error),
        })?;
        let said = || last_lines(&folder.join(CONSOLE), 8).unwrap_or_default().join("\n");
        match lived.ended {
            Ended::Done => Ok(()),
            Ended::Cut(Cut::Interrupt) => Err(WarmError::Interrupted),
            Ended::Cut(Cut::Boot) => Err(self.late(patience, said())),
            Ended::Cut(Cut::Panic) => Err(self.late(began.elapsed(), said())),
            Ended::Itself | Ended::Cut(_) => Err(WarmError::Died(said())),
        }
    }

    fn late(&self, after: Duration, said: String) -> WarmError {
        WarmError::Boot { name: self.name.clone(), after: after.as_secs(), said }
    }

    /// Removes the states for other keys than `key`, but those that machines run on and that traces have overlays
    /// on; and what a killed process left.
    pub fn forget_stale(&self, key: &WarmKey, overlays: &Overlays) -> Result<(), WarmError> {
        let warm = self.warm_folder();
        let files = |source| WarmError::Files { folder: warm.clone(), source };
        let needed = |disk: &Path| -> Result<bool, WarmError> {
            if !disk.is_file() {
                return Ok(false);
            }
            let base = on_guests(disk, self)?;
            let held = base.hold_alone();
            if matches!(held, Err(DiskError::Busy { .. })) {
                return Ok(true);
            }
            held?;
            Ok(!overlays.on(disk).map_err(files)?.is_empty())
        };
        let keep = key.name().map_err(|error| files(error.into()))?;
        for entry in fs::read_dir(&warm).map_err(files)? {
            let folder = entry.map_err(files)?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let stale = match is_hidden(&folder) {
                true => is_left(&folder),
                false => name != keep && !needed(&folder.join(DISK))?,
            };
            if stale {
                fs::remove_dir_all(&folder).map_err(files)?;
            }
        }
        File::open(&warm).and_then(|folder| folder.sync_all()).map_err(files)
    }
}

/// The signs of a guest that boots.
struct Signs(Console);

impl Follow for Signs {
    fn look(&mut self) -> io::Result<Vec<Event>> {
        self.0.look()
    }
}

/// Whether this state is in the making.
fn is_hidden(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BootSign as Booted, GuestManifest, Origin, SCHEMA, tiny};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::SystemTime;

    fn guest(folder: &Path) -> Guest {
        let manifest = GuestManifest {
            schema: SCHEMA,
            target: Default::default(),
            memory_mib: 256,
            kernel: None,
            initramfs: None,
            append: String::new(),
            disk: None,
            nic: None,
            booted: Booted::Console("ready".to_owned()),
            login: None,
            origin: Origin::Imported { from: PathBuf::new() },
            files: BTreeMap::new(),
        };
        let lock = Arc::new(File::open(folder).expect("opens"));
        Guest { name: "g".to_owned(), folder: folder.to_owned(), manifest, _lock: lock }
    }

    #[test]
    fn what_a_killed_pandacap_left_is_no_state_and_goes_away() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let guest = guest(dir.path());
        let made = |name: &str| {
            let folder = guest.warm_folder().join(name);
            fs::create_dir_all(&folder).expect("made");
            let opened = File::open(&folder).expect("opens");
            opened.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("set");
            (folder, opened)
        };
        let (left, _) = made(".left");
        let (busy, held) = made(".busy");
        held.try_lock().expect("locked");
        assert!(!guest.was_warm());
        let (stale, _) = made("0123456789abcdef");
        assert!(guest.was_warm());

        let key = WarmKey {
            panda: "ab".to_owned(),
            machine: tiny::MACHINE,
            kernel: None,
            initramfs: None,
            append: String::new(),
            disk: None,
        };
        guest.forget_stale(&key, &Overlays::of(dir.path())).expect("forgotten");
        assert_eq!([left, busy, stale].map(|folder| folder.exists()), [false, true, false]);
    }
}

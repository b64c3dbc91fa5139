//! Installing the embedded PANDA: atomic for each target, repeatable, and safe when two run at once.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::builder::{libraries, without_runpath};
use crate::confine::Settings;
use crate::embedded::{Embedded, InstallRecord, RELEASE, STAND_INS};
use crate::loader::{Libraries, LoaderError};
use crate::panda::{Panda, PandaError};
use crate::progress::Progress;
use crate::wheel::{self, Wheel, WheelError};
use files::FileDigest;
use rr_log::Target;

/// `panda-system-<target>`, which runs the libpanda that lies beside it; compiled by `build.rs`.
const LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// What happened to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there, or not whole.
    Installed,
    /// It was there, and the stand-ins or the launcher did not fit any more.
    Repaired,
    /// It was there and whole.
    Unchanged,
}

/// One target after the installation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Installed {
    /// What happened to it.
    pub change: Change,
    /// The libraries that have a stand-in.
    pub stand_ins: Vec<String>,
    /// The PANDA itself.
    #[serde(flatten)]
    pub panda: Panda,
}

/// Why PANDA was not installed; what was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The embedded PANDA does not run on this machine.
    #[error(
        "the embedded PANDA runs on x86_64 Linux only; build a PANDA for this machine and name it with --panda"
    )]
    Machine,
    /// There is no wheel.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// The machine's libraries could not be looked at.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// Libraries are missing for which a stand-in would not do.
    #[error(
        "PANDA for {target} cannot work without {}: install it, on Debian with `apt-get install {}`",
        join(.packages, ", "), join(.packages, " ")
    )]
    Libraries {
        /// For which target.
        target: Target,
        /// The packages that bring them.
        packages: BTreeSet<&'static str>,
    },
    /// A stand-in could not be made.
    #[error("cannot make the stand-in for {soname}")]
    StandIn {
        /// For which library.
        soname: String,
        /// What happened.
        source: object::write::Error,
    },
    /// It was installed and does not start.
    #[error(transparent)]
    Start(PandaError),
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl InstallError {
    fn io(path: &Path) -> impl Fn(io::Error) -> InstallError {
        move |source| InstallError::Io { path: path.to_owned(), source }
    }
}

/// Installs PANDA for `targets` below `home`, out of `wheel` or with pip, and repairs what is already installed.
pub fn install(
    home: &Path,
    targets: &[Target],
    wheel: Option<&Path>,
    confine: &Settings,
    progress: &dyn Progress,
) -> Result<Vec<Installed>, InstallError> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err(InstallError::Machine);
    }
    let folder = home.join("panda");
    fs::create_dir_all(&folder).map_err(InstallError::io(&folder))?;
    let _lock = lock(&folder.join("lock"), progress)?;

    let place = Embedded::of(home);
    let absent: Vec<Target> = targets.iter().copied().filter(|target| !is_whole(&place, *target)).collect();
    if !absent.is_empty() || !place.firmware().is_dir() {
        let staging = folder.join("staging");
        remove(&staging)?;
        let result = add(&place, &absent, wheel, &staging, confine, progress);
        remove(&staging)?;
        result?;
    }
    let mut installed = Vec::new();
    for &target in targets {
        let (record, changed) = complete(&place, target, confine)?;
        let change = match (absent.contains(&target), changed) {
            (true, _) => Change::Installed,
            (false, true) => Change::Repaired,
            (false, false) => Change::Unchanged,
        };
        let stand_ins = record.stand_ins.clone();
        installed.push(Installed { change, stand_ins, panda: Panda::embedded(&place, record, confine) });
    }
    Ok(installed)
}

/// How an installed target fits the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Every library is there, some of them as stand-ins.
    Fits {
        /// Which, sorted.
        stand_ins: Vec<String>,
    },
    /// The stand-ins are not those that the machine needs.
    Stale,
    /// These packages are needed.
    Packages(BTreeSet<&'static str>),
}

/// Compares an embedded PANDA with the libraries that the machine has now.
pub fn fit(panda: &Panda) -> Result<Fit, LoaderError> {
    let libraries = Libraries::of(&panda.code())?;
    let packages = libraries.packages(panda.target);
    if !packages.is_empty() {
        return Ok(Fit::Packages(packages));
    }
    let folder = panda.program.with_file_name(STAND_INS);
    let read = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let stand_ins: BTreeSet<_> = read.collect();
    let missing: BTreeSet<_> = libraries.missing.iter().map(std::ffi::OsString::from).collect();
    Ok(if stand_ins == missing { Fit::Fits { stand_ins: libraries.missing } } else { Fit::Stale })
}

/// Waits until no other process installs below the same home.
fn lock(path: &Path, progress: &dyn Progress) -> Result<File, InstallError> {
    let file = File::create(path).map_err(InstallError::io(path))?;
    if file.try_lock().is_err() {
        let _waiting = progress.waiting("waiting for another `pandacap panda install`");
        file.lock().map_err(InstallError::io(path))?;
    }
    Ok(file)
}

/// Whether a target was installed and its libpanda is still what was installed.
fn is_whole(place: &Embedded, target: Target) -> bool {
    let Ok(Some(record)) = place.record(target) else { return false };
    let digest = FileDigest::of(&place.libpanda(target));
    record.wheel == wheel::SHA256 && digest.is_ok_and(|digest| digest.sha256 == record.digest)
}

/// Makes targets in `staging`, and moves them to their place only when all of them start.
fn add(
    place: &Embedded,
    targets: &[Target],
    wheel: Option<&Path>,
    staging: &Path,
    confine: &Settings,
    progress: &dyn Progress,
) -> Result<(), InstallError> {
    let staged = Embedded::at(staging.join(RELEASE));
    fs::create_dir_all(staged.root()).map_err(InstallError::io(staged.root()))?;
    let wheel = match wheel {
        Some(wheel) => Wheel::open(wheel)?,
        None => Wheel::open(&wheel::download(staging, progress)?)?,
    };
    wheel.unpack(targets, &staged, progress)?;
    for &target in targets {
        complete(&staged, target, confine)?;
    }

    File::open(staging)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(InstallError::io(staging))?;
    fs::create_dir_all(place.root()).map_err(InstallError::io(place.root()))?;
    replace(&staged.firmware(), &place.firmware(), &staging.join("old-pc-bios"))?;
    for &target in targets {
        let old = staging.join(format!("old-{target}"));
        replace(&staged.folder(target), &place.folder(target), &old)?;
    }
    File::open(place.root()).and_then(|folder| folder.sync_all()).map_err(InstallError::io(place.root()))
}

/// Moves a folder to `to`; what was there goes to `old`.
fn replace(from: &Path, to: &Path, old: &Path) -> Result<(), InstallError> {
    if to.exists() {
        fs::rename(to, old).map_err(InstallError::io(to))?;
    }
    fs::rename(from, to).map_err(InstallError::io(to))
}

/// Gives an unpacked target all that the wheel does not bring, and checks that it starts.
///
/// Says also whether anything had to be written.
fn complete(
    place: &Embedded,
    target: Target,
    confine: &Settings,
) -> Result<(InstallRecord, bool), InstallError> {
    let libpanda = place.libpanda(target);
    let needed = Libraries::of(&libpanda)?;
    let packages = needed.packages(target);
    if !packages.is_empty() {
        return Err(InstallError::Libraries { target, packages });
    }

    let folder = place.stand_ins(target);
    fs::create_dir_all(&folder).map_err(InstallError::io(&folder))?;
    let mut changed = false;
    for stand_in in needed.stand_ins(&libpanda)? {
        let soname = &stand_in.soname;
        let bytes =
            stand_in.to_elf().map_err(|source| InstallError::StandIn { soname: soname.clone(), source })?;
        changed |= put(&folder.join(soname), &bytes, 0o644)?;
    }
    for entry in fs::read_dir(&folder).map_err(InstallError::io(&folder))? {
        let entry = entry.map_err(InstallError::io(&folder))?;
        if !needed.missing.iter().any(|soname| entry.file_name() == **soname) {
            fs::remove_file(entry.path()).map_err(InstallError::io(&entry.path()))?;
            changed = true;
        }
    }
    changed |= put(&place.program(target), LAUNCHER, 0o755)?;
    let plugins = place.folder(target).join("panda/plugins");
    for plugin in libraries(&plugins).map_err(InstallError::io(&plugins))? {
        // It leads to where PANDA was built, which may be another user's folder here.
        if let Some(bytes) = without_runpath(&plugin)? {
            changed |= put(&plugin, &bytes, 0o644)?;
        }
    }

    let version = crate::panda::version(&place.program(target), confine).map_err(InstallError::Start)?;
    let digest = FileDigest::of(&libpanda).map_err(InstallError::io(&libpanda))?.sha256;
    let record = InstallRecord::new(target, wheel::SHA256, version, digest, needed.missing);
    let file = place.record_file(target);
    let json =
        record.to_json().map_err(|error| InstallError::Io { path: file.clone(), source: error.into() })?;
    changed |= put(&file, &json, 0o644)?;
    Ok((record, changed))
}

/// Writes a file, whole or not at all, unless it has these bytes already; says whether it wrote.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, InstallError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    files::replace_with_mode(path, bytes, mode).map_err(InstallError::io(path))?;
    Ok(true)
}

fn remove(folder: &Path) -> Result<(), InstallError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(InstallError::io(folder)(error)),
        _ => Ok(()),
    }
}

fn join(packages: &BTreeSet<&'static str>, separator: &str) -> String {
    packages.iter().copied().collect::<Vec<_>>().join(separator)
}

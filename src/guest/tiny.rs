//! The tiny guest: Debian's cloud kernel, and its static busybox as an initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::apt::{self, AptError, Package};
use super::cpio::Archive;
use crate::digest::{self, FileDigest};
use crate::progress::Progress;
use crate::target::Target;
use crate::vm::Machine;

/// The version of the guest's manifest.
const SCHEMA: u32 = 1;
const MANIFEST: &str = "manifest.json";
const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initramfs.cpio";

/// What its kernel is told: the console; to boot faster where nothing is lost by it; and to be at the same
/// addresses in every trace.
pub const APPEND: &str =
    "console=ttyS0 quiet panic=-1 cryptomgr.notests no_timer_check nokaslr 8250.nr_uarts=2";
/// The machine that it runs on: a console, and a terminal for the recorded command.
pub const MACHINE: Machine =
    Machine { memory_mib: 256, serial_ports: 2, disk_bytes: None, nic: None, vga: false, more: Vec::new() };

/// Why there is no guest to boot.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is none for the target.
    #[error("there is no tiny guest for {0} yet, only for x86_64")]
    Target(Target),
    /// A package is missing.
    #[error("cannot make the tiny guest: {0}")]
    Package(#[from] AptError),
    /// Its folder cannot be used.
    #[error("cannot use the guest in {}: {error}", .folder.display())]
    Files {
        /// The guest's folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Its files are not those that were made.
    #[error("the guest in {} is damaged ({what}); remove that folder, and it is made anew", .folder.display())]
    Damaged {
        /// The guest's folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// The tiny guest, ready to boot.
#[derive(Clone, Debug)]
pub struct Tiny {
    folder: PathBuf,
    manifest: Manifest,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    schema: u32,
    packages: Vec<Package>,
    files: BTreeMap<String, FileDigest>,
}

impl Tiny {
    /// The guest for `target` below `home`, made now if it has not been.
    pub fn ready(home: &Path, target: Target) -> Result<Tiny, GuestError> {
        if target != Target::X86_64 {
            return Err(GuestError::Target(target));
        }
        let guests = home.join("guests");
        let folder = guests.join(format!("tiny-{target}"));
        if !folder.exists() {
            build(&guests, &folder)?;
        }
        Tiny::open(folder)
    }

    fn open(folder: PathBuf) -> Result<Tiny, GuestError> {
        let damaged = |what: String| GuestError::Damaged { folder: folder.clone(), what };
        let text =
            fs::read(folder.join(MANIFEST)).map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
        if manifest.schema != SCHEMA {
            return Err(damaged(format!("{MANIFEST} has schema {}, not {SCHEMA}", manifest.schema)));
        }
        for (name, expected) in &manifest.files {
            match FileDigest::of(&folder.join(name)) {
                Ok(digest) if digest == *expected => {}
                Ok(_) => return Err(damaged(format!("{name} has changed"))),
                Err(error) => return Err(damaged(format!("{name}: {error}"))),
            }
        }
        Ok(Tiny { folder, manifest })
    }

    /// Its kernel.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// Its initramfs, uncompressed: nothing else unpacks faster in an emulator.
    pub fn initramfs(&self) -> PathBuf {
        self.folder.join(INITRAMFS)
    }

    /// The packages that it was made from.
    pub fn packages(&self) -> &[Package] {
        &self.manifest.packages
    }

    /// Its files' digests.
    pub fn files(&self) -> &BTreeMap<String, FileDigest> {
        &self.manifest.files
    }
}

/// Makes the guest beside its final place, and moves it there when it is whole.
fn build(guests: &Path, folder: &Path) -> Result<(), GuestError> {
    let _progress = Progress::waiting("fetching the tiny guest from Debian (28 MB)");
    let files = |error| GuestError::Files { folder: folder.to_owned(), error };
    fs::create_dir_all(guests).map_err(files)?;
    let work = tempfile::Builder::new().prefix(".tiny-").tempdir_in(guests).map_err(files)?;
    let (root, made) = (work.path().join("root"), work.path().join("made"));
    fs::create_dir(&root).and_then(|()| fs::create_dir(&made)).map_err(files)?;

    let kernel = apt::dependency("linux-image-cloud-amd64", "linux-image-")?;
    let packages = vec![apt::fetch(&kernel, &root)?, apt::fetch("busybox-static", &root)?];
    let version = kernel.strip_prefix("linux-image-").unwrap_or(&kernel);
    let image = root.join(format!("boot/vmlinuz-{version}"));
    if !image.is_file() {
        return Err(AptError::Strange { package: kernel, what: "kernel in /boot" }.into());
    }
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| root.join(path));
    let Some(busybox) = busybox.into_iter().find(|path| path.is_file()) else {
        return Err(AptError::Strange { package: "busybox-static".to_owned(), what: "busybox" }.into());
    };

    fs::copy(image, made.join(KERNEL)).map_err(files)?;
    fs::write(made.join(INITRAMFS), initramfs(&fs::read(busybox).map_err(files)?)).map_err(files)?;
    let digest = |name: &str| FileDigest::of(&made.join(name)).map(|digest| (name.to_owned(), digest));
    let digests = [digest(KERNEL).map_err(files)?, digest(INITRAMFS).map_err(files)?];
    let manifest = Manifest { schema: SCHEMA, packages, files: digests.into() };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| files(error.into()))?;
    fs::write(made.join(MANIFEST), text).map_err(files)?;
    digest::sync_folder(&made).map_err(files)?;
    match fs::rename(&made, folder) {
        // Somebody else made it meanwhile: theirs is as good.
        Err(_) if folder.join(MANIFEST).is_file() => Ok(()),
        renamed => renamed.map_err(files),
    }
}

fn initramfs(busybox: &[u8]) -> Vec<u8> {
    let folders = ["bin", "dev", "proc", "root", "sys", "tmp"];
    let archive = folders.into_iter().fold(Archive::default(), Archive::folder);
    archive.file("bin/busybox", 0o755, busybox).finish()
}

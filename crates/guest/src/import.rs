//! Imports images as guests, and shrinks images.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::draft::Draft;
use crate::error::GuestError;
use crate::guest::Guest;
use crate::manifest::{BootSign, GuestDisk, GuestManifest, MANIFEST, Origin, SCHEMA};
use crate::profile;
use crate::tool::{self, ToolError};
use files::FileDigest;
use kernel_profile::{FILE, Profile};
use machine::{Base, Below, Format, Formats, Nic, Overlays};
use panda_host::Progress;
use rr_log::Target;

const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initrd";
const DISK: &str = "disk.qcow2";
/// Where an image is made smaller, in the guest's folder.
const WORK: &str = ".shrink";

/// What is imported, and the machine that it is meant for.
#[derive(Clone, Debug)]
pub struct Import {
    /// The image.
    pub disk: PathBuf,
    /// Its format, where it is not as when the image was first used.
    pub format: Option<Format>,
    /// What may be below it.
    pub below: Below<'static>,
    /// The kernel that PANDA loads; without one, the disk has a boot loader.
    pub kernel: Option<PathBuf>,
    /// Its initramfs.
    pub initramfs: Option<PathBuf>,
    /// Its command line.
    pub append: String,
    /// The kernel's profile, where the kernel itself does not tell.
    pub profile: Option<Profile>,
    /// The guest architecture.
    pub target: Target,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// Its network card.
    pub nic: Option<Nic>,
    /// What tells that it has booted.
    pub booted: BootSign,
}

/// Makes a guest `name` of an image, which is copied; of one that cannot be booted nothing is made.
pub fn import(home: &Path, name: &str, what: Import, progress: &dyn Progress) -> Result<Guest, GuestError> {
    let formats = Formats::of(home);
    let base = Base::inspect(&what.disk, formats.decide(&what.disk, what.format)?, what.below)?;
    let draft = Draft::claim(home, name)?;
    let copy = |from: &Option<PathBuf>, to: &str| -> Result<Option<String>, GuestError> {
        let Some(from) = from else { return Ok(None) };
        let failed = |source| GuestError::Files { folder: from.clone(), source };
        files::copy(from, &draft.folder().join(to)).map_err(failed)?;
        Ok(Some(to.to_owned()))
    };
    let (kernel, initramfs) = (copy(&what.kernel, KERNEL)?, copy(&what.initramfs, INITRAMFS)?);
    {
        let _progress = progress.waiting(&format!("copying {}", base.path.display()));
        // Converted, for an image may depend on others that are not copied.
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", base.format.name(), "-O", "qcow2"]).arg(&base.path);
        tool::run(convert.arg(draft.folder().join(DISK)))?;
    }
    let files = |error| draft.files(error);
    match (&what.profile, &kernel) {
        (Some(profile), _) => {
            let text = profile.to_json().map_err(|error| files(error.into()))?;
            fs::write(draft.folder().join(FILE), text).map_err(files)?;
        }
        (None, Some(kernel)) => profile::make_in(draft.folder(), kernel).map_err(files)?,
        (None, None) => {}
    }
    let manifest = GuestManifest {
        schema: SCHEMA,
        target: what.target,
        memory_mib: what.memory_mib,
        kernel,
        initramfs,
        append: what.append,
        disk: Some(GuestDisk { file: DISK.into(), format: Format::Qcow2, bytes: base.virtual_bytes }),
        nic: what.nic,
        booted: what.booted,
        login: None,
        origin: Origin::Imported { from: base.path.clone() },
        files: BTreeMap::new(),
    };
    formats
        .remember(&base.path, base.format)
        .map_err(|source| GuestError::Files { folder: home.to_owned(), source })?;
    draft.finish(manifest, false)
}

/// Makes the guest's image as small as it gets; returns its size before and after, in bytes. What is free in
/// an ext2, ext3 or ext4 without partitions is dropped; of other images, what is zero.
pub fn shrink(
    guest: Guest,
    home: &Path,
    force: bool,
    progress: &dyn Progress,
) -> Result<(u64, u64), GuestError> {
    let files = |source| GuestError::Files { folder: guest.folder.clone(), source };
    let Some((mut disk, image)) = guest.manifest.disk.clone().zip(guest.disk()) else {
        return Err(GuestError::NoDisk(guest.name));
    };
    Base::inspect(&image, disk.format, Below::Nothing)?;
    let traces = Overlays::of(home).on(&image).map_err(files)?;
    if !force && !traces.is_empty() {
        return Err(GuestError::Needed { name: guest.name, traces: traces.len() });
    }
    // No machine runs the guest, and none can start until the lock is released.
    let Guest { name, folder, mut manifest, _lock: shared } = guest;
    drop(shared);
    let lock = File::open(&folder).map_err(|source| GuestError::Files { folder: folder.clone(), source })?;
    let files = |source| GuestError::Files { folder: folder.clone(), source };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(GuestError::InUse(name)),
        Err(TryLockError::Error(error)) => return Err(files(error)),
        Ok(()) => {}
    }
    // Of a known name, so that what a killed process left is removed now.
    match fs::remove_dir_all(folder.join(WORK)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(files(error)),
        _ => {}
    }
    let work = tempfile::Builder::new().prefix(WORK).rand_bytes(0).tempdir_in(&folder).map_err(files)?;
    let (raw, small) = (work.path().join("disk.raw"), work.path().join(DISK));
    let _progress = progress.waiting("dropping what is free, and compressing the rest");
    let convert = |more: &[&str], from: &Path, to: &Path| -> Result<(), ToolError> {
        let mut convert = Command::new("qemu-img");
        tool::run(convert.arg("convert").args(more).arg(from).arg(to)).map(drop)
    };
    convert(&["-f", disk.format.name(), "-O", "raw"], &image, &raw)?;
    if is_ext(&raw).map_err(files)? {
        tool::run(Command::new("e2fsck").args(["-f", "-p", "-E", "discard"]).arg(&raw))?;
    }
    convert(&["-f", "raw", "-c", "-O", "qcow2"], &raw, &small)?;
    let (before, after) =
        (fs::metadata(&image).map_err(files)?.len(), FileDigest::of(&small).map_err(files)?);
    let bytes = after.bytes;
    disk.file = DISK.into();
    disk.format = Format::Qcow2;
    manifest.files.insert(DISK.to_owned(), after);
    manifest.disk = Some(disk);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| files(error.into()))?;
    File::open(&small).and_then(|file| file.sync_all()).map_err(files)?;
    // If this is cut short between the two, the guest is told to be damaged, and the image is whole.
    fs::rename(&small, folder.join(DISK)).map_err(files)?;
    files::replace(&folder.join(MANIFEST), &text).map_err(files)?;
    Ok((before, bytes))
}

/// Whether the whole image is one ext2, ext3 or ext4.
fn is_ext(raw: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; 2];
    let read = File::open(raw)?.read_at(&mut magic, 1024 + 56)?;
    Ok(read == 2 && magic == [0x53, 0xef])
}

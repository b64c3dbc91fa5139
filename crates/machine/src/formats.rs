//! The format of an image, decided once: what a guest writes to its disk must not decide it anew.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use files::sha256;

use super::disk_error::DiskError;
use super::format::Format;
use super::qcow2;

/// How images of other formats begin: what is there, where, and what it is. Many of them name other files.
const OTHERS: [(&[u8], usize, &str); 11] = [
    (b"KDMV", 0, "a VMDK"),
    (b"COWD", 0, "a VMDK"),
    (b"# Disk DescriptorFile", 0, "a VMDK"),
    (b"\x7f\x10\xda\xbe", 64, "a VDI"),
    (b"vhdxfile", 0, "a VHDX"),
    (b"conectix", 0, "a VHD"),
    (b"QED\0", 0, "a QED"),
    (b"QFI\xfb\0\0\0\x01", 0, "a qcow of the first version"),
    (b"WithoutFreeSpace", 0, "a Parallels image"),
    (b"WithouFreSpacExt", 0, "a Parallels image"),
    (b"LUKS\xba\xbe", 0, "encrypted (LUKS)"),
];

/// What it is by the first bytes of the image at `path`.
fn look(path: &Path, head: &[u8]) -> Result<Format, DiskError> {
    match OTHERS.iter().find(|(magic, at, _)| head.get(*at..).is_some_and(|at| at.starts_with(magic))) {
        Some((.., what)) => Err(DiskError::Foreign { path: path.to_owned(), what }),
        None if head.starts_with(&qcow2::MAGIC) => Ok(Format::Qcow2),
        None => Ok(Format::Raw),
    }
}

/// What was decided of the images that were used, a file each.
#[derive(Debug)]
pub struct Formats(PathBuf);

impl Formats {
    /// What is noted below pandacap's `home`.
    pub fn of(home: &Path) -> Formats {
        Formats(home.join("formats"))
    }

    /// The format of an image: what was said, else what it has always been since it was first used here, else what
    /// it looks like.
    pub fn decide(&self, path: &Path, said: Option<Format>) -> Result<Format, DiskError> {
        if let Some(said) = said {
            return Ok(said);
        }
        let unreadable = |source| DiskError::Unreadable { path: path.to_owned(), source };
        let path = fs::canonicalize(path).map_err(unreadable)?;
        let mut head = Vec::new();
        files::open(&path).and_then(|file| file.take(128).read_to_end(&mut head)).map_err(unreadable)?;
        let known = self.note(&path).and_then(fs::read_to_string).ok();
        let known = known.and_then(|known| Format::ALL.into_iter().find(|format| format.name() == known));
        match (known, look(&path, &head)) {
            (Some(known), looks) if looks.as_ref().ok() != Some(&known) => {
                Err(DiskError::Changed { path, known })
            }
            (_, looks) => looks,
        }
    }

    /// Remembers the format of an image.
    pub fn remember(&self, path: &Path, format: Format) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        files::replace(&self.note(&fs::canonicalize(path)?)?, format.name().as_bytes())
    }

    /// The note of the file that is at an absolute path now.
    fn note(&self, path: &Path) -> io::Result<PathBuf> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.extend(fs::metadata(path)?.ino().to_be_bytes());
        Ok(self.0.join(&sha256(&name)[..16]))
    }
}

//! A disk image as the base of runs: looked at and never written; each run writes to an overlay of its own.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::disk_error::DiskError;
use super::format::Format;
use super::qcow2::{Header, LONGEST};

/// The least that a disk can be written by, in bytes.
const SECTOR: u64 = 512;

/// A disk image, as it was when a run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The disk's size in bytes, as the guest sees it.
    pub virtual_bytes: u64,
    /// The file's size in bytes.
    pub bytes: u64,
    /// When the file was last written to.
    pub modified: Timestamp,
    /// The images below it, by their absolute paths.
    #[serde(skip)]
    below: Vec<PathBuf>,
}

/// What may be below an image.
#[derive(Clone, Copy, Debug)]
pub enum Below<'a> {
    /// Nothing: it may be a stranger's, and name any file of ours.
    Nothing,
    /// Images in its own folder, under their own names.
    Beside,
    /// This image and nothing else.
    Only(&'a Path),
}

/// The type of an unused partition entry.
const UNUSED: u8 = 0;
/// The type of the partition that keeps others away from a GPT, which may claim more than the disk has.
const GPT: u8 = 0xee;

/// An image that is in use, for as long as the value lives.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock goes with the file")] File);

impl Base {
    /// Looks at the image at `path`: its format, its backing files, and whether it is complete. No other file is
    /// opened on its behalf before that is allowed.
    pub fn inspect(path: &Path, format: Format, below: Below<'_>) -> Result<Base, DiskError> {
        let unreadable = |source| DiskError::Unreadable { path: path.to_owned(), source };
        // An absolute path cannot be mistaken for the address of a disk elsewhere, like `nbd:...`.
        let path = fs::canonicalize(path).map_err(unreadable)?;
        let unreadable = |source| DiskError::Unreadable { path: path.clone(), source };
        let file = files::open(&path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let mut base = Base {
            format,
            virtual_bytes: metadata.len(),
            bytes: metadata.len(),
            modified: metadata.modified().ok().and_then(|time| time.try_into().ok()).unwrap_or_default(),
            path: path.clone(),
            below: Vec::new(),
        };
        match format {
            Format::Qcow2 => {
                let header = header(file, &path)?;
                base.virtual_bytes = header.virtual_bytes;
                base.below = chain(&path, header, below)?;
                base.check_qcow2()?;
            }
            Format::Raw => {
                if !base.bytes.is_multiple_of(SECTOR) || base.bytes == 0 {
                    let what = format!("it has {} bytes, which is not a whole number of sectors", base.bytes);
                    return Err(DiskError::Truncated { path, what });
                }
                if let Some(what) = raw_end(file).map_err(unreadable)?.and_then(|end| base.missing(end)) {
                    return Err(DiskError::Truncated { path, what });
                }
            }
        }
        Ok(base)
    }

    /// The image and those below it, on which it depends in turn, by their absolute paths.
    pub fn chain(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.path).chain(&self.below)
    }

    fn check_qcow2(&self) -> Result<(), DiskError> {
        let mut check = Command::new("qemu-img");
        check.args(["check", "--output=json", "-f", "qcow2"]).arg(&self.path);
        let output = check.output().map_err(DiskError::Tool)?;
        let damaged = |what| DiskError::Truncated { path: self.path.clone(), what };
        match output.status.code() {
            // 3: space is wasted, nothing is wrong.
            Some(0 | 3) => {}
            _ => return Err(damaged(last_line(&output))),
        }
        let check: Check = parse(&output.stdout, &self.path)?;
        // The last cluster of a compressed image may be shorter than a cluster, and so may a table with nothing behind it.
        let slack = if check.compressed_clusters == 0 && check.allocated_clusters > 0 { 0 } else { 2 << 20 };
        self.missing(check.image_end_offset.saturating_sub(slack)).map_or(Ok(()), |what| Err(damaged(what)))
    }

    fn missing(&self, end: u64) -> Option<String> {
        (end > self.bytes)
            .then(|| format!("it has {} bytes, and its content goes on to byte {end}", self.bytes))
    }

    /// Makes the overlay `name` in `folder`, which takes what a guest writes.
    pub fn overlay(&self, folder: &Path, name: &str) -> Result<(), DiskError> {
        let mut create = Command::new("qemu-img");
        create.current_dir(folder).args(self.overlay_args(name));
        said(&mut create, "make an overlay on", &self.path).map(drop)
    }

    /// qemu-img's arguments that make the overlay.
    pub fn overlay_args(&self, name: &str) -> Vec<String> {
        let path = self.path.to_string_lossy().into_owned();
        // A quarter of the usual: a guest writes little, here and there, and every trace keeps it.
        let fine = "cluster_size=16k";
        ["create", "-q", "-f", "qcow2", "-o", fine, "-b", &path, "-F", self.format.name(), name]
            .map(str::to_owned)
            .into()
    }

    /// Keeps maintenance away from the image.
    pub fn hold(&self) -> Result<Hold, DiskError> {
        self.lock(File::try_lock_shared, "pandacap maint")
    }

    /// Keeps all other users away from the image.
    pub fn hold_alone(&self) -> Result<Hold, DiskError> {
        self.lock(File::try_lock, "another pandacap")
    }

    fn lock(&self, lock: fn(&File) -> Result<(), TryLockError>, by: &'static str) -> Result<Hold, DiskError> {
        let unreadable = |source| DiskError::Unreadable { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(unreadable)?;
        match lock(&file) {
            Ok(()) => Ok(Hold(file)),
            Err(TryLockError::WouldBlock) => Err(DiskError::Busy { path: self.path.clone(), by }),
            Err(TryLockError::Error(error)) => Err(unreadable(error)),
        }
    }
}

/// Reads the header of a qcow2 that is one file, which PANDA can boot.
fn header(file: File, path: &Path) -> Result<Header, DiskError> {
    let path = || path.to_owned();
    let mut head = Vec::new();
    let read = file.take(LONGEST as u64).read_to_end(&mut head);
    read.map_err(|source| DiskError::Unreadable { path: path(), source })?;
    match Header::parse(&head).map_err(|source| DiskError::Malformed { path: path(), source })? {
        Header { encrypted: true, .. } => Err(DiskError::Encrypted(path())),
        Header { data_file: true, .. } => Err(DiskError::DataFile(path())),
        Header { news: Some(feature), .. } => Err(DiskError::TooNew { path: path(), feature }),
        header => Ok(header),
    }
}

/// The images below the one at the absolute path `top`, if they may be there.
fn chain(top: &Path, header: Header, below: Below<'_>) -> Result<Vec<PathBuf>, DiskError> {
    let (mut images, mut image, mut next) = (Vec::new(), top.to_owned(), header.backing);
    while let Some(backing) = next {
        let format = backing.format.as_deref();
        let name = PathBuf::from(backing.name);
        let bad = |why| DiskError::BadBacking { path: image.clone(), backing: name.clone(), why };
        if matches!(below, Below::Nothing) {
            return Err(DiskError::Backing { path: image, backing: name });
        }
        // What is before the first slash may be a protocol.
        let first = name.as_os_str().as_encoded_bytes().split(|&byte| byte == b'/').next();
        if first.is_some_and(|first| first.contains(&b':')) {
            return Err(bad("which is not a plain file name"));
        }
        // QEMU opens it by its name: that has to lead there without links, which could lead elsewhere by then.
        let place = image.parent().unwrap_or(Path::new("/")).join(&name);
        let there = fs::canonicalize(&place)
            .map_err(|source| DiskError::Unreadable { path: place.clone(), source })?;
        let allowed = match below {
            Below::Only(only) => there == only,
            _ => there.as_os_str() == place.as_os_str() && there.parent() == top.parent(),
        };
        if !allowed {
            return Err(bad("which is not in the same folder"));
        }
        if there == top || images.contains(&there) {
            return Err(bad("which leads back to itself"));
        }
        let format = format.ok_or_else(|| bad("but not its format (see `qemu-img rebase -u -F`)"))?;
        let file =
            files::open(&there).map_err(|source| DiskError::Unreadable { path: there.clone(), source })?;
        next = match format {
            b"raw" => None,
            b"qcow2" => self::header(file, &there)?.backing,
            _ => return Err(bad("which is neither raw nor qcow2")),
        };
        images.push(there.clone());
        image = there;
    }
    Ok(images)
}

/// Where the content of a raw image ends, as its file system or partition table says.
fn raw_end(mut image: File) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    image.seek(SeekFrom::Start(0))?;
    image.take(2048).read_to_end(&mut head)?;
    let word =
        |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    // ext2 to ext4: a superblock at byte 1024, with the number of blocks and their size.
    if head.get(1024 + 56..1024 + 58) == Some(&[0x53, 0xef])
        && let (Some(blocks), Some(shift)) = (word(1024 + 4), word(1024 + 24))
    {
        return Ok(1024_u64.checked_shl(shift).and_then(|size| size.checked_mul(blocks.into())));
    }
    // An MBR's four partitions: a flag, a type, first sector and number of sectors.
    if head.get(510..512) == Some(&[0x55, 0xaa]) {
        let partitions = (0..4).map(|n| 446 + 16 * n);
        let flags = partitions.clone().filter_map(|at| head.get(at));
        // A boot sector of a file system has code there.
        if flags.copied().any(|flag| flag & 0x7f != 0) {
            return Ok(None);
        }
        let used = partitions.filter(|at| !matches!(head.get(at + 4), Some(&(UNUSED | GPT)) | None));
        let ends = used.filter_map(|at| Some(u64::from(word(at + 8)?) + u64::from(word(at + 12)?)));
        return Ok(ends.max().map(|sectors| sectors * SECTOR));
    }
    Ok(None)
}

/// qemu-img's output, if it succeeds.
fn said(command: &mut Command, what: &'static str, path: &Path) -> Result<Output, DiskError> {
    let output = command.output().map_err(DiskError::Tool)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(DiskError::Refused { what, path: path.to_owned(), said: last_line(&output) })
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| output.status.to_string(), |line| line.trim_start_matches("qemu-img: ").to_owned())
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], path: &Path) -> Result<T, DiskError> {
    serde_json::from_slice(json).map_err(|error| DiskError::Refused {
        what: "describe",
        path: path.to_owned(),
        said: error.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Check {
    image_end_offset: u64,
    #[serde(default)]
    compressed_clusters: u64,
    #[serde(default)]
    allocated_clusters: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn end(flag: u8, kind: u8, first: u32, sectors: u32) -> Option<u64> {
        let mut head = vec![0; 2048];
        (head[446], head[450]) = (flag, kind);
        head[454..458].copy_from_slice(&first.to_le_bytes());
        head[458..462].copy_from_slice(&sectors.to_le_bytes());
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        let mut image = tempfile::tempfile().expect("a temporary file");
        image.write_all(&head).expect("written");
        raw_end(image).expect("read")
    }

    #[test]
    fn a_disk_is_as_long_as_its_partitions_and_nothing_else_is_taken_for_one() {
        assert_eq!(end(0x80, 0x83, 2048, 8), Some(2056 * 512));
        assert_eq!(end(0, 0xee, 1, u32::MAX), None, "a GPT's guard");
        assert_eq!(end(0, 0, 7, u32::MAX), None, "an unused entry");
        assert_eq!(end(0x0f, 0x83, 7, u32::MAX), None, "a boot sector's code");
    }
}

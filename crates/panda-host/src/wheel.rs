//! The Python wheel that carries PANDA: fetched with the user's own pip, checked, and unpacked in part.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::embedded::{Embedded, RELEASE};
use crate::progress::{Length, Progress, Task};
use files::FileDigest;
use rr_log::Target;

/// SHA-256 of `pandare-0.1.1.5-py3-none-any.whl`.
pub const SHA256: &str = "954ec59515db4a26734bd507867b953561dfb340c2c20db10ed316f9430624be";

/// Where the wheel keeps PANDA.
const DATA: &str = "pandare/data/";

/// Why there is no wheel.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// There is no pip.
    #[error("pip is needed to download PANDA: install it, on Debian with `apt-get install python3-pip`")]
    NoPip,
    /// pip was started and failed.
    #[error(
        "pip could not download pandare=={RELEASE} ({0}; see its output above); on a machine without network, \
         download it elsewhere with `pip download --no-deps pandare=={RELEASE}` and name it with --wheel"
    )]
    Pip(ExitStatus),
    /// It is another wheel, or a damaged one.
    #[error(
        "{} is not the wheel of pandare {RELEASE}: its SHA-256 is {found} and should be {SHA256}; remove it and download it again",
        .path.display()
    )]
    Digest {
        /// The wheel.
        path: PathBuf,
        /// What it has.
        found: String,
    },
    /// The wheel could not be unpacked.
    #[error("cannot unpack {}", .path.display())]
    Zip {
        /// The wheel.
        path: PathBuf,
        /// What happened.
        source: zip::result::ZipError,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl WheelError {
    fn io(path: &Path) -> impl Fn(io::Error) -> WheelError {
        move |source| WheelError::Io { path: path.to_owned(), source }
    }
}

/// Where Debian's python3-pip-whl puts a pip that brings no compiler with it.
const WHEELS: &str = "/usr/share/python-wheels";

/// The command line of the first pip that works.
pub fn pip() -> Option<Vec<String>> {
    let mut candidates = vec![vec!["python3", "-m", "pip"], vec!["pip3"], vec!["pip"]];
    let inside = inside_wheel(Path::new(WHEELS));
    candidates.extend(inside.as_deref().map(|pip| vec!["python3", pip]));
    let candidates = candidates.into_iter().map(|pip| pip.into_iter().map(str::to_owned).collect());
    candidates.into_iter().find(|pip: &Vec<String>| {
        let mut command = Command::new(&pip[0]);
        command
            .args(&pip[1..])
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// pip in its own wheel in `folder`, from which Python runs it.
fn inside_wheel(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let wheel = names.filter(|name| name.starts_with("pip-") && name.ends_with(".whl")).max()?;
    Some(format!("{}/{wheel}/pip", folder.display()))
}

/// Downloads the wheel into `folder`; pip shows its own progress on a terminal.
pub fn download(folder: &Path, progress: &dyn Progress) -> Result<PathBuf, WheelError> {
    let pip = pip().ok_or(WheelError::NoPip)?;
    progress.say(&format!("downloading PANDA (pandare {RELEASE}, 54 MB) with {}", pip.join(" ")));
    let mut command = Command::new(&pip[0]);
    command.args(&pip[1..]).args([
        "download",
        "--no-deps",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ]);
    if !progress.is_terminal() {
        command.arg("--quiet");
    }
    command.arg("--dest").arg(folder).arg(format!("pandare=={RELEASE}"));
    // Standard output is for results, and this is not one.
    let status =
        command.stdin(Stdio::null()).stdout(io::stderr()).status().map_err(WheelError::io(folder))?;
    if !status.success() {
        return Err(WheelError::Pip(status));
    }
    Ok(folder.join(format!("pandare-{RELEASE}-py3-none-any.whl")))
}

/// The wheel, open, and known to be the right one.
#[derive(Debug)]
pub struct Wheel {
    path: PathBuf,
    file: File,
}

impl Wheel {
    /// Opens a wheel and checks its digest.
    pub fn open(path: &Path) -> Result<Wheel, WheelError> {
        let mut file = File::open(path).map_err(WheelError::io(path))?;
        let found = FileDigest::read(&mut file).map_err(WheelError::io(path))?.sha256;
        if found != SHA256 {
            return Err(WheelError::Digest { path: path.to_owned(), found });
        }
        file.rewind().map_err(WheelError::io(path))?;
        Ok(Wheel { path: path.to_owned(), file })
    }

    /// Unpacks what `targets` need, and the firmware, into the layout at `place`.
    pub fn unpack(
        &self,
        targets: &[Target],
        place: &Embedded,
        progress: &dyn Progress,
    ) -> Result<(), WheelError> {
        let zip = |source| WheelError::Zip { path: self.path.clone(), source };
        let mut archive = zip::ZipArchive::new(&self.file).map_err(zip)?;
        let mut wanted = Vec::new();
        let mut total = 0;
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(zip)?;
            if let Some(path) = entry.enclosed_name()
                && let Ok(path) = path.strip_prefix(DATA)
                && entry.is_file()
                && is_needed(path, targets)
            {
                wanted.push((index, place.root().join(path)));
                total += entry.size();
            }
        }
        let task = progress.begin("unpacking PANDA", Length::Bytes(total));
        for (index, path) in wanted {
            let mut entry = archive.by_index(index).map_err(zip)?;
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(WheelError::io(folder))?;
            }
            let executable = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
            let mode = if executable { 0o755 } else { 0o644 };
            let file = File::options().write(true).create_new(true).mode(mode).open(&path);
            file.and_then(|mut file| copy(&mut entry, &mut file, &*task)).map_err(WheelError::io(&path))?;
        }
        Ok(())
    }
}

/// The firmware of all targets, 12 MB, is kept whole: PANDA does not document which machine loads which file. The LLVM
/// bitcode of the helpers is left out, for there is no LLVM that could read it.
fn is_needed(path: &Path, targets: &[Target]) -> bool {
    if path.extension().is_some_and(|extension| extension == "bc" || extension == "bc1") {
        return false;
    }
    path.starts_with("pc-bios") || targets.iter().any(|target| path.starts_with(format!("{target}-softmmu")))
}

fn copy(from: &mut impl Read, to: &mut impl Write, task: &dyn Task) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => {
                to.write_all(&buffer[..length])?;
                task.advance(length as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_targets_need_is_unpacked() {
        let needed = |path: &str| is_needed(Path::new(path), &[Target::X86_64]);
        assert!(needed("x86_64-softmmu/libpanda-x86_64.so"));
        assert!(needed("x86_64-softmmu/panda/plugins/osi_linux/kernelinfo.conf"));
        assert!(needed("pc-bios/bios-256k.bin"));
        assert!(!needed("x86_64-softmmu/llvm-helpers.bc1"));
        assert!(!needed("i386-softmmu/libpanda-i386.so"));
        assert!(!needed("pypanda/include/panda_datatypes.h"));
    }

    #[test]
    fn pip_is_found_in_its_wheel() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(inside_wheel(&folder.path().join("none")), None);
        assert_eq!(inside_wheel(folder.path()), None);
        for name in ["pip-23.0.1-py3-none-any.whl", "setuptools-66.1.1-py3-none-any.whl"] {
            fs::write(folder.path().join(name), "")?;
        }
        let pip = folder.path().join("pip-23.0.1-py3-none-any.whl/pip");
        assert_eq!(inside_wheel(folder.path()), Some(pip.display().to_string()));
        Ok(())
    }

    #[test]
    fn another_file_is_no_wheel_and_the_error_says_what_it_should_be() -> io::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let error = Wheel::open(file.path()).unwrap_err().to_string();
        assert!(error.contains(SHA256) && error.contains("download it again"), "{error}");
        Ok(())
    }
}

//! Which traces need which disk image: whoever changes the image makes their disks unreadable.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Base;

/// Links to traces, in one folder for each image.
#[derive(Debug)]
pub struct Overlays(PathBuf);

impl Overlays {
    /// Those that are noted below pandacap's `home`.
    pub fn of(home: &Path) -> Overlays {
        Overlays(home.join("overlays"))
    }

    fn folder(&self, base: &Base) -> PathBuf {
        self.0.join(short_digest(&base.path))
    }

    /// Notes that the trace in `folder`, which need not be there yet, has an overlay on `base`.
    pub fn note(&self, base: &Base, folder: &Path) -> io::Result<()> {
        let trace = std::path::absolute(folder)?;
        let links = self.folder(base);
        fs::create_dir_all(&links)?;
        match symlink(&trace, links.join(short_digest(&trace))) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The traces that have an overlay on `base`; what has been removed or moved since is forgotten.
    pub fn on(&self, base: &Base) -> io::Result<Vec<PathBuf>> {
        let links = match fs::read_dir(self.folder(base)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            links => links?,
        };
        let mut traces = Vec::new();
        for link in links {
            let link = link?.path();
            match fs::metadata(&link) {
                Ok(_) => traces.push(fs::read_link(&link)?),
                Err(_) => fs::remove_file(&link)?,
            }
        }
        traces.sort();
        Ok(traces)
    }
}

/// So many traces, in words.
pub fn how_many(count: usize) -> String {
    if count == 1 { "one trace".to_owned() } else { format!("{count} traces") }
}

fn short_digest(path: &Path) -> String {
    let digest = format!("{:x}", Sha256::digest(path.as_os_str().as_bytes()));
    digest[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_knows_its_traces_as_long_as_they_are_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let base = |name: &str| Base {
            path: dir.path().join(name),
            format: "raw".to_owned(),
            virtual_bytes: 1,
            bytes: 1,
            modified: jiff::Timestamp::UNIX_EPOCH,
        };
        let overlays = Overlays::of(dir.path());
        let traces = ["a", "b"].map(|name| dir.path().join(name));
        for trace in &traces {
            fs::create_dir(trace).expect("made");
            overlays.note(&base("disk"), trace).expect("noted");
            overlays.note(&base("disk"), trace).expect("noted twice");
        }
        assert_eq!(overlays.on(&base("disk")).expect("read"), traces);
        assert!(overlays.on(&base("other")).expect("read").is_empty());
        fs::remove_dir(&traces[0]).expect("removed");
        assert_eq!(overlays.on(&base("disk")).expect("read"), traces[1..]);
    }
}

//! Which traces need which disk image: a change to the image makes their disks unreadable.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use files::sha256;

/// How long a trace may take from its note until it is there: all of it is got onto the disk meanwhile.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// Links to traces, in one folder for each image.
#[derive(Debug)]
pub struct Overlays(PathBuf);

impl Overlays {
    /// Those that are noted below pandacap's `home`.
    pub fn of(home: &Path) -> Overlays {
        Overlays(home.join("overlays"))
    }

    fn folder(&self, image: &Path) -> PathBuf {
        self.0.join(short_digest(image))
    }

    /// Notes that the trace in `folder`, which need not exist yet, has an overlay on the image, by its absolute path.
    pub fn note(&self, image: &Path, folder: &Path) -> io::Result<()> {
        let trace = std::path::absolute(folder)?;
        let links = self.folder(image);
        fs::create_dir_all(&links)?;
        match symlink(&trace, links.join(short_digest(&trace))) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The traces that have an overlay on the image, which has to be there but need not be whole; what has been
    /// removed or moved since is forgotten.
    pub fn on(&self, image: &Path) -> io::Result<Vec<PathBuf>> {
        let links = match fs::read_dir(self.folder(&fs::canonicalize(image)?)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            links => links?,
        };
        let mut traces = Vec::new();
        for link in links {
            let link = link?.path();
            match fs::metadata(&link) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if is_old(&link) {
                        fs::remove_file(&link)?;
                    }
                }
                // What cannot be looked at may still be there.
                _ => traces.push(fs::read_link(&link)?),
            }
        }
        traces.sort();
        Ok(traces)
    }
}

/// A number of traces, in words.
pub fn how_many(count: usize) -> String {
    if count == 1 { "one trace".to_owned() } else { format!("{count} traces") }
}

/// Whether the link was made so long ago that its trace must have been there.
fn is_old(link: &Path) -> bool {
    let made = fs::symlink_metadata(link).and_then(|link| link.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > YOUNG))
}

fn short_digest(path: &Path) -> String {
    sha256(path.as_os_str().as_bytes())[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_knows_its_traces_as_long_as_they_are_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let overlays = Overlays::of(dir.path());
        for image in ["disk", "other"] {
            fs::write(dir.path().join(image), "").expect("written");
        }
        let traces = ["a", "b"].map(|name| dir.path().join(name));
        for trace in &traces {
            fs::create_dir(trace).expect("made");
            overlays.note(&dir.path().join("disk"), trace).expect("noted");
            overlays.note(&dir.path().join("disk"), trace).expect("noted twice");
        }
        assert_eq!(overlays.on(&dir.path().join("disk")).expect("read"), traces);
        assert!(overlays.on(&dir.path().join("other")).expect("read").is_empty());
        fs::remove_dir(&traces[0]).expect("removed");
        assert_eq!(overlays.on(&dir.path().join("disk")).expect("read"), traces[1..]);
    }

    #[test]
    fn a_trace_that_is_about_to_be_there_is_not_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (overlays, trace) = (Overlays::of(dir.path()), dir.path().join("a"));
        let disk = dir.path().join("disk");
        fs::write(&disk, "").expect("written");
        overlays.note(&disk, &trace).expect("noted");
        assert!(overlays.on(&disk).expect("read").is_empty());
        fs::create_dir(&trace).expect("made");
        assert_eq!(overlays.on(&disk).expect("read"), [trace]);
    }
}

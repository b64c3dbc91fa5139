//! What a container sees of this machine: files and folders, at the same paths or at those that their names stand for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::ContainerError;

/// Where a container finds its bootstrap folder.
pub const BOOTSTRAP: &str = "/bootstrap";

/// The names that may stand for a place in the container.
const NAMES: [(&str, &str, Access); 4] = [
    ("bootstrap", BOOTSTRAP, Access::Read),
    ("qcow", "/qcow", Access::Write),
    ("rr", "/rr", Access::Write),
    ("x11", "/tmp/.X11-unix", Access::Write),
];

/// What a container may do with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read it.
    Read,
    /// Change it too.
    Write,
}

/// A file or folder of this machine, at its place in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is in the container.
    pub target: PathBuf,
    /// Where it is on this machine.
    pub source: PathBuf,
    /// What may be done with it there.
    pub access: Access,
}

impl FromStr for Mount {
    type Err = String;

    /// Reads `DST:SRC`, where DST is an absolute path or one of the names.
    fn from_str(text: &str) -> Result<Mount, String> {
        let (place, source) = text.split_once(':').ok_or("SRC is missing: DST:SRC, as in rr:traces")?;
        if source.is_empty() {
            return Err("SRC is empty: DST:SRC, as in rr:traces".to_owned());
        }
        let source = PathBuf::from(source);
        if let Some(&(_, target, access)) = NAMES.iter().find(|(name, ..)| *name == place) {
            return Ok(Mount { target: target.into(), source, access });
        }
        match place.starts_with('/') {
            true => Ok(Mount { target: place.into(), source, access: Access::Write }),
            false => Err(format!(
                "DST is {place:?}: give an absolute path in the container, or {}",
                NAMES.map(|(name, ..)| name).join(", ")
            )),
        }
    }
}

/// The mounts of one container: each place once, with the most that was asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(BTreeMap<PathBuf, (PathBuf, Access)>);

impl Mounts {
    /// Adds one.
    pub fn add(&mut self, mount: Mount) {
        let place = self.0.entry(mount.target).or_insert((mount.source, mount.access));
        place.1 = place.1.max(mount.access);
    }

    /// Adds a file or folder at the place where it is on this machine; returns its absolute path.
    pub fn same(&mut self, path: &Path, access: Access) -> Result<PathBuf, ContainerError> {
        let bad = |why| ContainerError::Path { path: path.to_owned(), why };
        let path = std::path::absolute(path).map_err(ContainerError::files(path))?;
        // `..` stays in an absolute path, and would be resolved before links are.
        let path = match path.components().any(|part| part.as_os_str() == "..") {
            true => path.canonicalize().map_err(ContainerError::files(&path))?,
            false => path,
        };
        if path.parent().is_none() {
            return Err(bad("it is the root of all files"));
        }
        // The kernel's files, and what the container brings itself.
        if ["/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/image"]
            .iter()
            .any(|own| path.starts_with(own))
        {
            return Err(bad("the container has its own files there; copy it elsewhere first"));
        }
        self.add(Mount { target: path.clone(), source: path.clone(), access });
        Ok(path)
    }

    /// The engine's arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        for (target, (source, access)) in &self.0 {
            let mut fields = vec![b"type=bind".to_vec()];
            fields.push([b"source=", source.as_os_str().as_bytes()].concat());
            fields.push([b"target=", target.as_os_str().as_bytes()].concat());
            if *access == Access::Read {
                fields.push(b"readonly".to_vec());
            }
            let fields: Vec<Vec<u8>> = fields.iter().map(|field| quoted(field)).collect();
            arguments.extend([OsString::from("--mount"), OsString::from_vec(fields.join(&b","[..]))]);
        }
        arguments
    }

    /// Whether something is mounted at this place.
    pub fn has(&self, target: &str) -> bool {
        self.0.contains_key(OsStr::new(target).as_ref() as &Path)
    }
}

/// A field of comma-separated values, which is what `--mount` takes.
fn quoted(field: &[u8]) -> Vec<u8> {
    if !field.iter().any(|byte| b",\"\r\n".contains(byte)) {
        return field.to_vec();
    }
    let inner: Vec<u8> =
        field.iter().flat_map(|&byte| vec![byte; if byte == b'"' { 2 } else { 1 }]).collect();
    [b"\"", &inner[..], b"\""].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, Access), String> {
        let mount = text.parse::<Mount>()?;
        Ok((mount.target.display().to_string(), mount.access))
    }

    #[test]
    fn names_stand_for_places_and_a_path_is_itself() {
        assert_eq!(parsed("rr:traces"), Ok(("/rr".to_owned(), Access::Write)));
        assert_eq!(parsed("qcow:/images"), Ok(("/qcow".to_owned(), Access::Write)));
        assert_eq!(parsed("bootstrap:lab"), Ok(("/bootstrap".to_owned(), Access::Read)));
        assert_eq!(parsed("x11:/tmp/.X11-unix"), Ok(("/tmp/.X11-unix".to_owned(), Access::Write)));
        assert_eq!(parsed("/data:here:and:there").map(|(place, _)| place), Ok("/data".to_owned()));
        for bad in ["rr", "rr:", "data:/x", ":/x"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_may_have_any_character_in_it() {
        let mut mounts = Mounts::default();
        for path in ["/a b", "/a,readonly=false", "/a\"b", "/ä"] {
            mounts.same(Path::new(path), Access::Write).expect("mounted");
        }
        let words: Vec<String> =
            mounts.arguments().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(
            words.chunks(2).map(|pair| &*pair[1]).collect::<Vec<_>>(),
            [
                "type=bind,source=/a b,target=/a b",
                "type=bind,\"source=/a\"\"b\",\"target=/a\"\"b\"",
                "type=bind,\"source=/a,readonly=false\",\"target=/a,readonly=false\"",
                "type=bind,source=/ä,target=/ä",
            ]
        );
    }

    #[test]
    fn what_is_read_and_written_is_mounted_once_and_writable() {
        let mut mounts = Mounts::default();
        for access in [Access::Read, Access::Write, Access::Read] {
            mounts.same(Path::new("/data"), access).expect("mounted");
        }
        assert_eq!(mounts.arguments(), ["--mount", "type=bind,source=/data,target=/data"]);
    }

    #[test]
    fn the_containers_own_files_are_not_hidden() {
        for path in ["/", "/usr/lib/x", "/proc/1", "/etc"] {
            assert!(Mounts::default().same(Path::new(path), Access::Read).is_err(), "{path}");
        }
    }
}

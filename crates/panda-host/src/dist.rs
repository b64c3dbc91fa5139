//! Finding the files that pandacap brings along: the recorder plugin and the guest's agent.

use std::io;
use std::path::{Path, PathBuf};

use files::list;
use rr_log::Target;

/// Why a file that belongs to pandacap could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DistError {
    /// It cannot be looked at.
    #[error("cannot use {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// None of the places has it.
    #[error("{file} for {target} is not beside pandacap ({}); build it with scripts/build", list(.searched))]
    NotFound {
        /// The file's name.
        file: String,
        /// The guest architecture.
        target: Target,
        /// Every place that was looked at.
        searched: Vec<PathBuf>,
    },
}

/// Where they may be, from the program's folder.
const PLACES: [&str; 3] = ["", "../lib/pandacap", "../dist"];

/// Where pandacap's own files lie.
#[derive(Clone, Debug)]
pub struct Dist(PathBuf);

impl Dist {
    /// Those beside a program: in its folder, in `../lib/pandacap` (installed) or in `../dist` (built by cargo).
    pub fn beside(program: &Path) -> Dist {
        Dist(program.parent().unwrap_or(Path::new("/")).to_owned())
    }

    /// The home that came with pandacap, if one did: `home` in one of those places. It holds a PANDA and guests, and is
    /// only read. Container images have one.
    pub fn home(&self) -> Option<PathBuf> {
        let homes = PLACES.iter().map(|place| self.0.join(place).join("home"));
        homes.filter(|home| home.join("panda").is_dir()).find_map(|home| home.canonicalize().ok())
    }

    /// The licences and the lists of what is in pandacap, if they came with it.
    pub fn doc(&self) -> Option<PathBuf> {
        let installed = self.0.join("../share/doc/pandacap");
        let built = PLACES.iter().map(|place| self.0.join(place).join("doc"));
        std::iter::once(installed).chain(built).find(|folder| folder.is_dir())
    }

    /// Finds `file` for `target`.
    pub fn find(&self, file: &str, target: Target) -> Result<PathBuf, DistError> {
        let searched: Vec<PathBuf> =
            PLACES.iter().map(|place| self.0.join(place).join(target.name()).join(file)).collect();
        match searched.iter().find(|path| path.is_file()) {
            Some(path) => {
                path.canonicalize().map_err(|source| DistError::Unreadable { path: path.clone(), source })
            }
            None => Err(DistError::NotFound { file: file.to_owned(), target, searched }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_is_found_in_dist() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        let dist = root.path().join("dist/x86_64");
        std::fs::create_dir_all(&dist)?;
        std::fs::create_dir(root.path().join("debug"))?;
        std::fs::write(dist.join("recctrlu"), "")?;
        let found = Dist::beside(&root.path().join("debug/pandacap")).find("recctrlu", Target::X86_64);
        assert_eq!(found.ok(), Some(dist.join("recctrlu").canonicalize()?));
        Ok(())
    }

    #[test]
    fn what_is_nowhere_is_named_with_the_places_that_were_searched() {
        let error =
            Dist::beside(Path::new("/nowhere/bin/pandacap")).find("recctrlu", Target::Arm).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("recctrlu for arm") && text.contains("/nowhere/bin/arm/recctrlu"), "{text}");
    }
}

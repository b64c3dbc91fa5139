//! Finding the files that pandacap brings along: the recorder plugin and the guest's agent.

use std::path::{Path, PathBuf};

use crate::target::Target;
use crate::terminal::list;

/// Why a file that belongs to pandacap could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DistError {
    /// The running program could not be located.
    #[error("cannot tell where pandacap itself is: {0}")]
    Myself(#[from] std::io::Error),
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

/// Finds `file` for `target` beside the running program: in its folder, in `../lib/pandacap` (installed) or in
/// `../dist` (built by cargo).
pub fn find(file: &str, target: Target) -> Result<PathBuf, DistError> {
    find_from(&std::env::current_exe()?, file, target)
}

fn find_from(program: &Path, file: &str, target: Target) -> Result<PathBuf, DistError> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let searched: Vec<PathBuf> = ["", "../lib/pandacap", "../dist"]
        .iter()
        .map(|place| folder.join(place).join(target.name()).join(file))
        .collect();
    match searched.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.canonicalize()?),
        None => Err(DistError::NotFound { file: file.to_owned(), target, searched }),
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
        let found = find_from(&root.path().join("debug/pandacap"), "recctrlu", Target::X86_64);
        assert_eq!(found.ok(), Some(dist.join("recctrlu").canonicalize()?));
        Ok(())
    }

    #[test]
    fn what_is_nowhere_is_named_with_the_places_that_were_searched() {
        let error = find_from(Path::new("/nowhere/bin/pandacap"), "recctrlu", Target::Arm).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("recctrlu for arm") && text.contains("/nowhere/bin/arm/recctrlu"), "{text}");
    }
}

//! Programs on the search path, as a shell finds them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The first file of this name on `path` that can be executed.
pub fn on_path(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    which::which_in(program, Some(path?), Path::new(".")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_cannot_be_executed_is_passed_over() -> std::io::Result<()> {
        let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let path = std::env::join_paths([first.path(), second.path()]).expect("a path");
        fs::write(first.path().join("tool"), "text")?;
        assert_eq!(on_path("tool", Some(&path)), None);
        fs::write(second.path().join("tool"), "#!/bin/sh\n")?;
        fs::set_permissions(second.path().join("tool"), fs::Permissions::from_mode(0o755))?;
        assert_eq!(on_path("tool", Some(&path)), Some(second.path().join("tool")));
        assert_eq!(on_path("tool", None), None);
        Ok(())
    }
}

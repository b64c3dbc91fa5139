//! A plugin's result: a file that is there whole, or not at all.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file that is written under another name until it is kept.
#[derive(Debug)]
pub struct Output {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Output {
    /// Begins the file that will be at `path`.
    ///
    /// # Errors
    ///
    /// Those of the system, when the folder can't be written to.
    pub fn create(path: &Path) -> io::Result<Output> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        Ok(Output { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Puts the file where it belongs, once it is on disk; an older one is replaced.
    ///
    /// # Errors
    ///
    /// Those of the system; nothing is left behind then.
    pub fn keep(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_appears_whole_and_only_when_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"whole").unwrap();
        assert!(!path.exists());
        output.keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        drop(Output::create(&path).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "an unfinished one is left behind");
    }
}

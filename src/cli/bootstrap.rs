//! `pandacap bootstrap`: making a bootstrap folder, and showing what it becomes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use guest::bootstrap::{Bootstrap, BootstrapError, EXAMPLE, Place, Setting, disk};

use super::error::Error;
use super::exit::Exit;
use super::{terminal, values};

/// What can be done with a bootstrap folder.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a bootstrap folder with a working example in it
    New {
        /// The folder to make
        dir: PathBuf,
    },
    /// Show what a machine or a container would be given
    ///
    /// Fills in the templates and chooses the scripts, and prints the result, one file after the other. With
    /// --out it is written into a folder: `sh FOLDER/bootstrap.sh` runs it. With --disk it is written onto the
    /// disk that a machine would be given.
    Render(Render),
}

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The bootstrap folder
    dir: PathBuf,

    /// Where the scripts are to run
    #[arg(long = "for", value_parser = values::place(), default_value = "vm")]
    place: Place,

    /// Give one of the bootstrap folder's variables another value; repeat it for more
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,

    /// Write the result into this new folder
    #[arg(long, value_name = "DIR", conflicts_with = "disk")]
    out: Option<PathBuf>,

    /// Write the result onto this disk: a raw image of an ext4 file system labelled `bootstrap`
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
}

impl Command {
    /// Does what was typed.
    pub fn run(self) -> Result<Exit, Error> {
        match self {
            Command::New { dir } => new(&dir)?,
            Command::Render(args) => args.run()?,
        }
        Ok(Exit::Done)
    }
}

impl Render {
    fn run(&self) -> Result<(), Error> {
        let bootstrap = Bootstrap { source: &self.dir, settings: &self.set, place: self.place };
        if let Some(path) = &self.disk {
            let disk = disk(Some(bootstrap), None, path)?;
            writeln!(terminal::out(), "{}: {} KiB, UUID {}", path.display(), disk.bytes >> 10, disk.uuid)?;
            return Ok(());
        }
        let work = tempfile::tempdir()?;
        let folder = self.out.as_deref().unwrap_or(work.path());
        if self.out.is_some() {
            make_empty(folder)?;
        }
        match (bootstrap.render(folder), &self.out) {
            (Ok(()), None) => show(folder, Path::new(""), &mut terminal::verbatim())?,
            // Half a folder is of no use.
            (Err(error), Some(_)) => {
                let _ = fs::remove_dir_all(folder);
                return Err(error.into());
            }
            (rendered, _) => rendered?,
        }
        Ok(())
    }
}

fn new(dir: &Path) -> Result<(), BootstrapError> {
    make_empty(dir)?;
    for (name, text) in EXAMPLE {
        let path = dir.join(name);
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder).map_err(BootstrapError::file("make", folder))?;
        fs::write(&path, text).map_err(BootstrapError::file("write", &path))?;
        if name.ends_with(".sh") {
            guest::bootstrap::set_mode(&path, 0o755)?;
        }
    }
    Ok(())
}

/// Makes a folder, or takes one that has nothing in it.
fn make_empty(dir: &Path) -> Result<(), BootstrapError> {
    fs::create_dir_all(dir).map_err(BootstrapError::file("make", dir))?;
    match fs::read_dir(dir).map_err(BootstrapError::file("read", dir))?.next() {
        None => Ok(()),
        Some(_) => Err(BootstrapError::NotEmpty(dir.to_owned())),
    }
}

/// Prints every file below a folder: its name, then its text.
fn show(root: &Path, below: &Path, out: &mut impl Write) -> io::Result<()> {
    let mut names = fs::read_dir(root.join(below))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for path in names.into_iter().map(|name| below.join(name)) {
        if root.join(&path).is_dir() {
            show(root, &path, out)?;
            continue;
        }
        writeln!(out, "==> {} <==", path.display())?;
        match String::from_utf8(fs::read(root.join(&path))?) {
            Ok(text) => writeln!(out, "{text}")?,
            Err(binary) => writeln!(out, "({} bytes)\n", binary.as_bytes().len())?,
        }
    }
    Ok(())
}

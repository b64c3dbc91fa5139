//! `pandacap bootstrap`: creates a bootstrap folder, and shows what it renders to.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use guest::bootstrap::{Bootstrap, BootstrapError, EXAMPLE, Place, Setting, disk};

use super::error::Error;
use super::exit::Exit;
use super::{terminal, values};

/// The subcommands of `bootstrap`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a bootstrap folder with a working example
    New {
        /// The folder to create
        dir: PathBuf,
    },
    /// Show what a machine or a container would get
    ///
    /// Renders the templates, selects the scripts and prints the resulting files one after another. With --out,
    /// the result is written to a folder, and `sh FOLDER/bootstrap.sh` runs it. With --disk, it is written as
    /// the disk image that a machine would get.
    Render(Render),
}

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The bootstrap folder
    dir: PathBuf,

    /// Where the scripts will run
    #[arg(long = "for", value_parser = values::place(), default_value = "vm")]
    place: Place,

    /// Override a variable of the bootstrap folder; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,

    /// Write the result to this new folder
    #[arg(long, value_name = "DIR", conflicts_with = "disk")]
    out: Option<PathBuf>,

    /// Write the result to this disk: a raw image with an ext4 file system labelled `bootstrap`
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
}

impl Command {
    /// Runs the subcommand.
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
            // Do not leave a half-written folder behind.
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

/// Creates a folder, or accepts an existing empty one.
fn make_empty(dir: &Path) -> Result<(), BootstrapError> {
    fs::create_dir_all(dir).map_err(BootstrapError::file("make", dir))?;
    match fs::read_dir(dir).map_err(BootstrapError::file("read", dir))?.next() {
        None => Ok(()),
        Some(_) => Err(BootstrapError::NotEmpty(dir.to_owned())),
    }
}

/// Prints the name and content of every file below a folder.
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

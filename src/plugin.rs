//! recctrl in a PANDA's own plugin folder: put in when that PANDA loads it, and taken out without a trace; and
//! plugins of one's own, begun.

mod folder;
mod new;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use self::folder::{Folder, Owner};
use self::new::New;
pub use self::new::NewError;
use crate::cli::{Context, Error};
use crate::dist::{self, DistError};
use crate::exit::Exit;
use crate::panda::{Panda, PandaError};
use crate::target::Target;
use crate::terminal::{self, list};

const FILE: &str = "panda_recctrl.so";

/// What can be done about plugins.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put recctrl in, if this PANDA loads it
    ///
    /// PANDA is started once with the plugin, without a machine. Where it does not load, nothing is changed, and
    /// its own words say why. PANDA's own recctrl is kept beside ours and comes back with `uninstall`.
    Install(Place),
    /// Take recctrl out, and put back what was there before
    Uninstall(Place),
    /// Say whose recctrl each PANDA would load
    Status(Place),
    /// Begin a plugin of your own, in Rust
    ///
    /// Makes a crate that builds at once: a plugin with an argument, two callbacks and lines of log, on the crate
    /// panda-plugin, which comes with pandacap's sources and is not on crates.io.
    ///
    /// Build it with `cargo build --release` in its folder, and look at a trace with it:
    /// `pandacap replay TRACE --plugin ./panda_NAME/target/release/libpanda_NAME.so`. Its README.md has the commands,
    /// docs/extending.md says what plugins can do.
    New(New),
}

/// Which folders are meant.
#[derive(Args, Debug)]
pub struct Place {
    /// This plugin folder, instead of the one that PANDA searches first; PyPANDA's is
    /// .../pandare/data/<target>-softmmu/panda/plugins
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// The guest architectures [default: each for which there is a PANDA; with --dir: x86_64]
    #[arg(long, value_delimiter = ',', value_name = "TARGET,...")]
    target: Vec<Target>,
}

/// Why the plugin was not put in or taken out; the folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no PANDA.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// No plugin was begun.
    #[error(transparent)]
    New(#[from] NewError),
    /// There is no plugin to put in.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// PANDA has no folder for plugins.
    #[error("{} searches no folder for plugins that is there ({}); name one with --dir", .program.display(), list(.searched))]
    NoFolder {
        /// Which PANDA.
        program: PathBuf,
        /// Where it searches.
        searched: Vec<PathBuf>,
    },
    /// The folder that was named.
    #[error("--dir {}: there is no such folder", .0.display())]
    NoDir(PathBuf),
    /// One folder holds the plugins of one target.
    #[error("--dir names one folder, and each target has its own: name one --target")]
    OneTarget,
    /// It does not load.
    #[error("{} does not load recctrl: {said}; nothing was changed", .program.display())]
    Refused {
        /// Which PANDA.
        program: PathBuf,
        /// The plugin's reason, or the end of what PANDA said.
        said: String,
    },
    /// A file could not be read or written.
    #[error("cannot use {}: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

impl PluginError {
    fn io(path: &Path) -> impl Fn(io::Error) -> PluginError {
        move |error| PluginError::Io { path: path.to_owned(), error }
    }
}

impl Command {
    /// Does it.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let place = match &self {
            Command::Install(place) | Command::Uninstall(place) | Command::Status(place) => place,
            Command::New(new) => return new.run(context),
        };
        let mut folders = Vec::new();
        for (panda, mut folder) in place.folders(context)? {
            match self {
                Command::Install(_) => {
                    let plugin = dist::find(FILE, folder.target).map_err(PluginError::from)?;
                    check(&panda, &plugin)?;
                    folder.install(&plugin)?;
                }
                Command::Uninstall(_) => folder.uninstall()?,
                Command::Status(_) | Command::New(_) => {}
            }
            folders.push(folder);
        }
        let mut out = terminal::out();
        if context.json {
            serde_json::to_writer_pretty(&mut out, &folders).map_err(io::Error::from)?;
            writeln!(out)?;
            return Ok(Exit::Done);
        }
        for folder in folders {
            let owner = match folder.owner {
                Owner::Nobody => "no recctrl",
                Owner::Upstream => "PANDA's own",
                Owner::Ours => "pandacap's",
                Owner::Outdated => "another pandacap's (install it again)",
            };
            let kept = if folder.upstream_kept { ", PANDA's own kept aside" } else { "" };
            writeln!(out, "{}: {owner}{kept} in {}", folder.target, folder.dir.display())?;
        }
        Ok(Exit::Done)
    }
}

impl Place {
    /// Each PANDA that is meant, with the folder of its plugins.
    fn folders(&self, context: &Context) -> Result<Vec<(Panda, Folder)>, PluginError> {
        let targets = match (&self.target[..], &self.dir) {
            ([], Some(_)) => &[Target::X86_64],
            ([], None) => &Target::ALL[..],
            ([_, _, ..], Some(_)) => return Err(PluginError::OneTarget),
            (named, _) => named,
        };
        let (mut folders, mut without) = (Vec::new(), None);
        for &target in targets {
            match Panda::find(&context.home, &context.selection, target) {
                Ok(panda) => {
                    let dir = match &self.dir {
                        Some(dir) if dir.is_dir() => dir.clone(),
                        Some(dir) => return Err(PluginError::NoDir(dir.clone())),
                        None => searched_first(&panda)?,
                    };
                    folders.push((panda, Folder::open(target, dir)?));
                }
                Err(error @ (PandaError::NotFound { .. } | PandaError::NotThere { .. }))
                    if self.target.is_empty() && self.dir.is_none() =>
                {
                    without.get_or_insert(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match without {
            Some(error) if folders.is_empty() => Err(error.into()),
            _ => Ok(folders),
        }
    }
}

/// The folder whose plugins this PANDA takes.
fn searched_first(panda: &Panda) -> Result<PathBuf, PluginError> {
    let searched = panda.plugin_dirs();
    match searched.iter().find(|dir| dir.is_dir()) {
        Some(dir) => Ok(dir.clone()),
        None => Err(PluginError::NoFolder { program: panda.program.clone(), searched }),
    }
}

/// Sees that PANDA loads `plugin`: the plugin itself refuses an ABI that it can't be sure of, and says why.
fn check(panda: &Panda, plugin: &Path) -> Result<(), PluginError> {
    let scratch = tempfile::tempdir().map_err(PluginError::io(&std::env::temp_dir()))?;
    let plugins = panda.plugins_below(scratch.path());
    panda.plugin_folder(scratch.path(), plugin).map_err(PluginError::io(&plugins))?;
    let events = scratch.path().join("events.jsonl");
    let arguments = format!("events={},dir={}", events.display(), scratch.path().display());
    let output = panda.load_recctrl(scratch.path(), &arguments).map_err(PluginError::io(&panda.program))?;
    let loaded = fs::read_to_string(&events).is_ok_and(|events| events.contains(r#""loaded""#));
    if loaded {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PluginError::Refused { program: panda.program.clone(), said: reason(&said) })
}

/// What the plugin gave as its reason, else the last thing that PANDA said.
fn reason(said: &str) -> String {
    let ours = said.lines().find_map(|line| line.strip_prefix("PANDA[recctrl]: error: "));
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    ours.or(last).unwrap_or("it says nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_own_reason_comes_before_what_panda_says_about_it() {
        let said = "PANDA[core]: initializing recctrl\nPANDA[recctrl]: error: not loaded: too old\nFAIL\n\n";
        assert_eq!(reason(said), "not loaded: too old");
        assert_eq!(reason("Failed to load x\n"), "Failed to load x");
    }
}

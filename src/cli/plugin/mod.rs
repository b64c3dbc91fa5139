//! `pandacap plugin`: installs recctrl into a PANDA's own plugin folder if that PANDA loads it, removes it again
//! completely, and creates the crate of a new plugin.

pub(super) mod new;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use panda_host::{Folder, Owner, Panda, PandaError, RECCTRL};
use rr_log::Target;

use self::new::New;
use super::context::Context;
use super::error::{Error, PluginError};
use super::exit::Exit;
use super::values;

/// The subcommands of `plugin`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install recctrl, if this PANDA loads it
    ///
    /// PANDA is first started once with the plugin, without a machine. If it does not load the plugin, nothing is
    /// changed, and its own message is shown. PANDA's own recctrl is kept, and `uninstall` restores it.
    Install(Place),
    /// Remove recctrl, and restore what was there before
    Uninstall(Place),
    /// Show whose recctrl each PANDA would load
    Status(Place),
    /// Create a plugin of your own, in Rust
    ///
    /// Creates a crate that builds as it is: a plugin with an argument, two callbacks and log messages. It depends on
    /// the crate panda-plugin, which comes with pandacap's sources and is not on crates.io.
    ///
    /// Build it with `cargo build --release` in its folder, then run it on a trace:
    /// `pandacap replay TRACE --plugin ./panda_NAME/target/release/libpanda_NAME.so`. Its README.md lists the commands;
    /// docs/extending.md explains what plugins can do.
    New(New),
}

/// Which plugin folders to use.
#[derive(Args, Debug)]
pub struct Place {
    /// Use this plugin folder instead of the one that PANDA searches first; for PyPANDA, it is
    /// .../pandare/data/<target>-softmmu/panda/plugins
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// The guest architectures [default: all that a PANDA is found for; with --dir: x86_64]
    #[arg(long, value_parser = values::target(), value_delimiter = ',', value_name = "TARGET,...")]
    target: Vec<Target>,
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let place = match &self {
            Command::Install(place) | Command::Uninstall(place) | Command::Status(place) => place,
            Command::New(new) => return new.run(context),
        };
        let mut folders = Vec::new();
        for (panda, mut folder) in place.folders(context)? {
            match self {
                Command::Install(_) => {
                    let plugin = context.dist.find(RECCTRL, folder.target)?;
                    panda.try_recctrl(&plugin).map_err(PluginError::from)?;
                    folder.install(&plugin).map_err(PluginError::from)?;
                }
                Command::Uninstall(_) => folder.uninstall().map_err(PluginError::from)?,
                Command::Status(_) | Command::New(_) => {}
            }
            folders.push(folder);
        }
        context.output.give(&folders, |out| folders.iter().try_for_each(|folder| tell(folder, out)))?;
        Ok(Exit::Done)
    }
}

impl Place {
    /// Each selected PANDA with its plugin folder.
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
                        None => Folder::searched_first(&panda)?,
                    };
                    folders.push((panda, Folder::open(target, dir, &context.dist)?));
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

fn tell(folder: &Folder, out: &mut impl Write) -> io::Result<()> {
    let owner = match folder.owner {
        Owner::None => "no recctrl",
        Owner::Upstream => "PANDA's own",
        Owner::Ours => "pandacap's",
        Owner::Outdated => "another pandacap's (install it again)",
    };
    let kept = if folder.upstream_kept { ", PANDA's own saved" } else { "" };
    writeln!(out, "{}: {owner}{kept} in {}", folder.target, folder.dir.display())
}

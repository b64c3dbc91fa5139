//! `pandacap plugin`: recctrl in a PANDA's own plugin folder, put in when that PANDA loads it and taken out without a
//! trace; and plugins of one's own, begun.

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
    #[arg(long, value_parser = values::target(), value_delimiter = ',', value_name = "TARGET,...")]
    target: Vec<Target>,
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
    let kept = if folder.upstream_kept { ", PANDA's own kept aside" } else { "" };
    writeln!(out, "{}: {owner}{kept} in {}", folder.target, folder.dir.display())
}

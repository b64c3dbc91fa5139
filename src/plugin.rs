//! recctrl in a PANDA's own plugin folder: put in when that PANDA loads it, and taken out without a trace; and
//! plugins of one's own, begun.
//!
//! ```text
//! panda_recctrl.so             ours
//! panda_recctrl.so.json        [`Record`]: that it is ours
//! panda_recctrl.so.upstream    what was there before, if anything
//! ```

mod new;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use self::new::{New, NewError};
use crate::cli::{Context, Error};
use crate::digest::{self, FileDigest};
use crate::dist::{self, DistError};
use crate::exit::Exit;
use crate::panda::{Panda, PandaError};
use crate::target::Target;
use crate::terminal::list;

const FILE: &str = "panda_recctrl.so";
/// The version of [`Record`].
const SCHEMA: u32 = 1;

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
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            PluginError::Panda(_) | PluginError::Dist(_) | PluginError::NoFolder { .. } => Exit::Missing,
            PluginError::New(NewError::Unknown(_)) => Exit::Missing,
            PluginError::New(_) | PluginError::OneTarget | PluginError::NoDir(_) => Exit::Usage,
            PluginError::Refused { .. } | PluginError::Io { .. } => Exit::Failed,
        }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> PluginError {
        move |error| PluginError::Io { path: path.to_owned(), error }
    }
}

/// Whose plugin lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// There is none.
    Nobody,
    /// PANDA's own, or another that we did not put there.
    Upstream,
    /// This pandacap's.
    Ours,
    /// One of another version of pandacap, which `install` replaces.
    Outdated,
}

/// What `panda_recctrl.so.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The version of this format.
    schema: u32,
    /// The version of pandacap.
    version: String,
    /// The plugin that was put in: when the file is another, somebody replaced it.
    plugin: FileDigest,
}

/// One folder with plugins of one target.
#[derive(Debug, Serialize)]
struct Folder {
    target: Target,
    dir: PathBuf,
    owner: Owner,
    /// Whether PANDA's own is kept aside.
    upstream_kept: bool,
}

impl Folder {
    fn open(target: Target, dir: PathBuf) -> Result<Folder, PluginError> {
        let mut folder = Folder { target, dir, owner: Owner::Nobody, upstream_kept: false };
        folder.look()?;
        Ok(folder)
    }

    fn plugin(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn record(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.json"))
    }

    fn upstream(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.upstream"))
    }

    /// Finds out whose plugin is there.
    fn look(&mut self) -> Result<(), PluginError> {
        self.upstream_kept = self.upstream().exists();
        let digest = match FileDigest::of(&self.plugin()) {
            Ok(digest) => digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.owner = Owner::Nobody;
                return Ok(());
            }
            Err(error) => return Err(PluginError::io(&self.plugin())(error)),
        };
        let record = fs::read(self.record()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        self.owner = match record {
            Some(Record { schema: SCHEMA, plugin, .. }) if plugin == digest => {
                let mine = dist::find(FILE, self.target).ok().and_then(|path| FileDigest::of(&path).ok());
                if mine.is_some_and(|mine| mine == digest) { Owner::Ours } else { Owner::Outdated }
            }
            _ => Owner::Upstream,
        };
        Ok(())
    }

    /// Puts `plugin` in; at every moment the folder has one that is whole, for a PANDA may be starting.
    fn install(&mut self, plugin: &Path) -> Result<(), PluginError> {
        let content = fs::read(plugin).map_err(PluginError::io(plugin))?;
        if self.owner == Owner::Upstream {
            let (kept, fresh) = (self.upstream(), self.dir.join(format!("{FILE}.upstream.new")));
            fs::copy(self.plugin(), &fresh).map_err(PluginError::io(&fresh))?;
            fs::rename(&fresh, &kept).map_err(PluginError::io(&kept))?;
        }
        let record = Record {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plugin: FileDigest::of(plugin).map_err(PluginError::io(plugin))?,
        };
        let json = serde_json::to_vec_pretty(&record)
            .map_err(|error| PluginError::Io { path: self.record(), error: error.into() })?;
        // The record first: without its plugin it says nothing, but a plugin without it would pass for PANDA's own.
        for (path, content) in [(self.record(), json), (self.plugin(), content)] {
            digest::replace(&path, &content).map_err(PluginError::io(&path))?;
        }
        self.look()
    }

    /// Takes ours out, and puts back what was there before.
    fn uninstall(&mut self) -> Result<(), PluginError> {
        if matches!(self.owner, Owner::Ours | Owner::Outdated) {
            let plugin = self.plugin();
            if self.upstream_kept {
                fs::rename(self.upstream(), &plugin).map_err(PluginError::io(&plugin))?;
            } else {
                fs::remove_file(&plugin).map_err(PluginError::io(&plugin))?;
            }
        }
        match fs::remove_file(self.record()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PluginError::io(&self.record())(error));
            }
            _ => {}
        }
        self.look()
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
        let mut out = io::stdout().lock();
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
    let plugins = scratch.path().join(format!("{}-softmmu/panda/plugins", panda.target));
    let events = scratch.path().join("events.jsonl");
    fs::create_dir_all(&plugins)
        .and_then(|()| symlink(plugin, plugins.join(FILE)))
        .map_err(PluginError::io(&plugins))?;
    let mut command = panda.command();
    command.args(["-M", "none", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio", "-panda"]);
    command.arg(format!("recctrl:events={0},dir={1}", events.display(), scratch.path().display()));
    command.env("PANDA_DIR", scratch.path()).current_dir(scratch.path());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = command.spawn().and_then(|mut child| {
        if let Some(mut monitor) = child.stdin.take() {
            // A PANDA that has gone already does not read this.
            let _ = monitor.write_all(b"quit\n");
        }
        child.wait_with_output()
    });
    let output = started.map_err(PluginError::io(&panda.program))?;
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
    fn what_was_there_comes_back_byte_for_byte() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("built");
        fs::write(&plugin, "ours")?;
        fs::write(dir.path().join(FILE), "upstream's")?;
        let open = || Folder::open(Target::X86_64, dir.path().to_owned());
        assert_eq!(open()?.owner, Owner::Upstream);
        // Twice: the second time must not take ours for PANDA's own.
        for _ in 0..2 {
            open()?.install(&plugin)?;
            assert_eq!(fs::read(dir.path().join(FILE))?, b"ours");
            assert!(open()?.upstream_kept);
        }
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(FILE))?, b"upstream's");
        assert_eq!(fs::read_dir(dir.path())?.count(), 2);
        Ok(())
    }

    #[test]
    fn a_plugin_that_somebody_else_put_over_ours_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("built");
        fs::write(&plugin, "ours")?;
        let open = || Folder::open(Target::X86_64, dir.path().to_owned());
        open()?.install(&plugin)?;
        fs::write(dir.path().join(FILE), "an upgrade's")?;
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(FILE))?, b"an upgrade's");
        Ok(())
    }

    #[test]
    fn the_plugins_own_reason_comes_before_what_panda_says_about_it() {
        let said = "PANDA[core]: initializing recctrl\nPANDA[recctrl]: error: not loaded: too old\nFAIL\n\n";
        assert_eq!(reason(said), "not loaded: too old");
        assert_eq!(reason("Failed to load x\n"), "Failed to load x");
    }
}

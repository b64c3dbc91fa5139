//! Finding a PANDA: the embedded one, or one that the user has.

use schemars::JsonSchema;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use files::{FileDigest, list};
use rr_log::Target;

use crate::confine::{ConfineError, Sandbox, Settings};
use crate::embedded::{Embedded, InstallRecord, RecordError, libpanda_name};
use crate::on_path::on_path;

/// Keeps QEMU from reading the configuration at its build machine's path, which any user may control here.
pub const NO_CONFIGURATION: &str = "-no-user-config";

/// What says which PANDA to use: the command line and the environment, already resolved.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `--panda` or `$PANDA_PATH`: a prefix, a build folder, a folder with the program, or the program.
    pub panda: Option<PathBuf>,
    /// The home that came with pandacap, if one did: what an installation, such as a container image, brings along.
    pub shipped: Option<PathBuf>,
    /// `$PATH`, searched when there is no embedded PANDA.
    pub path: Option<OsString>,
    /// How it is started.
    pub confine: Settings,
}

/// Where a PANDA was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Named with `--panda` or `$PANDA_PATH`.
    Asked,
    /// Installed by `pandacap panda install`, or brought along by pandacap's own installation.
    Embedded,
    /// On `$PATH`.
    Path,
}

/// One PANDA for one target, ready to start.
#[derive(Clone, Debug, serde::Serialize, JsonSchema)]
pub struct Panda {
    /// The guest architecture that it runs.
    pub target: Target,
    /// `panda-system-<target>`.
    pub program: PathBuf,
    /// The firmware folder for `-L`; `None` where the program finds its own.
    pub data: Option<PathBuf>,
    /// What it calls itself, on one line.
    pub version: String,
    /// SHA-256, in hex, of its code: libpanda of the embedded PANDA, the program of another.
    pub digest: String,
    /// Where it was found.
    pub source: Source,
    /// How it is started.
    #[serde(skip)]
    pub confine: Settings,
}

/// Why there is no PANDA to start.
#[derive(Debug, thiserror::Error)]
pub enum PandaError {
    /// No place has one.
    #[error(
        "no PANDA for {target}: none is installed ({} is not there), and no panda-system-{target} is on PATH; \
         install one with `pandacap panda install --target {target}`",
        .embedded.display()
    )]
    NotFound {
        /// What was searched for.
        target: Target,
        /// Where the embedded one would be.
        embedded: PathBuf,
    },
    /// The place that was named has none.
    #[error(
        "no PANDA for {target} in {}, which --panda or $PANDA_PATH names: searched {}",
        .asked.display(), list(.searched)
    )]
    NotThere {
        /// What was searched for.
        target: Target,
        /// What was named.
        asked: PathBuf,
        /// Every place that was looked at.
        searched: Vec<PathBuf>,
    },
    /// The embedded PANDA is there and cannot be used.
    #[error(
        "cannot use the embedded PANDA for {target}; repair it with `pandacap panda install --target {target}`"
    )]
    Embedded {
        /// For which target.
        target: Target,
        /// What is wrong.
        source: RecordError,
    },
    /// It must not be started.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The program does not start, or is not PANDA.
    #[error("{} does not start: {reason}", .program.display())]
    Unusable {
        /// The program.
        program: PathBuf,
        /// What it said, or what happened.
        reason: String,
    },
}

impl Panda {
    /// Finds the PANDA for `target`: the one asked for, else the embedded one, else the one that came with pandacap, else
    /// the first on the path.
    pub fn find(home: &Path, selection: &Selection, target: Target) -> Result<Panda, PandaError> {
        selection.confine.mode.check()?;
        let confine = &selection.confine;
        if let Some(asked) = &selection.panda {
            let searched = candidates(asked, target);
            return match searched.iter().find(|path| path.is_file()) {
                Some(program) => Panda::at(program, target, Source::Asked, confine),
                None => Err(PandaError::NotThere { target, asked: asked.clone(), searched }),
            };
        }
        let embedded = Embedded::of(home);
        let shipped = selection.shipped.as_deref().map(Embedded::of);
        for place in std::iter::once(&embedded).chain(&shipped) {
            match place.record(target) {
                Ok(Some(record)) => return Ok(Panda::embedded(place, record, confine)),
                Ok(None) => {}
                Err(source) => return Err(PandaError::Embedded { target, source }),
            }
        }
        match on_path(&program_name(target), selection.path.as_deref()) {
            Some(program) => Panda::at(&program, target, Source::Path, confine),
            None => Err(PandaError::NotFound { target, embedded: embedded.program(target) }),
        }
    }

    /// The embedded PANDA that `record` describes.
    pub(crate) fn embedded(place: &Embedded, record: InstallRecord, confine: &Settings) -> Panda {
        Panda {
            target: record.target,
            program: place.program(record.target),
            data: Some(place.firmware()),
            version: record.version,
            digest: record.digest,
            source: Source::Embedded,
            confine: confine.clone(),
        }
    }

    /// A PANDA that the user has.
    fn at(program: &Path, target: Target, source: Source, confine: &Settings) -> Result<Panda, PandaError> {
        let unusable = |error: io::Error| PandaError::Unusable {
            program: program.to_owned(),
            reason: error.to_string(),
        };
        let program = std::path::absolute(program).map_err(unusable)?;
        let version = version(&program, confine)?;
        let digest = FileDigest::of(&program).map_err(unusable)?.sha256;
        Ok(Panda { target, program, data: None, version, digest, source, confine: confine.clone() })
    }

    /// The file with its code: libpanda of the embedded PANDA, the program of another.
    pub fn code(&self) -> PathBuf {
        match self.source {
            Source::Embedded => self.program.with_file_name(libpanda_name(self.target)),
            Source::Asked | Source::Path => self.program.clone(),
        }
    }

    /// The command that starts it, with nothing set but where its firmware is.
    ///
    /// `PANDA_DIR` is left to the caller: PANDA searches it for plugins before its own folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(NO_CONFIGURATION);
        if let Some(data) = &self.data {
            command.arg("-L").arg(data);
        }
        command
    }

    /// What it needs of this machine for whatever it does.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox::of(&self.program, &self.confine).read_all(&self.data)
    }

    /// Starts it, to ask what it calls itself and to see that it can be started.
    pub fn start_once(&self) -> Result<String, PandaError> {
        version(&self.program, &self.confine)
    }

    /// The folders in which it searches `panda_<name>.so`, after `$PANDA_DIR`.
    pub fn plugin_dirs(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        if let Some(folder) = self.program.parent() {
            dirs.push(folder.join("panda/plugins"));
            if let (Source::Asked | Source::Path, Some(prefix)) = (self.source, folder.parent()) {
                dirs.push(Path::new("/usr/local/lib/panda").join(self.target.name()));
                dirs.push(prefix.join("lib/panda").join(self.target.name()));
            }
        }
        dirs.dedup();
        dirs
    }
}

/// Where a PANDA may be when the user names `place`.
fn candidates(place: &Path, target: Target) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let name = program_name(target);
    vec![
        place.join("bin").join(&name),
        place.join(format!("{target}-softmmu")).join(&name),
        place.join(&name),
    ]
}

fn program_name(target: Target) -> String {
    format!("panda-system-{target}")
}

/// What a PANDA calls itself; asking starts it, which also shows that it can be started.
pub(crate) fn version(program: &Path, confine: &Settings) -> Result<String, PandaError> {
    let unusable = |reason: String| PandaError::Unusable { program: program.to_owned(), reason };
    let mut command = Command::new(program);
    command.args([NO_CONFIGURATION, "-version"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
    let child = match Sandbox::of(program, confine).spawn(&mut command) {
        Err(ConfineError::Start { source, .. }) => return Err(unusable(source.to_string())),
        spawned => spawned?,
    };
    let output = child.wait_with_output().map_err(|error| unusable(error.to_string()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(unusable(format!("{}; it says: {complaint}", output.status)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.lines().next().unwrap_or_default();
    if !version.contains("version") {
        return Err(unusable("it prints no version: is it PANDA?".to_owned()));
    }
    Ok(version.strip_prefix("QEMU emulator version ").unwrap_or(version).trim().to_owned())
}

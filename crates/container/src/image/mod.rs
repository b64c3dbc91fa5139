//! The image: what is in it, and how it is built, listed and removed.

mod context;

use std::ffi::OsStr;
use std::path::Path;

use panda_host::confine::Settings;
use panda_host::{Dist, Progress};
use rr_log::Target;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::ContainerError;

/// The image's name where nothing is said.
pub const IMAGE: &str = "pandacap";
/// The Debian that gives it its libraries where nothing is said.
pub const DEFAULT_BASE: &str = "debian:bookworm-slim";
/// The label that pandacap's images have.
const LABEL: &str = "pandacap.targets";

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// Its name, with a tag or without.
    pub name: &'a str,
    /// The image of a Debian, from which it takes its libraries.
    pub base: &'a str,
    /// The guest architectures that its PANDA runs.
    pub targets: &'a [Target],
    /// The user that its programs run as, unless another is named.
    pub user: (u32, u32),
    /// The running program.
    pub program: &'a Path,
    /// Where its other files are.
    pub dist: &'a Dist,
    /// Where PANDA and guests are kept, and made if they are not there.
    pub home: &'a Path,
    /// PANDA's wheel, where it need not be downloaded.
    pub wheel: Option<&'a Path>,
    /// How PANDA is started, to see that it starts.
    pub confine: &'a Settings,
}

/// An image that was built.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Built {
    /// Its name.
    pub image: String,
    /// The engine's id of it.
    pub id: String,
    /// Its size on disk.
    pub bytes: u64,
    /// The engine that has it.
    pub engine: &'static str,
}

/// Builds the image.
pub fn build(engine: &Engine, recipe: &Recipe<'_>, progress: &dyn Progress) -> Result<Built, ContainerError> {
    let folder = tempfile::tempdir().map_err(ContainerError::files(&std::env::temp_dir()))?;
    context::fill(folder.path(), recipe, progress)?;
    let _building = progress.waiting(&format!("building {}", recipe.name));
    let targets: Vec<&str> = recipe.targets.iter().map(|target| target.name()).collect();
    let (uid, gid) = recipe.user;
    let arguments = [
        format!("BASE={}", recipe.base),
        format!("TARGETS={}", targets.join(" ")),
        format!("VERSION={}", env!("CARGO_PKG_VERSION")),
        format!("UID={uid}"),
        format!("GID={gid}"),
    ];
    let mut words: Vec<&OsStr> = ["build", "--tag", recipe.name].map(OsStr::new).into();
    for argument in &arguments {
        words.extend(["--build-arg", argument].map(OsStr::new));
    }
    words.push(folder.path().as_os_str());
    engine.ask(&words)?;
    let format = "{{.Id}} {{.Size}}";
    let said = engine.ask(&["image", "inspect", "--format", format, recipe.name].map(OsStr::new))?;
    let mut said = said.split_whitespace();
    let id = said.next().unwrap_or_default().to_owned();
    let bytes = said.next().and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
    Ok(Built { image: recipe.name.to_owned(), id, bytes, engine: engine.name })
}

/// An image of pandacap's, as the engine lists it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// Its name and tag.
    pub image: String,
    /// The engine's short id.
    pub id: String,
    /// Its size on disk, in the engine's words.
    pub size: String,
    /// Its age, in the engine's words.
    pub created: String,
}

/// Lists pandacap's images.
pub fn list(engine: &Engine) -> Result<Vec<Listed>, ContainerError> {
    let filter = format!("label={LABEL}");
    let format = "{{.Repository}}:{{.Tag}}\t{{.ID}}\t{{.Size}}\t{{.CreatedSince}}";
    let said = engine.ask(&["image", "ls", "--filter", &filter, "--format", format].map(OsStr::new))?;
    let listed = said.lines().filter_map(|line| {
        let mut cells = line.split('\t').map(str::to_owned);
        Some(Listed { image: cells.next()?, id: cells.next()?, size: cells.next()?, created: cells.next()? })
    });
    Ok(listed.collect())
}

/// Removes an image of pandacap's, and none that is anybody else's.
pub fn remove(engine: &Engine, name: &str) -> Result<(), ContainerError> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let label = match engine.ask(&["image", "inspect", "--format", &format, name].map(OsStr::new)) {
        Err(ContainerError::Engine { .. }) => return Err(ContainerError::NoImage(name.to_owned())),
        label => label?,
    };
    if label.trim().is_empty() {
        return Err(ContainerError::NotOurs(name.to_owned()));
    }
    engine.ask(&["image", "rm", name].map(OsStr::new)).map(|_| ())
}

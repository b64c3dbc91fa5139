//! The start of a command in a container: the scripts of its bootstrap folder run first.

use std::path::Path;

use container::{BOOTSTRAP, Relay};
use guest::bootstrap::{Bootstrap, Place, Setting, run_here};

use crate::cli::error::Error;

/// What the image sets in the environment of its programs.
const VARIABLE: &str = "PANDACAP_CONTAINER";

/// What `--docker` sets in it: the ports through which the engine reaches PANDA.
pub(super) const RELAYS: &str = "PANDACAP_RELAYS";

/// In a container, lets the engine reach the ports of PANDA, and runs the scripts that a bootstrap folder has for containers: those of `rec --bootstrap`, or of the
/// folder that is mounted for it. Elsewhere, and without either, it does nothing.
pub fn started(folder: Option<&Path>, settings: &[Setting]) -> Result<(), Error> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    let relays = std::env::var(RELAYS).unwrap_or_default();
    Relay::split(&relays).into_iter().try_for_each(Relay::start)?;
    let mounted = Path::new(BOOTSTRAP);
    let Some(source) = folder.or_else(|| mounted.is_dir().then_some(mounted)) else { return Ok(()) };
    let settings = if folder.is_some() { settings } else { &[] };
    Ok(run_here(Bootstrap { source, settings, place: Place::Docker })?)
}

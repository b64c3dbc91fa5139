//! Where the embedded PANDA lies, and what is written down about it.
//!
//! ```text
//! <home>/panda/lock                     held while something is installed
//! <home>/panda/staging/                 what is being installed
//! <home>/panda/0.1.1.5/pc-bios/         firmware
//! <home>/panda/0.1.1.5/<target>-softmmu/
//!     install.json                      [`InstallRecord`]
//!     libpanda-<target>.so              upstream's, unchanged
//!     panda/plugins/                    upstream's, without DT_RUNPATH
//!     panda-system-<target>             our launcher
//!     stand-ins/<soname>                one for each library that this machine lacks
//! ```

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use files::Schema;
use rr_log::Target;

/// The release of the Python package `pandare` that carries this PANDA: the last one with libpanda in it.
pub const RELEASE: &str = "0.1.1.5";

/// The folder of the stand-ins, beside the program.
pub(super) const STAND_INS: &str = "stand-ins";

/// The layout and the launcher's part of it, as [`InstallRecord::schema`] counts them.
const SCHEMA: Schema = Schema::new(1);

/// One installation, complete or not.
#[derive(Clone, Debug)]
pub struct Embedded {
    root: PathBuf,
}

/// What `install.json` says about one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstallRecord {
    /// The version of this format and of the layout around it.
    pub schema: Schema,
    /// The guest architecture.
    pub target: Target,
    /// SHA-256 of the wheel that it came from.
    pub wheel: String,
    /// What PANDA calls itself.
    pub version: String,
    /// SHA-256 of libpanda.
    pub digest: String,
    /// The libraries that have a stand-in.
    pub stand_ins: Vec<String>,
}

/// Why an installation that is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The record.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The record is not what pandacap writes.
    #[error("{} is damaged", .path.display())]
    Malformed {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another pandacap made it.
    #[error("{} has schema {found}, and this pandacap knows {SCHEMA}", .path.display())]
    Schema {
        /// The record.
        path: PathBuf,
        /// What it says.
        found: Schema,
    },
}

impl InstallRecord {
    /// The record of an installation in today's layout.
    pub fn new(
        target: Target,
        wheel: &str,
        version: String,
        digest: String,
        stand_ins: Vec<String>,
    ) -> InstallRecord {
        InstallRecord { schema: SCHEMA, target, wheel: wheel.to_owned(), version, digest, stand_ins }
    }

    /// The bytes of `install.json`.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The name of upstream's library, which lies beside the program that runs it.
pub(super) fn libpanda_name(target: Target) -> String {
    format!("libpanda-{target}.so")
}

impl Embedded {
    /// The installation of pandacap's home.
    pub fn of(home: &Path) -> Embedded {
        Embedded { root: home.join("panda").join(RELEASE) }
    }

    /// The same layout in another place.
    pub fn at(root: PathBuf) -> Embedded {
        Embedded { root }
    }

    /// The folder that holds the targets and the firmware.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one target.
    pub fn folder(&self, target: Target) -> PathBuf {
        self.root.join(format!("{target}-softmmu"))
    }

    /// Upstream's library.
    pub fn libpanda(&self, target: Target) -> PathBuf {
        self.folder(target).join(libpanda_name(target))
    }

    /// The program that runs it.
    pub fn program(&self, target: Target) -> PathBuf {
        self.folder(target).join(format!("panda-system-{target}"))
    }

    /// The folder of the stand-ins.
    pub fn stand_ins(&self, target: Target) -> PathBuf {
        self.folder(target).join(STAND_INS)
    }

    /// The firmware, for `-L`.
    pub fn firmware(&self) -> PathBuf {
        self.root.join("pc-bios")
    }

    /// The file that says what was installed, written last.
    pub fn record_file(&self, target: Target) -> PathBuf {
        self.folder(target).join("install.json")
    }

    /// What was installed for a target, if anything.
    pub fn record(&self, target: Target) -> Result<Option<InstallRecord>, RecordError> {
        let path = self.record_file(target);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordError::Read { path, source }),
        };
        let parsed = Schema::of(&bytes).and_then(|schema| match schema {
            SCHEMA => serde_json::from_slice(&bytes).map(Ok),
            other => Ok(Err(other)),
        });
        match parsed {
            Ok(Ok(record)) => Ok(Some(record)),
            Ok(Err(found)) => Err(RecordError::Schema { path, found }),
            Err(source) => Err(RecordError::Malformed { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_with(record: &str) -> io::Result<(tempfile::TempDir, Embedded)> {
        let home = tempfile::tempdir()?;
        let embedded = Embedded::of(home.path());
        std::fs::create_dir_all(embedded.folder(Target::X86_64))?;
        std::fs::write(embedded.record_file(Target::X86_64), record)?;
        Ok((home, embedded))
    }

    #[test]
    fn what_was_written_down_is_read_back() -> Result<(), Box<dyn std::error::Error>> {
        let stand_ins = vec!["libepoxy.so.0".to_owned()];
        let record = InstallRecord::new(Target::X86_64, "ab", "2.9.1".to_owned(), "cd".to_owned(), stand_ins);
        let (_home, embedded) = home_with(std::str::from_utf8(&record.to_json()?)?)?;
        assert_eq!(embedded.record(Target::X86_64)?, Some(record));
        assert_eq!(embedded.record(Target::Arm)?, None);
        Ok(())
    }

    #[test]
    fn a_record_of_a_later_schema_is_refused_whatever_else_it_says() -> io::Result<()> {
        let (_home, embedded) = home_with(r#"{"schema": 2, "targets": []}"#)?;
        assert!(matches!(embedded.record(Target::X86_64), Err(RecordError::Schema { .. })));
        Ok(())
    }

    #[test]
    fn a_record_cut_short_is_called_damaged() -> io::Result<()> {
        let (_home, embedded) = home_with(r#"{"schema": 1, "targ"#)?;
        assert!(matches!(embedded.record(Target::X86_64), Err(RecordError::Malformed { .. })));
        Ok(())
    }
}

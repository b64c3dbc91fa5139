//! A trace's manifest: what was recorded, on what, and how it can be checked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::argv;
use crate::ended::EndedBy;
use crate::failure::Failed;
use files::{FileDigest, Schema};
use machine::{Base, Machine};
use panda_host::Panda;
use panda_host::confine::Confinement;
use rr_log::Target;

/// The manifest's name in a trace's folder.
pub const MANIFEST: &str = "manifest.json";
/// The version of the schema; a reader takes the older ones too, and refuses every other.
pub const SCHEMA: Schema = Schema::new(2);

/// A trace's manifest; `docs/trace-format.md` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// [`SCHEMA`]
    pub schema: Schema,
    /// The trace's name, which is that of its recording's files too.
    pub name: String,
    /// When the run began.
    pub created: Timestamp,
    /// The version of pandacap that made it.
    pub pandacap: String,
    /// The guest architecture.
    pub target: Target,
    /// The PANDA that recorded.
    pub panda: PandaId,
    /// What was booted.
    pub guest: GuestId,
    /// The machine, of which a replay needs the same.
    pub machine: Machine,
    /// The guest's disk, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskId>,
    /// PANDA's exact arguments, for the reader.
    pub arguments: Arguments,
    /// The command that was recorded; empty when the guest itself began the recording.
    #[serde(with = "argv")]
    #[schemars(with = "Vec<argv::Argument>")]
    pub command: Vec<OsString>,
    /// The command's exit status as a shell gives it; none when the guest ended before it could be told.
    pub exit_status: Option<u8>,
    /// What PANDA made.
    pub recording: RecordingInfo,
    /// How long things took.
    pub seconds: Seconds,
    /// How the PANDA that recorded ended; manifests of earlier pandacaps do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panda_ended: Option<PandaEnd>,
    /// How far that PANDA was confined; manifests of earlier pandacaps do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// Every file of the trace that does not change any more.
    pub files: BTreeMap<String, FileDigest>,
    /// The replay that followed at once; none when it was interrupted.
    pub verification: Option<Verification>,
}

/// Which PANDA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PandaId {
    /// What it calls itself.
    pub version: String,
    /// SHA-256 of its code.
    pub sha256: String,
}

impl From<&Panda> for PandaId {
    fn from(panda: &Panda) -> PandaId {
        PandaId { version: panda.version.clone(), sha256: panda.digest.clone() }
    }
}

/// Which guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestId {
    /// Its name.
    pub name: String,
    /// The packages that it was made from.
    pub packages: Vec<Package>,
    /// What it booted, the agent included.
    pub files: BTreeMap<String, FileDigest>,
}

/// A Debian package of which something is in a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Which disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskId {
    /// The image, to which nothing was written.
    pub base: Base,
    /// The trace's file with what the run wrote: a qcow2 overlay on the image. None when it was dropped.
    pub delta: Option<String>,
}

/// PANDA's arguments, program and firmware left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Those of the recording, in the folder where it was made.
    pub record: Vec<String>,
    /// Those of a replay, in the trace's folder.
    pub replay: Vec<String>,
}

/// What PANDA made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingInfo {
    /// Guest instructions.
    pub instructions: u64,
    /// Who ended it: the guest when the command did.
    pub ended: EndedBy,
    /// Size of the snapshot.
    pub snapshot_bytes: u64,
    /// Size of the log.
    pub log_bytes: u64,
    /// Whether nothing in the guest but the agent that began it could end it.
    #[serde(default)]
    pub locked: bool,
    /// What else in the guest tried to, or to say how the command had ended.
    #[serde(default, skip_serializing_if = "Attempts::are_none")]
    pub attempts: Attempts,
}

/// How often something in the guest tried to do what only the agent of a locked recording may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// To stop the recording.
    #[serde(default)]
    pub stop: u64,
    /// To toggle it.
    #[serde(default)]
    pub toggle: u64,
    /// To stop it with a key that was not its own.
    #[serde(default)]
    pub key: u64,
    /// To tell an exit status, as far as recctrl kept the messages.
    #[serde(default)]
    pub exit_status: u64,
}

impl Attempts {
    /// Whether there was none.
    pub fn are_none(&self) -> bool {
        *self == Attempts::default()
    }
}

/// How long things took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seconds {
    /// From the start of PANDA to the first recorded instruction.
    pub boot: f64,
    /// From there to the last.
    pub record: f64,
    /// From there until PANDA had ended.
    pub shutdown: f64,
}

/// How a PANDA ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PandaEnd {
    /// By itself, with this exit status.
    Status(i32),
    /// By this signal, as when it crashes.
    Signal(i32),
}

impl PandaEnd {
    /// Whether a guest may have brought it down.
    pub fn is_crash(self) -> bool {
        matches!(self, PandaEnd::Signal(_))
    }
}

impl From<ExitStatus> for PandaEnd {
    fn from(status: ExitStatus) -> PandaEnd {
        match status.signal() {
            Some(signal) => PandaEnd::Signal(signal),
            None => PandaEnd::Status(status.code().unwrap_or_default()),
        }
    }
}

impl fmt::Display for PandaEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PandaEnd::Status(status) => write!(f, "ended with status {status}"),
            PandaEnd::Signal(signal) => {
                let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
                write!(f, "was ended by signal {signal} ({name})")
            }
        }
    }
}

/// What came of a replay on a PANDA without recctrl.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// On which PANDA.
    pub panda: PandaId,
    /// Whether every instruction was replayed.
    pub replayed: bool,
    /// Why not.
    pub failure: Option<Failed>,
    /// How long it took.
    pub seconds: f64,
}

/// Why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is something else.
    #[error("it is not a manifest")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("its schema is {0}, and this pandacap reads schemas up to {SCHEMA}")]
    Schema(Schema),
    /// A name that would lead out of the trace's folder.
    #[error("it names a file {0:?}, which is not a plain name")]
    Name(String),
}

impl Manifest {
    /// Reads a manifest, which need not be trusted.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let schema = Schema::of(text)?;
        if !(Schema::new(1)..=SCHEMA).contains(&schema) {
            return Err(ManifestError::Schema(schema));
        }
        let manifest: Manifest = serde_json::from_slice(text)?;
        let mut names = manifest.files.keys().chain(std::iter::once(&manifest.name));
        let outside = names.find(|name| !files::is_plain(name)).cloned();
        outside.map_or(Ok(manifest), |name| Err(ManifestError::Name(name)))
    }

    /// The manifest as it is written.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Trace;
    use crate::failure::FailureKind;
    use panda_host::confine::{Mode, Part};
    use std::os::unix::ffi::OsStringExt;

    pub(crate) fn example() -> Manifest {
        let digest = FileDigest { bytes: 5, sha256: "ab".repeat(32) };
        let panda = PandaId { version: "2.9.1".into(), sha256: "cd".repeat(32) };
        Manifest {
            schema: SCHEMA,
            name: "ls-1".into(),
            created: Timestamp::UNIX_EPOCH,
            pandacap: "0.1.0".into(),
            target: Target::X86_64,
            panda: panda.clone(),
            guest: GuestId {
                name: "tiny".into(),
                packages: vec![],
                files: [("vmlinuz".into(), digest.clone())].into(),
            },
            machine: Machine { memory_mib: 256, serial_ports: 2, ..Machine::default() },
            disk: None,
            arguments: Arguments { record: vec!["-m".into()], replay: vec![] },
            command: vec!["ls".into(), "".into(), OsString::from_vec(vec![0xff, b'\n', 0x80])],
            exit_status: Some(3),
            recording: RecordingInfo {
                instructions: 7,
                ended: EndedBy::Guest,
                snapshot_bytes: 5,
                log_bytes: 5,
                locked: true,
                attempts: Attempts { stop: 3, ..Attempts::default() },
            },
            seconds: Seconds { boot: 2.0, record: 0.5, shutdown: 0.1 },
            panda_ended: Some(PandaEnd::Signal(11)),
            confinement: Some(Confinement { mode: Mode::Auto, missing: vec![Part::Signals] }),
            files: [("ls-1-rr-snp".into(), digest)].into(),
            verification: Some(Verification {
                at: Timestamp::UNIX_EPOCH,
                panda,
                replayed: false,
                failure: Some(Failed { kind: FailureKind::Diverged, message: "it stopped".into() }),
                seconds: 0.2,
            }),
        }
    }

    #[test]
    fn a_manifest_survives_the_disk_odd_bytes_included() {
        let manifest = example();
        assert_eq!(Manifest::parse(&manifest.to_json().expect("JSON")).expect("parses"), manifest);
    }

    #[test]
    fn a_manifest_of_the_first_schema_is_read() {
        let text = include_bytes!("manifest-1.json");
        assert_eq!(Schema::of(text).expect("a schema"), Schema::new(1));
        let manifest = Manifest::parse(text).expect("parses");
        assert_eq!((manifest.recording.ended, manifest.exit_status), (EndedBy::Guest, Some(0)));
        assert!(manifest.verification.is_some_and(|done| done.replayed && done.failure.is_none()));

        let failed =
            String::from_utf8_lossy(text).replace(r#""failure": null"#, r#""failure": "PANDA stopped""#);
        let manifest = Manifest::parse(failed.as_bytes()).expect("parses");
        let failure = manifest.verification.and_then(|done| done.failure).expect("a failure");
        assert_eq!((failure.kind, &*failure.message), (FailureKind::Unknown, "PANDA stopped"));
    }

    #[test]
    fn a_manifest_that_does_not_say_how_panda_ended_is_read() {
        let manifest = Manifest { panda_ended: None, confinement: None, ..example() };
        let text = manifest.to_json().expect("JSON");
        let text_of = String::from_utf8_lossy(&text);
        assert!(!text_of.contains("panda_ended") && !text_of.contains("confinement"));
        assert_eq!(Manifest::parse(&text).expect("parses"), manifest);
    }

    #[test]
    fn a_manifest_of_another_schema_is_refused_whatever_else_it_holds() {
        let error = Manifest::parse(br#"{ "schema": 3, "new": true }"#).expect_err("refused");
        assert!(matches!(error, ManifestError::Schema(_)), "{error}");
    }

    #[test]
    fn arguments_of_an_untrusted_trace_take_an_option() {
        let mut manifest = example();
        manifest.machine.more = ["-incoming", "exec:touch here"].map(str::to_owned).to_vec();
        let trace = Trace { folder: "t".into(), manifest };
        let error = trace.machine(false).expect_err("refused").to_string();
        assert!(error.contains("-incoming 'exec:touch here'") && error.contains("--trust-args"), "{error}");
        assert_eq!(trace.machine(true).expect("taken").more.len(), 2);
        assert!(Trace { manifest: example(), ..trace }.machine(false).is_ok());
    }

    #[test]
    fn a_manifest_that_reaches_out_of_its_folder_is_refused() {
        for name in ["../x", "/etc/passwd", "", ".", "-x", "a/b"] {
            let mut manifest = example();
            manifest.files.insert(name.to_owned(), FileDigest { bytes: 0, sha256: String::new() });
            let error = Manifest::parse(&manifest.to_json().expect("JSON")).expect_err("refused");
            assert!(matches!(error, ManifestError::Name(_)), "{name}: {error}");
        }
    }
}

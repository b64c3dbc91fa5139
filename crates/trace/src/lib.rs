#![doc = include_str!("../README.md")]

mod argv;
mod devices;
mod ended;
mod events;
mod failure;
mod finished;
mod manifest;
mod names;
mod partial;
mod replay;
mod results;
pub mod snapshot;
mod sound;
mod verify;

pub use self::ended::EndedBy;
pub use self::events::{Event, What};
pub use self::failure::{Failed, Failure, FailureKind, PluginName, Reason};
pub use self::finished::{Trace, TraceError};
pub use self::manifest::{
    Arguments, Attempts, DiskId, GuestId, MANIFEST, Manifest, ManifestError, Package, PandaEnd, PandaId,
    RecordingInfo, SCHEMA, Seconds, Verification,
};
pub use self::names::{log_name, lossy, snapshot_name};
pub use self::partial::{Partial, PartialError, leftovers};
pub use self::replay::{Line, Replay, ReplayError, ReplayOf, Step, replay};
pub use self::results::{Odd, bring};
pub use self::sound::Unsound;
pub use self::verify::{Verdict, expand, unreadable, verify};

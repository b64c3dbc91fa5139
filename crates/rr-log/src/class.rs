//! What entries have to do with, and their counts in a stretch of the instruction count.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// How many entries, and their length in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// Entries.
    pub entries: u64,
    /// Their length in the log in bytes, headers and all.
    pub bytes: u64,
}

/// One stretch of the instruction count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bucket {
    /// Its first instruction.
    pub from: u64,
    /// Its entries, in the order of [`Class::ALL`].
    #[serde(serialize_with = "by_name")]
    #[schemars(with = "BTreeMap<String, Count>")]
    pub classes: [Count; Class::ALL.len()],
}

/// What kinds of entries have to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What the guest read from devices and clocks.
    Input,
    /// Interrupts, exceptions and requests to the CPU.
    Interrupt,
    /// Writes of devices into the guest's memory.
    Dma,
    /// Notes of disk transfers.
    Disk,
    /// Packets, and notes of a network card's transfers.
    Network,
    /// Notes of what went over serial ports.
    Serial,
    /// The rest: registers set from outside, changed address space, the end.
    Machine,
}

fn by_name<S: Serializer>(classes: &[Count; Class::ALL.len()], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(Class::ALL.iter().map(|class| class.name()).zip(classes))
}

//! What a log holds, in figures: by kind and place, by class of traffic, and over the instruction count.

use std::io::{Read, Seek};

use schemars::JsonSchema;
use serde::Serialize;

use super::class::{Bucket, Class, Count};
use super::entry::{Call, Callsite, Direction, EVENTS, Event};
use super::reader::{Error, Reader};
use super::timeline::Timeline;

/// The figures of one log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// The instruction count of the last entry.
    pub instructions: u64,
    /// What the header says it is; 0 in a recording that did not end properly.
    pub header: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// How the log ends.
    pub end: End,
    /// All whole entries.
    pub total: Count,
    /// What went in and out.
    pub traffic: Traffic,
    /// Entries by kind and place, the most bytes first.
    pub rows: Vec<Row>,
    /// Length of each stretch of the time line, in instructions.
    pub bucket_width: u64,
    /// Entries by class over the instruction count.
    pub timeline: Vec<Bucket>,
}

/// How a log ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum End {
    /// Properly: the recording can be replayed.
    Complete,
    /// Not properly: the reason, and that what follows it was not read.
    Broken {
        /// Why, as a fragment of a sentence.
        reason: String,
    },
}

/// What devices moved: how many times, and how many bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Traffic {
    /// Writes of devices into the guest's memory.
    pub dma: Count,
    /// Transfers of disks, in either direction.
    pub disk: Count,
    /// Packets into the guest.
    pub packets_received: Count,
    /// Packets out of the guest.
    pub packets_sent: Count,
    /// Bytes into a serial port of the guest.
    pub serial_received: Count,
    /// Bytes out of a serial port of the guest.
    pub serial_sent: Count,
}

/// The entries of one kind that one place wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// What happened.
    pub kind: &'static str,
    /// Where in PANDA.
    pub callsite: &'static str,
    /// How often.
    #[serde(flatten)]
    pub count: Count,
}

impl Summary {
    /// Whether there is any entry of this class.
    pub fn has(&self, class: Class) -> bool {
        self.timeline.iter().any(|bucket| bucket.classes[class as usize].entries > 0)
    }

    /// Reads a log to its end and counts; the time line gets `buckets` stretches, or down to half as many.
    ///
    /// A log that is cut short or damaged is counted up to there; only a log that cannot be read is an error.
    pub fn read<R: Read + Seek>(mut reader: Reader<R>, buckets: usize) -> Result<Summary, Error> {
        let mut rows = [[Count::default(); Callsite::COUNT as usize]; EVENTS.len()];
        let mut traffic = Traffic::default();
        let mut total = Count::default();
        let mut timeline = Timeline::new(buckets);
        let mut instructions = 0;
        let end = loop {
            let entry = match reader.next() {
                Some(Ok(entry)) => entry,
                Some(Err(error @ Error::Io { .. })) => return Err(error),
                Some(Err(error)) => break End::Broken { reason: error.to_string() },
                None => break End::Complete,
            };
            instructions = entry.instructions;
            total.add(entry.size);
            rows[entry.event.slot()][usize::from(entry.callsite.number())].add(entry.size);
            traffic.add(&entry.event);
            timeline.add(entry.instructions, Class::of(&entry.event), entry.size);
        };
        Ok(Summary {
            instructions,
            header: reader.header(),
            file_bytes: reader.file_len(),
            end,
            total,
            traffic,
            rows: listed(&rows),
            bucket_width: timeline.width(),
            timeline: timeline.into_buckets(),
        })
    }
}

fn listed(rows: &[[Count; Callsite::COUNT as usize]; EVENTS.len()]) -> Vec<Row> {
    let mut list: Vec<Row> = Vec::new();
    for (slot, row) in rows.iter().enumerate() {
        for (callsite, &count) in (0..).map_while(Callsite::new).zip(row) {
            if count.entries > 0 {
                list.push(Row { kind: EVENTS[slot], callsite: callsite.name(), count });
            }
        }
    }
    list.sort_by_key(|row| std::cmp::Reverse(row.count.bytes));
    list
}

impl Count {
    pub(super) fn add(&mut self, bytes: u64) {
        self.entries += 1;
        // Some lengths are only what a hostile log says.
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn merge(&mut self, other: Count) {
        self.entries += other.entries;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Traffic {
    fn add(&mut self, event: &Event) {
        let Event::Call(call) = *event else { return };
        match call {
            Call::MemoryWrite { len, .. } => self.dma.add(len.into()),
            Call::MemoryUnmap { len, .. } => self.dma.add(len),
            Call::DiskTransfer { len, .. } => self.disk.add(len.into()),
            Call::Packet { direction: Direction::Received, len } => self.packets_received.add(len.into()),
            Call::Packet { direction: Direction::Sent, len } => self.packets_sent.add(len.into()),
            Call::SerialReceive { .. } => self.serial_received.add(1),
            Call::SerialSend { .. } => self.serial_sent.add(1),
            // The same bytes once more, on another leg of their way.
            Call::NetTransfer { .. } | Call::SerialRead { .. } | Call::SerialWrite { .. } => {}
            Call::RegionChange { .. } | Call::RegisterWrite { .. } => {}
        }
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 7] = [
        Class::Input,
        Class::Interrupt,
        Class::Dma,
        Class::Disk,
        Class::Network,
        Class::Serial,
        Class::Machine,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Class::Input => "input",
            Class::Interrupt => "interrupt",
            Class::Dma => "dma",
            Class::Disk => "disk",
            Class::Network => "network",
            Class::Serial => "serial",
            Class::Machine => "machine",
        }
    }

    /// The class of an event.
    pub fn of(event: &Event) -> Class {
        match event {
            Event::Input1(_) | Event::Input2(_) | Event::Input4(_) | Event::Input8(_) => Class::Input,
            Event::InterruptRequest(_) | Event::PendingInterrupts(_) => Class::Interrupt,
            Event::Exception(_) | Event::ExitRequest(_) => Class::Interrupt,
            Event::End => Class::Machine,
            Event::Call(call) => match call {
                Call::MemoryWrite { .. } | Call::MemoryUnmap { .. } => Class::Dma,
                Call::DiskTransfer { .. } => Class::Disk,
                Call::NetTransfer { .. } | Call::Packet { .. } => Class::Network,
                Call::SerialReceive { .. } | Call::SerialRead { .. } => Class::Serial,
                Call::SerialSend { .. } | Call::SerialWrite { .. } => Class::Serial,
                Call::RegionChange { .. } | Call::RegisterWrite { .. } => Class::Machine,
            },
        }
    }
}

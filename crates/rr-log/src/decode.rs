//! Bytes to entries: a pure function over a window of the file that can meet any bytes at all.

use super::entry::{Call, Callsite, Direction, Event, Memory};

/// The longest an entry gets, its data apart.
pub(super) const MAX_FIXED: usize = 10 + 1 + 40;

/// An entry without its place in the file.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) instructions: u64,
    pub(super) callsite: Callsite,
    pub(super) event: Event,
    /// Length in bytes, data apart.
    pub(super) fixed: usize,
}

/// Why there is no entry here.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes end before the entry does; with its instruction count, if that much is there.
    Short(Option<u64>),
    /// A number that PANDA gives no meaning.
    Unknown { what: &'static str, value: u8 },
}

/// Reads the entry that `bytes` begin with.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Fault> {
    let mut rest = Fields(bytes);
    let (instructions, kind, callsite) = head(&mut rest).ok_or(Fault::Short(None))?;
    let callsite = Callsite::new(callsite).ok_or(Fault::Unknown { what: "call site", value: callsite })?;
    let event = match kind {
        0 => rest.u8().map(Event::Input1),
        1 => rest.u16().map(Event::Input2),
        2 => rest.u32().map(Event::Input4),
        3 => rest.u64().map(Event::Input8),
        4 => rest.i32().map(Event::InterruptRequest),
        5 => rest.u16().map(Event::ExitRequest),
        6 => call(&mut rest)?.map(Event::Call),
        7 => Some(Event::End),
        8 => rest.u32().map(Event::PendingInterrupts),
        9 => rest.i32().map(Event::Exception),
        value => return Err(Fault::Unknown { what: "kind", value }),
    };
    let event = event.ok_or(Fault::Short(Some(instructions)))?;
    Ok(Decoded { instructions, callsite, event, fixed: bytes.len() - rest.0.len() })
}

fn head(rest: &mut Fields) -> Option<(u64, u8, u8)> {
    Some((rest.u64()?, rest.u8()?, rest.u8()?))
}

/// What a device did: C structs as they lay in PANDA's memory, with pointers and padding. None if cut short.
fn call(rest: &mut Fields) -> Result<Option<Call>, Fault> {
    let Some(kind) = rest.u8() else { return Ok(None) };
    Ok(match kind {
        0 => memory_write(rest),
        1 => region_change(rest),
        2 => memory_unmap(rest),
        3 => transfer(rest).map(|(kind, from, to, len)| Call::DiskTransfer { kind, from, to, len }),
        4 => transfer(rest).map(|(kind, from, to, len)| Call::NetTransfer { kind, from, to, len }),
        5 => return packet(rest).transpose(),
        6 => byte(rest).map(|value| Call::SerialReceive { value }),
        7 => port_byte(rest).map(|(port, value)| Call::SerialRead { port, value }),
        8 => byte(rest).map(|value| Call::SerialSend { value }),
        9 => port_byte(rest).map(|(port, value)| Call::SerialWrite { port, value }),
        10 => register_write(rest),
        value => return Err(Fault::Unknown { what: "device action", value }),
    })
}

fn memory_write(rest: &mut Fields) -> Option<Call> {
    let address = rest.u64()?;
    rest.skip::<8>()?;
    let len = rest.u32()?;
    rest.skip::<4>()?;
    Some(Call::MemoryWrite { address, len })
}

fn region_change(rest: &mut Fields) -> Option<Call> {
    let (address, size) = (rest.u64()?, rest.u64()?);
    rest.skip::<8>()?;
    let name_len = rest.u32()?;
    let memory = match rest.u32()? {
        0 => Memory::Io,
        1 => Memory::Ram,
        other => Memory::Other(other),
    };
    let added = rest.u8()? != 0;
    rest.skip::<7>()?;
    Some(Call::RegionChange { address, size, memory, added, name_len })
}

fn memory_unmap(rest: &mut Fields) -> Option<Call> {
    let address = rest.u64()?;
    rest.skip::<8>()?;
    Some(Call::MemoryUnmap { address, len: rest.u64()? })
}

fn transfer(rest: &mut Fields) -> Option<(u32, u64, u64, u32)> {
    let kind = rest.u32()?;
    rest.skip::<4>()?;
    let (from, to, len) = (rest.u64()?, rest.u64()?, rest.u32()?);
    rest.skip::<4>()?;
    Some((kind, from, to, len))
}

fn packet(rest: &mut Fields) -> Option<Result<Call, Fault>> {
    rest.skip::<8>()?;
    let (len, direction) = (rest.u32()?, rest.u8()?);
    rest.skip::<3>()?;
    let direction = match direction {
        0 => Direction::Received,
        1 => Direction::Sent,
        value => return Some(Err(Fault::Unknown { what: "packet direction", value })),
    };
    Some(Ok(Call::Packet { direction, len }))
}

fn byte(rest: &mut Fields) -> Option<u8> {
    rest.skip::<8>()?;
    let value = rest.u8()?;
    rest.skip::<7>()?;
    Some(value)
}

fn port_byte(rest: &mut Fields) -> Option<(u32, u8)> {
    rest.skip::<8>()?;
    let (port, value) = (rest.u32()?, rest.u8()?);
    rest.skip::<3>()?;
    Some((port, value))
}

fn register_write(rest: &mut Fields) -> Option<Call> {
    let cpu = rest.i32()?;
    rest.skip::<12>()?;
    Some(Call::RegisterWrite { cpu, register: rest.i32()?, len: rest.u32()? })
}

/// Little-endian fields, one after the other; None where the bytes end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn skip<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.skip().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.skip().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.skip().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.skip().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.skip().map(u64::from_le_bytes)
    }
}

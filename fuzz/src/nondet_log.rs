//! An untrusted log.

use std::io::{Cursor, Read};

use rr_log::Target;
use rr_log::{Call, Callsite, CutPoint, Event, Limits, Reader, Summary, check, encode, encode_header};

/// For any bytes read as PANDA's log: no panic, no more memory than the log has bytes, a salvaged log is complete,
/// and a log that passes the check for a PC with 256 MiB cannot harm PANDA.
pub fn nondet_log(log: &[u8]) {
    let Ok(mut reader) = Reader::new(Cursor::new(log)) else { return };
    let mut next = 8;
    while let Some(Ok(entry)) = reader.next() {
        assert_eq!(entry.offset, next);
        next = entry.end();
        assert!(next <= log.len() as u64);
        let mut data = Vec::new();
        reader.data().read_to_end(&mut data).expect("memory can be read");
        assert_eq!(data.len() as u64, entry.event.data_len());
    }

    let reader = Reader::new(Cursor::new(log)).expect("it could be read before");
    let summary = Summary::read(reader, 16).expect("memory can be read");
    assert_eq!(summary.total.bytes + 8, next);

    let mut reader = Reader::new(Cursor::new(log)).expect("it could be read before");
    if check(&mut reader, &Limits::of(Target::X86_64, 256, &[])).is_ok() {
        Reader::new(Cursor::new(log))
            .expect("it could be read before")
            .for_each(|entry| harmless(&entry.unwrap().event));
    }

    let mut reader = Reader::new(Cursor::new(log)).expect("it could be read before");
    if let (Some(cut), Some(_)) = CutPoint::find(&mut reader) {
        let mut whole = Vec::new();
        encode_header(cut.instructions, &mut whole);
        whole.extend(&log[8..cut.offset as usize]);
        encode(cut.instructions, Callsite::END, Event::End, &[], &mut whole);
        let reader = Reader::new(Cursor::new(&whole)).expect("it has a header");
        assert!(reader.map(|entry| entry.expect("it is whole")).last().is_some());
    }
}

/// What a replay must not encounter, stated independently.
fn harmless(event: &Event) {
    const MEMORY: u64 = 256 << 20;
    let inside = |address: u64, len: u64| {
        let end = address.checked_add(len).expect("it wraps around");
        assert!(end <= 0xa_0000 || (address >= 0x10_0000 && end <= MEMORY), "{address:#x} {len:#x}");
    };
    match *event {
        Event::Call(Call::MemoryWrite { address, len }) if len > 0 => inside(address, len.into()),
        Event::Call(Call::MemoryUnmap { address, len }) if len > 0 => inside(address, len),
        Event::Call(Call::RegisterWrite { cpu, register, len }) => {
            assert!(cpu == 0 && (0..40).contains(&register) && (4..=10).contains(&len));
        }
        Event::Call(Call::RegionChange { address, size, name_len, .. }) => {
            assert!(address.checked_add(size).is_some() && name_len < 256);
            assert!(size == 0 || address >= MEMORY || (address >= 0xa_0000 && address + size <= 0x10_0000));
        }
        Event::Call(Call::Packet { len, .. }) => assert!((1..=128 << 10).contains(&len)),
        Event::InterruptRequest(flags) => assert!((0..0x4000).contains(&flags) && flags & 0x80 == 0),
        Event::ExitRequest(_) | Event::PendingInterrupts(_) | Event::Exception(_) => panic!("never on a PC"),
        _ => {}
    }
}

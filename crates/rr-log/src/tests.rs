//! Logs made here, whole and broken: what is written is read, and nothing that is read does harm.

use std::io::{Cursor, Read};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Error, Reader};
use crate::{Call, Callsite, CutPoint, Direction, End, Event, Memory, Summary, encode, encode_header};

type Synthetic = (u64, Callsite, Event, Vec<u8>);

/// An event, with data as long as it says.
fn event() -> impl Strategy<Value = (Event, Vec<u8>)> {
    let with_data = |make: fn(u32, (u64, u32)) -> Call| {
        (any::<(u64, u32)>(), vec(any::<u8>(), 0..200))
            .prop_map(move |(more, data)| (Event::Call(make(data.len() as u32, more)), data))
    };
    let bare = prop_oneof![
        any::<u8>().prop_map(Event::Input1),
        any::<u16>().prop_map(Event::Input2),
        any::<u32>().prop_map(Event::Input4),
        any::<u64>().prop_map(Event::Input8),
        any::<i32>().prop_map(Event::InterruptRequest),
        any::<u16>().prop_map(Event::ExitRequest),
        any::<u32>().prop_map(Event::PendingInterrupts),
        any::<i32>().prop_map(Event::Exception),
        any::<u8>().prop_map(|value| Event::Call(Call::SerialReceive { value })),
        any::<u8>().prop_map(|value| Event::Call(Call::SerialSend { value })),
        any::<(u32, u8)>().prop_map(|(port, value)| Event::Call(Call::SerialRead { port, value })),
        any::<(u32, u8)>().prop_map(|(port, value)| Event::Call(Call::SerialWrite { port, value })),
        any::<(u32, u64, u64, u32)>().prop_map(|(kind, from, to, len)| Event::Call(Call::DiskTransfer {
            kind,
            from,
            to,
            len
        })),
        any::<(u32, u64, u64, u32)>().prop_map(|(kind, from, to, len)| Event::Call(Call::NetTransfer {
            kind,
            from,
            to,
            len
        })),
    ];
    prop_oneof![
        8 => bare.prop_map(|event| (event, Vec::new())),
        1 => with_data(|len, (address, _)| Call::MemoryWrite { address, len }),
        1 => with_data(|len, (address, _)| Call::MemoryUnmap { address, len: len.into() }),
        1 => with_data(|len, (_, register)| Call::RegisterWrite { cpu: 0, register: register as i32, len }),
        1 => with_data(|len, _| Call::Packet { direction: Direction::Sent, len }),
        1 => with_data(|len, _| Call::Packet { direction: Direction::Received, len }),
        1 => with_data(|name_len, (address, memory)| Call::RegionChange {
            address,
            size: 4096,
            memory: match memory { 0 => Memory::Io, 1 => Memory::Ram, other => Memory::Other(other) },
            added: address % 2 == 0,
            name_len,
        }),
    ]
}

/// What happened in a recording, in its order.
fn entries() -> impl Strategy<Value = Vec<Synthetic>> {
    vec((0u64..3, 0..Callsite::COUNT, event()), 0..60).prop_map(|steps| {
        let mut instructions = 0;
        let entry = |(step, callsite, (event, data))| {
            instructions += step;
            Some((instructions, Callsite::new(callsite)?, event, data))
        };
        steps.into_iter().filter_map(entry).collect()
    })
}

/// The log of such a recording, properly ended.
fn log(entries: &[Synthetic]) -> Vec<u8> {
    let mut log = Vec::new();
    let last = entries.last().map_or(0, |entry| entry.0);
    encode_header(last, &mut log);
    for (instructions, callsite, event, data) in entries {
        encode(*instructions, *callsite, *event, data, &mut log);
    }
    encode(last, Callsite::END, Event::End, &[], &mut log);
    log
}

fn reader(log: &[u8]) -> Result<Reader<Cursor<&[u8]>>, Error> {
    Reader::new(Cursor::new(log))
}

/// What `salvage` makes of a log.
fn salvaged(log: &[u8], cut: CutPoint) -> Vec<u8> {
    let mut new = Vec::new();
    encode_header(cut.instructions, &mut new);
    new.extend(&log[8..cut.offset as usize]);
    encode(cut.instructions, Callsite::END, Event::End, &[], &mut new);
    new
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries()) {
        let log = log(&entries);
        let mut reader = reader(&log).unwrap();
        for (instructions, callsite, event, data) in entries {
            let entry = reader.next().unwrap().unwrap();
            prop_assert_eq!((entry.instructions, entry.callsite, entry.event), (instructions, callsite, event));
            let mut read = Vec::new();
            reader.data().read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, data);
        }
        prop_assert_eq!(reader.next().unwrap().unwrap().event, Event::End);
        prop_assert!(reader.next().is_none());
    }

    #[test]
    fn data_need_not_be_read(entries in entries()) {
        let log = log(&entries);
        let sizes: Vec<u64> = reader(&log).unwrap().map(|entry| entry.unwrap().size).collect();
        prop_assert_eq!(sizes.len(), entries.len() + 1);
        prop_assert_eq!(sizes.iter().sum::<u64>() + 8, log.len() as u64);
    }

    #[test]
    fn a_log_cut_anywhere_is_salvaged_whole_up_to_its_last_complete_instruction(
        entries in entries(),
        at in any::<prop::sample::Index>(),
    ) {
        let log = log(&entries);
        let torn = &log[..8 + at.index(log.len() - 8)];
        let (cut, reason) = CutPoint::find(&mut reader(torn).unwrap());
        prop_assert!(matches!(reason, Some(Error::CutShort { .. })), "{reason:?}");
        let Some(cut) = cut else { return Ok(()) };
        prop_assert!(cut.offset <= torn.len() as u64);
        let whole = salvaged(torn, cut);
        let read: Vec<_> = reader(&whole).unwrap().map(Result::unwrap).collect();
        // A replay to the new end misses no input: all that is lost came later, or was the main loop's doing.
        let after_main_loop = read.len() > 1 && {
            let last = &read[read.len() - 2];
            last.callsite == Callsite::MAIN_LOOP && matches!(last.event, Event::Call(_))
        };
        for entry in reader(&log).unwrap().map(Result::unwrap).skip(read.len() - 1) {
            prop_assert!(
                entry.instructions > cut.instructions || after_main_loop || entry.event == Event::End
            );
        }
    }

    #[test]
    fn any_bytes_are_read_calmly(bytes in vec(any::<u8>(), 0..4096)) {
        if let Ok(reader) = reader(&bytes) {
            prop_assert!(reader.count() <= bytes.len());
        }
    }

    #[test]
    fn a_log_with_any_byte_changed_is_read_calmly(
        entries in entries(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut log = log(&entries);
        let at = at.index(log.len());
        log[at] = value;
        let summary = Summary::read(reader(&log).unwrap(), 4).unwrap();
        prop_assert!(summary.total.bytes + 8 <= log.len() as u64);
        prop_assert!(summary.timeline.len() <= 4);
    }
}

fn one_entry(event: Event, data: &[u8]) -> Vec<u8> {
    log(&[(7, Callsite::MAIN_LOOP, event, data.to_vec())])
}

#[test]
fn a_length_beyond_the_file_is_a_cut_and_allocates_nothing() {
    for len in [u64::MAX, 1 << 32, 1000] {
        let log = one_entry(Event::Call(Call::MemoryUnmap { address: 0, len }), b"short");
        let error = reader(&log).unwrap().next().unwrap().unwrap_err();
        assert!(matches!(error, Error::CutShort { offset: 8, next: Some(7) }), "{error}");
    }
}

#[test]
fn data_longer_than_the_buffer_is_read_whole() {
    let data: Vec<u8> = (0..1_000_000u32).map(|byte| byte as u8).collect();
    let log = one_entry(Event::Call(Call::MemoryWrite { address: 4096, len: 1_000_000 }), &data);
    let mut reader = reader(&log).unwrap();
    reader.next().unwrap().unwrap();
    let mut read = Vec::new();
    reader.data().read_to_end(&mut read).unwrap();
    assert!(read == data);
    assert_eq!(reader.next().unwrap().unwrap().event, Event::End);
    assert!(reader.next().is_none());
}

#[test]
fn damage_is_told_apart() {
    let good = one_entry(Event::Input1(1), &[]);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut log = good.clone();
        change(&mut log);
        let error = reader(&log).unwrap().find_map(Result::err).unwrap();
        error.to_string()
    };
    assert_eq!(broken(&|log| log[16] = 10), "the entry at byte 8 has an unknown kind (10)");
    assert_eq!(broken(&|log| log[17] = 44), "the entry at byte 8 has an unknown call site (44)");
    assert_eq!(broken(&|log| log[19] = 6), "the entry at byte 19 goes back from instruction 7 to 6");
    assert_eq!(broken(&|log| log.push(0)), "the recording ends at byte 29, but the file goes on");
    assert_eq!(broken(&|log| log[0] = 0), "its header says 0 instructions and its end says 7");
    assert_eq!(broken(&|log| log.truncate(27)), "it ends at byte 19 with no end-of-log entry after it");
}

#[test]
fn zeros_that_a_power_loss_leaves_are_not_taken_for_entries() {
    let mut log = one_entry(Event::Input1(1), &[]);
    log.truncate(19);
    log.extend([0; 4096]);
    let (cut, reason) = CutPoint::find(&mut reader(&log).unwrap());
    assert!(matches!(reason, Some(Error::Backwards { offset: 19, from: 7, to: 0 })), "{reason:?}");
    assert_eq!(cut, Some(CutPoint { offset: 8, instructions: 6 }));
}

#[test]
fn an_ended_log_with_an_old_header_keeps_everything() {
    let mut log = one_entry(Event::Input1(1), &[]);
    log[0] = 0;
    let (cut, _) = CutPoint::find(&mut reader(&log).unwrap());
    assert_eq!(cut, Some(CutPoint { offset: 19, instructions: 7 }));
    assert_eq!(
        reader(&salvaged(&log, cut.unwrap())).unwrap().find_map(Result::err).map(|e| e.to_string()),
        None
    );
}

#[test]
fn the_figures_add_up() {
    let packet = Event::Call(Call::Packet { direction: Direction::Received, len: 4 });
    let io = Callsite::new(4).unwrap();
    let log = log(&[
        (1, io, Event::Input4(9), vec![]),
        (900, Callsite::MAIN_LOOP, packet, b"ping".to_vec()),
        (1000, io, Event::Input4(9), vec![]),
    ]);
    let summary = Summary::read(reader(&log).unwrap(), 10).unwrap();
    assert_eq!((summary.instructions, summary.total.entries), (1000, 4));
    assert_eq!(summary.end, End::Complete);
    assert_eq!(summary.traffic.packets_received.bytes, 4);
    let rows: Vec<_> = summary.rows.iter().map(|row| (row.kind, row.callsite, row.count.entries)).collect();
    assert_eq!(
        rows,
        [("packet", "main_loop_wait", 1), ("input_4", "io_read_all", 2), ("end_of_log", "end_of_log", 1)]
    );
    assert_eq!(summary.bucket_width, 128);
    assert_eq!(summary.timeline.last().unwrap().from, 896);
}

//! Runs the fuzz targets on random bytes, and on valid inputs with a few bytes changed.

use proptest::collection::vec;
use proptest::prelude::*;
use rr_log::Target;
use rr_log::{Call, Callsite, Event, encode, encode_header};

/// A log with an entry of every kind that occurs on a PC.
fn log() -> Vec<u8> {
    let (io, main) = (Callsite::new(4).unwrap(), Callsite::MAIN_LOOP);
    let mut log = Vec::new();
    encode_header(90, &mut log);
    encode(10, io, Event::Input1(1), &[], &mut log);
    encode(10, io, Event::Input4(2), &[], &mut log);
    encode(20, io, Event::Input8(3), &[], &mut log);
    encode(30, main, Event::InterruptRequest(2), &[], &mut log);
    encode(40, main, Event::Call(Call::MemoryWrite { address: 0x20_0000, len: 4 }), b"data", &mut log);
    encode(50, main, Event::Call(Call::RegisterWrite { cpu: 0, register: 1, len: 8 }), &[7; 8], &mut log);
    encode(90, Callsite::END, Event::End, &[], &mut log);
    log
}

/// A version 3 qcow2 that states its backing file's format.
fn image() -> Vec<u8> {
    let mut image = vec![0; 104];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    image[15] = 128;
    image[19] = 4;
    image[23] = 16;
    image[28] = 1;
    image[103] = 104;
    image.extend(b"\xe2\x79\x2a\xca\0\0\0\x03raw\0\0\0\0\0\0\0\0\0\0\0\0\0base");
    image
}

/// The beginning of a snapshot.
fn snapshot() -> Vec<u8> {
    b"QEVM\0\0\0\x03\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\x10\x04".to_vec()
}

/// The types of a kernel: an int, and a task with two of them.
fn types() -> Vec<u8> {
    let words: [u32; 24] = [
        0x1eb9f,
        24,
        0,
        64,
        64,
        28, // the header
        1,
        1 << 24,
        4,
        32, // int
        5,
        4 << 24 | 2,
        8,
        17,
        1,
        0,
        22,
        1,
        32, // task_struct, pid, mm
        0,
        8 << 24,
        1,
        0,
        0,
    ];
    let mut types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    types.truncate(24 + 64);
    types.extend(b"\0int\0task_struct\0pid\0mm\0...");
    types
}

/// A profile of hardly anything.
fn profile() -> Vec<u8> {
    br#"{"schema":1,"target":"i386","banner":"Linux","version":[5,10,1],"symbols":{"init_task":4096},
        "offsets":{"task_struct.pid":4},"sizes":{"task_struct":8}}"#
        .to_vec()
}

/// The inputs in `good` with bytes changed, removed or added; or arbitrary bytes.
fn like(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = good.len();
    let changes = (vec((0..length, any::<u8>()), 0..4), 0..=length, vec(any::<u8>(), 0..64));
    let changed = changes.prop_map(move |(bytes, cut, more)| {
        let mut changed = good.clone();
        for (at, byte) in bytes {
            changed[at] = byte;
        }
        let keeps_all = more.len() % 2 == 0;
        changed.truncate(if keeps_all { length } else { cut });
        changed.extend(more);
        changed
    });
    prop_oneof![changed, vec(any::<u8>(), 0..4096)]
}

#[test]
fn the_good_inputs_are_good() {
    use std::io::Cursor;

    use machine::Header;
    use rr_log::{Limits, Reader, check};

    let log = log();
    let limits = Limits::of(Target::X86_64, 256, &[]);
    check(&mut Reader::new(Cursor::new(&log)).unwrap(), &limits).unwrap();
    assert_eq!(Header::parse(&image()).unwrap().backing.unwrap().name, "base");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_log(input in like(log())) {
        crate::nondet_log(&input);
    }

    #[test]
    fn any_image(input in like(image())) {
        crate::qcow2(&input);
    }

    #[test]
    fn any_snapshot(input in like(snapshot())) {
        crate::snapshot(&input);
    }

    #[test]
    fn any_kernel(input in like(types())) {
        crate::kernel(&input);
    }

    #[test]
    fn any_kernel_profile(input in like(profile())) {
        crate::kernel_profile(&input);
    }

    #[test]
    fn any_hypercall(mut sent in any::<[u64; 4]>(), got in any::<[u64; 4]>(), memory in vec(any::<u8>(), 0..64), ours: bool) {
        if ours {
            sent[0] = protocol::MAGIC.into();
        }
        crate::hypercall(sent, got, &memory);
    }
}

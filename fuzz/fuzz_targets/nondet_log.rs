//! Any bytes, read as PANDA's log: no panic, no more memory than the log has bytes, and what is salvaged is whole.

#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pandacap::trace::log::{Callsite, Cut, Event, Reader, Summary, encode, encode_header};

fuzz_target!(|log: &[u8]| {
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
    if let (Some(cut), Some(_)) = Cut::find(&mut reader) {
        let mut whole = Vec::new();
        encode_header(cut.instructions, &mut whole);
        whole.extend(&log[8..cut.offset as usize]);
        encode(cut.instructions, Callsite::END, Event::End, &[], &mut whole);
        let reader = Reader::new(Cursor::new(&whole)).expect("it has a header");
        assert!(reader.map(|entry| entry.expect("it is whole")).last().is_some());
    }
});

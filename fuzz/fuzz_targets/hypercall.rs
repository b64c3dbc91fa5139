//! Whatever a guest has in its registers and its memory, what comes out of it is plain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{Name, Status, decode, identify};

fuzz_target!(|input: ([u64; 4], [u64; 4], &[u8])| {
    let (sent, got, memory) = input;
    assert_eq!(decode(sent).is_some(), sent[0] as u32 == protocol::MAGIC);
    identify(sent, got);
    if let Some(status) = Status::from_registers(got) {
        assert_eq!(Status::from_registers(status.to_registers()), Some(status));
    }
    if let Some(name) = Name::from_guest(memory) {
        let name = name.as_str();
        assert!((1..protocol::NAME_MAX).contains(&name.len()) && !name.starts_with(['.', '-']));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    }
});

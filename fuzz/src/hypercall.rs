//! Input from a hostile guest.

use protocol::{Name, Status, decode, identify};

/// For any registers and memory of a guest, the resulting names and messages are plain.
pub fn hypercall(sent: [u64; 4], got: [u64; 4], memory: &[u8]) {
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
}

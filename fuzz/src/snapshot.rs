//! An untrusted snapshot.

use std::io::Cursor;

use trace::snapshot::{Expected, check};

/// For any bytes read as PANDA's snapshot: no panic, and no more memory than there are bytes.
pub fn snapshot(snapshot: &[u8]) {
    let strict = check(Cursor::new(snapshot), Expected { memory_mib: 1, usual: true });
    let lax = check(Cursor::new(snapshot), Expected { memory_mib: 1, usual: false });
    // A snapshot that passes with the devices of a usual machine passes with any.
    assert!(strict.is_err() || lax.is_ok());
    if lax.is_ok() {
        assert!(snapshot.starts_with(b"QEVM\0\0\0\x03"));
    }
}

//! Any bytes, read as a qcow2's header: no panic, and no name that is longer than QEMU takes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pandacap::vm::Header;

fuzz_target!(|image: &[u8]| {
    if let Ok(Header { backing: Some(backing), .. }) = Header::parse(image) {
        assert!((1..=1023).contains(&backing.name.len()));
    }
});

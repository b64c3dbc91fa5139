//! A stranger's qcow2 image.

use machine::Header;

/// Any bytes, read as a qcow2's header: no panic, and no name that is longer than QEMU takes.
pub fn qcow2(image: &[u8]) {
    if let Ok(Header { backing: Some(backing), .. }) = Header::parse(image) {
        assert!((1..=1023).contains(&backing.name.len()));
    }
}

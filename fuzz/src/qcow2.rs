//! An untrusted qcow2 image.

use machine::Header;

/// For any bytes read as a qcow2 header: no panic, and no name longer than QEMU accepts.
pub fn qcow2(image: &[u8]) {
    if let Ok(Header { backing: Some(backing), .. }) = Header::parse(image) {
        assert!((1..=1023).contains(&backing.name.len()));
    }
}

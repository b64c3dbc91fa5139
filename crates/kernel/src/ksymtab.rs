//! The symbols that the kernel exports to its modules; enough for a kernel whose kallsyms cannot be read.

use crate::bytes::u32_at;
use crate::image::Image;

/// The longest name.
const MAX_NAME: usize = 256;

/// Goes through the exported symbols: name and address. Each entry says how far it is from itself to the value, to the
/// name and, from Linux 5.4 on, to the name's namespace.
pub(crate) fn each(image: &Image, mut take: impl FnMut(&[u8], u64)) {
    for section in ["__ksymtab", "__ksymtab_gpl"] {
        let Some((address, bytes)) = image.section(section) else { continue };
        let near = |at: usize| {
            let distance = u32_at(bytes, at).unwrap_or_default().cast_signed();
            address.wrapping_add(at as u64).wrapping_add_signed(distance.into())
        };
        let name = |at: usize| image.text(near(at + 4), MAX_NAME).filter(|name| is_name(name));
        let fits = |size: &usize| {
            bytes.len().is_multiple_of(*size)
                && (0..bytes.len()).step_by(*size).take(64).all(|at| name(at).is_some())
        };
        let Some(size) = [12, 8].into_iter().find(fits) else { continue };
        for at in (0..bytes.len()).step_by(size) {
            if let Some(name) = name(at) {
                take(name, near(at));
            }
        }
    }
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

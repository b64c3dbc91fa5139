//! What a kernel calls itself, and the version of the source behind that.

use memchr::memmem;

/// The banner begins like this.
const START: &[u8] = b"Linux version ";
/// The longest banner.
const LONGEST: usize = 512;

/// The banner in an image, without its newline.
pub(crate) fn find(image: &[u8]) -> Option<String> {
    let banners = || {
        memmem::find_iter(image, START).filter_map(|start| {
            let rest = &image[start..image.len().min(start + LONGEST)];
            let line = &rest[..rest.iter().position(|&byte| byte == b'\n' || byte == 0)?];
            let text = std::str::from_utf8(line).ok()?;
            // The kernel's own format for /proc/version begins the same.
            let is_banner = line.get(START.len())?.is_ascii_digit() && text.contains(" #");
            (is_banner && !text.chars().any(char::is_control)).then_some(text)
        })
    };
    // From Linux 6.1 on there are two, and the first, which is not used, lacks the number of the build.
    let is_numbered = |text: &&str| {
        text.split(" #").nth(1).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    banners().find(is_numbered).or_else(|| banners().next()).map(str::to_owned)
}

/// The version of the source. Distributions keep the name of a series' first kernel, so what the package says of itself
/// goes before what the kernel does.
pub(crate) fn version(banner: &str) -> [u32; 3] {
    let debian = banner.rsplit_once(" Debian ").map(|(_, rest)| rest);
    let ubuntu = banner.rsplit_once("(Ubuntu ").and_then(|(_, rest)| rest.split(' ').nth(1));
    let own = banner.get(START.len()..);
    [debian, ubuntu, own].into_iter().flatten().find_map(numbers).unwrap_or_default()
}

/// The three numbers at the start of a text; the last may be missing.
fn numbers(text: &str) -> Option<[u32; 3]> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(str::parse);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    Some([major, minor, parts.next().and_then(Result::ok).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_the_source_wherever_the_banner_has_it() {
        let debian = "Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) \
            12.2.0, GNU ld 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)";
        let ubuntu = "Linux version 5.15.0-91-generic (buildd@lcy02) (gcc 11.4.0) #101-Ubuntu SMP Tue Nov 14 \
            13:30:08 UTC 2023 (Ubuntu 5.15.0-91.101-generic 5.15.131)";
        assert_eq!(version(debian), [6, 1, 176]);
        assert_eq!(version(ubuntu), [5, 15, 131]);
        assert_eq!(version("Linux version 6.12 (me@home) #1 SMP"), [6, 12, 0]);
        assert_eq!(version("Linux version 99999999999.1 #1"), [0, 0, 0]);
    }

    #[test]
    fn the_banner_is_the_line_with_a_build_number() {
        let image = b"\0Linux version %s (x)\n\0Linux version 6.1 bad\0Linux version 6.1.0 (me) # SMP\n\0\
            Linux version 6.1.0 (me) #1 SMP\n\0more";
        assert_eq!(find(image).as_deref(), Some("Linux version 6.1.0 (me) #1 SMP"));
        assert_eq!(find(b"Linux version 6.1.0 (m\x1be) #1\n"), None);
        assert_eq!(find(b"Linux version 6"), None);
    }
}

//! The header of a qcow2 image, read by ourselves: what it names is known before anything opens it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// How every qcow2 begins.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The most that has to be read of an image: its first cluster, where the header and all that it names are.
pub const LONGEST: usize = 1 << 21;

/// The longest name of a backing file that QEMU takes.
const NAME: usize = 1023;
const V2: usize = 72;
const V3: usize = 104;
const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE: u32 = 0x4441_5441;
const CRYPTO: u32 = 0x0537_be77;

/// Bits of features that a reader has to know.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 2;
const DATA_FILE_BIT: u64 = 4;
const COMPRESSION: u64 = 8;
const EXTENDED_L2: u64 = 16;

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The disk's size in bytes.
    pub virtual_bytes: u64,
    /// The image below it.
    pub backing: Option<Backing>,
    /// Whether its content is encrypted.
    pub encrypted: bool,
    /// Whether its content is in another file.
    pub data_file: bool,
    /// What it uses that QEMU of 2017 does not know.
    pub news: Option<&'static str>,
}

/// The image below another one, as that one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Its name, in QEMU's sense.
    pub name: OsString,
    /// Its format, if it is named: QEMU guesses otherwise.
    pub format: Option<Vec<u8>>,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends early.
    #[error("its header is cut short")]
    Short,
    /// It is something else.
    #[error("its magic number is wrong")]
    Magic,
    /// There are 2 and 3.
    #[error("its header has version {0}")]
    Version(u32),
    /// A number that no such image has.
    #[error("its header's {0} is out of bounds")]
    Bounds(&'static str),
}

impl Header {
    /// Reads the header in the first [`LONGEST`] bytes of an image, or in all of it.
    pub fn parse(image: &[u8]) -> Result<Header, Malformed> {
        let word = |at: usize| field(image, at).map(u32::from_be_bytes);
        let long = |at: usize| field(image, at).map(u64::from_be_bytes);
        if field(image, 0)? != MAGIC {
            return Err(Malformed::Magic);
        }
        let (features, length) = match word(4)? {
            2 => (0, V2),
            3 => (long(72)?, usize::try_from(word(100)?).unwrap_or(usize::MAX)),
            version => return Err(Malformed::Version(version)),
        };
        let cluster = match word(20)? {
            bits @ 9..=21 => 1_usize << bits,
            _ => return Err(Malformed::Bounds("cluster size")),
        };
        if length > cluster || (length != V2 && length < V3) {
            return Err(Malformed::Bounds("length"));
        }
        let name = match (long(8)?, word(16)?) {
            (0, 0) => None,
            (at, length) => {
                let at = usize::try_from(at).ok().filter(|&at| at < cluster);
                let at = at.filter(|&at| at >= V2).ok_or(Malformed::Bounds("backing file"))?;
                let length = usize::try_from(length).ok().filter(|length| (1..=NAME).contains(length));
                let length = length.filter(|length| at + length <= cluster);
                Some((at, length.ok_or(Malformed::Bounds("backing file"))?))
            }
        };
        let mut header = Header {
            virtual_bytes: long(24)?,
            backing: None,
            encrypted: word(32)? != 0,
            data_file: features & DATA_FILE_BIT != 0,
            news: news(features),
        };
        let format = header.extensions(image, length, name.map_or(cluster, |(at, _)| at))?;
        if let Some((at, length)) = name {
            let name = image.get(at..at + length).ok_or(Malformed::Short)?;
            // QEMU takes it up to there.
            if name.contains(&0) {
                return Err(Malformed::Bounds("backing file"));
            }
            header.backing = Some(Backing { name: OsString::from_vec(name.to_vec()), format });
        }
        Ok(header)
    }

    /// Reads what follows the header, from `at` to `end`; gives the backing file's format.
    fn extensions(&mut self, image: &[u8], mut at: usize, end: usize) -> Result<Option<Vec<u8>>, Malformed> {
        let mut format = None;
        while at < end {
            let kind = u32::from_be_bytes(field(image, at)?);
            let length = usize::try_from(u32::from_be_bytes(field(image, at + 4)?)).unwrap_or(usize::MAX);
            at += 8;
            if kind == END {
                break;
            }
            if at > end || length > end - at {
                return Err(Malformed::Bounds("extensions"));
            }
            let data = image.get(at..at + length).ok_or(Malformed::Short)?;
            match kind {
                BACKING_FORMAT if format.replace(data.to_vec()).is_some() => {
                    return Err(Malformed::Bounds("extensions"));
                }
                DATA_FILE => self.data_file = true,
                CRYPTO => self.encrypted = true,
                // Unknown ones of the others may be ignored.
                _ => {}
            }
            at += length.next_multiple_of(8);
        }
        Ok(format)
    }
}

/// The first of the features that QEMU of 2017 does not know.
fn news(features: u64) -> Option<&'static str> {
    let known = DIRTY | CORRUPT | DATA_FILE_BIT;
    match features & !known {
        0 => None,
        some if some & COMPRESSION != 0 => Some("zstd compression"),
        some if some & EXTENDED_L2 != 0 => Some("extended L2 entries"),
        _ => Some("features that pandacap does not know either"),
    }
}

fn field<const N: usize>(image: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().ok_or(Malformed::Short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of version 3 with these extensions and a backing file's name behind them.
    fn image(features: u64, extensions: &[(u32, &[u8])], name: &[u8]) -> Vec<u8> {
        let mut image = vec![0; V3];
        image[..4].copy_from_slice(&MAGIC);
        image[7] = 3;
        image[23] = 16;
        image[24..32].copy_from_slice(&(1_u64 << 20).to_be_bytes());
        image[72..80].copy_from_slice(&features.to_be_bytes());
        image[100..104].copy_from_slice(&(V3 as u32).to_be_bytes());
        for (kind, data) in extensions.iter().chain([&(END, &b""[..])]) {
            image.extend(kind.to_be_bytes());
            image.extend((data.len() as u32).to_be_bytes());
            image.extend(*data);
            image.resize(image.len().next_multiple_of(8), 0);
        }
        if !name.is_empty() {
            let at = image.len() as u64;
            image[8..16].copy_from_slice(&at.to_be_bytes());
            image[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
            image.extend(name);
        }
        image
    }

    #[test]
    fn what_an_image_names_is_found() {
        let plain = Header { virtual_bytes: 1 << 20, ..Header::default() };
        assert_eq!(Header::parse(&image(0, &[], b"")), Ok(plain.clone()));
        let backed = image(0, &[(0x6803_f857, b"names"), (BACKING_FORMAT, b"raw")], b"/etc/shadow");
        let backing = Backing { name: "/etc/shadow".into(), format: Some(b"raw".to_vec()) };
        assert_eq!(Header::parse(&backed), Ok(Header { backing: Some(backing), ..plain.clone() }));
        let data_file = Header { data_file: true, ..plain.clone() };
        assert_eq!(Header::parse(&image(DATA_FILE_BIT, &[], b"")), Ok(data_file.clone()));
        assert_eq!(Header::parse(&image(0, &[(DATA_FILE, b"x")], b"")), Ok(data_file));
        let encrypted = Header { encrypted: true, ..plain };
        assert_eq!(Header::parse(&image(0, &[(CRYPTO, &[0; 16])], b"")), Ok(encrypted));
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for (what, at, bytes) in [
            ("a name without a place", 16, &[0, 0, 0, 1][..]),
            ("a place without a name", 15, &[200]),
            ("a name in another cluster", 8, &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]),
            ("a name within the header", 8, &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1]),
            ("clusters of 1 byte", 23, &[0]),
            ("a header without an end", 100, &[0xff; 4]),
            ("a short header", 103, &[72 + 1]),
            ("the first version", 7, &[1]),
        ] {
            let mut image = image(0, &[], b"");
            image[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(Header::parse(&image).is_err(), "{what}");
        }
        assert!(Header::parse(&image(0, &[], b"a\0b")).is_err(), "a name with a NUL");
        let twice = [(BACKING_FORMAT, &b"raw"[..]), (BACKING_FORMAT, b"qcow2")];
        assert!(Header::parse(&image(0, &twice, b"a")).is_err(), "two formats");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Header::parse(&bytes);
        }

        #[test]
        fn a_damaged_header_is_read_or_refused(
            name in "[a-z/:]{0,40}", format in "[a-z0-9]{0,9}", at in 4..160_usize, byte in any::<u8>(), cut in 0..200_usize,
        ) {
            let mut image = image(0, &[(BACKING_FORMAT, format.as_bytes())], name.as_bytes());
            if let Some(old) = image.get_mut(at) {
                *old = byte;
            }
            image.truncate(image.len().saturating_sub(cut.saturating_sub(100)));
            let _ = Header::parse(&image);
        }

        #[test]
        fn a_name_is_found_behind_any_extensions(
            name in "[ -~]{1,200}",
            others in proptest::collection::vec((1..1000_u32, proptest::collection::vec(any::<u8>(), 0..50)), 0..5),
        ) {
            let others: Vec<(u32, &[u8])> = others.iter().map(|(kind, data)| (*kind, &data[..])).collect();
            let header = Header::parse(&image(0, &others, name.as_bytes())).expect("it is whole");
            prop_assert_eq!(header.backing.expect("it has one").name, OsString::from(name));
        }
    }
}

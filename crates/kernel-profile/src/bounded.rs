//! Parts of a profile that a stranger may have written: read only up to what any real kernel needs.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// How many symbols, offsets or sizes there may be.
const MAX_ENTRIES: usize = 1 << 16;
/// The longest name.
const MAX_NAME: usize = 256;
/// The longest banner.
const MAX_BANNER: usize = 1024;
/// The largest offset or size: no structure comes near it, and sums of a few cannot overflow.
pub const MAX_SIZE: u64 = 1 << 24;

/// Reads names with addresses.
pub(crate) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    from.deserialize_map(Names { largest: u64::MAX })
}

/// Reads names with offsets or sizes.
pub(crate) fn sizes<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    from.deserialize_map(Names { largest: MAX_SIZE })
}

/// Reads a banner, which will be shown to people.
pub(crate) fn banner<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text: String = serde::Deserialize::deserialize(from)?;
    match text.len() <= MAX_BANNER && !text.chars().any(char::is_control) {
        true => Ok(text),
        false => Err(D::Error::custom("the banner is not one line of text")),
    }
}

struct Names {
    largest: u64,
}

impl<'de> Visitor<'de> for Names {
    type Value = BTreeMap<String, u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "names with numbers up to {}", self.largest)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, u64>()? {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._$".contains(&byte);
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
                return Err(A::Error::custom("a name is not one of C's"));
            }
            if value > self.largest {
                return Err(A::Error::custom(format_args!("{name} is larger than {}", self.largest)));
            }
            if names.len() == MAX_ENTRIES {
                return Err(A::Error::custom(format_args!("more than {MAX_ENTRIES} names")));
            }
            names.insert(name, value);
        }
        Ok(names)
    }
}

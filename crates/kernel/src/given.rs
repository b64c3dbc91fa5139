//! Profiles that users give, for kernels that do not tell enough: a profile, or Volatility's ISF.

use kernel_profile::{Profile, ReadError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::KernelError;
use crate::isf::{self, IsfReadError};
use crate::unpack;

/// The largest file that is read. An ISF of a kernel with all its drivers has less than 100 MiB.
pub const MAX_GIVEN: usize = unpack::MAX_IMAGE;

/// Why a file has no profile in it.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It is too large.
    #[error("it has more than {} MiB, which no profile has", MAX_GIVEN >> 20)]
    Large,
    /// It cannot be decompressed.
    #[error("it cannot be decompressed")]
    Packed(#[source] KernelError),
    /// It is a profile that cannot be used.
    #[error(transparent)]
    Profile(#[from] ReadError),
    /// It is an ISF that cannot be used.
    #[error(transparent)]
    Isf(#[from] IsfReadError),
}

/// Reads the profile in a file's bytes, which need not be trusted: a profile, or Volatility's ISF, compressed or not.
pub fn given(bytes: &[u8]) -> Result<Profile, GivenError> {
    #[derive(Deserialize)]
    struct Isf {
        #[serde(rename = "user_types")]
        _types: IgnoredAny,
    }
    if bytes.len() > MAX_GIVEN {
        return Err(GivenError::Large);
    }
    let unpacked = unpack::decompress(bytes).transpose().map_err(GivenError::Packed)?;
    let text = unpacked.as_deref().unwrap_or(bytes);
    match Profile::read(text) {
        Err(_) if serde_json::from_slice::<Isf>(text).is_ok() => Ok(isf::profile(text)?),
        profile => Ok(profile?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::kernel::tests::image;
    use proptest::prelude::*;

    fn isf_of(kernel: &Kernel) -> Vec<u8> {
        let mut text = Vec::new();
        isf::isf(kernel, "1.0", &mut text).expect("written");
        text
    }

    #[test]
    fn a_profile_and_an_isf_of_the_same_kernel_are_the_same() {
        let kernel = Kernel::read(image()).expect("a kernel");
        let mut profile = kernel.profile().expect("a profile");
        assert_eq!(given(&profile.to_json().expect("JSON")).expect("read"), profile);
        let from_isf = given(&isf_of(&kernel)).expect("read");
        // ISF has one address for each name, even if that says nothing.
        profile
            .symbols
            .extend(from_isf.symbols.get("do_exit").map(|&address| ("do_exit".to_owned(), address)));
        assert_eq!(from_isf, profile);
    }

    #[test]
    fn what_is_neither_is_refused() {
        assert!(matches!(given(b"{}"), Err(GivenError::Profile(ReadError::Json(_)))));
        assert!(matches!(given(br#"{"schema":7}"#), Err(GivenError::Profile(ReadError::Schema(7)))));
        assert!(matches!(given(br#"{"user_types":{}}"#), Err(GivenError::Isf(IsfReadError::Json(_)))));
        assert!(matches!(given(b"\x1f\x8b\x08"), Err(GivenError::Packed(_))));
        let empty = br#"{"base_types":{},"user_types":{},"enums":{},"symbols":{}}"#;
        assert!(matches!(given(empty), Err(GivenError::Isf(IsfReadError::NoBanner))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn an_isf_that_was_changed_anywhere_is_read_or_refused(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 32..127_u8), 1..4),
        ) {
            let mut text = isf_of(&Kernel::read(image()).expect("a kernel"));
            for (at, byte) in changes {
                let at = at.index(text.len());
                text[at] = byte;
            }
            if let Ok(profile) = given(&text) {
                let text = profile.to_json().expect("JSON");
                prop_assert_eq!(Profile::read(&text).expect("what is read can be kept"), profile);
            }
        }
    }
}

//! The profile itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::bounded;
use crate::error::ReadError;

/// The version of the format; a reader refuses every other.
pub const SCHEMA: u32 = 1;
/// What the file is called that has the profile of a guest, or of a trace.
pub const FILE: &str = "profile.json";
/// The largest file that is read. Real ones have less than 100 kB.
pub const MAX_BYTES: usize = 8 << 20;

/// Where one build of the kernel keeps what analyses read. What this kernel does not have is not in it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// [`SCHEMA`]
    pub schema: u32,
    /// What the kernel was built for.
    pub target: Architecture,
    /// What the kernel calls itself: `Linux version ...`, in one line.
    #[serde(deserialize_with = "bounded::banner")]
    pub banner: String,
    /// The version of the source. Debian's is that of the package: `[6, 1, 176]` where `uname -r` says `6.1.0-50`.
    pub version: [u32; 3],
    /// Addresses as linked, before the kernel moves itself (KASLR). Those of per-processor variables are relative to
    /// their processor's `__per_cpu_offset`.
    #[serde(deserialize_with = "bounded::addresses")]
    pub symbols: BTreeMap<String, u64>,
    /// Where members are in their structures, in bytes: `task_struct.tgid`, `file.f_path.dentry`.
    #[serde(deserialize_with = "bounded::sizes")]
    pub offsets: BTreeMap<String, u64>,
    /// The sizes of structures and of the members in [`offsets`](Profile::offsets), in bytes: `task_struct`,
    /// `task_struct.comm`.
    #[serde(deserialize_with = "bounded::sizes")]
    pub sizes: BTreeMap<String, u64>,
}

impl Profile {
    /// Reads a profile, which need not be trusted.
    pub fn read(text: &[u8]) -> Result<Profile, ReadError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        if text.len() > MAX_BYTES {
            return Err(ReadError::Large(text.len()));
        }
        let Versioned { schema } = serde_json::from_slice(text)?;
        if schema != SCHEMA {
            return Err(ReadError::Schema(schema));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// The profile as it is written: the same one always gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The address of a symbol, as linked.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// The offset of a member, as `task_struct.tgid`.
    pub fn offset(&self, name: &str) -> Option<u64> {
        self.offsets.get(name).copied()
    }

    /// The size of a structure or of a member, as `task_struct` or `task_struct.comm`.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.sizes.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Profile {
        Profile {
            schema: SCHEMA,
            target: Architecture::X86_64,
            banner: "Linux version 6.1.0-50-cloud-amd64".to_owned(),
            version: [6, 1, 176],
            symbols: [("init_task".to_owned(), 0xffff_ffff_8281_a880)].into(),
            offsets: [("task_struct.tgid".to_owned(), 1476)].into(),
            sizes: [("task_struct".to_owned(), 6912), ("task_struct.tgid".to_owned(), 4)].into(),
        }
    }

    fn refused(change: impl FnOnce(&mut Profile)) -> String {
        let mut profile = example();
        change(&mut profile);
        let error = Profile::read(&profile.to_json().expect("JSON")).expect_err("refused");
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    }

    #[test]
    fn a_profile_survives_the_disk() {
        let profile = example();
        assert_eq!(Profile::read(&profile.to_json().expect("JSON")).expect("reads"), profile);
    }

    #[test]
    fn a_profile_of_another_schema_is_refused_whatever_else_it_holds() {
        let error = Profile::read(br#"{ "schema": 2, "new": true }"#).expect_err("refused");
        assert!(matches!(error, ReadError::Schema(2)), "{error}");
    }

    #[test]
    fn what_no_kernel_has_is_refused() {
        let said = refused(|profile| profile.banner = "Linux\x1b[2J".to_owned());
        assert!(said.contains("banner"), "{said}");
        let said = refused(|profile| _ = profile.offsets.insert("task_struct.mm".to_owned(), u64::MAX));
        assert!(said.contains("task_struct.mm is larger"), "{said}");
        for name in ["", "a b", "\u{1b}", &"n".repeat(257)] {
            let said = refused(|profile| _ = profile.symbols.insert(name.to_owned(), 0));
            assert!(said.contains("not one of C's"), "{said}");
        }
        let many = (0..=1 << 16).map(|number| (format!("s{number}"), 0));
        let said = refused(|profile| profile.symbols.extend(many));
        assert!(said.contains("more than 65536"), "{said}");
        assert!(matches!(Profile::read(&vec![b' '; MAX_BYTES + 1]), Err(ReadError::Large(_))));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            _ = Profile::read(&bytes);
        }
    }
}

//! A profile is put together: from all symbols and types, those that are wanted.

use std::collections::{BTreeMap, HashMap};

use kernel_profile::{Architecture, MAX_SIZE, Profile, SCHEMA};

use crate::banner;
use crate::btf::Types;
use crate::wanted::{MEMBERS, SYMBOLS};

/// What tells where members are in their structures.
pub(crate) trait Layout {
    /// The size of a structure or union.
    fn size_of(&self, composite: &str) -> Option<u64>;
    /// The offset and, if it has one, the size of a member at a path like `f_path.dentry`.
    fn member(&self, composite: &str, path: &str) -> Option<(u64, Option<u64>)>;
}

impl Layout for Types<'_> {
    fn size_of(&self, composite: &str) -> Option<u64> {
        self.size(self.composite(composite)?)
    }

    fn member(&self, composite: &str, path: &str) -> Option<(u64, Option<u64>)> {
        let member = self.member_of(self.composite(composite)?, path)?;
        Some((member.offset, member.size))
    }
}

/// The profile with these symbols. A size that no reader takes is left out.
pub(crate) fn assemble(
    target: Architecture,
    banner: &str,
    symbols: BTreeMap<String, u64>,
    layout: &impl Layout,
) -> Profile {
    let (mut offsets, mut sizes) = (BTreeMap::new(), BTreeMap::new());
    for (composite, paths) in MEMBERS {
        let Some(size) = layout.size_of(composite) else { continue };
        if size <= MAX_SIZE {
            sizes.insert((*composite).to_owned(), size);
        }
        for path in paths.split_whitespace() {
            let Some((offset, size)) = layout.member(composite, path) else { continue };
            if offset > MAX_SIZE {
                continue;
            }
            let name = format!("{composite}.{path}");
            if let Some(size) = size.filter(|&size| size <= MAX_SIZE) {
                sizes.insert(name.clone(), size);
            }
            offsets.insert(name, offset);
        }
    }
    let (banner, version) = (banner.to_owned(), banner::version(banner));
    Profile { schema: SCHEMA, target, banner, version, symbols, offsets, sizes }
}

/// The symbols that go into a profile. A name that several static functions have says nothing, so it is left out.
#[derive(Debug)]
pub(crate) struct Wanted(HashMap<&'static [u8], Found>);

impl Default for Wanted {
    fn default() -> Wanted {
        let names = SYMBOLS.iter().flat_map(|(_, names)| names.split_whitespace());
        Wanted(names.map(|name| (name.as_bytes(), Found::default())).collect())
    }
}

impl Wanted {
    /// Takes a symbol, if it is wanted.
    pub(crate) fn add(&mut self, name: &[u8], address: u64) {
        let own = plain(name);
        if let Some(found) = self.0.get_mut(own) {
            let place = if own.len() == name.len() { &mut found.exact } else { &mut found.copy };
            place.add(address);
        }
    }

    /// Those that were found.
    pub(crate) fn found(self) -> BTreeMap<String, u64> {
        let found = self.0.into_iter().filter_map(|(name, found)| {
            let place = if matches!(found.exact, Place::None) { found.copy } else { found.exact };
            let Place::One(address) = place else { return None };
            Some((String::from_utf8_lossy(name).into_owned(), address))
        });
        found.collect()
    }
}

/// Where a symbol was found.
#[derive(Debug, Default)]
struct Found {
    exact: Place,
    /// The compiler's own version of a function, which is called `NAME.isra.0` and the like.
    copy: Place,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    None,
    One(u64),
    Many,
}

impl Place {
    fn add(&mut self, address: u64) {
        *self = match *self {
            Place::None => Place::One(address),
            Place::One(same) if same == address => *self,
            Place::One(_) | Place::Many => Place::Many,
        };
    }
}

/// The name of the function that the compiler made a changed copy of; any other name as it is.
fn plain(name: &[u8]) -> &[u8] {
    let Some(dot) = memchr::memchr(b'.', name) else { return name };
    let (own, suffix) = name.split_at(dot);
    if [b".isra.".as_slice(), b".constprop."].iter().any(|copy| suffix.starts_with(copy)) {
        own
    } else {
        name
    }
}

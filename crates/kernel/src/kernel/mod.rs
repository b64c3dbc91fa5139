//! A kernel, and the profile that is made of it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use kernel_profile::{MAX_SIZE, Profile, SCHEMA};

use crate::btf::{self, Types};
use crate::error::KernelError;
use crate::image::Image;
use crate::kallsyms::Kallsyms;
use crate::unpack::{MAX_IMAGE, unpack};
use crate::wanted::{MEMBERS, SYMBOLS};
use crate::{banner, ksymtab};

/// A kernel that was read from the file that a machine boots.
#[derive(Debug)]
pub struct Kernel {
    image: Image,
    banner: String,
}

impl Kernel {
    /// Reads the kernel in a file, which need not be trusted.
    pub fn open(path: &Path) -> Result<Kernel, KernelError> {
        let failed = |source| KernelError::File { path: path.to_owned(), source };
        let mut file = Vec::new();
        files::open(path)
            .map_err(failed)?
            .take(MAX_IMAGE as u64 + 1)
            .read_to_end(&mut file)
            .map_err(failed)?;
        Kernel::read(file)
    }

    /// Reads a kernel.
    pub fn read(file: Vec<u8>) -> Result<Kernel, KernelError> {
        let image = Image::of(unpack(file)?)?;
        let banner = banner::find(&image.bytes).ok_or(KernelError::NoBanner)?;
        Ok(Kernel { image, banner })
    }

    /// What the kernel calls itself.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// The profile of the kernel.
    pub fn profile(&self) -> Result<Profile, KernelError> {
        let types = self.types()?;
        let (mut offsets, mut sizes) = (BTreeMap::new(), BTreeMap::new());
        for (name, members) in MEMBERS {
            let Some(of) = types.composite(name) else { continue };
            if let Some(size) = types.size(of).filter(|&size| size <= MAX_SIZE) {
                sizes.insert((*name).to_owned(), size);
            }
            for path in members.split_whitespace() {
                let Some(member) = types.member(of, path).filter(|member| member.offset <= MAX_SIZE) else {
                    continue;
                };
                let path = format!("{name}.{path}");
                if let Some(size) = member.size.filter(|&size| size <= MAX_SIZE) {
                    sizes.insert(path.clone(), size);
                }
                offsets.insert(path, member.offset);
            }
        }
        Ok(Profile {
            schema: SCHEMA,
            target: self.image.architecture,
            banner: self.banner.clone(),
            version: banner::version(&self.banner),
            symbols: self.wanted()?,
            offsets,
            sizes,
        })
    }

    /// The types of the kernel.
    pub(crate) fn types(&self) -> Result<Types<'_>, KernelError> {
        let section = self.image.section(".BTF").map(|(_, bytes)| bytes);
        let bytes = section.or_else(|| btf::find(&self.image.bytes));
        let bytes = bytes.ok_or_else(|| KernelError::NoBtf(self.release().to_owned()))?;
        Ok(Types::read(bytes, self.image.pointer())?)
    }

    /// Goes through all symbols: name and address. One may come more than once.
    pub(crate) fn symbols(&self, mut take: impl FnMut(&[u8], u64)) -> Result<(), KernelError> {
        let mut some = false;
        let mut take = |name: &[u8], address| {
            some = true;
            take(name, address);
        };
        ksymtab::each(&self.image, &mut take);
        let pointer = self.image.pointer();
        if let Some(kallsyms) = Kallsyms::find(&self.image.bytes, pointer) {
            kallsyms.each(pointer, |name, _, address| take(name, address));
        }
        if some { Ok(()) } else { Err(KernelError::NoSymbols(self.release().to_owned())) }
    }

    /// The symbols that go into a profile. A name that several static functions have says nothing, so it is left out.
    fn wanted(&self) -> Result<BTreeMap<String, u64>, KernelError> {
        let names = SYMBOLS.iter().flat_map(|(_, names)| names.split_whitespace());
        let mut found: HashMap<&[u8], Found> =
            names.map(|name| (name.as_bytes(), Found::default())).collect();
        self.symbols(|name, address| {
            let own = plain(name);
            if let Some(found) = found.get_mut(own) {
                let place = if own.len() == name.len() { &mut found.exact } else { &mut found.clone };
                place.add(address);
            }
        })?;
        let found = found.into_iter().filter_map(|(name, found)| {
            let address = match found.exact {
                Place::None => found.clone.one(),
                exact => exact.one(),
            };
            Some((String::from_utf8_lossy(name).into_owned(), address?))
        });
        Ok(found.collect())
    }

    /// The kernel's release, as `uname -r` gives it.
    fn release(&self) -> &str {
        self.banner.split(' ').nth(2).unwrap_or_default()
    }
}

/// Where a symbol was found.
#[derive(Debug, Default)]
struct Found {
    exact: Place,
    /// The compiler's own version of a function, which is called `NAME.isra.0` and the like.
    clone: Place,
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

    fn one(self) -> Option<u64> {
        if let Place::One(address) = self { Some(address) } else { None }
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

#[cfg(test)]
pub(crate) mod tests;

//! A kernel, and the profile that is made of it.

mod profile;

use std::path::Path;

use kernel_profile::Profile;

use crate::btf::{self, Types};
use crate::error::KernelError;
use crate::image::Image;
use crate::kallsyms::Kallsyms;
use crate::unpack::{MAX_IMAGE, unpack};
use crate::{banner, ksymtab};

pub(crate) use self::profile::{Layout, Wanted, assemble};

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
        let file = files::open(path).and_then(|file| files::read_up_to(file, MAX_IMAGE));
        Kernel::read(file.map_err(failed)?)
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
        let mut wanted = Wanted::default();
        self.symbols(|name, address| wanted.add(name, address))?;
        Ok(assemble(self.image.architecture, &self.banner, wanted.found(), &types))
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

    /// The kernel's release, as `uname -r` gives it.
    fn release(&self) -> &str {
        self.banner.split(' ').nth(2).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests;

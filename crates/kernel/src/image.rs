//! The kernel as it lies in memory: which bytes are at which address.

use std::ops::Range;

use kernel_profile::Architecture;
use object::{Object, ObjectSection, SectionFlags, elf};

use crate::bytes::text_at;
use crate::error::KernelError;
use crate::unpack::Unpacked;

/// How many sections are looked at. Kernels have less than a hundred.
const MAX_SECTIONS: usize = 4096;
/// The longest name of a section that matters.
const MAX_NAME: usize = 64;

/// A part of the kernel.
#[derive(Debug)]
struct Section {
    name: String,
    address: u64,
    range: Range<usize>,
}

/// A kernel, and where its parts are.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) architecture: Architecture,
    /// The whole kernel: the file if it is ELF, else the memory from `_text` on.
    pub(crate) bytes: Vec<u8>,
    /// None if it is flat.
    sections: Option<Vec<Section>>,
}

impl Image {
    /// Reads where the parts of a kernel are.
    pub(crate) fn of(unpacked: Unpacked) -> Result<Image, KernelError> {
        let bytes = match unpacked {
            Unpacked::Flat(bytes, architecture) => return Ok(Image { architecture, bytes, sections: None }),
            Unpacked::Elf(bytes) => bytes,
        };
        let file = object::File::parse(&*bytes).map_err(|_| KernelError::NotKernel)?;
        let architecture = match file.architecture() {
            object::Architecture::X86_64 => Architecture::X86_64,
            object::Architecture::I386 => Architecture::I386,
            object::Architecture::Arm => Architecture::Arm,
            object::Architecture::Aarch64 => Architecture::Aarch64,
            _ => return Err(KernelError::NotKernel),
        };
        if !file.is_little_endian() {
            return Err(KernelError::NotKernel);
        }
        let sections = file.sections().take(MAX_SECTIONS).filter_map(|section| {
            let SectionFlags::Elf { sh_flags } = section.flags() else { return None };
            // What is not loaded has an address that means nothing.
            let loaded = sh_flags & u64::from(elf::SHF_ALLOC) != 0;
            let (start, length) = section.file_range()?;
            let range = usize::try_from(start).ok()?..usize::try_from(start.checked_add(length)?).ok()?;
            let name = section.name().ok().filter(|name| name.len() <= MAX_NAME)?.to_owned();
            (loaded && range.end <= bytes.len()).then(|| Section { name, address: section.address(), range })
        });
        let sections = Some(sections.collect());
        Ok(Image { architecture, bytes, sections })
    }

    /// The size of a pointer.
    pub(crate) fn pointer(&self) -> usize {
        self.architecture.pointer_bytes() as usize
    }

    /// The bytes of a section, and where in the image they are.
    pub(crate) fn section(&self, name: &str) -> Option<(u64, &[u8])> {
        let section = self.sections.as_ref()?.iter().find(|section| section.name == name)?;
        Some((section.address, &self.bytes[section.range.clone()]))
    }

    /// The text at an address, if it is not too long.
    pub(crate) fn text(&self, address: u64, longest: usize) -> Option<&[u8]> {
        self.sections.as_ref()?.iter().find_map(|section| {
            let offset = usize::try_from(address.checked_sub(section.address)?).ok()?;
            text_at(&self.bytes[section.range.clone()], offset, longest)
        })
    }
}

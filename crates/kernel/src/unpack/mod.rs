//! From the file that a machine boots to the kernel in it: an ELF file, or a flat image of its memory.

mod codec;

use kernel_profile::Architecture;

use self::codec::Codec;
use crate::bytes::u32_at;
use crate::error::KernelError;

/// The largest file that is read.
pub(crate) const MAX_IMAGE: usize = 256 << 20;
/// The largest kernel that is decompressed. Debian's have less than 80 MiB.
pub(crate) const MAX_UNPACKED: usize = 256 << 20;

const ELF: &[u8] = b"\x7fELF";
/// Where the fields of the header of x86's boot protocol are.
const X86_MAGIC: usize = 0x202;
const X86_SETUP_SECTORS: usize = 0x1f1;
const X86_VERSION: usize = 0x206;
const X86_PAYLOAD: usize = 0x248;
const X86_PAYLOAD_BYTES: usize = 0x24c;
/// The first version with a payload in it.
const X86_WITH_PAYLOAD: u32 = 0x208;
/// Where arm64's and arm's headers have their magic numbers.
const ARM64_MAGIC: usize = 0x38;
const ARM_MAGIC: usize = 0x24;

/// A kernel that is not compressed.
#[derive(Debug)]
pub(crate) enum Unpacked {
    /// With addresses in it.
    Elf(Vec<u8>),
    /// As it lies in memory from its symbol `_text` on.
    Flat(Vec<u8>, Architecture),
}

/// Finds the kernel in the file that a machine boots.
pub(crate) fn unpack(file: Vec<u8>) -> Result<Unpacked, KernelError> {
    if file.len() > MAX_IMAGE {
        return Err(KernelError::Large);
    }
    if file.get(ARM_MAGIC..ARM_MAGIC + 4) == Some(b"\x18\x28\x6f\x01") {
        return arm(&file);
    }
    // Without a header, the whole file is compressed, as arm64's boot loaders want it.
    let payload = x86_payload(&file).or_else(|| efi_payload(&file)).unwrap_or(&file);
    match Codec::of(payload) {
        Some(codec) => plain(codec.decompress(payload)?),
        None => plain(file),
    }
}

/// What the bytes are when they are decompressed, if they are compressed.
pub(crate) fn decompress(bytes: &[u8]) -> Option<Result<Vec<u8>, KernelError>> {
    Codec::of(bytes).map(|codec| codec.decompress(bytes))
}

/// A kernel that is not compressed.
fn plain(bytes: Vec<u8>) -> Result<Unpacked, KernelError> {
    if bytes.starts_with(ELF) {
        Ok(Unpacked::Elf(bytes))
    } else if bytes.get(ARM64_MAGIC..ARM64_MAGIC + 4) == Some(b"ARM\x64") {
        Ok(Unpacked::Flat(bytes, Architecture::Aarch64))
    } else {
        Err(KernelError::NotKernel)
    }
}

/// What a bzImage has behind its setup code.
fn x86_payload(file: &[u8]) -> Option<&[u8]> {
    let is_bzimage = file.get(X86_MAGIC..X86_MAGIC + 4) == Some(b"HdrS");
    if !is_bzimage || u32_at(file, X86_VERSION)? & 0xffff < X86_WITH_PAYLOAD {
        return None;
    }
    let sectors = match *file.get(X86_SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = ((sectors + 1) * 512).checked_add(u32_at(file, X86_PAYLOAD)? as usize)?;
    let end = start.checked_add(u32_at(file, X86_PAYLOAD_BYTES)? as usize)?;
    file.get(start..end)
}

/// What an EFI program has in it that decompresses the kernel (CONFIG_EFI_ZBOOT).
fn efi_payload(file: &[u8]) -> Option<&[u8]> {
    if !file.starts_with(b"MZ") || file.get(4..8) != Some(b"zimg") {
        return None;
    }
    let start = u32_at(file, 8)? as usize;
    file.get(start..start.checked_add(u32_at(file, 12)? as usize)?)
}

/// What a zImage for arm has behind the code that decompresses it. Nothing says where that is: it is the first that
/// can be decompressed to something larger than the file.
fn arm(file: &[u8]) -> Result<Unpacked, KernelError> {
    let mut failed = KernelError::NotKernel;
    for (start, codec) in Codec::places(file) {
        match codec.decompress(&file[start..]) {
            Ok(kernel) if kernel.len() > file.len() => return Ok(Unpacked::Flat(kernel, Architecture::Arm)),
            Ok(_) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests;

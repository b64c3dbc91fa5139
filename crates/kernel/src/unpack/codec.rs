//! What kernels are compressed with. Each decoder stops at the same size.

use std::io::{self, Read};

use memchr::memmem;

use crate::bytes::u32_at;
use crate::error::KernelError;
use crate::unpack::MAX_UNPACKED;

/// The memory that a decoder may take for what it looks back on, in KiB: the kernel's own scripts use up to 128 MiB.
const MAX_WINDOW_KIB: u32 = 160 << 10;
/// A block of LZ4's format for kernels is at most this large when it is decompressed.
const LZ4_BLOCK: usize = 8 << 20;
const LZ4_MAGIC: u32 = 0x184c_2102;

/// How many places of each kind are tried.
const PLACES: usize = 8;

/// How each begins.
const STARTS: [(&[u8], Codec); 7] = [
    (b"\x1f\x8b\x08", Codec::Gzip),
    (b"\xfd7zXZ\0", Codec::Xz),
    (b"\x28\xb5\x2f\xfd", Codec::Zstd),
    (&LZ4_MAGIC.to_le_bytes(), Codec::Lz4),
    (b"\x89LZO\0\r\n", Codec::Lzo),
    (b"BZh", Codec::Bzip2),
    // The usual parameters, and a dictionary of whole 64 KiB.
    (b"\x5d\0\0", Codec::Lzma),
];

/// A way to compress a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Xz,
    Lzma,
    Zstd,
    Lz4,
    Lzo,
    Bzip2,
}

impl Codec {
    /// What the bytes are compressed with, by how they begin.
    pub(super) fn of(bytes: &[u8]) -> Option<Codec> {
        STARTS.iter().find(|(start, _)| bytes.starts_with(start)).map(|&(_, codec)| codec)
    }

    /// Where in the bytes something may begin that is compressed.
    pub(super) fn places(bytes: &[u8]) -> Vec<(usize, Codec)> {
        let places = STARTS.iter().flat_map(|&(start, codec)| {
            memmem::find_iter(bytes, start).take(PLACES).map(move |place| (place, codec))
        });
        let mut places: Vec<_> = places.collect();
        places.sort_unstable_by_key(|&(place, _)| place);
        places
    }

    fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Xz => "xz",
            Codec::Lzma => "lzma",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::Lzo => "lzo",
            Codec::Bzip2 => "bzip2",
        }
    }

    /// Decompresses what the bytes begin with; what is behind it does not matter.
    pub(super) fn decompress(self, bytes: &[u8]) -> Result<Vec<u8>, KernelError> {
        let damaged = |source| KernelError::Damaged { compression: self.name(), source };
        let decoder: Box<dyn Read + '_> = match self {
            Codec::Gzip => Box::new(flate2::bufread::GzDecoder::new(bytes)),
            Codec::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(bytes, false, MAX_WINDOW_KIB)),
            Codec::Lzma => Box::new(
                lzma_rust2::LzmaReader::new_mem_limit(bytes, MAX_WINDOW_KIB, None)
                    .map_err(|error| damaged(io::Error::other(error.to_string())))?,
            ),
            Codec::Zstd => Box::new(
                ruzstd::decoding::StreamingDecoder::new(bytes)
                    .map_err(|error| damaged(io::Error::other(error.to_string())))?,
            ),
            Codec::Lz4 => return lz4(bytes),
            Codec::Lzo | Codec::Bzip2 => return Err(KernelError::Compression(self.name())),
        };
        let mut kernel = Vec::new();
        let read = decoder.take(MAX_UNPACKED as u64 + 1).read_to_end(&mut kernel).map_err(damaged)?;
        if read > MAX_UNPACKED { Err(KernelError::Bomb) } else { Ok(kernel) }
    }
}

/// LZ4's older format, which no other decoder reads: blocks, each behind its size. x86's boot code has the size of the
/// whole kernel behind the last.
fn lz4(bytes: &[u8]) -> Result<Vec<u8>, KernelError> {
    let damaged = |what: String| KernelError::Damaged { compression: "lz4", source: io::Error::other(what) };
    let (mut kernel, mut rest) = (Vec::new(), &bytes[4..]);
    while let Some(size) = u32_at(rest, 0).filter(|&size| size != 0) {
        rest = &rest[4..];
        if size == LZ4_MAGIC {
            continue;
        }
        if rest.is_empty() {
            break;
        }
        let block = rest.get(..size as usize).ok_or_else(|| damaged("a block is cut short".to_owned()))?;
        let start = kernel.len();
        if start > MAX_UNPACKED - LZ4_BLOCK {
            return Err(KernelError::Bomb);
        }
        kernel.resize(start + LZ4_BLOCK, 0);
        let decoded = lz4_flex::block::decompress_into(block, &mut kernel[start..]);
        kernel.truncate(start + decoded.map_err(|error| damaged(error.to_string()))?);
        rest = &rest[size as usize..];
    }
    Ok(kernel)
}

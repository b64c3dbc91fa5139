//! Why a kernel image tells nothing.

use std::io;
use std::path::PathBuf;

use crate::btf::BtfError;
use crate::unpack::{MAX_IMAGE, MAX_UNPACKED};

/// Why there is no profile of a kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The file cannot be read.
    #[error("cannot read the kernel {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large.
    #[error("the file has more than {} MiB, which no kernel has", MAX_IMAGE >> 20)]
    Large,
    /// The file is something else.
    #[error("it is not a Linux kernel for x86, arm or arm64 in a known format")]
    NotKernel,
    /// It is compressed with something that cannot be read.
    #[error(
        "the kernel is compressed with {0}, which is not supported; give its profile with --profile FILE"
    )]
    Compression(&'static str),
    /// It cannot be decompressed.
    #[error("the kernel cannot be decompressed ({compression}): the file is damaged")]
    Damaged {
        /// With what it is compressed.
        compression: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// It is too large when it is decompressed.
    #[error("the kernel has more than {} MiB when decompressed, which no kernel has", MAX_UNPACKED >> 20)]
    Bomb,
    /// It does not say which kernel it is.
    #[error("there is no version in it, so it is not a Linux kernel")]
    NoBanner,
    /// It has no types.
    #[error(
        "the kernel {0} was built without BTF, which describes its types (CONFIG_DEBUG_INFO_BTF): give its profile \
         with --profile FILE"
    )]
    NoBtf(String),
    /// Its types cannot be read.
    #[error("the kernel's types (BTF) cannot be read")]
    Btf(#[from] BtfError),
    /// It has no symbols.
    #[error(
        "the kernel {0} has no symbols that could be read (CONFIG_KALLSYMS): give its profile with --profile FILE"
    )]
    NoSymbols(String),
}

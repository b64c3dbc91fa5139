#![doc = include_str!("../README.md")]

mod banner;
mod btf;
mod bytes;
mod error;
mod given;
mod image;
mod isf;
mod kallsyms;
mod kernel;
mod kernelinfo;
mod ksymtab;
mod unpack;
mod wanted;

pub use self::btf::BtfError;
pub use self::error::KernelError;
pub use self::given::{GivenError, MAX_GIVEN, given};
pub use self::isf::{IsfError, IsfReadError, isf};
pub use self::kernel::Kernel;
pub use self::kernelinfo::{KernelinfoError, kernelinfo};

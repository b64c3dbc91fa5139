//! The guest's registers by gdb's numbers, which are the same in every version of PANDA.
//!
//! A plugin's callbacks have [`Cpu`](crate::Cpu) for this. The module is for plugins that PANDA calls without this
//! layer in between, as it does recctrl.

use std::{ffi::c_int, sync::OnceLock};

use panda_sys::{CPUState, Panda as Symbols};

/// A target, by its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86 with 64 bits, in whatever mode its processor is.
    X86_64,
    /// x86 with 32 bits.
    I386,
    /// Arm with 32 bits.
    Arm,
    /// Arm with 64 bits.
    Aarch64,
}

impl Arch {
    /// gdb's number of the program counter.
    pub fn program_counter(self) -> i32 {
        match self {
            Arch::X86_64 => 16,
            Arch::I386 => 8,
            Arch::Arm => 15,
            Arch::Aarch64 => 32,
        }
    }

    /// gdb's numbers of the four registers of a hypercall, in the call's order.
    pub fn call_registers(self) -> [i32; 4] {
        match self {
            Arch::X86_64 | Arch::Arm | Arch::Aarch64 => [0, 1, 2, 3],
            // EAX, EBX, ECX, EDX: gdb's order for i386 is the processor's
            Arch::I386 => [0, 3, 1, 2],
        }
    }

    /// The width of a general register, in bytes.
    pub fn register_bytes(self) -> usize {
        match self {
            Arch::X86_64 | Arch::Aarch64 => 8,
            Arch::I386 | Arch::Arm => 4,
        }
    }
}

type Accessor = unsafe extern "C" fn(*mut CPUState, *mut u8, c_int) -> c_int;

/// Reads registers through PANDA's gdb accessor, which knows where each version keeps them.
pub struct Reader {
    accessor: Accessor,
    /// The target as the accessor's name tells it.
    family: Arch,
    /// The target, once it is known: x86's accessor serves both widths.
    arch: OnceLock<Arch>,
}

impl Reader {
    /// The reader for this PANDA's target; `None` when it is none that we know.
    pub fn find(symbols: &Symbols) -> Option<Reader> {
        let (family, accessor) = match symbols {
            // A PANDA with 64-bit Arm has the accessor of 32 bits, too.
            Symbols { aarch64_cpu_gdb_read_register: Ok(accessor), .. } => (Arch::Aarch64, *accessor),
            Symbols { arm_cpu_gdb_read_register: Ok(accessor), .. } => (Arch::Arm, *accessor),
            Symbols { x86_cpu_gdb_read_register: Ok(accessor), .. } => (Arch::X86_64, *accessor),
            _ => return None,
        };
        Some(Reader::new(family, accessor))
    }

    pub(crate) fn new(family: Arch, accessor: Accessor) -> Reader {
        Reader { accessor, family, arch: OnceLock::new() }
    }

    /// The target.
    ///
    /// # Safety
    ///
    /// As for [`Reader::read`].
    pub unsafe fn arch(&self, cpu: *mut CPUState) -> Arch {
        *self.arch.get_or_init(|| {
            // SAFETY: the caller's promise.
            let (_, width) = unsafe { self.access(cpu, 0) };
            match (self.family, width) {
                (Arch::X86_64, 4) => Arch::I386,
                (family, _) => family,
            }
        })
    }

    /// The register with gdb's `number` for the target, zero-extended; 0 when there is none.
    ///
    /// # Safety
    ///
    /// `cpu` is the processor of the callback that is running, on this thread.
    pub unsafe fn read(&self, cpu: *mut CPUState, number: i32) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.access(cpu, number) }.0
    }

    /// A register, and its width in bytes.
    ///
    /// # Safety
    ///
    /// As for `read`.
    unsafe fn access(&self, cpu: *mut CPUState, number: i32) -> (u64, c_int) {
        let mut value = [0; 16];
        // SAFETY: the caller's promise; the widest that these accessors write, whatever the number, are vector
        // registers, of 16 bytes.
        let width = unsafe { (self.accessor)(cpu, value.as_mut_ptr(), number) };
        (u64::from_le_bytes(value[..8].try_into().unwrap_or_default()), width)
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    /// An accessor of registers that are `WIDTH` bytes wide and hold their number.
    unsafe extern "C" fn accessor<const WIDTH: usize>(
        _: *mut CPUState,
        value: *mut u8,
        number: c_int,
    ) -> c_int {
        // SAFETY: a reader of registers has room for the widest.
        unsafe { ptr::copy_nonoverlapping(number.to_le_bytes().as_ptr(), value, 4) };
        WIDTH as c_int
    }

    fn arch(family: Arch, accessor: Accessor) -> Arch {
        // SAFETY: the accessors above look at no processor.
        unsafe { Reader::new(family, accessor).arch(ptr::null_mut()) }
    }

    #[test]
    fn x86_is_told_by_the_width_of_a_register_and_arm_by_its_accessor() {
        assert_eq!(arch(Arch::X86_64, accessor::<8>), Arch::X86_64);
        assert_eq!(arch(Arch::X86_64, accessor::<4>), Arch::I386);
        assert_eq!(arch(Arch::Arm, accessor::<4>), Arch::Arm);
        assert_eq!(arch(Arch::Aarch64, accessor::<8>), Arch::Aarch64);
    }

    #[test]
    fn a_narrow_register_is_zero_extended() {
        // SAFETY: the accessor looks at no processor.
        let value = unsafe { Reader::new(Arch::X86_64, accessor::<4>).read(ptr::null_mut(), -1) };
        assert_eq!(value, 0xffff_ffff);
    }
}

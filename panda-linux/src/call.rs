//! System calls: their numbers, names and arguments.

use crate::machine::Machine;

/// `struct pt_regs` in words: the order is the kernel's ABI for debuggers.
pub(crate) const REGISTERS: usize = 21;
const RAX: usize = 10;
const NUMBER: usize = 15;
/// Where arguments are, for each ABI.
const ARGUMENTS_64: [usize; 6] = [14, 13, 12, 7, 9, 8];
const ARGUMENTS_32: [usize; 6] = [5, 11, 12, 13, 14, 4];

/// By which table a call's number is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// That of 64-bit programs.
    X86_64,
    /// That of 32-bit programs, which run on 64-bit kernels too.
    I386,
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// By which table its number is meant.
    pub abi: Abi,
    /// Its number, which a guest chooses: there may be no such call.
    pub number: u32,
    /// Its arguments, however many the call takes.
    pub arguments: [u64; 6],
    /// Guest instructions when it was made.
    pub made: u64,
    /// Where its registers lie, which tells its return.
    pub(crate) registers: u64,
}

impl Call {
    /// The call whose registers lie at an address.
    pub(crate) fn at(machine: &dyn Machine, registers: u64, abi: Abi) -> Option<Call> {
        let mut bytes = [0; 8 * REGISTERS];
        if !machine.read(registers, &mut bytes) {
            return None;
        }
        let register = |i: usize| u64::from_le_bytes(bytes[8 * i..][..8].try_into().unwrap_or_default());
        let (places, width) = match abi {
            Abi::X86_64 => (ARGUMENTS_64, u64::MAX),
            Abi::I386 => (ARGUMENTS_32, u64::from(u32::MAX)),
        };
        // Where `int 0x80` is handled as an exception, the number is not taken from the result's register yet.
        let number = match (abi, register(NUMBER)) {
            (Abi::I386, u64::MAX) => register(RAX),
            (_, number) => number,
        };
        Some(Call {
            abi,
            number: number as u32,
            arguments: places.map(|place| register(place) & width),
            made: machine.instructions(),
            registers,
        })
    }

    /// What its registers say that it has returned.
    pub(crate) fn result(&self, machine: &dyn Machine) -> Option<i64> {
        let raw = machine.u64(self.registers.wrapping_add(8 * RAX as u64))?;
        Some(match self.abi {
            Abi::X86_64 => raw as i64,
            Abi::I386 => (raw as i32).into(),
        })
    }

    /// Its name, if there is such a call.
    pub fn name(&self) -> Option<&'static str> {
        let number = self.number as usize;
        match self.abi {
            Abi::X86_64 => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
            Abi::I386 => syscalls::x86::Sysno::new(number).map(|call| call.name()),
        }
    }

    /// An argument as a file descriptor or another `int`.
    pub fn int(&self, argument: usize) -> i32 {
        self.arguments.get(argument).copied().unwrap_or_default() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    #[test]
    fn arguments_are_taken_from_the_registers_of_each_abi() {
        let fake = Fake::default();
        for i in 0..REGISTERS {
            fake.put_u64(0x1000 + 8 * i as u64, 0xff_0000_0000 + i as u64);
        }
        fake.put_u64(0x1000 + 8 * NUMBER as u64, 257);
        let call = Call::at(&fake, 0x1000, Abi::X86_64).unwrap();
        assert_eq!((call.abi, call.name()), (Abi::X86_64, Some("openat")));
        let places = call.arguments.map(|argument| argument & 0xff);
        assert_eq!(places, [14, 13, 12, 7, 9, 8], "di, si, dx, r10, r8, r9");
        let call = Call::at(&fake, 0x1000, Abi::I386).unwrap();
        assert_eq!((call.abi, call.number), (Abi::I386, 257));
        assert_eq!(call.arguments, [5, 11, 12, 13, 14, 4], "bx, cx, dx, si, di, bp; 32 bits of each");
        fake.put_u64(0x1000 + 8 * NUMBER as u64, u64::MAX);
        fake.put_u64(0x1000 + 8 * RAX as u64, 20);
        assert_eq!(Call::at(&fake, 0x1000, Abi::I386).unwrap().name(), Some("getpid"));
        fake.put_u64(0x1000 + 8 * RAX as u64, 0xffff_fffe);
        assert_eq!(call.result(&fake), Some(-2));
        assert_eq!(Call::at(&fake, 0x1008, Abi::X86_64), None, "the last of them is not mapped");
    }

    #[test]
    fn a_number_that_is_no_call_has_no_name() {
        let call = |abi, number| Call { abi, number, arguments: [0; 6], made: 0, registers: 0 };
        assert_eq!(call(Abi::X86_64, 59).name(), Some("execve"));
        assert_eq!(call(Abi::I386, 11).name(), Some("execve"));
        assert_eq!(call(Abi::X86_64, u32::MAX).name(), None);
    }
}

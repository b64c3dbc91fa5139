//! The guest's processor and memory as this layer needs them, with a fake for tests.

use panda_plugin::Cpu;

/// How much of a page is left after an address, for reads that must not run into the next one needlessly.
const PAGE: u64 = 4096;

/// A processor that has been stopped at an instruction, and the memory that it sees.
pub trait Machine {
    /// Fills `into` with memory; false when any byte of it is not mapped.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;
    /// A general register by gdb's number.
    fn register(&self, number: i32) -> u64;
    /// Guest instructions up to here.
    fn instructions(&self) -> u64;
}

impl Machine for Cpu<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        Cpu::read(self, address, into)
    }

    fn register(&self, number: i32) -> u64 {
        Cpu::register(self, number)
    }

    fn instructions(&self) -> u64 {
        Cpu::instructions(self)
    }
}

/// Reads of plain values; guests choose all of them.
impl dyn Machine + '_ {
    /// A pointer, or another number of 64 bits.
    pub fn u64(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// A number of 32 bits.
    pub fn u32(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    /// A number of 16 bits.
    pub fn u16(&self, address: u64) -> Option<u16> {
        let mut bytes = [0; 2];
        self.read(address, &mut bytes).then(|| u16::from_le_bytes(bytes))
    }

    /// `length` bytes: ask for no more than there is room for.
    pub fn bytes(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes).then_some(bytes)
    }

    /// As many of `length` bytes as are mapped.
    pub fn mapped(&self, mut address: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let part = ((PAGE - address % PAGE) as usize).min(length - bytes.len());
            let Some(more) = self.bytes(address, part) else { break };
            bytes.extend(more);
            address = address.wrapping_add(part as u64);
        }
        bytes
    }

    /// Bytes up to a NUL, at most `most`, as far as they are mapped.
    pub fn text(&self, mut address: u64, most: usize) -> Vec<u8> {
        const PIECE: u64 = 64;
        let mut text = Vec::new();
        while text.len() < most {
            let part = (PIECE - address % PIECE) as usize;
            let mut piece = [0; PIECE as usize];
            if !self.read(address, &mut piece[..part]) {
                break;
            }
            let end = piece[..part].iter().position(|byte| *byte == 0);
            text.extend_from_slice(&piece[..end.unwrap_or(part)]);
            if end.is_some() {
                break;
            }
            address = address.wrapping_add(part as u64);
        }
        text.truncate(most);
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    /// Memory that is written by tests, in whole bytes, and registers.
    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) memory: RefCell<BTreeMap<u64, u8>>,
        pub(crate) registers: RefCell<[u64; 17]>,
        pub(crate) count: RefCell<u64>,
    }

    impl Fake {
        pub(crate) fn put(&self, address: u64, bytes: &[u8]) {
            let mut memory = self.memory.borrow_mut();
            memory.extend(bytes.iter().enumerate().map(|(i, byte)| (address.wrapping_add(i as u64), *byte)));
        }

        pub(crate) fn put_u64(&self, address: u64, value: u64) {
            self.put(address, &value.to_le_bytes());
        }
    }

    impl Machine for Fake {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            let memory = self.memory.borrow();
            into.iter_mut().enumerate().all(|(i, byte)| {
                memory.get(&address.wrapping_add(i as u64)).map(|found| *byte = *found).is_some()
            })
        }

        fn register(&self, number: i32) -> u64 {
            self.registers.borrow()[number as usize]
        }

        fn instructions(&self) -> u64 {
            *self.count.borrow()
        }
    }

    #[test]
    fn text_ends_at_a_nul_at_its_bound_or_where_memory_ends() {
        let fake = Fake::default();
        let machine: &dyn Machine = &fake;
        fake.put(0x1000, &[&b"hello\0world"[..], &[b'x'; 53]].concat());
        assert_eq!(machine.text(0x1000, 4096), b"hello");
        assert_eq!(machine.text(0x1000, 3), b"hel");
        assert_eq!(machine.text(0x1006, 7), b"worldxx");
        assert_eq!(machine.text(0x103f, 4096), b"x", "memory ends behind it");
        assert_eq!(machine.text(0x0fff, 4096), b"", "nothing is mapped there");
        fake.put(0x1fc0, &[b'y'; 64]);
        assert_eq!(machine.mapped(0x1fc0, 100), [b'y'; 64]);
        assert_eq!(machine.text(u64::MAX, 4096), b"");
    }
}

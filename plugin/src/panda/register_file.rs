//! Where PANDA keeps the processor's registers in memory, found by their contents: no header of a version tells.

use std::{fs::File, os::unix::fs::FileExt as _, ptr};

use panda_plugin::{
    Symbols, Unfit,
    registers::{Arch, Reader},
    sys::CPUState,
};

use super::Gate;

/// Where a processor's registers are looked for, in bytes from its beginning.
const SEARCHED: usize = 128 << 10;
/// How many processor states have to agree on a place before it is trusted.
const AGREEMENTS: u32 = 4;

/// Where the registers lie, as far as it is known.
pub(crate) struct RegisterFile {
    reader: Reader,
    place: usize,
    agreements: u32,
    last: [u32; 8],
    given_up: bool,
}

impl RegisterFile {
    /// One of which nothing is known yet.
    pub(crate) fn find(symbols: &Symbols) -> Result<RegisterFile, Unfit> {
        let reader = Reader::find(symbols).ok_or(Unfit::Target)?;
        Ok(RegisterFile { reader, place: 0, agreements: 0, last: [0; 8], given_up: false })
    }

    /// Finds out where the first hypercall register lies, for the gate to look at.
    ///
    /// Called for calls that pass the gate: all of them until the place is known, those with the magic afterwards.
    #[expect(clippy::disallowed_macros, reason = "it logs once: then the search is given up")]
    pub(crate) fn tune(&mut self, gate: Gate, cpu: *mut CPUState) {
        // SAFETY: `cpu` is the processor of the running callback.
        let read = |number| unsafe { self.reader.read(cpu, number) };
        let place = gate.magic_offset() as usize;
        if place != 0 {
            // SAFETY: the place was found within the processor's own memory.
            let seen = unsafe { ptr::read_volatile(cpu.cast::<u8>().add(place).cast::<u32>()) };
            if seen != read(0) as u32 {
                log::warn!(
                    "the guest's registers are not where they were: from now on PANDA is asked for them"
                );
                gate.set_magic_offset(0);
                self.given_up = true;
            }
            return;
        }
        // SAFETY: as above.
        let arch = unsafe { self.reader.arch(cpu) };
        let registers = stored_order(arch).map(|number| read(number) as u32);
        if self.given_up || registers == self.last {
            return;
        }
        self.last = registers;
        let mut memory = vec![0; SEARCHED];
        // Through the kernel, which stops at memory that is not there.
        let Ok(length) = File::open("/proc/self/mem").and_then(|mem| mem.read_at(&mut memory, cpu as u64))
        else {
            self.given_up = true;
            return;
        };
        let Some(place) = locate(&memory[..length], &registers, arch.register_bytes()) else { return };
        self.agreements = if place == self.place { self.agreements + 1 } else { 1 };
        self.place = place;
        if self.agreements >= AGREEMENTS {
            gate.set_magic_offset(place as u64);
        }
    }
}

/// The first eight general registers by gdb number, in the order in which PANDA keeps them in memory.
fn stored_order(arch: Arch) -> [i32; 8] {
    match arch {
        // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI
        Arch::X86_64 => [0, 2, 3, 1, 7, 6, 4, 5],
        Arch::I386 | Arch::Arm | Arch::Aarch64 => [0, 1, 2, 3, 4, 5, 6, 7],
    }
}

/// Finds where `registers` (low halves, in stored order) lie in `memory`: the one place, in bytes, or `None` when
/// they are nowhere, or in more than one place, or too uniform to tell.
fn locate(memory: &[u8], registers: &[u32; 8], stride: usize) -> Option<usize> {
    let mut distinct = registers.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 {
        return None;
    }
    let low =
        |at: usize| memory.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let fits =
        |at: &usize| registers.iter().enumerate().all(|(i, &value)| low(at + i * stride) == Some(value));
    let mut places = (0..memory.len()).step_by(stride).filter(fits);
    let place = places.next()?;
    places.next().is_none().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 256 }))]

        #[test]
        fn a_register_file_is_found_where_it_is_or_not_at_all(
            before in proptest::collection::vec(any::<u8>(), 0..64),
            registers: [u32; 8],
            wide: bool,
            twice: bool,
        ) {
            let stride = if wide { 8 } else { 4 };
            let mut memory = before;
            memory.resize(memory.len().next_multiple_of(stride), 0);
            let place = memory.len();
            for _ in 0..=usize::from(twice) {
                for register in registers {
                    memory.extend(register.to_le_bytes());
                    memory.resize(memory.len().next_multiple_of(stride), 0xee);
                }
            }
            let found = locate(&memory, &registers, stride);
            prop_assert!(found.is_none() || (found == Some(place) && !twice), "{found:?}");
        }
    }
}

//! What differs between targets, beyond their registers' numbers: their places, and the hypercall's instruction.

use panda_plugin::registers::Arch;
use protocol::Registers;

/// Whether the hypercall is a `cpuid`: the program counter still points at it, and without a plugin it writes all
/// four registers.
pub(crate) fn is_x86(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64 | Arch::I386)
}

/// The first eight general registers by gdb number, in the order in which PANDA keeps them in memory.
pub(crate) fn stored_order(arch: Arch) -> [i32; 8] {
    match arch {
        // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI
        Arch::X86_64 => [0, 2, 3, 1, 7, 6, 4, 5],
        Arch::I386 | Arch::Arm | Arch::Aarch64 => [0, 1, 2, 3, 4, 5, 6, 7],
    }
}

/// The answer's registers that have to be put into the log of a recording.
///
/// A replay without a plugin executes the processor's own `cpuid`, which writes all four; elsewhere the
/// instruction then does nothing, and only what we change matters.
pub(crate) fn logged(arch: Arch, before: Registers, answer: Registers) -> impl Iterator<Item = (i32, u64)> {
    let numbers = arch.call_registers();
    (0..4).filter(move |&i| is_x86(arch) || before[i] != answer[i]).map(move |i| (numbers[i], answer[i]))
}

/// The length in bytes of the `cpuid` at the beginning of `code`, its prefixes included.
pub(crate) fn cpuid_length(code: &[u8]) -> Option<u64> {
    let prefixes = code.iter().take_while(|&&byte| is_prefix(byte)).count();
    (code.get(prefixes..prefixes + 2)? == [0x0f, 0xa2]).then_some(prefixes as u64 + 2)
}

fn is_prefix(byte: u8) -> bool {
    // segments, operand and address size, repeats, REX; with a lock prefix cpuid is not an instruction
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf2 | 0xf3 | 0x40..=0x4f)
}

/// Finds where `registers` (low halves, in stored order) lie in `memory`: the one place, in bytes, or `None` when
/// they are nowhere, or in more than one place, or too dull to tell.
pub(crate) fn locate(memory: &[u8], registers: &[u32; 8], stride: usize) -> Option<usize> {
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

    #[test]
    fn a_cpuid_is_measured_with_its_prefixes() {
        assert_eq!(cpuid_length(&[0x0f, 0xa2, 0x90]), Some(2));
        assert_eq!(cpuid_length(&[0x66, 0x48, 0x0f, 0xa2]), Some(4));
        assert_eq!(cpuid_length(&[0xf0, 0x0f, 0xa2]), None);
        assert_eq!(cpuid_length(&[0x0f]), None);
        assert_eq!(cpuid_length(&[]), None);
    }

    #[test]
    fn on_x86_a_replay_without_plugin_needs_all_four_registers() {
        let answer = [1, 2, 3, 4];
        assert_eq!(logged(Arch::X86_64, answer, answer).count(), 4);
        assert_eq!(logged(Arch::I386, [0; 4], answer).collect::<Vec<_>>(), [(0, 1), (3, 2), (1, 3), (2, 4)]);
        assert_eq!(logged(Arch::Aarch64, [0, 2, 3, 4], answer).collect::<Vec<_>>(), [(0, 1)]);
    }

    proptest! {
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

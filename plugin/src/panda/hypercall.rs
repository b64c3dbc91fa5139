//! The hypercall's instruction on each target: where it ends, and what of its answer a replay needs from the log.

use panda_plugin::registers::Arch;
use protocol::Registers;

/// Whether the hypercall is a `cpuid`: the program counter still points at it, and without a plugin it writes all
/// four registers.
pub(super) fn is_x86(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64 | Arch::I386)
}

/// The answer's registers that have to be put into the log of a recording.
///
/// A replay without a plugin executes the processor's own `cpuid`, which writes all four; elsewhere the
/// instruction then does nothing, and only what we change matters.
pub(super) fn logged(arch: Arch, before: Registers, answer: Registers) -> impl Iterator<Item = (i32, u64)> {
    let numbers = arch.call_registers();
    (0..4).filter(move |&i| is_x86(arch) || before[i] != answer[i]).map(move |i| (numbers[i], answer[i]))
}

/// The length in bytes of the `cpuid` at the beginning of `code`, its prefixes included.
pub(super) fn cpuid_length(code: &[u8]) -> Option<u64> {
    let prefixes = code.iter().take_while(|&&byte| is_prefix(byte)).count();
    (code.get(prefixes..prefixes + 2)? == [0x0f, 0xa2]).then_some(prefixes as u64 + 2)
}

fn is_prefix(byte: u8) -> bool {
    // segments, operand and address size, repeats, REX; with a lock prefix cpuid is not an instruction
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf2 | 0xf3 | 0x40..=0x4f)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Whether PANDA can be given a log: no entry may make a replay touch memory that is not the guest's.
//!
//! A replay does what the log says unchecked: it copies to any address, indexes any processor and allocates any
//! length. An entry that no recording of the machine can have is refused here, before PANDA
//! sees the log. `docs/nondet-log.md` says what a replay does with each.

use std::io::{Read, Seek};
use std::ops::Range;

use super::entry::{Call, Callsite, Entry, Event, Memory};
use super::reader::{Error, Reader};
use crate::Target;

/// Flags of pending interrupts that a processor of QEMU 2.9 has, but for that of a debugger (0x80): PANDA stops for it,
/// and dereferences a pointer to the missing debugger.
const INTERRUPTS: i32 = 0x3f7e;
/// The longest name of a memory region; PANDA's own have some twenty letters.
const LONGEST_NAME: u32 = 255;
/// The longest packet: PANDA's network cards have 64 KiB and a header.
const LONGEST_PACKET: u32 = 128 << 10;
/// How much memory the regions may have that one log adds; a graphics card has 16 MiB.
const ADDED_MEMORY: u64 = 1 << 30;
const GIB: u64 = 1 << 30;
/// The granularity of memory regions.
const PAGE: u64 = 4096;

/// Where a machine's memory is, as far as devices write into it. Nothing else is memory to a replay: what is between,
/// like the BIOS and a graphics card's, comes and goes at the guest's will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    target: Target,
    memory: Vec<Range<u64>>,
}

/// Why PANDA must not see a log.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not whole.
    #[error(transparent)]
    Log(#[from] Error),
    /// It has an entry that no recording has.
    #[error("the entry at byte {offset} (instruction {instructions}, {kind}) {fault}")]
    Entry {
        /// Where it starts in the file.
        offset: u64,
        /// Its instruction count.
        instructions: u64,
        /// What it is.
        kind: &'static str,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It writes to where the guest has no memory.
    #[error("writes {len} bytes to {address:#x}, which is not all the guest's memory")]
    Outside {
        /// Where to.
        address: u64,
        /// How many bytes.
        len: u64,
    },
    /// It changes what there is at the guest's memory.
    #[error("changes the address space at {address:#x} ({size:#x} bytes), where the guest's memory is")]
    OverMemory {
        /// From where.
        address: u64,
        /// How far.
        size: u64,
    },
    /// It changes more of the address space than there is, or adds more memory than a machine has.
    #[error("adds or removes {size:#x} bytes at {address:#x}, which no device has")]
    NoDevice {
        /// From where.
        address: u64,
        /// How far.
        size: u64,
    },
    /// A length that no device makes.
    #[error("has a {what} of {len} bytes")]
    Length {
        /// Of what.
        what: &'static str,
        /// In bytes.
        len: u64,
    },
    /// Another processor than the one that there is.
    #[error("is for processor {0}, and a recording has processor 0 alone")]
    Processor(i32),
    /// A register that the processor does not have in that size.
    #[error("sets register {register} to {len} bytes, and the processor has no such register")]
    Register {
        /// GDB's number.
        register: i32,
        /// Its size in the log.
        len: u32,
    },
    /// A number that PANDA has no meaning for.
    #[error("has an unknown {what} ({value:#x})")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// The number.
        value: u32,
    },
    /// Of another architecture.
    #[error("is none that PANDA writes for {0}")]
    Foreign(Target),
}

impl Limits {
    /// The limits of a machine with this much memory; `more` are its further arguments, which can name a board.
    pub fn of(target: Target, memory_mib: u32, more: &[String]) -> Limits {
        let size = u64::from(memory_mib) << 20;
        let memory = match target {
            Target::X86_64 | Target::I386 => pc(size, board(more).is_some_and(|board| board.contains("q35"))),
            // The boards on which recordings replay, cubieboard and virt, have it there.
            Target::Arm | Target::Aarch64 => std::iter::once(GIB..GIB + size).collect(),
        };
        Limits { target, memory }
    }

    /// Whether all of this is memory.
    fn has(&self, address: u64, len: u64) -> bool {
        address
            .checked_add(len)
            .is_some_and(|end| self.memory.iter().any(|memory| memory.start <= address && end <= memory.end))
    }

    /// Whether PANDA can be given this entry; `added` is the memory that the log has added so far.
    fn check(&self, event: &Event, callsite: Callsite, added: &mut u64) -> Result<(), Fault> {
        match *event {
            Event::Input1(_) | Event::Input2(_) | Event::Input8(_) | Event::End => Ok(()),
            // An interrupt's number, or -1 for one that is gone.
            Event::Input4(value) if callsite == Callsite::INTERRUPT && value > 255 && value != u32::MAX => {
                Err(Fault::Unknown { what: "interrupt", value })
            }
            Event::Input4(_) => Ok(()),
            Event::InterruptRequest(flags) if flags & !INTERRUPTS != 0 => {
                Err(Fault::Unknown { what: "interrupt request", value: flags as u32 })
            }
            Event::InterruptRequest(_) => Ok(()),
            Event::ExitRequest(_) | Event::PendingInterrupts(_) | Event::Exception(_) => {
                Err(Fault::Foreign(self.target))
            }
            Event::Call(call) => self.check_call(call, added),
        }
    }

    fn check_call(&self, call: Call, added: &mut u64) -> Result<(), Fault> {
        let unknown = |what, value| Err(Fault::Unknown { what, value });
        match call {
            // PANDA does nothing for a length of 0, wherever it is.
            Call::MemoryWrite { len: 0, .. } | Call::MemoryUnmap { len: 0, .. } => Ok(()),
            Call::MemoryWrite { address, len } => self.check_write(address, len.into()),
            Call::MemoryUnmap { address, len } => self.check_write(address, len),
            Call::RegionChange { address, size, memory, added: adds, name_len } => {
                self.check_region(address, size, memory, name_len)?;
                if adds && memory == Memory::Ram {
                    let fits = size > 0 && (address | size).is_multiple_of(PAGE);
                    *added = added.saturating_add(size);
                    if !fits || *added > ADDED_MEMORY {
                        return Err(Fault::NoDevice { address, size });
                    }
                }
                Ok(())
            }
            Call::DiskTransfer { kind: value @ 6.., .. } => unknown("disk transfer", value),
            Call::NetTransfer { kind: value @ 3.., .. } => unknown("network transfer", value),
            Call::Packet { len, .. } if len == 0 || len > LONGEST_PACKET => {
                Err(Fault::Length { what: "packet", len: len.into() })
            }
            Call::RegisterWrite { cpu, .. } if cpu != 0 => Err(Fault::Processor(cpu)),
            Call::RegisterWrite { register, len, .. } if !self.has_register(register, len) => {
                Err(Fault::Register { register, len })
            }
            Call::RegisterWrite { .. } | Call::DiskTransfer { .. } | Call::NetTransfer { .. } => Ok(()),
            // Notes, one byte each.
            Call::Packet { .. } | Call::SerialReceive { .. } | Call::SerialRead { .. } => Ok(()),
            Call::SerialSend { .. } | Call::SerialWrite { .. } => Ok(()),
        }
    }

    fn check_write(&self, address: u64, len: u64) -> Result<(), Fault> {
        if self.has(address, len) { Ok(()) } else { Err(Fault::Outside { address, len }) }
    }

    /// Checks that a device's registers or memory come or go where they can be.
    fn check_region(&self, address: u64, size: u64, memory: Memory, name_len: u32) -> Result<(), Fault> {
        match (address.checked_add(size), memory) {
            // What is neither registers nor memory: a flash chip.
            (_, Memory::Other(value)) if value != 2 => Err(Fault::Unknown { what: "kind of memory", value }),
            _ if name_len > LONGEST_NAME => Err(Fault::Length { what: "name", len: name_len.into() }),
            (None, _) => Err(Fault::NoDevice { address, size }),
            (Some(end), _) if self.memory.iter().any(|memory| memory.start < end && address < memory.end) => {
                Err(Fault::OverMemory { address, size })
            }
            _ => Ok(()),
        }
    }

    /// Whether the processor has a register of this size, by GDB's numbers.
    fn has_register(&self, register: i32, len: u32) -> bool {
        let pointer = match self.target {
            Target::X86_64 => 8,
            _ => 4,
        };
        // How many general registers there are, and so where the others begin.
        let general = if self.target == Target::X86_64 { 16 } else { 8 };
        match (self.target, i64::from(register) - general) {
            (Target::Arm | Target::Aarch64, _) => {
                // The processor's own, and those of its floating-point unit, which differ by model.
                (0..=76).contains(&register) && [4, 8, 12, 16].contains(&len)
            }
            (_, place) if register >= 0 && place <= 0 => len == pointer,
            // Flags, segments.
            (_, 1..=7) => len == 4,
            // Floating point: the stack, then its state.
            (_, 8..=15) => len == 10,
            (_, 16..=23) => len == 4,
            _ => false,
        }
    }
}

/// The memory of a PC: below the BIOS's, above it, and what the devices' registers leave for above 4 GiB.
fn pc(size: u64, q35: bool) -> Vec<Range<u64>> {
    let (most, then) = if q35 { (0xb000_0000, 2 * GIB) } else { (0xe000_0000, 3 * GIB) };
    let low = if size >= most { then } else { size };
    let all = [0..low.min(0xa_0000), 0x10_0000..low.max(0x10_0000), 4 * GIB..4 * GIB + (size - low)];
    all.into_iter().filter(|memory| !memory.is_empty()).collect()
}

/// The board that PANDA's arguments name last.
fn board(more: &[String]) -> Option<&str> {
    let mut named =
        more.windows(2).filter(|pair| matches!(pair[0].as_str(), "-M" | "-machine" | "--machine"));
    named.next_back().map(|pair| pair[1].as_str())
}

/// Reads a log to its end, and says why PANDA must not see it, if there is a reason.
pub fn check<R: Read + Seek>(reader: &mut Reader<R>, limits: &Limits) -> Result<(), CheckError> {
    let mut added = 0;
    for entry in reader {
        let Entry { offset, instructions, callsite, event, .. } = entry?;
        limits.check(&event, callsite, &mut added).map_err(|fault| CheckError::Entry {
            offset,
            instructions,
            kind: event.name(),
            fault,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Direction, encode, encode_header};

    fn machine(target: Target, memory_mib: u32) -> Limits {
        Limits::of(target, memory_mib, &[])
    }

    /// The verdict on a log of these entries, each with as much data as it claims.
    fn said(limits: &Limits, events: &[(Callsite, Event)]) -> Result<(), String> {
        let mut log = Vec::new();
        encode_header(7, &mut log);
        for &(callsite, event) in events {
            encode(7, callsite, event, &vec![0; event.data_len() as usize], &mut log);
        }
        encode(7, Callsite::END, Event::End, &[], &mut log);
        let mut reader = Reader::new(std::io::Cursor::new(log)).expect("it has a header");
        check(&mut reader, limits).map_err(|error| error.to_string())
    }

    fn call(limits: &Limits, call: Call) -> Result<(), String> {
        said(limits, &[(Callsite::MAIN_LOOP, Event::Call(call))])
    }

    fn region(address: u64, size: u64, memory: Memory) -> Call {
        Call::RegionChange { address, size, memory, added: true, name_len: 8 }
    }

    #[test]
    fn devices_write_into_the_guests_memory_alone() {
        let small = machine(Target::X86_64, 256);
        let large = machine(Target::X86_64, 4096);
        let arm = machine(Target::Arm, 256);
        let ok = |limits: &Limits, address, len| {
            let write = call(limits, Call::MemoryWrite { address, len });
            let unmap = call(limits, Call::MemoryUnmap { address, len: len.into() });
            assert_eq!(write.is_ok(), unmap.is_ok());
            unmap.is_ok()
        };
        assert!(ok(&small, 0, 0xa_0000) && !ok(&small, 0, 0xa_0001) && !ok(&small, 0xb_8000, 2));
        assert!(ok(&small, 0xfff_f000, 4096) && !ok(&small, 0xfff_f000, 4097));
        assert!(!ok(&small, 0x1_0000_0000, 1) && !ok(&small, u64::MAX, 2));
        // Nothing is copied, so nothing is wrong.
        assert!(ok(&small, 0xfec0_0000, 0));
        assert!(
            !ok(&large, 0xc000_0000, 1) && ok(&large, 0x1_0000_0000, 4096) && !ok(&large, 0x1_4000_0000, 1)
        );
        assert!(!ok(&arm, 0, 1) && ok(&arm, 0x4000_0000, 4096) && !ok(&arm, 0x5000_0000, 1));
        let error =
            call(&small, Call::MemoryUnmap { address: 0xfec0_0000, len: 2 << 20 }).expect_err("refused");
        assert_eq!(
            error,
            "the entry at byte 8 (instruction 7, memory_unmap) writes 2097152 bytes to 0xfec00000, which is not all \
             the guest's memory"
        );
    }

    #[test]
    fn regions_come_and_go_beside_the_guests_memory() {
        let pc = machine(Target::X86_64, 256);
        assert_eq!(call(&pc, region(0xfebc_0000, 0x2_0000, Memory::Io)), Ok(()));
        assert_eq!(call(&pc, region(0xfd00_0000, 16 << 20, Memory::Ram)), Ok(()));
        for (address, size, memory) in [
            (0xfff_f000, 0x2000, Memory::Io),
            (0, 1 << 40, Memory::Ram),
            (u64::MAX, 2, Memory::Io),
            (0xfd00_0000, 4097, Memory::Ram),
            (0xfd00_0000, 0, Memory::Ram),
            (1 << 40, 2 << 30, Memory::Ram),
            (0xfd00_0000, 4096, Memory::Other(77)),
        ] {
            assert!(call(&pc, region(address, size, memory)).is_err(), "{address:x} {size:x}");
        }
        // Across 4 GiB, where this machine has nothing.
        assert_eq!(call(&pc, region(0xf000_0000, 1 << 30, Memory::Io)), Ok(()));
        // Each is small enough, but a log must not add any number of them.
        let many = [(Callsite::MAIN_LOOP, Event::Call(region(1 << 40, 256 << 20, Memory::Ram))); 5];
        assert!(said(&pc, &many[..4]).is_ok() && said(&pc, &many).is_err());
        let long =
            Call::RegionChange { address: 1 << 40, size: 1, memory: Memory::Io, added: true, name_len: 256 };
        assert!(call(&pc, long).is_err());
    }

    #[test]
    fn registers_are_those_of_the_one_processor() {
        let register = |target, cpu, register, len| {
            call(&machine(target, 256), Call::RegisterWrite { cpu, register, len }).is_ok()
        };
        assert!(register(Target::X86_64, 0, 16, 8) && register(Target::I386, 0, 8, 4));
        assert!(!register(Target::X86_64, 1, 16, 8) && !register(Target::X86_64, -1, 16, 8));
        for (number, len) in [(-1, 8), (i32::MIN, 8), (40, 8), (i32::MAX, 8), (0, 0), (0, 4), (24, 8)] {
            assert!(!register(Target::X86_64, 0, number, len), "{number}");
        }
        assert!(register(Target::Aarch64, 0, 32, 8) && !register(Target::Arm, 0, -1, 4));
    }

    #[test]
    fn numbers_without_a_meaning_are_refused() {
        let pc = machine(Target::X86_64, 256);
        let input = |value| said(&pc, &[(Callsite::INTERRUPT, Event::Input4(value))]);
        assert!(input(255).is_ok() && input(u32::MAX).is_ok() && input(256).is_err());
        let request = |flags| said(&pc, &[(Callsite::MAIN_LOOP, Event::InterruptRequest(flags))]);
        assert!(
            request(2).is_ok()
                && request(0x80).is_err()
                && request(1 << 20).is_err()
                && request(i32::MIN).is_err()
        );
        assert!(said(&pc, &[(Callsite::MAIN_LOOP, Event::PendingInterrupts(1))]).is_err());
        assert!(call(&pc, Call::DiskTransfer { kind: 6, from: 0, to: 0, len: 1 }).is_err());
        assert!(call(&pc, Call::NetTransfer { kind: 3, from: 0, to: 0, len: 1 }).is_err());
        for (len, fits) in [(0, false), (1514, true), (LONGEST_PACKET, true), (LONGEST_PACKET + 1, false)] {
            assert_eq!(call(&pc, Call::Packet { direction: Direction::Sent, len }).is_ok(), fits, "{len}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_lies_in_one_piece_of_memory(
            memory_mib in prop_oneof![Just(0_u32), 1..8192_u32, any::<u32>()],
            address in prop_oneof![any::<u64>(), 0..1_u64 << 33],
            len in prop_oneof![any::<u64>(), 1..1_u64 << 22],
        ) {
            for target in Target::ALL {
                let limits = machine(target, memory_mib);
                let written = Event::Call(Call::MemoryUnmap { address, len });
                if len > 0 && limits.check(&written, Callsite::MAIN_LOOP, &mut 0).is_ok() {
                    let end = u128::from(address) + u128::from(len);
                    let within = |from: u64, to: u64| from <= address && end <= u128::from(to);
                    let size = u64::from(memory_mib) << 20;
                    prop_assert!(len <= size);
                    let inside = match target {
                        Target::Arm | Target::Aarch64 => within(1 << 30, (1 << 30) + size),
                        _ => within(0, 0xa_0000) || within(0x10_0000, 0xe000_0000) || within(1 << 32, (1 << 32) + size),
                    };
                    prop_assert!(inside);
                }
            }
        }
    }
}

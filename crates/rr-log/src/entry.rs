//! What PANDA's log says: one entry for each thing that the guest's own code does not determine.

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// Its length in the file, in bytes: header, fixed part and data.
    pub size: u64,
    /// How many guest instructions had begun when it happened; never less than in the entry before.
    pub instructions: u64,
    /// The place in PANDA that wrote it.
    pub callsite: Callsite,
    /// What happened.
    pub event: Event,
}

impl Entry {
    /// Where the next entry starts, in bytes.
    pub fn end(&self) -> u64 {
        self.offset + self.size
    }
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest read one byte from a device.
    Input1(u8),
    /// The guest read two bytes from a device.
    Input2(u16),
    /// The guest read four bytes from a device, or got this interrupt number.
    Input4(u32),
    /// The guest read eight bytes from a device, or this time stamp.
    Input8(u64),
    /// The CPU's pending interrupts changed to these flags.
    InterruptRequest(i32),
    /// The CPU was asked to leave its loop.
    ExitRequest(u16),
    /// A device did something to the machine by itself.
    Call(Call),
    /// The recording ends here.
    End,
    /// The pending interrupts of a PowerPC changed to these flags.
    PendingInterrupts(u32),
    /// The CPU took this exception.
    Exception(i32),
}

/// What a device did by itself, while recording; a replay does the same at the same instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It wrote into the guest's memory (DMA); the entry's data is what it wrote.
    MemoryWrite {
        /// Guest-physical address.
        address: u64,
        /// Length in bytes.
        len: u32,
    },
    /// It added or removed a range of the guest's address space; the entry's data is the range's name.
    RegionChange {
        /// Guest-physical address.
        address: u64,
        /// Length of the range in bytes.
        size: u64,
        /// What the range is.
        memory: Memory,
        /// Added, or removed.
        added: bool,
        /// Length of the name in bytes.
        name_len: u32,
    },
    /// It wrote into guest memory that it had mapped (DMA); the entry's data is what it wrote.
    MemoryUnmap {
        /// Guest-physical address.
        address: u64,
        /// Length in bytes.
        len: u64,
    },
    /// Bytes went between a disk, its controller and the guest's memory.
    DiskTransfer {
        /// PANDA's number for the direction.
        kind: u32,
        /// Where from: an address or a sector, by `kind`.
        from: u64,
        /// Where to: an address or a sector, by `kind`.
        to: u64,
        /// Length in bytes.
        len: u32,
    },
    /// Bytes went between a network card and the guest's memory.
    NetTransfer {
        /// PANDA's number for the direction.
        kind: u32,
        /// Where from: an address in the guest, or of the card in PANDA, by `kind`.
        from: u64,
        /// Where to: an address in the guest, or of the card in PANDA, by `kind`.
        to: u64,
        /// Length in bytes.
        len: u32,
    },
    /// A network card sent or received a packet; the entry's data is the packet.
    Packet {
        /// Which way it went.
        direction: Direction,
        /// Length in bytes.
        len: u32,
    },
    /// A serial port received this byte from outside.
    SerialReceive {
        /// The byte.
        value: u8,
    },
    /// The guest read this byte from a serial port.
    SerialRead {
        /// The port's I/O address.
        port: u32,
        /// The byte.
        value: u8,
    },
    /// A serial port sent this byte to the outside.
    SerialSend {
        /// The byte.
        value: u8,
    },
    /// The guest wrote this byte to a serial port.
    SerialWrite {
        /// The port's I/O address.
        port: u32,
        /// The byte.
        value: u8,
    },
    /// A register of a CPU was set from outside, by a debugger or a plugin; the entry's data is its value.
    RegisterWrite {
        /// The CPU's index, 0 in a machine with one CPU.
        cpu: i32,
        /// The register's number, as GDB counts them.
        register: i32,
        /// Length of the value in bytes.
        len: u32,
    },
}

/// What a range of the guest's address space is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A device's registers.
    Io,
    /// Memory.
    Ram,
    /// Something else.
    Other(u32),
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the guest.
    Received,
    /// Out of the guest.
    Sent,
}

impl Event {
    /// A name for statistics: PANDA's for the entry's kind, or for what the device did.
    pub fn name(&self) -> &'static str {
        EVENTS[self.slot()]
    }

    /// How many bytes of data follow the entry's fixed part.
    pub fn data_len(&self) -> u64 {
        match *self {
            Event::Call(Call::MemoryWrite { len, .. } | Call::Packet { len, .. }) => len.into(),
            Event::Call(Call::MemoryUnmap { len, .. }) => len,
            Event::Call(Call::RegionChange { name_len, .. }) => name_len.into(),
            Event::Call(Call::RegisterWrite { len, .. }) => len.into(),
            _ => 0,
        }
    }

    /// Its place in [`EVENTS`].
    pub(super) fn slot(&self) -> usize {
        match self {
            Event::Input1(_) => 0,
            Event::Input2(_) => 1,
            Event::Input4(_) => 2,
            Event::Input8(_) => 3,
            Event::InterruptRequest(_) => 4,
            Event::ExitRequest(_) => 5,
            Event::End => 6,
            Event::PendingInterrupts(_) => 7,
            Event::Exception(_) => 8,
            Event::Call(Call::MemoryWrite { .. }) => 9,
            Event::Call(Call::RegionChange { .. }) => 10,
            Event::Call(Call::MemoryUnmap { .. }) => 11,
            Event::Call(Call::DiskTransfer { .. }) => 12,
            Event::Call(Call::NetTransfer { .. }) => 13,
            Event::Call(Call::Packet { .. }) => 14,
            Event::Call(Call::SerialReceive { .. }) => 15,
            Event::Call(Call::SerialRead { .. }) => 16,
            Event::Call(Call::SerialSend { .. }) => 17,
            Event::Call(Call::SerialWrite { .. }) => 18,
            Event::Call(Call::RegisterWrite { .. }) => 19,
        }
    }
}

/// The names of all events.
pub(super) const EVENTS: [&str; 20] = [
    "input_1",
    "input_2",
    "input_4",
    "input_8",
    "interrupt_request",
    "exit_request",
    "end_of_log",
    "pending_interrupts",
    "exception",
    "memory_write",
    "region_change",
    "memory_unmap",
    "disk_transfer",
    "net_transfer",
    "packet",
    "serial_receive",
    "serial_read",
    "serial_send",
    "serial_write",
    "register_write",
];

/// A place in PANDA that writes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Callsite(u8);

impl Callsite {
    /// Where the processor takes an interrupt and asks for its number.
    pub const INTERRUPT: Callsite = Callsite(1);
    /// The main loop, between two instructions of the guest.
    pub const MAIN_LOOP: Callsite = Callsite(6);
    /// The end of the recording.
    pub const END: Callsite = Callsite(17);
    /// How many places there are, from 0 up.
    pub const COUNT: u8 = NAMES.len() as u8;

    /// The place that PANDA gives this number, if there is one.
    pub fn new(number: u8) -> Option<Callsite> {
        (number < Callsite::COUNT).then_some(Callsite(number))
    }

    /// PANDA's number for it.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

/// What the places are called, by PANDA's number.
const NAMES: [&str; 44] = [
    "cpu_handle_interrupt_before",
    "cpu_handle_interrupt_intno",
    "cpu_handle_interrupt_after",
    "rdtsc",
    "io_read_all",
    "io_write_all",
    "main_loop_wait",
    "do_smm_enter",
    "helper_rsm",
    "read_8",
    "read_4",
    "read_2",
    "read_1",
    "write_8",
    "write_4",
    "write_2",
    "write_1",
    "end_of_log",
    "cpu_pending_interrupts_before",
    "cpu_pending_interrupts_after",
    "cpu_exception_index",
    "ide_sector_read",
    "ide_sector_write",
    "ide_dma_cb",
    "ide_data_writew",
    "ide_data_writel",
    "ide_data_readw",
    "ide_data_readl",
    "e1000_receive_1",
    "e1000_receive_2",
    "e1000_receive_3",
    "e1000_receive_memcpy_1",
    "e1000_xmit_seg_1",
    "e1000_xmit_seg_2",
    "e1000_process_tx_desc_1",
    "e1000_process_tx_desc_2",
    "e1000_process_tx_desc_memmove_1",
    "e1000_process_tx_desc_memmove_2",
    "e1000_txdesc_writeback",
    "e1000_start_xmit",
    "serial_receive",
    "serial_read",
    "serial_send",
    "serial_write",
];

#[cfg(test)]
mod tests {
    use super::Callsite;

    #[test]
    fn call_sites_have_the_numbers_that_panda_gives_them() {
        assert_eq!(Callsite::MAIN_LOOP.name(), "main_loop_wait");
        assert_eq!(Callsite::END.name(), "end_of_log");
        assert_eq!(Callsite::new(43).map(Callsite::name), Some("serial_write"));
        assert_eq!(Callsite::new(44), None);
    }
}

//! Entries to bytes: what ends a salvaged log, and what synthetic logs are made of.

use super::entry::{Call, Callsite, Direction, Event, Memory};

/// Appends a log's header: how many instructions the whole recording has.
pub fn encode_header(instructions: u64, out: &mut Vec<u8>) {
    out.extend(instructions.to_le_bytes());
}

/// Appends an entry, with `data` after its fixed part, as PANDA does; pointers and padding are zero.
///
/// The event says how long `data` is: if that isn't so, the log is a damaged one.
pub fn encode(instructions: u64, callsite: Callsite, event: Event, data: &[u8], out: &mut Vec<u8>) {
    out.extend(instructions.to_le_bytes());
    let kind = |out: &mut Vec<u8>, kind: u8| out.extend([kind, callsite.number()]);
    match event {
        Event::Input1(value) => {
            kind(out, 0);
            out.push(value);
        }
        Event::Input2(value) => {
            kind(out, 1);
            out.extend(value.to_le_bytes());
        }
        Event::Input4(value) => {
            kind(out, 2);
            out.extend(value.to_le_bytes());
        }
        Event::Input8(value) => {
            kind(out, 3);
            out.extend(value.to_le_bytes());
        }
        Event::InterruptRequest(flags) => {
            kind(out, 4);
            out.extend(flags.to_le_bytes());
        }
        Event::ExitRequest(request) => {
            kind(out, 5);
            out.extend(request.to_le_bytes());
        }
        Event::Call(call) => {
            kind(out, 6);
            encode_call(call, out);
        }
        Event::End => kind(out, 7),
        Event::PendingInterrupts(flags) => {
            kind(out, 8);
            out.extend(flags.to_le_bytes());
        }
        Event::Exception(number) => {
            kind(out, 9);
            out.extend(number.to_le_bytes());
        }
    }
    out.extend(data);
}

fn encode_call(call: Call, out: &mut Vec<u8>) {
    match call {
        Call::MemoryWrite { address, len } => {
            out.push(0);
            out.extend(address.to_le_bytes());
            out.extend([0; 8]);
            out.extend(len.to_le_bytes());
            out.extend([0; 4]);
        }
        Call::RegionChange { address, size, memory, added, name_len } => {
            let memory = match memory {
                Memory::Io => 0,
                Memory::Ram => 1,
                Memory::Other(other) => other,
            };
            out.push(1);
            out.extend(address.to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend([0; 8]);
            out.extend(name_len.to_le_bytes());
            out.extend(memory.to_le_bytes());
            out.push(added.into());
            out.extend([0; 7]);
        }
        Call::MemoryUnmap { address, len } => {
            out.push(2);
            out.extend(address.to_le_bytes());
            out.extend([0; 8]);
            out.extend(len.to_le_bytes());
        }
        Call::DiskTransfer { kind, from, to, len } => encode_transfer(3, kind, from, to, len, out),
        Call::NetTransfer { kind, from, to, len } => encode_transfer(4, kind, from, to, len, out),
        Call::Packet { direction, len } => {
            out.push(5);
            out.extend([0; 8]);
            out.extend(len.to_le_bytes());
            out.push(match direction {
                Direction::Received => 0,
                Direction::Sent => 1,
            });
            out.extend([0; 3]);
        }
        Call::SerialReceive { value } => encode_byte(6, value, out),
        Call::SerialRead { port, value } => encode_port_byte(7, port, value, out),
        Call::SerialSend { value } => encode_byte(8, value, out),
        Call::SerialWrite { port, value } => encode_port_byte(9, port, value, out),
        Call::RegisterWrite { cpu, register, len } => {
            out.push(10);
            out.extend(cpu.to_le_bytes());
            out.extend([0; 12]);
            out.extend(register.to_le_bytes());
            out.extend(len.to_le_bytes());
        }
    }
}

fn encode_transfer(call: u8, kind: u32, from: u64, to: u64, len: u32, out: &mut Vec<u8>) {
    out.push(call);
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    out.extend(from.to_le_bytes());
    out.extend(to.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend([0; 4]);
}

fn encode_byte(call: u8, value: u8, out: &mut Vec<u8>) {
    out.push(call);
    out.extend([0; 8]);
    out.push(value);
    out.extend([0; 7]);
}

fn encode_port_byte(call: u8, port: u32, value: u8, out: &mut Vec<u8>) {
    out.push(call);
    out.extend([0; 8]);
    out.extend(port.to_le_bytes());
    out.push(value);
    out.extend([0; 3]);
}

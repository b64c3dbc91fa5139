//! Snapshots made here: as PANDA writes them, and damaged.

use std::io::Cursor;

use super::*;

const EXPECTED: Expected = Expected { memory_mib: 1, usual: true };

fn section(kind: u8, id: u32, name: Option<&str>, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(id.to_be_bytes());
    if let Some(name) = name {
        bytes.push(name.len() as u8);
        bytes.extend(name.bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(4_u32.to_be_bytes());
    }
    bytes.extend(content);
    bytes.push(FOOTER);
    bytes.extend(id.to_be_bytes());
    bytes
}

fn page(address: u64, flags: u64, block: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = (address | flags).to_be_bytes().to_vec();
    bytes.push(block.len() as u8);
    bytes.extend(block.bytes());
    bytes.extend(content);
    bytes
}

fn no_more() -> [u8; 8] {
    NO_MORE.to_be_bytes()
}

/// A machine of 1 MiB with these sections, and a timer behind them.
fn snapshot(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = [MAGIC.to_be_bytes(), VERSION.to_be_bytes()].concat();
    bytes.push(CONFIGURATION);
    bytes.extend(2_u32.to_be_bytes());
    bytes.extend(b"pc");
    let sizes =
        [&(1 << 20 | SIZES).to_be_bytes()[..], &[6], b"pc.ram", &(1_u64 << 20).to_be_bytes(), &no_more()];
    bytes.extend(section(START, 3, Some("ram"), &sizes.concat()));
    sections.iter().for_each(|section| bytes.extend(section));
    bytes.extend(section(FULL, 0, Some("timer"), &[0; 24]));
    bytes.extend([EOF, DESCRIPTION, 0, 0, 0, 2]);
    bytes.extend(b"{}");
    bytes
}

fn said(bytes: &[u8]) -> Result<(), String> {
    check(Cursor::new(bytes), EXPECTED).map_err(|error| error.to_string())
}

fn refused(bytes: &[u8], word: &str) {
    let error = said(bytes).expect_err(word);
    assert!(error.contains(word), "{error}, not {word}");
}

fn memory(kind: u8, pages: &[Vec<u8>]) -> Vec<u8> {
    section(kind, 3, None, &[&pages.concat()[..], &no_more()].concat())
}

#[test]
fn a_snapshot_as_panda_writes_it_passes_and_no_part_of_it_does() {
    let pages = [page(0, ZERO_PAGE, "pc.ram", &[0]), page(0xf_f000, WHOLE_PAGE, "pc.ram", &[7; 4096])];
    let whole = snapshot(&[
        memory(PART, &pages),
        memory(END, &[]),
        section(FULL, 7, Some("0000:00:01.1/ide"), &[1; 9]),
    ]);
    assert_eq!(said(&whole), Ok(()));
    for len in (0..whole.len()).filter(|len| !(200..4200).contains(len)) {
        assert!(said(&whole[..len]).is_err(), "{len}");
    }
    assert!(said(&[&whole[..], b" "].concat()).is_err());
}

#[test]
fn memory_stays_within_its_blocks_and_fits_the_machine() {
    for page in [0x10_0000, !0xfff] {
        let part = memory(PART, &[super::tests::page(page, ZERO_PAGE, "pc.ram", &[0])]);
        refused(&snapshot(&[part]), "lies beyond pc.ram");
    }
    refused(&snapshot(&[memory(PART, &[page(0, ZERO_PAGE, "vga", &[0])])]), "unknown block");
    // Packed: PANDA's threads that would unpack it do not run in a replay.
    refused(&snapshot(&[memory(PART, &[page(0, 0x100, "pc.ram", &[0; 9])])]), "flags 0x100");
    refused(&snapshot(&[memory(PART, &[page(0, 0x80, "pc.ram", &[])])]), "flags 0x80");
    let other = Expected { memory_mib: 2, ..EXPECTED };
    let error = check(Cursor::new(snapshot(&[])), other).expect_err("another machine's").to_string();
    assert!(error.contains("0x200000 bytes of the manifest's machine; it has pc.ram: 0x100000"), "{error}");
}

#[test]
fn sections_are_those_of_a_usual_machine_once_each_and_in_order() {
    let device = |id, name| section(FULL, id, Some(name), &[1; 9]);
    refused(&snapshot(&[device(7, "ivshmem")]), "the state of ivshmem, which no usual machine has");
    refused(&snapshot(&[device(7, "cpu"), device(8, "cpu")]), "the state of cpu once more");
    refused(&snapshot(&[device(7, "cpu"), device(7, "apic")]), "the state of apic once more");
    refused(&snapshot(&[device(7, "cpu"), memory(PART, &[])]), "a section of no device");
    refused(&snapshot(&[vec![COMMAND, 0, 7, 0, 4]]), "kind 8");
    // What PANDA would read behind the processor's state, hidden in what we could take for another's.
    for hidden in [vec![COMMAND, 0, 7, 0, 4], device(9, "cpu_common"), memory(PART, &[])] {
        let inner = [&[FOOTER, 0, 0, 0, 7][..], &hidden].concat();
        let (first, second) = (device(7, "cpu"), section(FULL, 8, Some("apic"), &inner));
        refused(&snapshot(&[first, second]), "a section inside another");
    }
    // A footer's bytes with nothing behind them that could follow are just bytes.
    let inner = [FOOTER, 0, 0, 0, 7, 0, 0, FOOTER, 0, 0, 0, 8, 9];
    assert_eq!(said(&snapshot(&[device(7, "cpu"), section(FULL, 8, Some("apic"), &inner)])), Ok(()));
}

#[test]
fn what_is_no_snapshot_is_refused() {
    refused(b"", "ends at byte 0");
    refused(&[0; 64], "not a PANDA snapshot");
    let mut old = snapshot(&[]);
    old[7] = 2;
    refused(&old, "version 2");
    let mut unnamed = snapshot(&[]);
    unnamed[8] = START;
    refused(&unnamed, "instead of the machine's name");
    let mut long = snapshot(&[]);
    long[9] = 0xff;
    refused(&long, "a name of");
}

use super::*;
use std::io::Write;

/// An ELF file, as far as unpacking looks.
fn kernel() -> Vec<u8> {
    let mut kernel = ELF.to_vec();
    kernel.extend((0..100_000u32).flat_map(|number| (number / 7).to_le_bytes()));
    kernel
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut packed = 0x184c_2102_u32.to_le_bytes().to_vec();
    for block in bytes.chunks(8 << 20) {
        let block = lz4_flex::block::compress(block);
        packed.extend((block.len() as u32).to_le_bytes());
        packed.extend(block);
    }
    packed
}

/// A bzImage with a payload in it, and the size of the kernel behind that.
fn bzimage(payload: &[u8], bytes: usize) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
    file.extend([0; 16]);
    file.extend(payload);
    file.extend((bytes as u32).to_le_bytes());
    file.extend(b"what follows");
    file
}

fn elf(file: &[u8]) -> Vec<u8> {
    match unpack(file.to_vec()).expect("unpacked") {
        Unpacked::Elf(kernel) => kernel,
        flat @ Unpacked::Flat(..) => panic!("{flat:?}"),
    }
}

#[test]
fn a_kernel_is_found_however_it_is_packed() {
    let kernel = kernel();
    assert_eq!(elf(&kernel), kernel);
    assert_eq!(elf(&gzip(&kernel)), kernel);
    for packed in [gzip(&kernel), lz4(&kernel)] {
        assert_eq!(elf(&bzimage(&packed, kernel.len())), kernel);
    }
}

#[test]
fn an_arm_kernel_is_the_first_thing_in_its_file_that_can_be_decompressed() {
    let mut file = vec![0; 64];
    file[0x24..0x28].copy_from_slice(&0x016f_2818_u32.to_le_bytes());
    file.extend(b"\x1f\x8b\x08 and \xfd7zXZ\0 are only here to lead astray");
    file.extend(gzip(b"something small"));
    file.extend(gzip(&kernel()));
    let unpacked = unpack(file).expect("unpacked");
    assert!(matches!(unpacked, Unpacked::Flat(flat, Architecture::Arm) if flat == kernel()));
}

#[test]
fn what_cannot_be_decompressed_is_told_by_name() {
    let error = |file: &[u8]| unpack(file.to_vec()).expect_err("refused").to_string();
    assert!(error(b"#!/bin/sh").contains("not a Linux kernel"));
    assert!(error(&bzimage(b"\x89LZO\0\r\n\x1a\n", 1)).contains("lzo"));
    assert!(error(&bzimage(b"neither this nor that", 1)).contains("not a Linux kernel"));
    let mut cut = lz4(&kernel());
    cut.truncate(cut.len() / 2);
    assert!(error(&bzimage(&cut, 1)).contains("damaged"));
    let mut cut = gzip(&kernel());
    cut.truncate(cut.len() / 2);
    assert!(error(&bzimage(&cut, 1)).contains("damaged"));
}

#[test]
fn a_bomb_is_stopped() {
    let block = lz4_flex::block::compress(&vec![0; 8 << 20]);
    let mut bomb = 0x184c_2102_u32.to_le_bytes().to_vec();
    for _ in 0..=MAX_UNPACKED / (8 << 20) {
        bomb.extend((block.len() as u32).to_le_bytes());
        bomb.extend(&block);
    }
    assert!(matches!(unpack(bomb), Err(KernelError::Bomb)));
}

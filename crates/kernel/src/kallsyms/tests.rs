use super::*;

/// The order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Up to 6.1.
    Old,
    /// 6.2 and 6.3.
    Sorted,
    /// From 6.4 on.
    New,
}

/// Writes the tables of symbols, which are in the order of their addresses.
pub(crate) struct Writer {
    pub(crate) order: Order,
    pub(crate) pointer: usize,
    /// As on x86_64: the first symbols are those of per-processor variables.
    pub(crate) per_cpu: usize,
    pub(crate) base: u64,
}

impl Writer {
    pub(crate) fn write(&self, symbols: &[(String, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(self.pointer), 0);
        let offsets = |out: &mut Vec<u8>| {
            for (number, (_, address)) in symbols.iter().enumerate() {
                let offset = match (self.per_cpu, number < self.per_cpu) {
                    (0, _) => (address - self.base) as u32,
                    (_, true) => *address as u32,
                    (_, false) => (self.base.wrapping_sub(1).wrapping_sub(*address)) as u32,
                };
                out.extend(offset.to_le_bytes());
            }
            align(out);
            out.extend(&self.base.to_le_bytes()[..self.pointer]);
        };
        if self.order != Order::New {
            offsets(&mut out);
        }
        out.extend((symbols.len() as u32).to_le_bytes());
        align(&mut out);
        let (names, mut markers) = (out.len(), Vec::new());
        for (number, (name, _)) in symbols.iter().enumerate() {
            if number.is_multiple_of(256) {
                markers.push((out.len() - names) as u32);
            }
            // The token 1 is a whole word.
            let name = format!("T{name}").replace("init_", "\x01");
            match name.len() {
                length @ 0..0x80 => out.push(length as u8),
                length => out.extend([length as u8 | 0x80, (length >> 7) as u8]),
            }
            out.extend(name.bytes());
        }
        align(&mut out);
        out.extend(markers.iter().flat_map(|marker| marker.to_le_bytes()));
        align(&mut out);
        if self.order == Order::Sorted {
            out.resize(out.len() + 3 * symbols.len(), 0xa5);
            align(&mut out);
        }
        let (table, mut index) = (out.len(), Vec::new());
        for token in 0..=u8::MAX {
            index.extend(((out.len() - table) as u16).to_le_bytes());
            match token {
                1 => out.extend(b"init_"),
                b'$'..=b'z' => out.push(token),
                _ => {}
            }
            out.push(0);
        }
        align(&mut out);
        out.extend(index);
        if self.order == Order::New {
            align(&mut out);
            offsets(&mut out);
        }
        out
    }
}

/// So many symbols that there are markers to check.
pub(crate) fn symbols(base: u64, per_cpu: usize) -> Vec<(String, u64)> {
    let small = (0..per_cpu).map(|number| (format!("cpu{number}"), 0x40 * number as u64));
    let more = (0..1000).map(|number| (format!("init_function_{number}"), base + 16 * number));
    let long = ("n".repeat(200), base + 16_000);
    small.chain(more).chain([long]).collect()
}

fn read(image: &[u8], pointer: usize) -> Option<Vec<(String, u64)>> {
    let mut read = Vec::new();
    Kallsyms::find(image, pointer)?
        .each(pointer, |name, _, address| read.push((String::from_utf8_lossy(name).into_owned(), address)));
    Some(read)
}

/// Tables with other things around them, as far into the image as they would be.
fn around(tables: Vec<u8>) -> Vec<u8> {
    let mut image: Vec<u8> = (0..4096_u32).flat_map(|number| (number * 37).to_le_bytes()).collect();
    image.extend(tables);
    image.extend((0..4096_u32).flat_map(|number| (number * 41).to_le_bytes()));
    image
}

#[test]
fn symbols_are_found_in_every_order_of_the_tables() {
    for order in [Order::Old, Order::Sorted, Order::New] {
        for (pointer, base, per_cpu) in
            [(8, 0xffff_ffff_8100_0000, 9), (8, 0xffff_8000_0800_0000, 0), (4, 0xc100_0000, 0)]
        {
            let symbols = symbols(base, per_cpu);
            let image = around(Writer { order, pointer, per_cpu, base }.write(&symbols));
            let found = read(&image, pointer).unwrap_or_else(|| panic!("{order:?} {pointer} {per_cpu}"));
            let first = found.iter().zip(&symbols).find(|(found, symbol)| found != symbol);
            assert_eq!((first, found.len()), (None, symbols.len()), "{order:?} {pointer} {per_cpu}");
        }
    }
}

#[test]
fn a_base_that_is_only_known_when_the_kernel_has_moved_is_found_in_the_list_of_moves() {
    let start = 0xffff_8000_0800_0000;
    let base = start + 0x1_0000;
    let symbols = symbols(base, 0);
    let mut image = Writer { order: Order::New, pointer: 8, per_cpu: 0, base }.write(&symbols);
    let place = image.len() - 8;
    image[place..].fill(0);
    image.extend([[0, 0x403, 7], [start + place as u64, 0x403, base]].as_flattened().iter().flat_map(
        |word| {
            let word: &u64 = word;
            word.to_le_bytes()
        },
    ));
    assert!(read(&image, 8).is_some_and(|read| read == symbols));
}

#[test]
fn tables_that_do_not_agree_are_none() {
    let base = 0xffff_ffff_8100_0000;
    let tables = Writer { order: Order::Old, pointer: 8, per_cpu: 9, base }.write(&symbols(base, 9));
    let offset = 4 * 500;
    let number = (4 * 1010_usize).next_multiple_of(8) + 8;
    // An address out of order; another number of symbols; a name that is longer than it says.
    for (at, byte) in [(offset + 3, 0x80), (number, 0xee), (number + 8, 0x60)] {
        let mut tables = tables.clone();
        tables[at] = byte;
        assert!(read(&tables, 8).is_none(), "{at}");
    }
    for end in (0..tables.len()).step_by(997) {
        assert!(read(&tables[..end], 8).is_none(), "{end}");
    }
}

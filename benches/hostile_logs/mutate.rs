//! Logs as an attacker would write them: real logs, changed where it may hurt.

/// A seeded random number generator (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// An entry as it is in the file.
#[derive(Clone)]
struct Raw {
    instructions: u64,
    kind: u8,
    site: u8,
    body: Vec<u8>,
}

impl Raw {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.instructions.to_le_bytes());
        out.extend([self.kind, self.site]);
        out.extend(&self.body);
    }
}

/// Numbers that tend to break things.
const EDGES: [u64; 26] = [
    0,
    1,
    2,
    7,
    0x20,
    0xff,
    0xfff,
    0x1000,
    0x1001,
    0x9_ffff,
    0xa_0000,
    0xc_0000,
    0x10_0000,
    0x200_0000,
    0xfff_ffff,
    0x1000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xe000_0000,
    0xfec0_0000,
    0xfee0_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_f000,
    u64::MAX,
];

/// The entries of a complete log; `ends` says where each ends.
fn entries(log: &[u8], ends: &[u64]) -> Vec<Raw> {
    let starts = std::iter::once(8).chain(ends.iter().copied());
    let entry = |(start, end): (u64, &u64)| {
        let bytes = &log[start as usize..*end as usize];
        let instructions = u64::from_le_bytes(*bytes.first_chunk().expect("an entry has a count"));
        Raw { instructions, kind: bytes[8], site: bytes[9], body: bytes[10..].to_vec() }
    };
    starts.zip(ends).map(entry).collect()
}

/// The log of a mutant, which `random` determines.
pub fn mutate(log: &[u8], ends: &[u64], random: &mut Random) -> Vec<u8> {
    let mut list = entries(log, ends);
    let mut header = list.last().map_or(0, |last| last.instructions);
    for _ in 0..1 + random.below(3) {
        change(&mut list, &mut header, random);
    }
    let mut out = header.to_le_bytes().to_vec();
    list.iter().for_each(|entry| entry.write(&mut out));
    match random.below(12) {
        0 => out.truncate(random.below(out.len() as u64) as usize),
        1 => {
            for _ in 0..1 + random.below(8) {
                let at = random.below(out.len() as u64) as usize;
                out[at] ^= 1 << random.below(8);
            }
        }
        2 => {
            let at = random.below(out.len() as u64) as usize;
            let len = random.below(64);
            let junk = random.bytes(len);
            out.splice(at..at, junk);
        }
        _ => {}
    }
    out
}

/// Makes one change; most leave a readable log.
fn change(list: &mut Vec<Raw>, header: &mut u64, random: &mut Random) {
    let at = random.below(list.len() as u64) as usize;
    let instructions = list.get(at).map_or(0, |entry| entry.instructions);
    match random.below(20) {
        0 => drop((!list.is_empty()).then(|| list.remove(at))),
        1 if !list.is_empty() => list.insert(at, list[at].clone()),
        2 if !list.is_empty() => {
            let other = random.below(list.len() as u64) as usize;
            list.swap(at, other);
        }
        3 if !list.is_empty() => list[at].kind = random.below(12) as u8,
        4 if !list.is_empty() => list[at].site = random.below(46) as u8,
        5 if !list.is_empty() => {
            let by = random.pick(&[1, 2, 1000, u64::MAX, 1 << 40]);
            list[at].instructions = instructions.wrapping_add(by);
        }
        6 if !list.is_empty() => field(&mut list[at].body, random),
        7 => *header = random.pick(&EDGES),
        8 if !list.is_empty() => {
            // The same from here on, later or earlier.
            let by = random.below(64).wrapping_sub(32);
            for entry in &mut list[at..] {
                entry.instructions = entry.instructions.saturating_add_signed(by as i64);
            }
            *header = list.last().map_or(0, |last| last.instructions);
        }
        9 if !list.is_empty() => list.truncate(at + 1),
        _ => {
            let site = if random.below(4) == 0 { random.below(44) as u8 } else { 6 };
            let entry = Raw { instructions, kind: 6, site, body: call(random) };
            let many = if random.below(16) == 0 { random.below(5000) } else { 1 + random.below(2) };
            for _ in 0..many {
                list.insert(at.min(list.len()), entry.clone());
            }
        }
    }
}

/// Overwrites a part of an entry.
fn field(body: &mut [u8], random: &mut Random) {
    let width = random.pick(&[1_usize, 2, 4, 8]).min(body.len());
    if width > 0 {
        let at = random.below((body.len() - width + 1) as u64) as usize;
        let value = if random.below(2) == 0 { random.pick(&EDGES) } else { random.next() };
        body[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// An address at an edge, in a guest's memory, or anywhere.
fn address(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.pick(&EDGES),
        1 => random.pick(&EDGES).wrapping_sub(random.below(0x2000)),
        2 => random.below(256 << 20),
        _ => random.next() >> random.below(64),
    }
}

/// The real length of an entry's data, and the length that it claims, which is nearly always the same.
fn lengths(random: &mut Random) -> (u64, u64) {
    let len = match random.below(6) {
        0 => 0,
        1 => 1 + random.below(16),
        2 | 3 => 1 + random.below(0x2000),
        4 => 0x1000 * random.below(16),
        _ => 1 + random.below(1 << 20),
    };
    (len, if random.below(8) == 0 { random.pick(&EDGES) } else { len })
}

/// A device's action: any of PANDA's annotations and calls, with its data.
fn call(random: &mut Random) -> Vec<u8> {
    let which = random.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10, 11]);
    let mut body = vec![which];
    let (len, said) = lengths(random);
    let word = |random: &mut Random, body: &mut Vec<u8>| body.extend(address(random).to_le_bytes());
    let data = match which {
        0 => {
            word(random, &mut body);
            body.extend([0; 8]);
            body.extend((said as u32).to_le_bytes());
            body.extend([0; 4]);
            len
        }
        1 => {
            word(random, &mut body);
            word(random, &mut body);
            body.extend([0; 8]);
            let (len, said) = if said == len { (len.min(64), len.min(64)) } else { (len, said) };
            body.extend((said as u32).to_le_bytes());
            body.extend((random.pick(&[0, 0, 1, 1, 2, 3, u32::MAX])).to_le_bytes());
            body.push(random.below(3) as u8);
            body.extend([0; 7]);
            len
        }
        2 => {
            word(random, &mut body);
            body.extend([0; 8]);
            body.extend(said.to_le_bytes());
            len
        }
        3 | 4 => {
            body.extend((random.below(8) as u32).to_le_bytes());
            body.extend([0; 4]);
            word(random, &mut body);
            word(random, &mut body);
            body.extend((said as u32).to_le_bytes());
            body.extend([0; 4]);
            0
        }
        5 => {
            word(random, &mut body);
            body.extend((said as u32).to_le_bytes());
            body.extend([random.below(3) as u8, 0, 0, 0]);
            len
        }
        10 => {
            body.extend(random.pick(&[0_i32, 0, 0, 0, 1, -1, i32::MAX]).to_le_bytes());
            body.extend([0; 12]);
            let register = match random.below(3) {
                0 => random.pick(&[-1_i32, -100, i32::MIN, i32::MAX, 40, 57, 100]),
                _ => random.below(64) as i32,
            };
            let size = random.pick(&[0_u32, 4, 4, 4, 8, 8, 8, 10, 16, 4096]);
            body.extend(register.to_le_bytes());
            body.extend(size.to_le_bytes());
            size.into()
        }
        _ => {
            body.extend(random.bytes(16));
            0
        }
    };
    body.extend(random.bytes(data));
    body
}

//! Whether a snapshot is what PANDA writes: QEMU's migration stream, as far as it can be read without QEMU.
//!
//! Read are its frame, the guest's memory page by page, and where each device's state begins and ends. What is in a
//! device's state is not: that takes the device. `docs/security.md` says what follows from that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::devices::is_known;

const MAGIC: u32 = 0x5145_564d;
const VERSION: u32 = 3;
const PAGE: u64 = 4096;
const BUFFER: usize = 1 << 18;
/// How much there may be behind the guest's memory: devices' states and their description. A PC's are 110 KB.
const DEVICES: u64 = 16 << 20;
/// How long the name of a machine or a page description may be.
const LONGEST_NAME: u32 = 255;

/// Kinds of sections.
const EOF: u8 = 0;
const START: u8 = 1;
const PART: u8 = 2;
const END: u8 = 3;
const FULL: u8 = 4;
const SUBSECTION: u8 = 5;
const DESCRIPTION: u8 = 6;
const CONFIGURATION: u8 = 7;
const COMMAND: u8 = 8;
const FOOTER: u8 = 0x7e;

/// Flags in the address of a page.
const ZERO_PAGE: u64 = 0x02;
const SIZES: u64 = 0x04;
const WHOLE_PAGE: u64 = 0x08;
const NO_MORE: u64 = 0x10;
const SAME_BLOCK: u64 = 0x20;

/// Why PANDA must not see a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// It ends in its middle.
    #[error("it ends at byte {0}, before it is complete")]
    CutShort(u64),
    /// Not a snapshot at all.
    #[error("it is not a PANDA snapshot: it begins with {magic:#x}, version {version}")]
    Foreign {
        /// Its first four bytes.
        magic: u32,
        /// The next four.
        version: u32,
    },
    /// Something that PANDA does not write there.
    #[error("at byte {offset} it has {what}")]
    Unexpected {
        /// Where.
        offset: u64,
        /// What there is.
        what: String,
    },
    /// The memory of another machine.
    #[error("no block of its memory has the {expected:#x} bytes of the manifest's machine; it has {found}")]
    Memory {
        /// What the manifest says.
        expected: u64,
        /// What there is.
        found: String,
    },
    /// A page that is not in its block.
    #[error("a page at {page:#x} lies beyond {block}, which has {len:#x} bytes")]
    Page {
        /// Its offset.
        page: u64,
        /// Its block.
        block: String,
        /// The block's length.
        len: u64,
    },
}

/// What a snapshot has to fit.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The machine's memory in MiB.
    pub memory_mib: u32,
    /// Whether only devices of PANDA's usual machines may be in it; a machine with arguments of its own has others.
    pub usual: bool,
}

/// Reads a snapshot, and says why PANDA must not see it, if there is a reason.
pub(super) fn check_file(path: &Path, expected: Expected) -> Result<(), SnapshotError> {
    // Asked before it is opened: opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file").into());
    }
    check(File::open(path)?, expected)
}

/// The same for whatever can be read.
pub fn check<R: Read + Seek>(mut source: R, expected: Expected) -> Result<(), SnapshotError> {
    let len = source.seek(SeekFrom::End(0))?;
    source.rewind()?;
    let mut stream = Stream { source: BufReader::with_capacity(BUFFER, source), offset: 0, len };
    let (magic, version) = (stream.u32()?, stream.u32()?);
    if (magic, version) != (MAGIC, VERSION) {
        return Err(SnapshotError::Foreign { magic, version });
    }
    stream.configuration()?;
    let mut sections = Sections { expected, ..Sections::default() };
    let mut memory = Memory::default();
    // The guest's memory comes first, in parts; then each device as a whole.
    let first = loop {
        let begins = stream.offset;
        let kind = stream.u8()?;
        if kind == FULL || kind == EOF {
            break kind;
        }
        sections.memory(kind, &mut stream, begins)?;
        memory.read(&mut stream)?;
        stream.footer(sections.ram)?;
    };
    memory.check(expected)?;
    if first == EOF {
        return Err(stream.unexpected(stream.offset - 1, "no device"));
    }
    let rest = stream.rest()?;
    sections.devices(&rest, stream.offset - 1)
}

/// Bytes, and where they are.
struct Stream<R> {
    source: BufReader<R>,
    offset: u64,
    len: u64,
}

impl<R: Read + Seek> Stream<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|error| self.failed(error))?;
        self.offset += N as u64;
        Ok(bytes)
    }

    fn failed(&self, error: io::Error) -> SnapshotError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => SnapshotError::CutShort(self.len),
            _ => error.into(),
        }
    }

    fn u8(&mut self) -> Result<u8, SnapshotError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, SnapshotError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A name of this many bytes, which has to be readable.
    fn name(&mut self, len: u32) -> Result<String, SnapshotError> {
        let begins = self.offset;
        if len > LONGEST_NAME || u64::from(len) > self.len - self.offset {
            return Err(self.unexpected(begins, &format!("a name of {len} bytes")));
        }
        let mut name = vec![0; len as usize];
        self.source.read_exact(&mut name).map_err(|error| self.failed(error))?;
        self.offset += u64::from(len);
        match String::from_utf8(name) {
            Ok(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(name),
            _ => Err(self.unexpected(begins, "an invalid name")),
        }
    }

    fn short_name(&mut self) -> Result<String, SnapshotError> {
        let len = self.u8()?;
        self.name(len.into())
    }

    fn skip(&mut self, count: u64) -> Result<(), SnapshotError> {
        if count > self.len - self.offset {
            return Err(SnapshotError::CutShort(self.len));
        }
        self.source.seek_relative(count as i64)?;
        self.offset += count;
        Ok(())
    }

    fn unexpected(&self, offset: u64, what: &str) -> SnapshotError {
        SnapshotError::Unexpected { offset, what: what.to_owned() }
    }

    /// What the machine is called, which PANDA compares.
    fn configuration(&mut self) -> Result<(), SnapshotError> {
        let kind = self.u8()?;
        if kind != CONFIGURATION {
            return Err(
                self.unexpected(8, &format!("a section of kind {kind} instead of the machine's name"))
            );
        }
        let len = self.u32()?;
        self.name(len)?;
        if self.source.fill_buf()?.first() == Some(&SUBSECTION) {
            self.u8()?;
            let begins = self.offset;
            if self.short_name()? != "configuration/target-page-bits" {
                return Err(self.unexpected(begins, "an unknown part of the machine's name"));
            }
            self.skip(8)?;
        }
        Ok(())
    }

    /// The end of a section.
    fn footer(&mut self, id: u32) -> Result<(), SnapshotError> {
        let begins = self.offset;
        match (self.u8()?, self.u32()?) {
            (FOOTER, found) if found == id => Ok(()),
            _ => Err(self.unexpected(begins, "no end of a section where one should be")),
        }
    }

    /// All that is left, of which there is a bounded amount.
    fn rest(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let left = self.len - self.offset;
        if left > DEVICES {
            return Err(self.unexpected(self.offset, &format!("{left} bytes of devices")));
        }
        let mut rest = Vec::new();
        self.source.by_ref().take(left).read_to_end(&mut rest)?;
        Ok(rest)
    }
}

/// The blocks of the guest's memory, and pages of them.
#[derive(Debug, Default)]
struct Memory {
    blocks: BTreeMap<String, u64>,
    current: Option<(String, u64)>,
}

impl Memory {
    /// Reads what one section has of it.
    fn read<R: Read + Seek>(&mut self, stream: &mut Stream<R>) -> Result<(), SnapshotError> {
        loop {
            let begins = stream.offset;
            let word = stream.u64()?;
            let (page, flags) = (word & !(PAGE - 1), word & (PAGE - 1));
            match flags & !SAME_BLOCK {
                NO_MORE => return Ok(()),
                SIZES if self.blocks.is_empty() => self.sizes(stream, page)?,
                kind @ (ZERO_PAGE | WHOLE_PAGE) => {
                    if flags & SAME_BLOCK == 0 {
                        let name = stream.short_name()?;
                        let Some(&len) = self.blocks.get(&name) else {
                            return Err(stream.unexpected(begins, "a page of an unknown block of memory"));
                        };
                        self.current = Some((name, len));
                    }
                    let Some((block, len)) = &self.current else {
                        return Err(stream.unexpected(begins, "a page of no block of memory"));
                    };
                    if page.checked_add(PAGE).is_none_or(|end| end > *len) {
                        return Err(SnapshotError::Page { page, block: block.clone(), len: *len });
                    }
                    stream.skip(if kind == ZERO_PAGE { 1 } else { PAGE })?;
                }
                // Packed pages, and what another program would be asked for.
                _ => return Err(stream.unexpected(begins, &format!("memory with the flags {flags:#x}"))),
            }
        }
    }

    /// Reads the blocks' names and lengths, which have `total` bytes together.
    fn sizes<R: Read + Seek>(&mut self, stream: &mut Stream<R>, mut total: u64) -> Result<(), SnapshotError> {
        while total > 0 {
            let begins = stream.offset;
            let (name, len) = (stream.short_name()?, stream.u64()?);
            let Some(left) = total.checked_sub(len).filter(|_| len > 0) else {
                return Err(stream.unexpected(begins, "blocks of memory that do not add up"));
            };
            total = left;
            if self.blocks.insert(name, len).is_some() {
                return Err(stream.unexpected(begins, "a block of memory that was there before"));
            }
        }
        Ok(())
    }

    /// Checks that it is that of the machine.
    fn check(&self, expected: Expected) -> Result<(), SnapshotError> {
        let bytes = u64::from(expected.memory_mib) << 20;
        if self.blocks.values().any(|&len| len == bytes) {
            return Ok(());
        }
        let found: Vec<String> = self.blocks.iter().map(|(name, len)| format!("{name}: {len:#x}")).collect();
        Err(SnapshotError::Memory { expected: bytes, found: found.join(", ") })
    }
}

/// The sections that have been seen.
#[derive(Debug)]
struct Sections {
    expected: Expected,
    /// The number of the guest's memory.
    ram: u32,
    numbers: BTreeSet<u32>,
    names: BTreeSet<(String, u32)>,
}

impl Default for Sections {
    fn default() -> Sections {
        let expected = Expected { memory_mib: 0, usual: true };
        Sections { expected, ram: 0, numbers: BTreeSet::new(), names: BTreeSet::new() }
    }
}

impl Sections {
    /// Reads the beginning of a section of the guest's memory.
    fn memory<R: Read + Seek>(
        &mut self,
        kind: u8,
        stream: &mut Stream<R>,
        begins: u64,
    ) -> Result<(), SnapshotError> {
        let begun = !self.numbers.is_empty();
        let id = stream.u32()?;
        match kind {
            START if !begun => {
                let name = stream.short_name()?;
                let (instance, version) = (stream.u32()?, stream.u32()?);
                if (name.as_str(), instance, version) != ("ram", 0, 4) {
                    return Err(
                        stream.unexpected(begins, &format!("{name} where the guest's memory should be"))
                    );
                }
                self.ram = id;
                self.numbers.insert(id);
                self.names.insert((name, instance));
                Ok(())
            }
            PART | END if begun && id == self.ram => Ok(()),
            _ => {
                Err(stream.unexpected(begins, &format!("a section of kind {kind} among the guest's memory")))
            }
        }
    }

    /// Goes through the devices, which begin behind the first one's kind; `offset` is where the stream ends.
    fn devices(&mut self, bytes: &[u8], end: u64) -> Result<(), SnapshotError> {
        let start = end + 1;
        let fault = |at: usize, what: String| SnapshotError::Unexpected { offset: start + at as u64, what };
        let mut at = 0;
        loop {
            let Some(header) = Header::read(&bytes[at..]) else {
                return Err(fault(at, "no section where one should be".to_owned()));
            };
            let Header { id, name, instance, len } = header;
            if self.expected.usual && !is_known(&name) {
                return Err(fault(at, format!("the state of {name}, which no usual machine has")));
            }
            if !self.numbers.insert(id) || !self.names.insert((name.clone(), instance)) {
                return Err(fault(at, format!("the state of {name} once more")));
            }
            at = self.content(bytes, at + len, id).map_err(|(at, what)| fault(at, what))?;
            match bytes.get(at) {
                Some(&FULL) => at += 1,
                Some(&EOF) => {
                    return description(&bytes[at + 1..]).map_err(|what| fault(at + 1, what.to_owned()));
                }
                _ => return Err(fault(at, "a section of no device".to_owned())),
            }
        }
    }

    /// Where the content of the section `id` ends, which begins at `from`: at its footer, with something behind it.
    ///
    /// PANDA finds that place by reading the device. A footer of another section here, with the beginning of one
    /// behind it, could be what PANDA reads while we take it for a device's state.
    fn content(&self, bytes: &[u8], from: usize, id: u32) -> Result<usize, (usize, String)> {
        for at in from..bytes.len() {
            if bytes[at] != FOOTER {
                continue;
            }
            let Some(number) = bytes[at + 1..].first_chunk().map(|number| u32::from_be_bytes(*number)) else {
                break;
            };
            let next = at + 5;
            if self.numbers.contains(&number) && self.begins(&bytes[next..]) {
                return if number == id {
                    Ok(next)
                } else {
                    Err((at, "a section inside another".to_owned()))
                };
            }
        }
        Err((from, "a device's state without an end".to_owned()))
    }

    /// Whether this looks like what can follow a section.
    fn begins(&self, bytes: &[u8]) -> bool {
        let (Some(&kind), rest) = (bytes.first(), bytes.get(1..).unwrap_or_default()) else { return false };
        match kind {
            EOF => description(rest).is_ok(),
            START | FULL => Header::read(rest).is_some(),
            PART | END => {
                rest.first_chunk().is_some_and(|id| self.numbers.contains(&u32::from_be_bytes(*id)))
            }
            // A command's number, and its length.
            COMMAND => {
                matches!(
                    rest.first_chunk(),
                    Some([0, 1 | 4 | 5, 0, 0] | [0, 2 | 7, 0, 4] | [0, 3, 0, 16] | [0, 6, _, _])
                )
            }
            _ => false,
        }
    }
}

/// The beginning of a section that is a whole device, behind its kind.
struct Header {
    id: u32,
    name: String,
    instance: u32,
    len: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (&len, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(len.into())?;
        let graphic = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let (instance, rest) = rest.split_first_chunk()?;
        let (_version, rest) = rest.split_first_chunk::<4>()?;
        Some(Header {
            id: u32::from_be_bytes(*id),
            name: String::from_utf8(name.to_vec()).ok().filter(|_| graphic)?,
            instance: u32::from_be_bytes(*instance),
            len: bytes.len() - rest.len(),
        })
    }
}

/// Checks that the stream ends with its description, JSON for a reader, and nothing behind it.
fn description(bytes: &[u8]) -> Result<(), &'static str> {
    let Some((&DESCRIPTION, rest)) = bytes.split_first() else { return Err("no description at its end") };
    let Some((len, text)) = rest.split_first_chunk() else { return Err("no description at its end") };
    if u32::from_be_bytes(*len) as usize != text.len() {
        return Err("a description that does not end where the snapshot does");
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|_| "a description that is not JSON")
}

#[cfg(test)]
mod tests;

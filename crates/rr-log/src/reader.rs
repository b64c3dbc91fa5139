//! Reads a log from its beginning, entry by entry, in memory that does not grow with it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::decode::{Fault, MAX_FIXED, decode};
use super::entry::{Entry, Event};

const BUFFER: usize = 256 * 1024;
const HEADER: u64 = 8;

/// Why reading ends before the end of the recording; offsets are bytes from the file's beginning.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read here.
    #[error("cannot read it at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// Not a file that one can go back and forth in.
    #[error("it is not a regular file")]
    NotAFile,
    /// The file ends before the recording does: what SIGKILL, a power loss or a full disk leave behind.
    #[error("it ends at byte {offset} with no end-of-log entry after it")]
    CutShort {
        /// Where the last whole entry ends.
        offset: u64,
        /// The instruction count of the entry that was cut, if that much is there.
        next: Option<u64>,
    },
    /// A number that PANDA gives no meaning.
    #[error("the entry at byte {offset} has an unknown {what} ({value})")]
    Unknown {
        /// Where the entry starts.
        offset: u64,
        /// What the number is.
        what: &'static str,
        /// The number.
        value: u8,
    },
    /// Instruction counts never go down in a recording.
    #[error("the entry at byte {offset} goes back from instruction {from} to {to}")]
    Backwards {
        /// Where the entry starts.
        offset: u64,
        /// The instruction count before it.
        from: u64,
        /// Its own.
        to: u64,
    },
    /// Something follows the end of the recording.
    #[error("the recording ends at byte {offset}, but the file goes on")]
    AfterEnd {
        /// Where the end-of-log entry ends.
        offset: u64,
    },
    /// The header was not brought up to date when the recording ended.
    #[error("its header says {header} instructions and its end says {end}")]
    WrongHeader {
        /// What the header says.
        header: u64,
        /// What the end-of-log entry says.
        end: u64,
    },
}

/// Opens a file that can be a log.
pub fn open(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { offset: 0, source };
    // Asked before it is opened: opening a pipe would wait for its other end.
    match fs::metadata(path).map_err(failed)?.is_file() {
        true => File::open(path).map_err(failed),
        false => Err(Error::NotAFile),
    }
}

/// The entries of a log, in their order. A log is whole when they end without an error.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    len: u64,
    header: u64,
    buffer: Box<[u8]>,
    /// What of the buffer is filled and not consumed.
    start: usize,
    end: usize,
    /// Where `start` is in the file.
    offset: u64,
    /// How much of the last entry's data is not consumed.
    data: u64,
    instructions: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Done,
}

impl Reader<File> {
    /// Opens the log at `path`.
    pub fn open(path: &Path) -> Result<Reader<File>, Error> {
        Reader::new(open(path)?)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the log in `source`, all of it from its beginning.
    pub fn new(mut source: R) -> Result<Reader<R>, Error> {
        let at_start = |source| Error::Io { offset: 0, source };
        let len = source.seek(SeekFrom::End(0)).map_err(at_start)?;
        source.rewind().map_err(at_start)?;
        let mut reader = Reader {
            source,
            len,
            header: 0,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            data: 0,
            instructions: 0,
            state: State::Reading,
        };
        let header = reader.window().map_err(at_start)?.first_chunk().copied();
        reader.header = u64::from_le_bytes(header.ok_or(Error::CutShort { offset: 0, next: None })?);
        reader.consume(HEADER).map_err(at_start)?;
        Ok(reader)
    }

    /// How many instructions the header says that the recording has; 0 when it did not end properly.
    pub fn header(&self) -> u64 {
        self.header
    }

    /// Length of the file in bytes, as it was when reading began.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// The data of the entry that was read last: what DMA wrote, a packet, a register's value.
    pub fn data(&mut self) -> Data<'_, R> {
        Data(self)
    }

    fn entry(&mut self) -> Result<Option<Entry>, Error> {
        self.consume(self.data).map_err(|source| Error::Io { offset: self.offset, source })?;
        let offset = self.offset;
        if self.state == State::Ended {
            return self.finish().map(|()| None);
        }
        let window = self.window().map_err(|source| Error::Io { offset, source })?;
        let decoded = decode(window).map_err(|fault| match fault {
            Fault::Short(next) => Error::CutShort { offset, next },
            Fault::Unknown { what, value } => Error::Unknown { offset, what, value },
        });
        let (from, to) = match &decoded {
            Ok(decoded) => (self.instructions, decoded.instructions),
            Err(Error::CutShort { next: Some(next), .. }) => (self.instructions, *next),
            Err(_) => (0, 0),
        };
        if to < from {
            return Err(Error::Backwards { offset, from, to });
        }
        let decoded = decoded?;
        // No more than the file holds: nothing is ever allocated or skipped by a length that it merely claims.
        let fixed = decoded.fixed as u64;
        let data = decoded.event.data_len();
        if data > self.len - offset - fixed {
            return Err(Error::CutShort { offset, next: Some(to) });
        }
        self.consume(fixed).map_err(|source| Error::Io { offset, source })?;
        self.data = data;
        self.instructions = to;
        if decoded.event == Event::End {
            self.state = State::Ended;
        }
        let size = fixed + data;
        Ok(Some(Entry { offset, size, instructions: to, callsite: decoded.callsite, event: decoded.event }))
    }

    fn finish(&self) -> Result<(), Error> {
        if self.offset != self.len {
            return Err(Error::AfterEnd { offset: self.offset });
        }
        if self.header != self.instructions {
            return Err(Error::WrongHeader { header: self.header, end: self.instructions });
        }
        Ok(())
    }

    /// The bytes from here on: as many as an entry's fixed part can have, or all that are left.
    fn window(&mut self) -> io::Result<&[u8]> {
        if self.end - self.start < MAX_FIXED {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < MAX_FIXED {
                match self.source.read(&mut self.buffer[self.end..]) {
                    Ok(0) => break,
                    Ok(read) => self.end += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let left = usize::try_from(self.len - self.offset).unwrap_or(usize::MAX);
        Ok(&self.buffer[self.start..self.end.min(self.start.saturating_add(left))])
    }

    /// Goes on by `count` bytes, which the file has.
    fn consume(&mut self, count: u64) -> io::Result<()> {
        let buffered = (self.end - self.start) as u64;
        if count <= buffered {
            self.start += count as usize;
        } else {
            self.start = self.end;
            self.source.seek(SeekFrom::Start(self.offset + count))?;
        }
        self.offset += count;
        self.data = 0;
        Ok(())
    }
}

impl<R: Read + Seek> Iterator for Reader<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Result<Entry, Error>> {
        if self.state == State::Done {
            return None;
        }
        let entry = self.entry().transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.state = State::Done;
        }
        entry
    }
}

/// Reads the data of one entry.
#[derive(Debug)]
pub struct Data<'a, R>(&'a mut Reader<R>);

impl<R: Read + Seek> Read for Data<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let reader = &mut *self.0;
        let want = out.len().min(usize::try_from(reader.data).unwrap_or(usize::MAX));
        let buffered = reader.end - reader.start;
        let read = if buffered > 0 {
            let read = want.min(buffered);
            out[..read].copy_from_slice(&reader.buffer[reader.start..reader.start + read]);
            reader.start += read;
            read
        } else {
            reader.source.read(&mut out[..want])?
        };
        reader.offset += read as u64;
        reader.data -= read as u64;
        Ok(read)
    }
}

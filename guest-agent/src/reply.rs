//! What a command has to say at its end: one line, and the code to exit with.

use crate::{Stream, World, bytes::Buffer, exit, strings::Text};
use core::ffi::CStr;

/// More than any line of ours, but for a path of a user's, which is cut.
const LINE: usize = 512;

/// A line of output, put together before it is written in one go.
pub(crate) type Line = Buffer<LINE>;

/// The end of a command.
#[derive(Clone, Copy)]
pub(crate) struct Reply {
    code: u8,
    text: Text<'static>,
}

impl Reply {
    pub(crate) const fn new(code: u8, text: &'static CStr) -> Reply {
        Reply { code, text: Text::new(text) }
    }

    /// Prints it, as a result or as an error; returns the code.
    pub(crate) fn give(self, world: &mut impl World) -> u8 {
        self.say(world, if self.code == exit::OK { Stream::Out } else { Stream::Err }, b"")
    }

    /// Prints it as an error, about something that the user named; returns the code.
    pub(crate) fn complain(self, world: &mut impl World, subject: &[u8]) -> u8 {
        self.say(world, Stream::Err, subject)
    }

    fn say(self, world: &mut impl World, stream: Stream, subject: &[u8]) -> u8 {
        let mut line = Line::new();
        line.push_text(if stream == Stream::Err { c"recctrlu: " } else { c"" });
        line.push(subject);
        line.push(self.text.bytes());
        write(world, stream, line);
        self.code
    }
}

/// Writes a line, which gets its end here.
pub(crate) fn write(world: &mut impl World, stream: Stream, mut line: Line) {
    line.truncate(LINE - 2);
    line.push(b"\n");
    world.write(stream, line.bytes());
}

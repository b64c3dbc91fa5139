//! Terminal output. Text from guests and from other people's files is escaped before it reaches the terminal.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// Prints a problem to standard error.
pub fn complain(what: impl Display) {
    say(format_args!("pandacap: {what}"));
}

/// Prints an error to standard error, with each cause that the message does not already contain.
pub fn complain_of(error: &dyn Error) {
    complain(files::chain(error));
}

/// Prints a line to standard error.
#[expect(clippy::print_stderr, reason = "the text is escaped here")]
pub fn say(what: impl Display) {
    eprintln!("{}", printable(&what.to_string()));
}

/// Standard output for results, as text or JSON: names in them cannot control the terminal.
pub fn out() -> Printable<StdoutLock<'static>> {
    Printable { to: stdout(), rest: Vec::new(), raw: false }
}

/// Standard output for foreign output, such as a guest's: byte for byte, unless it is a terminal.
pub fn verbatim() -> Printable<StdoutLock<'static>> {
    let to = stdout();
    Printable { raw: !to.is_terminal(), to, rest: Vec::new() }
}

/// Whether a person is at the terminal: for input, for results and for errors.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && stdout().is_terminal() && io::stderr().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "the text is escaped here")]
fn stdout() -> StdoutLock<'static> {
    io::stdout().lock()
}

/// A writer that escapes what could control a terminal.
#[derive(Debug)]
pub struct Printable<W: Write> {
    to: W,
    /// The first bytes of an incomplete character or line ending.
    rest: Vec<u8>,
    /// Whether to pass the bytes through unchanged.
    raw: bool,
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.raw {
            return self.to.write(bytes);
        }
        self.rest.extend(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let whole = whole - usize::from(self.rest[..whole].ends_with(b"\r"));
        let rest = self.rest.split_off(whole);
        let text = String::from_utf8_lossy(&self.rest).replace("\r\n", "\n");
        self.to.write_all(printable(&text).as_bytes())?;
        self.rest = rest;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Printable<W> {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        // Callers that need to see a write error flush first.
        let _ = self.to.write_all(printable(&String::from_utf8_lossy(&rest)).as_bytes());
    }
}

/// Escapes, as JSON does, every character that could control the terminal or reorder text, except for newlines and
/// tabs. The value of a JSON document stays the same.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match commands(c) {
            true => {
                let units = &mut [0; 2];
                escaped.extend(c.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, text direction overrides, other line separators, and invisible tag characters.
fn commands(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}');
    (c.is_control() && c != '\n' && c != '\t') || turns || hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_cannot_control_the_terminal() {
        assert_eq!(printable("two\n\tlines, na\u{ef}ve"), "two\n\tlines, na\u{ef}ve");
        assert_eq!(
            printable("\u{1b}]0;title\u{7}a\rb\u{9b}2J\u{7f}"),
            r"\u001b]0;title\u0007a\u000db\u009b2J\u007f"
        );
        assert_eq!(printable("gpj.\u{202e}exe\u{2069}"), r"gpj.\u202eexe\u2069");
    }

    #[test]
    fn escaping_does_not_change_the_value_of_json() {
        let odd: String =
            ('\0'..='\u{ff}').chain(['\u{202e}', '\u{2028}', '\u{e0041}', '\u{1f600}']).collect();
        let json = serde_json::to_string(&odd).expect("a string");
        let shown = printable(&json).into_owned();
        assert!(!shown.contains(commands));
        assert_eq!(serde_json::from_str::<String>(&shown).expect("still JSON"), odd);
    }

    #[test]
    fn text_that_is_written_in_pieces_is_escaped_as_a_whole() {
        let text = "\u{1b}[2J na\u{ef}ve\r\n\u{9b}\r\u{202e}".as_bytes();
        for size in 1..text.len() {
            let mut seen = Vec::new();
            let mut pieces = Printable { to: &mut seen, rest: Vec::new(), raw: false };
            text.chunks(size).try_for_each(|piece| pieces.write_all(piece)).expect("written");
            drop(pieces);
            let seen = String::from_utf8(seen).expect("text");
            assert_eq!(seen, "\\u001b[2J na\u{ef}ve\n\\u009b\\u000d\\u202e", "{size} at once");
        }
        let mut seen = Vec::new();
        Printable { to: &mut seen, rest: Vec::new(), raw: false }
            .write_all(b"\xc3\x9b\x9b\xe2\x80")
            .expect("written");
        assert_eq!(String::from_utf8(seen).expect("text"), "\u{db}\u{fffd}\u{fffd}");
    }
}

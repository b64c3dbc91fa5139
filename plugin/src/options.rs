//! The plugin's arguments: `-panda recctrl:session_rec=y,timeout=30,...`.

use std::{path::PathBuf, time::Duration};

use panda_plugin::{Argument, argument};

use crate::recorder::Rules;

/// What the plugin was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How recordings are bounded.
    pub rules: Rules,
    /// The most bytes of all recordings, where it is not half of what is free.
    pub max_bytes: Option<u64>,
    /// Pretend: answer as if recordings were made.
    pub dry: bool,
    /// Where recordings go.
    pub dir: PathBuf,
    /// The JSON Lines file of events.
    pub events: Option<PathBuf>,
    /// Keep the processor from locking PANDA's main loop out.
    pub kick: bool,
}

/// Every argument, in the order of the help.
pub(crate) const ARGUMENTS: [Argument; 11] = [
    argument("session_rec", "n", "count sessions: record from the first open to the last close"),
    argument("nrec", "0", "quit PANDA after so many recordings; 0: never"),
    argument("timeout", "0", "end a recording after so many seconds; 0: never"),
    argument("dry", "n", "answer the guest, but record nothing"),
    argument("dir", ".", "folder where recordings go"),
    argument("events", "", "JSON Lines file to which events are appended"),
    argument("max_instr", "0", "end a recording after about so many guest instructions (K, M, G); 0: never"),
    argument("max_recordings", "1000", "refuse to make more recordings; 0: any number"),
    argument(
        "max_bytes",
        "half",
        "most bytes of all recordings (K, M, G; half of what is free at first; 0: any)",
    ),
    argument("min_free", "64M", "end a recording when fewer bytes are free in dir (K, M, G)"),
    argument("kick", "y", "have a processor that is never idle let PANDA's main loop in"),
];

/// An argument that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadOption {
    /// A value that can't be read.
    #[error("{name}={value}: expected {expected}")]
    Value {
        /// The argument.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it can be set to.
        expected: &'static str,
    },
    /// An argument that nobody knows.
    #[error("{0}: no such argument; -panda recctrl:help lists them")]
    Unknown(String),
}

impl Options {
    /// Reads the arguments as PANDA hands them over, in pairs of name and value; the last one of a name counts.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Options, BadOption> {
        let mut options = Options {
            rules: Rules::default(),
            max_bytes: None,
            dry: false,
            dir: PathBuf::from("."),
            events: None,
            kick: true,
        };
        for argument in &ARGUMENTS {
            options.set(argument.name, argument.default)?;
        }
        for (name, value) in pairs {
            options.set(name, value)?;
        }
        Ok(options)
    }

    /// The bounds of recordings in a folder that has `free` bytes left.
    pub fn rules(&self, free: u64) -> Rules {
        let most = self.max_bytes.unwrap_or(free / 2);
        // Where nothing is free, min_free refuses.
        Rules { max_bytes: Some(most).filter(|&most| most > 0), ..self.rules }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadOption> {
        let rules = &mut self.rules;
        match name {
            "session_rec" => rules.session_rec = yes("session_rec", value)?,
            "nrec" => rules.nrec = number("nrec", value)?,
            "timeout" => {
                rules.timeout = number("timeout", value)?.map(|s: u32| Duration::from_secs(s.into()))
            }
            "dry" => self.dry = yes("dry", value)?,
            "dir" if value.is_empty() => return Err(bad("dir", value, "a folder")),
            "dir" => self.dir = PathBuf::from(value),
            "events" => self.events = (!value.is_empty()).then(|| PathBuf::from(value)),
            "max_instr" => rules.max_instr = Some(scaled("max_instr", value)?).filter(|&most| most > 0),
            "max_recordings" => rules.max_recordings = number("max_recordings", value)?,
            "max_bytes" if value == "half" => self.max_bytes = None,
            "max_bytes" => self.max_bytes = Some(scaled("max_bytes", value)?),
            "min_free" => rules.min_free = scaled("min_free", value)?,
            "kick" => self.kick = yes("kick", value)?,
            _ => return Err(BadOption::Unknown(name.to_owned())),
        }
        Ok(())
    }
}

fn bad(name: &'static str, value: &str, expected: &'static str) -> BadOption {
    BadOption::Value { name, value: value.to_owned(), expected }
}

/// PANDA's words for yes and no; a name alone means yes.
fn yes(name: &'static str, value: &str) -> Result<bool, BadOption> {
    match value.to_ascii_lowercase().as_str() {
        "" | "y" | "yes" | "true" | "1" => Ok(true),
        "n" | "no" | "false" | "0" => Ok(false),
        _ => Err(bad(name, value, "y or n")),
    }
}

fn number(name: &'static str, value: &str) -> Result<Option<u32>, BadOption> {
    let number: u32 = value.parse().map_err(|_| bad(name, value, "a whole number, 0 to 4294967295"))?;
    Ok((number > 0).then_some(number))
}

fn scaled(name: &'static str, value: &str) -> Result<u64, BadOption> {
    let wrong = || bad(name, value, "a whole number, perhaps with K, M or G");
    let (digits, shift) = match value.as_bytes().last() {
        Some(b'k' | b'K') => (&value[..value.len() - 1], 10),
        Some(b'm' | b'M') => (&value[..value.len() - 1], 20),
        Some(b'g' | b'G') => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_means_upstreams_defaults() {
        let options = Options::parse([]).expect("defaults are good");
        assert_eq!(
            options.rules,
            Rules { max_recordings: Some(1000), min_free: 64 << 20, ..Rules::default() }
        );
        assert_eq!(options.rules(100).max_bytes, Some(50));
        assert!(!options.dry && options.events.is_none() && options.kick);
        assert_eq!(options.dir, PathBuf::from("."));
    }

    #[test]
    fn everything_can_be_said() {
        let said = [
            ("session_rec", "YES"),
            ("nrec", "3"),
            ("timeout", "90"),
            ("dry", ""),
            ("dir", "/a/b"),
            ("events", "e.jsonl"),
            ("max_instr", "2M"),
            ("max_recordings", "7"),
            ("max_bytes", "3M"),
            ("min_free", "1g"),
            ("kick", "n"),
        ];
        let options = Options::parse(said).expect("all good");
        assert_eq!(
            options.rules,
            Rules {
                session_rec: true,
                nrec: Some(3),
                timeout: Some(Duration::from_secs(90)),
                max_instr: Some(2 << 20),
                max_recordings: Some(7),
                max_bytes: None,
                min_free: 1 << 30,
            }
        );
        assert_eq!(options.rules(100).max_bytes, Some(3 << 20));
        assert!(options.dry && !options.kick);
        assert_eq!((options.dir, options.events), (PathBuf::from("/a/b"), Some(PathBuf::from("e.jsonl"))));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (name, value) in [
            ("session_rec", "maybe"),
            ("nrec", "-1"),
            ("nrec", "4294967296"),
            ("timeout", "1.5"),
            ("dir", ""),
            ("max_instr", "M"),
            ("min_free", "99999999999G"),
            ("max_recordings", "half"),
            ("max_bytes", "most"),
            ("min_free", ""),
        ] {
            let error = Options::parse([(name, value)]).expect_err(value);
            assert!(error.to_string().starts_with(name), "{error}");
        }
        assert_eq!(Options::parse([("sesion_rec", "y")]), Err(BadOption::Unknown("sesion_rec".into())));
    }
}

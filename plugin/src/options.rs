//! The plugin's arguments: `-panda recctrl:session_rec=y,timeout=30,...`.

use std::{path::PathBuf, time::Duration};

use panda_plugin::{Argument, Arguments, BadArguments, argument};

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
    argument("nrec", "0", "quit PANDA after this many recordings; 0: never"),
    argument("timeout", "0", "end a recording after this many seconds; 0: never"),
    argument("dry", "n", "answer the guest, but record nothing"),
    argument("dir", ".", "folder where recordings go"),
    argument("events", "", "JSON Lines file to which events are appended"),
    argument(
        "max_instr",
        "0",
        "end a recording after about this many guest instructions (K, M, G); 0: never",
    ),
    argument("max_recordings", "1000", "refuse to make more recordings; 0: any number"),
    argument(
        "max_bytes",
        "half",
        "most bytes of all recordings (K, M, G; half of what is free at first; 0: any)",
    ),
    argument("min_free", "64M", "end a recording when fewer bytes are free in dir (K, M, G)"),
    argument("kick", "y", "have a processor that is never idle let PANDA's main loop in"),
];

impl Options {
    /// Reads the arguments.
    pub fn new(arguments: &Arguments) -> Result<Options, BadArguments> {
        let limit = |name| arguments.count(name).map(|most| Some(most).filter(|&most| most > 0));
        Ok(Options {
            rules: Rules {
                session_rec: arguments.flag("session_rec")?,
                nrec: limit("nrec")?,
                timeout: limit("timeout")?.map(|seconds| Duration::from_secs(seconds.into())),
                max_instr: Some(arguments.size("max_instr")?).filter(|&most| most > 0),
                max_recordings: limit("max_recordings")?,
                max_bytes: None,
                min_free: arguments.size("min_free")?,
            },
            max_bytes: match arguments.text("max_bytes") {
                "half" => None,
                _ => Some(arguments.size("max_bytes")?),
            },
            dry: arguments.flag("dry")?,
            dir: arguments.path("dir")?,
            events: Some(arguments.text("events")).filter(|path| !path.is_empty()).map(PathBuf::from),
            kick: arguments.flag("kick")?,
        })
    }

    /// The bounds of recordings in a folder that has `free` bytes left.
    pub fn rules(&self, free: u64) -> Rules {
        let most = self.max_bytes.unwrap_or(free / 2);
        // Where nothing is free, min_free refuses.
        Rules { max_bytes: Some(most).filter(|&most| most > 0), ..self.rules }
    }

    /// What PANDA was told on its command line, for tests.
    #[cfg(test)]
    pub fn parse(pairs: &[(&str, &str)]) -> Result<Options, BadArguments> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::new(&Arguments::new(crate::NAME, &ARGUMENTS, pairs)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_upstreams() {
        let options = Options::parse(&[]).expect("defaults are good");
        assert_eq!(
            options.rules,
            Rules { max_recordings: Some(1000), min_free: 64 << 20, ..Rules::default() }
        );
        assert_eq!(options.rules(100).max_bytes, Some(50));
        assert!(!options.dry && options.events.is_none() && options.kick);
        assert_eq!(options.dir, PathBuf::from("."));
    }

    #[test]
    fn every_argument_can_be_set() {
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
        let options = Options::parse(&said).expect("all good");
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
    fn an_invalid_argument_is_refused_by_name() {
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
            let error = Options::parse(&[(name, value)]).expect_err(value);
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let unknown = Options::parse(&[("sesion_rec", "y")]).expect_err("misspelt").to_string();
        assert_eq!(unknown, "sesion_rec: no such argument; -panda recctrl:help lists them");
    }
}

//! A plugin's arguments: `-panda NAME:argument=value,...`.

use std::{
    ffi::{CStr, CString, c_char},
    path::PathBuf,
};

/// An argument: its name, its default as PANDA's help shows it, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is not given.
    pub default: &'static str,
    /// What it is for, in a few words.
    pub help: &'static str,
}

/// An argument, with its default and what it is for.
pub const fn argument(name: &'static str, default: &'static str, help: &'static str) -> Argument {
    Argument { name, default, help }
}

/// Why arguments can't be read or used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadArguments {
    /// The PANDA is too old, or something else.
    #[error("this PANDA has no plugin arguments")]
    Unsupported,
    /// PANDA returned none.
    #[error("PANDA could not read the arguments")]
    Unread,
    /// A name or a value is not UTF-8.
    #[error("an argument is not UTF-8")]
    Text(#[from] std::str::Utf8Error),
    /// The plugin has no such argument.
    #[error("{name}: no such argument; -panda {plugin}:help lists them")]
    Unknown {
        /// The plugin.
        plugin: String,
        /// The argument.
        name: String,
    },
    /// The value can't be read.
    #[error("{name}={value}: expected {expected}")]
    Value {
        /// The argument.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it can be set to.
        expected: &'static str,
    },
}

/// Pairs of name and value as PANDA hands them over; `None` when it only wants the arguments listed, which is done.
fn pairs(plugin: &CStr, arguments: &[Argument]) -> Result<Option<Vec<(String, String)>>, BadArguments> {
    let panda = crate::symbols().map_err(|_| BadArguments::Unsupported)?;
    let (Ok(get), Ok(free), Ok(parse)) =
        (&panda.panda_get_args, &panda.panda_free_args, &panda.panda_parse_string_opt)
    else {
        return Err(BadArguments::Unsupported);
    };
    // SAFETY: the name ends with a NUL.
    let list = unsafe { get(plugin.as_ptr()) };
    if list.is_null() {
        return Err(BadArguments::Unread);
    }
    let helping = panda.panda_help_wanted.as_ref().is_ok_and(|wanted| {
        // SAFETY: PANDA's global, written by this thread.
        unsafe { **wanted }
    });
    if helping {
        for argument in arguments {
            let [name, default, help] = [argument.name, argument.default, argument.help]
                .map(|text| CString::new(text).unwrap_or_default());
            // SAFETY: the list is PANDA's, the texts end with a NUL.
            unsafe { parse(list, name.as_ptr(), default.as_ptr(), help.as_ptr()) };
        }
        return Ok(None);
    }
    // SAFETY: PANDA's list has as many entries as it says.
    let entries = unsafe {
        if (*list).list.is_null() {
            &[][..]
        } else {
            std::slice::from_raw_parts((*list).list, (*list).nargs as usize)
        }
    };
    let bytes = |text: *const c_char| {
        // SAFETY: PANDA's strings end with a NUL and live until the list is freed.
        if text.is_null() { c"" } else { unsafe { CStr::from_ptr(text) } }
    };
    let pairs = entries
        .iter()
        // PANDA hands over the arguments of every plugin whose name begins like this one's.
        .filter(|entry| bytes(entry.argptr) == plugin)
        .map(|entry| Ok((bytes(entry.key).to_str()?.to_owned(), bytes(entry.value).to_str()?.to_owned())))
        .collect::<Result<_, BadArguments>>();
    // SAFETY: the list came from PANDA, and what was taken from it is copied.
    unsafe { free(list) };
    pairs.map(Some)
}

/// Arguments by name, each with a value: its default where it was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments(Vec<(&'static str, String)>);

impl Arguments {
    /// Those that PANDA has for `plugin`; `None` when it only wants the arguments listed, which is done.
    ///
    /// # Errors
    ///
    /// What PANDA does not have, what is not text, or a name that is none of `arguments`.
    pub fn of_panda(plugin: &CStr, arguments: &[Argument]) -> Result<Option<Arguments>, BadArguments> {
        let Some(pairs) = pairs(plugin, arguments)? else { return Ok(None) };
        Arguments::new(plugin, arguments, pairs).map(Some)
    }

    /// Sorts `pairs` by the arguments that `plugin` has; the last one of a name counts.
    ///
    /// # Errors
    ///
    /// A name that is none of `arguments`.
    pub fn new(
        plugin: &CStr,
        arguments: &[Argument],
        pairs: Vec<(String, String)>,
    ) -> Result<Arguments, BadArguments> {
        let mut values: Vec<_> =
            arguments.iter().map(|argument| (argument.name, argument.default.to_owned())).collect();
        for (name, value) in pairs {
            match values.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => {
                    let plugin = plugin.to_string_lossy().into_owned();
                    return Err(BadArguments::Unknown { plugin, name });
                }
            }
        }
        Ok(Arguments(values))
    }

    fn value(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// A file or folder.
    ///
    /// # Errors
    ///
    /// It is empty.
    pub fn path(&self, name: &'static str) -> Result<PathBuf, BadArguments> {
        match self.value(name) {
            "" => Err(self.wrong(name, "a path")),
            path => Ok(path.into()),
        }
    }

    /// A number of 0 or more.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn number(&self, name: &'static str) -> Result<u64, BadArguments> {
        self.value(name).parse().map_err(|_| self.wrong(name, "a number of 0 or more"))
    }

    /// A number of things that are counted: 0 to [`u32::MAX`].
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn count(&self, name: &'static str) -> Result<u32, BadArguments> {
        self.value(name).parse().map_err(|_| self.wrong(name, "a whole number, 0 to 4294967295"))
    }

    /// A large number, perhaps with K, M or G behind it: 2^10, 2^20 or 2^30 times as much.
    ///
    /// ```
    /// use panda_plugin::{Arguments, argument};
    ///
    /// let known = [argument("most", "64M", "bytes at most (K, M, G)")];
    /// let arguments = Arguments::new(c"example", &known, vec![]).unwrap();
    /// assert_eq!(arguments.size("most"), Ok(64 << 20));
    /// ```
    ///
    /// # Errors
    ///
    /// It is none, or too large.
    pub fn size(&self, name: &'static str) -> Result<u64, BadArguments> {
        let value = self.value(name);
        let (digits, shift) = match value.as_bytes().last() {
            Some(b'k' | b'K') => (&value[..value.len() - 1], 10),
            Some(b'm' | b'M') => (&value[..value.len() - 1], 20),
            Some(b'g' | b'G') => (&value[..value.len() - 1], 30),
            _ => (value, 0),
        };
        let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
        number.ok_or_else(|| self.wrong(name, "a whole number, perhaps with K, M or G"))
    }

    /// What to say of an argument that is not what was `expected`.
    pub fn wrong(&self, name: &'static str, expected: &'static str) -> BadArguments {
        BadArguments::Value { name, value: self.value(name).to_owned(), expected }
    }

    /// Text as it was given, empty or not.
    pub fn text(&self, name: &'static str) -> &str {
        self.value(name)
    }

    /// Yes or no, in PANDA's words; a name alone means yes.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn flag(&self, name: &'static str) -> Result<bool, BadArguments> {
        match self.value(name).to_ascii_lowercase().as_str() {
            "" | "y" | "yes" | "true" | "1" => Ok(true),
            "n" | "no" | "false" | "0" => Ok(false),
            _ => Err(self.wrong(name, "y or n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Argument; 3] = [
        argument("out", "out.json", "where to"),
        argument("processes", "n", "these too"),
        argument("most", "3", "this many at most"),
    ];

    fn arguments(pairs: &[(&str, &str)]) -> Result<Arguments, BadArguments> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Arguments::new(c"example", &KNOWN, pairs)
    }

    #[test]
    fn an_argument_that_is_not_given_has_its_default_and_the_last_one_given_counts() {
        assert_eq!(arguments(&[]).unwrap().path("out"), Ok("out.json".into()));
        let given = arguments(&[("out", "a"), ("processes", ""), ("out", "b")]).unwrap();
        assert_eq!((given.path("out"), given.flag("processes")), (Ok("b".into()), Ok(true)));
        assert_eq!((given.text("out"), given.number("most")), ("b", Ok(3)));
    }

    #[test]
    fn an_invalid_argument_is_refused_by_name() {
        let unknown = arguments(&[("oops", "1")]).unwrap_err().to_string();
        assert_eq!(unknown, "oops: no such argument; -panda example:help lists them");
        let bad = arguments(&[("out", ""), ("processes", "perhaps"), ("most", "-1")]).unwrap();
        assert!(bad.path("out").is_err());
        assert_eq!(bad.flag("processes").unwrap_err().to_string(), "processes=perhaps: expected y or n");
        assert_eq!(bad.number("most").unwrap_err().to_string(), "most=-1: expected a number of 0 or more");
        assert!(bad.count("most").is_err() && bad.size("most").is_err());
    }

    #[test]
    fn numbers_have_bounds_and_sizes_have_units() {
        let size = |value| arguments(&[("most", value)]).unwrap().size("most").ok();
        assert_eq!(
            [size("7"), size("2k"), size("3M"), size("1g")],
            [Some(7), Some(2048), Some(3 << 20), Some(1 << 30)]
        );
        assert_eq!([size(""), size("M"), size("1.5M"), size("99999999999G"), size("\u{212a}")], [None; 5]);
        let count = |value| arguments(&[("most", value)]).unwrap().count("most").ok();
        assert_eq!([count("4294967295"), count("4294967296")], [Some(u32::MAX), None]);
    }
}

//! Parsers for option values, with the help text of each possible value.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use guest::bootstrap::Place;
use machine::{Format, Nic, Reach};
use panda_host::confine::Mode;
use rr_log::Target;

/// A parser for one of `all`; `word` gives each value's name and help text.
fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> (&'static str, &'static str),
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(move |&value| {
        let (name, help) = word(value);
        PossibleValue::new(name).help(help)
    });
    // The parser above rejects every other name.
    PossibleValuesParser::new(values)
        .map(move |name| all.iter().copied().find(|&value| word(value).0 == name).unwrap_or(all[0]))
}

/// A guest architecture.
pub fn target() -> impl TypedValueParser<Value = Target> {
    one_of(&Target::ALL, |target| {
        let help = match target {
            Target::X86_64 => "64-bit PC",
            Target::I386 => "32-bit PC",
            Target::Arm => "32-bit ARM",
            Target::Aarch64 => "64-bit ARM",
        };
        (target.name(), help)
    })
}

/// Whether PANDA is confined.
pub fn confine() -> impl TypedValueParser<Value = Mode> {
    one_of(&Mode::ALL, |mode| {
        let help = match mode {
            Mode::Auto => "Confine PANDA as far as this machine's kernel can",
            Mode::Require => "Start PANDA only if the kernel can fully confine it",
            Mode::Off => "Do not confine PANDA: it may do whatever its user may",
        };
        (mode.name(), help)
    })
}

/// What a guest can reach over its network.
pub fn reach() -> impl TypedValueParser<Value = Reach> {
    one_of(&Reach::ALL, |reach| {
        let help = match reach {
            Reach::Restricted => "Nothing; it only answers connections to forwarded ports",
            Reach::Open => {
                "Whatever this machine can reach, including its own ports (its loopback is 10.0.2.2), with the \
                 rights of the user who runs pandacap"
            }
        };
        (reach.name(), help)
    })
}

/// An image's format.
pub fn format() -> impl TypedValueParser<Value = Format> {
    one_of(&Format::ALL, |format| {
        let help = match format {
            Format::Raw => "The plain bytes of the disk",
            Format::Qcow2 => "QEMU's own format",
        };
        (format.name(), help)
    })
}

/// Where bootstrap scripts will run.
pub fn place() -> impl TypedValueParser<Value = Place> {
    one_of(&[Place::Vm, Place::Docker], |place| match place {
        Place::Vm => ("vm", "In a virtual machine"),
        Place::Docker => ("docker", "In a container"),
    })
}

/// A guest's memory: `512`, `512M` or `2G`.
pub fn mib(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1024),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1),
        _ => (text, 1),
    };
    let number = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    number
        .filter(|mib| (16..=1 << 20).contains(mib))
        .ok_or_else(|| "expected 16 MiB to 1 TiB, as in 512 or 2G".to_owned())
}

/// A network card, or none.
pub type Card = Option<Nic>;

/// A network card, or `none`.
pub fn nic(text: &str) -> Result<Card, String> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

/// A number of bytes: `512`, `64K`, `2G`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, suffix) = number(text)?;
    let shift = match suffix {
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => 0,
    };
    Ok(u64::from(number) << shift)
}

/// A number in recctrl's syntax: `7`, `3k`, `2G`.
pub fn scaled(text: &str) -> Result<String, String> {
    number(text).map(|_| text.to_owned())
}

/// A number above 0, and its suffix, if there is one.
fn number(text: &str) -> Result<(u32, &str), String> {
    let digits = text.strip_suffix(['K', 'M', 'G', 'k', 'm', 'g']).unwrap_or(text);
    match digits.parse::<u32>() {
        Ok(number @ 1..) => Ok((number, &text[digits.len()..])),
        _ => Err("expected a whole number above 0, optionally with a suffix K, M or G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_mib_and_invalid_sizes_are_refused() {
        assert_eq!(["256", "512M", "2G"].map(mib), [Ok(256), Ok(512), Ok(2048)]);
        for bad in ["", "G", "0", "15", "-1", "1.5G", "5000000G", "512K"] {
            assert!(mib(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_are_counted_as_recctrl_counts_them() {
        assert_eq!(["7", "3k", "256M", "2G"].map(bytes), [Ok(7), Ok(3 << 10), Ok(256 << 20), Ok(2 << 30)]);
        assert!(["", "0", "K", "-1", "1T"].map(bytes).iter().all(Result::is_err));
    }

    #[test]
    fn an_instruction_limit_must_be_in_recctrls_syntax() {
        assert_eq!(["7", "3k", "2G"].map(|text| scaled(text).is_ok()), [true; 3]);
        assert_eq!(["", "0", "K", "1T", "-1", "1,nrec=2"].map(|text| scaled(text).is_err()), [true; 6]);
    }
}

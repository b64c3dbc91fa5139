//! What options' values may be: the libraries' words, with what the help says about each.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use guest::bootstrap::Place;
use machine::{Format, Nic, Reach};
use panda_host::confine::Mode;
use rr_log::Target;

/// One of `all`, which are called and described by `word`.
fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> (&'static str, &'static str),
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(move |&value| {
        let (name, help) = word(value);
        PossibleValue::new(name).help(help)
    });
    // The parser before it lets nothing else through.
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
            Mode::Auto => "As far as this machine's kernel can",
            Mode::Require => "Only start PANDA where the kernel can do all of it",
            Mode::Off => "Not at all: PANDA may do what its user may",
        };
        (mode.name(), help)
    })
}

/// What a guest reaches over its network.
pub fn reach() -> impl TypedValueParser<Value = Reach> {
    one_of(&Reach::ALL, |reach| {
        let help = match reach {
            Reach::Restricted => "Nothing; who comes through a forwarded port is answered",
            Reach::Open => {
                "Whatever this machine reaches, its own ports included (its loopback is 10.0.2.2), as the user who \
                 runs this"
            }
        };
        (reach.name(), help)
    })
}

/// An image's format.
pub fn format() -> impl TypedValueParser<Value = Format> {
    one_of(&Format::ALL, |format| {
        let help = match format {
            Format::Raw => "The disk's bytes as they are",
            Format::Qcow2 => "QEMU's own",
        };
        (format.name(), help)
    })
}

/// Where bootstrap scripts are to run.
pub fn place() -> impl TypedValueParser<Value = Place> {
    one_of(&[Place::Vm, Place::Docker], |place| match place {
        Place::Vm => ("vm", "In a machine"),
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
        .ok_or_else(|| "give 16 MiB or more, as in 512 or 2G".to_owned())
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

/// A number as recctrl takes it: `7`, `3k`, `2G`.
pub fn scaled(text: &str) -> Result<String, String> {
    number(text).map(|_| text.to_owned())
}

/// A number above 0, and the suffix that scales it, if it has one.
fn number(text: &str) -> Result<(u32, &str), String> {
    let digits = text.strip_suffix(['K', 'M', 'G', 'k', 'm', 'g']).unwrap_or(text);
    match digits.parse::<u32>() {
        Ok(number @ 1..) => Ok((number, &text[digits.len()..])),
        _ => Err("give a whole number above 0, perhaps with K, M or G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_mib_and_nonsense_is_refused() {
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
    fn an_instruction_limit_is_one_that_recctrl_understands() {
        assert_eq!(["7", "3k", "2G"].map(|text| scaled(text).is_ok()), [true; 3]);
        assert_eq!(["", "0", "K", "1T", "-1", "1,nrec=2"].map(|text| scaled(text).is_err()), [true; 6]);
    }
}

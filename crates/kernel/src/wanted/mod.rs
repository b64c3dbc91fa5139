//! What goes into a profile: the symbols and members that analyses use, over all versions of the kernel. A name that one
//! kernel does not have costs nothing.

mod members;
mod symbols;

pub(crate) use self::members::MEMBERS;
pub(crate) use self::symbols::SYMBOLS;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for name in SYMBOLS.iter().flat_map(|(_, names)| names.split_whitespace()) {
            assert!(seen.insert(name.to_owned()), "{name}");
        }
        for (of, names) in MEMBERS {
            assert!(seen.insert(format!("{of}.")), "{of}");
            for name in names.split_whitespace() {
                assert!(seen.insert(format!("{of}.{name}")), "{of}.{name}");
            }
        }
    }
}

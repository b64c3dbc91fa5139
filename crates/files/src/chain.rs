//! An error with its causes in one line.

use std::error::Error;

/// The error's message and those of its causes, joined by `: `. A cause that the text already contains is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Fake(&'static str, Option<Box<Fake>>);

    impl fmt::Display for Fake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Fake {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_follows_once() {
        let cause = |text, cause| Some(Box::new(Fake(text, cause)));
        let error = Fake("cannot read a", cause("cannot open a", cause("no such file", None)));
        assert_eq!(chain(&error), "cannot read a: cannot open a: no such file");
        let error = Fake("cannot read a: no such file", cause("no such file", None));
        assert_eq!(chain(&error), "cannot read a: no such file");
    }
}

//! Bounds on what a guest can make us log or do: a burst, and a rate per second.

use std::time::Instant;

/// A bucket of tokens that fills up again with time.
#[derive(Debug)]
pub(crate) struct Budget {
    most: f64,
    per_second: f64,
    left: f64,
    filled: Option<Instant>,
    refused: u64,
}

impl Budget {
    /// A burst of `most`, then `per_second`.
    pub(crate) fn new(most: u32, per_second: u32) -> Budget {
        Budget {
            most: most.into(),
            per_second: per_second.into(),
            left: most.into(),
            filled: None,
            refused: 0,
        }
    }

    /// Takes one token; `None` when there is none, else how many times there was none since the last one.
    pub(crate) fn spend(&mut self) -> Option<u64> {
        let now = Instant::now();
        if let Some(filled) = self.filled.replace(now) {
            let gained = now.duration_since(filled).as_secs_f64() * self.per_second;
            self.left = (self.left + gained).min(self.most);
        }
        if self.left < 1.0 {
            self.refused += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.refused))
    }
}

/// Logs a line that a guest can cause, within the bounds of `$budget`: `say!(budget, Warn, "...")`.
macro_rules! say {
    ($budget:expr, $level:ident, $($line:tt)+) => {
        if let Some(dropped) = $budget.spend() {
            if dropped > 0 {
                log::log!(log::Level::Warn, "{dropped} lines about this guest were left out");
            }
            log::log!(log::Level::$level, $($line)+);
        }
    };
}
pub(crate) use say;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut budget = Budget::new(10, 0);
        let passed = (0..1000).filter(|_| budget.spend().is_some()).count();
        assert_eq!(passed, 10);
        budget.left = 1.0;
        assert_eq!(budget.spend(), Some(990));
    }
}

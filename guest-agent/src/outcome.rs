//! What there is to say of what recctrl did.

use crate::{exit, recctrl::Outcome, reply::Reply};

pub(crate) const FAILED: Reply = Reply::new(exit::FAILED, c"recctrl could not do it; PANDA's log says why");
const STARTED: Reply = Reply::new(exit::OK, c"recording started");
const STOPPED: Reply = Reply::new(exit::OK, c"recording ended");
const UNCHANGED: Reply = Reply::new(exit::OK, c"no recording started or ended");
const ALREADY_ON: Reply = Reply::new(exit::OK, c"a recording is on already");
const NONE_ON: Reply = Reply::new(exit::OK, c"no recording ended");
const ENDED_INSTEAD: Reply =
    Reply::new(exit::FAILED, c"PANDA's own recctrl, which only toggles, has ended a recording");
const MADE_SHORT_ONE: Reply =
    Reply::new(exit::OK, c"no recording was on; PANDA's own recctrl, which only toggles, made one");

/// What there is to say of a start.
pub(crate) fn started(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Unchanged => ALREADY_ON,
        Outcome::Contrary => ENDED_INSTEAD,
        outcome => told(outcome),
    }
}

/// What there is to say of a stop.
pub(crate) fn stopped(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Unchanged => NONE_ON,
        Outcome::Contrary => MADE_SHORT_ONE,
        outcome => told(outcome),
    }
}

/// What there is to say of the rest.
pub(crate) fn told(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Started => STARTED,
        Outcome::Stopped => STOPPED,
        Outcome::Unchanged => UNCHANGED,
        _ => FAILED,
    }
}

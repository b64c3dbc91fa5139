//! Measures the matrix of docs/targets.md in real runs, on the embedded PANDA and on that of `$PANDA_PATH`. An
//! argument selects the machines of one target.
#![allow(clippy::disallowed_methods, reason = "the files are the tests' own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

use std::env;

use panda_host::{Panda, Selection};
use testkit::checkout::home;
use testkit::foreign::{Count, Foreign, KINDS};

/// Recordings for each number.
const TIMES: u32 = 20;

fn main() {
    let wanted = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!(
        "| target | PANDA | machine | guest | agent bytes | loads, records | start gap 0 | replay without it | control run |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let named = env::var_os("PANDA_PATH")
        .map(|panda| Selection { panda: Some(panda.into()), ..Selection::default() });
    for kind in KINDS {
        if wanted.as_ref().is_some_and(|wanted| wanted != kind.target.name()) {
            continue;
        }
        for selection in [Some(Selection::default()), named.clone()].into_iter().flatten() {
            let panda = Panda::find(&home(), &selection, kind.target).unwrap();
            let foreign = Foreign::open(kind, panda);
            let (ours, control) = (foreign.by_recctrl(TIMES), foreign.by_monitor(TIMES));
            println!(
                "| {} | {} | {} | `{}` | {} | {} of {TIMES} | {} | {} of {} | {} of {} |",
                kind.target,
                foreign.panda.version,
                if kind.machine.is_empty() { "default".to_owned() } else { format!("`{}`", kind.machine) },
                kind.kernel,
                foreign.agent_bytes(),
                ours.made,
                match ours {
                    // The replay ends before it reaches the agent.
                    Count { replayed: 0, exact: 0, .. } => "not seen".to_owned(),
                    Count { exact, made, .. } => format!("{exact} of {made}"),
                },
                ours.replayed,
                ours.made,
                control.replayed,
                control.made,
            );
        }
    }
}

//! Prints the matrix of docs/targets.md from real runs; an argument picks the machines of one target.
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

use std::path::Path;

#[path = "../tests/it/foreign.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod foreign;

use foreign::{Foreign, KINDS};

/// Recordings for each number.
const TIMES: u32 = 20;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    println!(
        "| target | PANDA | machine | guest | agent bytes | loads, records | start gap 0 | replay without it | control run |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for kind in KINDS {
        if wanted.as_ref().is_some_and(|wanted| wanted != kind.target.name()) {
            continue;
        }
        let foreign = Foreign::open(
            kind,
            &target.join("home"),
            &target.join("dist"),
            Path::new(env!("CARGO_TARGET_TMPDIR")),
        );
        let (ours, control) = (foreign.by_recctrl(TIMES), foreign.by_monitor(TIMES));
        println!(
            "| {} | {} | {} | `{}` | {} | {} of {TIMES} | {} of {} | {} of {} | {} of {} |",
            kind.target,
            foreign.panda.version,
            if kind.machine.is_empty() { "default".to_owned() } else { format!("`{}`", kind.machine) },
            kind.kernel,
            foreign.agent_bytes(),
            ours.made,
            ours.exact,
            ours.made,
            ours.replayed,
            ours.made,
            control.replayed,
            control.made,
        );
    }
}

//! What an analysis costs: `pandacap analyze` against a plain replay of the same trace, and against PANDA's own
//! `syscalls2`, which does no more than to name system calls. `scripts/bench analyses [RUNS]` prints the table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use testkit::debian::{Machine, warm_debian};
use testkit::figures::median;
use testkit::program::{home, pandacap};
use trace::Trace;

/// What is done with a trace: its name in the table, and the command.
const WAYS: [(&str, &[&str]); 3] = [
    ("replay", &["replay"]),
    ("analyze", &["analyze"]),
    ("syscalls2", &["replay", "--os", "linux-64-any", "--plugin", "syscalls2"]),
];
/// Turns of a loop in the guest's shell: about 500 million instructions of computing.
const TURNS: u32 = 33_000;

fn main() {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(7);
    let dir = tempfile::tempdir().unwrap();
    let traces = [("SSH session", session(dir.path())), ("computing", computing(dir.path()))];
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["trace", "instructions", "replay", "analyze", "syscalls2 alone"]);
    for (name, folder) in traces {
        let instructions = Trace::open(&folder).unwrap().manifest.recording.instructions;
        let mut seconds = WAYS.map(|_| Vec::new());
        // In turns, so that what else the machine does hits all of them.
        for run in 0..runs {
            for (way, measured) in WAYS.iter().zip(&mut seconds) {
                let began = Instant::now();
                pandacap(home()).args(way.1).arg(&folder).current_dir(dir.path()).assert().success();
                measured.push(began.elapsed().as_secs_f64());
            }
            eprintln!("{name}: {} of {runs}", run + 1);
        }
        let [plain, analyze, peer] = seconds.map(median);
        table.add_row([
            name.to_owned(),
            instructions.to_string(),
            format!("{plain:.2} s"),
            format!("{analyze:.2} s: {:.2}", analyze / plain),
            format!("{peer:.2} s: {:.2}", peer / plain),
        ]);
    }
    println!("{table}");
}

/// A login by SSH that looks around and leaves.
fn session(dir: &Path) -> PathBuf {
    let mut machine = Machine::start(warm_debian(), &["--sessions", "--nrec", "1"]);
    machine.banner();
    machine.interactive("panda", "id; ls -l /; cat /etc/passwd | wc -l; exit\n");
    machine.kept("panda_session", dir)
}

/// A shell that counts.
fn computing(dir: &Path) -> PathBuf {
    let script = format!("i=0; while [ $i -lt {TURNS} ]; do i=$((i+1)); done");
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "computing", "--out"]).arg(dir).args(["--", "sh", "-c", &script]);
    rec.assert().success();
    dir.join("computing")
}

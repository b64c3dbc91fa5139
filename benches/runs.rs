//! How long whole runs take, and what can be salvaged of those that are cut short. `scripts/bench runs` prints the
//! table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::time::{Duration, Instant};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use testkit::debian::{Machine, debian, warm_debian};
use testkit::program::{home, pandacap};
use testkit::torn::{KILLS, salvaged};

/// Runs for each figure.
const RUNS: usize = 5;

fn main() {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(["figure", "least", "median", "most"]);
    let mut row = |figure: &str, mut measured: Vec<f64>, unit: &str| {
        measured.sort_by(f64::total_cmp);
        let say = |value: f64| format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let cells = [measured[0], measured[measured.len() / 2], measured[measured.len() - 1]];
        let cells = cells.map(|value| format!("{} {unit}", say(value)));
        eprintln!("{figure}: {cells:?}");
        table.add_row([figure.to_owned()].into_iter().chain(cells));
    };

    let cold: Vec<_> = (0..2).map(|_| session(debian(), &["--cold"])).collect();
    let warm: Vec<_> = (0..RUNS).map(|_| session(warm_debian(), &[])).collect();
    let seconds = |sessions: &[(Duration, u64)]| sessions.iter().map(|(time, _)| rounded(*time)).collect();
    row("debian, cold: command to SSH banner", seconds(&cold), "s");
    row("debian, warm: command to SSH banner", seconds(&warm), "s");
    let kib = warm.iter().map(|(_, bytes)| (bytes >> 10) as f64).collect();
    row("debian, warm: overlay after a short session", kib, "KiB");

    pandacap(home()).args(["guest", "warm", "tiny"]).assert().success();
    row("tiny, warm: `rec -- true` to verified trace", (0..RUNS).map(|_| tiny()).collect(), "s");

    let torn: Vec<_> = (0..KILLS).map(salvaged).collect();
    let replayed = torn.iter().filter(|(_, replayed)| replayed.is_ok()).count();
    row("killed while recording: part of the log kept", torn.iter().map(|(kept, _)| *kept).collect(), "");
    println!("{table}");
    println!("killed while recording, salvaged, replay to the end: {replayed} of {}", KILLS);
}

/// Logs in and out; returns how long the SSH server took to answer, and the bytes of the overlay.
fn session(guest: &str, options: &[&str]) -> (Duration, u64) {
    let began = Instant::now();
    let mut machine = Machine::start(guest, &[&["--sessions", "--nrec", "1"], options].concat());
    machine.banner();
    let answered = began.elapsed();
    machine.interactive("panda", "id; ls -l /; exit\n");
    (answered, machine.traced(&["panda_session"]))
}

fn tiny() -> f64 {
    let out = tempfile::tempdir().unwrap();
    let began = Instant::now();
    pandacap(home()).args(["--json", "rec", "--out"]).arg(out.path()).args(["--", "true"]).assert().success();
    rounded(began.elapsed())
}

/// Seconds with two decimals.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

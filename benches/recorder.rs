//! recctrl beside upstream's C plugin, on the same PANDA in one run: `scripts/bench recorder` prints the table.

#![allow(clippy::disallowed_methods, reason = "the files are the tests' own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::fs;
use std::process::Command;
use std::time::Instant;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use panda_host::Panda;
use rr_log::Target;
use testkit::checkout::{dist, home};
use testkit::gap::Gap;
use testkit::machine::{Lab, Plugin, Run};
use testkit::program::selection;

/// Recordings made in one machine under load.
const RECORDINGS: u32 = 100;
/// The same number for upstream's plugin, whose recordings do not replay.
const UPSTREAMS_RECORDINGS: u32 = 20;
/// Recordings with nested sessions.
const NESTED: u32 = 20;
/// Machines in which a cpuid is timed, for each plugin; the best counts.
const CPUID_RUNS: u32 = 5;
/// Recordings of the probe's `gap`, for each plugin.
const GAPS: u32 = 5;

/// Load for the guest: processes that compute, list and fork.
const LOAD: &str =
    "while :; do i=$((i+1)); done & while :; do ls -lR /proc/1 /bin >/dev/null; done & sleep 1\n";

fn main() {
    let panda = Panda::find(&home(), &selection(), Target::X86_64).unwrap();
    let lab = Lab::open(panda, &home());

    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(["figure", "upstream C", "ours"]);
    let mut row = |figure: &str, upstream: String, ours: String| {
        eprintln!("{figure}: {upstream} | {ours}");
        table.add_row([figure.to_owned(), upstream, ours]);
    };

    let [upstream, ours] = [Plugin::Upstreams, Plugin::Ours].map(|plugin| gaps(&lab, plugin));
    row(
        "guest instructions run unrecorded after \"started\"",
        span(&upstream, |g| g.before),
        span(&ours, |g| g.before),
    );
    row(
        "guest instructions recorded after \"stopped\"",
        span(&upstream, |g| g.after),
        span(&ours, |g| g.after),
    );

    row(
        "recordings made in one VM under load that replay to the end, no plugin loaded",
        replaying(&lab, Plugin::Upstreams, UPSTREAMS_RECORDINGS),
        replaying(&lab, Plugin::Ours, RECORDINGS),
    );
    row(
        "the same, recordings that contain nested sessions",
        nested(&lab, Plugin::Upstreams),
        nested(&lab, Plugin::Ours),
    );
    let [none, upstream, ours] = cpuid(&lab);
    row(
        "cost of a guest cpuid that is not ours",
        format!("{upstream:.2} ns (no plugin: {none:.2} ns)"),
        format!("{ours:.2} ns"),
    );
    let agent = fs::metadata(dist().join("x86_64/recctrlu")).unwrap().len();
    row("static agent, x86_64", "762 kB (published)".into(), format!("{agent} bytes"));
    row("50 hostile names that leave dir, overwrite, or stop the VM", "-".into(), hostile(&lab));
    row("quickstart's second run, from command to verified trace", "-".into(), quickstart());
    println!("{table}");
}

/// The smallest and the largest of a figure.
fn span(gaps: &[Gap], figure: impl Fn(&Gap) -> u64) -> String {
    let figures: Vec<u64> = gaps.iter().map(figure).collect();
    match (figures.iter().min(), figures.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "nothing recorded".into(),
    }
}

fn gaps(lab: &Lab, plugin: Plugin) -> Vec<Gap> {
    // Each under its own name, because the memory of earlier ones is still in the snapshot.
    let script = (0..GAPS).map(|n| format!("probe gap gap{n}\nsleep 1\n")).collect::<String>();
    let run = lab.run(&script, plugin, "");
    let gap = |n| Gap::of(run.dir.path(), &format!("gap{n}_00{n}"), &format!("gap{n}"));
    (0..GAPS).map(gap).collect()
}

/// How many of one machine's recordings replay.
fn replaying(lab: &Lab, plugin: Plugin, count: u32) -> String {
    let once =
        "probe call -100 r >/dev/null; ls -l / /bin >/dev/null; probe call -100 r >/dev/null; sleep 0.1";
    let run = lab.run(&format!("{LOAD}for n in $(seq {count}); do {once}; done"), plugin, "");
    replays(lab, &run, count)
}

fn nested(lab: &Lab, plugin: Plugin) -> String {
    let call = |action: i32| format!("probe call {action} s >/dev/null");
    let (open, close) = (call(100), call(200));
    let once = format!("{open}; {open}; ls / >/dev/null; {open}; {close}; {close}; {close}; sleep 0.1");
    let run = lab.run(&format!("{LOAD}for n in $(seq {NESTED}); do {once}; done"), plugin, "session_rec=y");
    replays(lab, &run, NESTED)
}

fn replays(lab: &Lab, run: &Run, wanted: u32) -> String {
    let recordings = run.recordings();
    let whole = recordings.iter().filter(|name| match lab.replay(run.dir.path(), name) {
        Ok(()) => true,
        Err(said) => {
            eprintln!("{name}: {}", said.lines().last().unwrap_or_default());
            false
        }
    });
    format!("{} of {wanted}", whole.count())
}

/// Nanoseconds without a plugin, with upstream's and with ours: machines take turns, and the best of each counts.
fn cpuid(lab: &Lab) -> [f64; 3] {
    let mut best = [f64::INFINITY; 3];
    for _ in 0..CPUID_RUNS {
        for (best, plugin) in best.iter_mut().zip([Plugin::Absent, Plugin::Upstreams, Plugin::Ours]) {
            let run = lab.run("probe cpuid 200", plugin, "");
            let said = run.console.lines().find_map(|line| line.strip_prefix("cpuid ns=")).expect("a figure");
            *best = best.min(said.parse().unwrap());
        }
    }
    best
}

/// How many of 50 hostile names caused harm.
fn hostile(lab: &Lab) -> String {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let precious = inside.join("precious_006-rr-snp");
    fs::write(&precious, "precious").unwrap();
    let panda = lab.booting(&inside, "probe hostile-names 50; echo alive", Plugin::Ours, "");
    let run = Run::of(dir, panda);
    let console = fs::read_to_string(inside.join("console")).unwrap();
    let stopped = 50 - console.lines().filter(|line| line.starts_with("hostile ")).count();
    let left = fs::read_dir(run.dir.path()).unwrap().count() - 2;
    let overwritten = usize::from(fs::read(precious).unwrap() != b"precious");
    (stopped + left + overwritten + usize::from(!console.contains("alive"))).to_string()
}

fn quickstart() -> String {
    let out = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut pandacap = Command::new(dist().join("pandacap"));
    pandacap
        .env("PANDACAP_HOME", home())
        .args(["rec", "--json", "--out"])
        .arg(out.path())
        .args(["--", "true"]);
    let output = pandacap.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}

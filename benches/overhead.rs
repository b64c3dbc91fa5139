//! What a loaded recctrl costs a guest that computes: idle, against no plugin; and recording, against a recording from
//! PANDA's monitor with no plugin. `scripts/bench overhead [PAIRS]` prints the table.
#![allow(clippy::disallowed_methods, reason = "the files are the bench's own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::env;
use std::fs;
use std::time::Duration;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use panda_host::Panda;
use rr_log::Target;
use testkit::checkout::home;
use testkit::figures::median;
use testkit::machine::{Lab, Plugin, Run};
use testkit::monitor::Monitor;
use testkit::program::selection;
use testkit::wait::until_said;

/// How long the guest may take to boot, and to do its work.
const PATIENCE: Duration = Duration::from_secs(300);
/// The piece of work.
const WORK: &str = "probe work 3000";

fn main() {
    let pairs = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let lab = Lab::open(Panda::find(&home(), &selection(), Target::X86_64).unwrap(), &home());
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header([
        "processor time of PANDA",
        "without recctrl",
        "with",
        "median ratio of the pairs",
        "of pairs",
    ]);
    let mut row = |figure: &str, without: &dyn Fn(&Lab) -> f64, with: &dyn Fn(&Lab) -> f64| {
        let mut measured: Vec<(f64, f64)> = Vec::new();
        for pair in 0..pairs {
            // Which one comes first alternates.
            let (a, b) = match pair % 2 {
                0 => (without(&lab), with(&lab)),
                _ => {
                    let with = with(&lab);
                    (without(&lab), with)
                }
            };
            eprintln!("{figure}: {a:.2} s, {b:.2} s");
            measured.push((a, b));
        }
        let ratio = median(measured.iter().map(|(without, with)| with / without));
        let column = |of: fn(&(f64, f64)) -> f64| format!("{:.2} s", median(measured.iter().map(of)));
        let cells = [column(|pair| pair.0), column(|pair| pair.1), format!("{ratio:.3}"), pairs.to_string()];
        table.add_row([figure.to_owned()].into_iter().chain(cells));
    };
    row("a busy guest, no recording", &|lab| idle(lab, Plugin::Absent), &|lab| idle(lab, Plugin::Ours));
    row("a busy guest, recorded", &by_monitor, &by_guest);
    println!("{table}");
}

fn idle(lab: &Lab, plugin: Plugin) -> f64 {
    spent(|| {
        let run = lab.run(&format!("{WORK}; echo done"), plugin, "");
        run.assert_says(&["done"]);
    })
}

fn by_guest(lab: &Lab) -> f64 {
    spent(|| {
        let run =
            lab.run(&format!("sleep 1; recctrlu run work -- {WORK}; echo done; sleep 1"), Plugin::Ours, "");
        run.assert_says(&["done"]);
        assert_eq!(run.recordings().len(), 1);
    })
}

fn by_monitor(lab: &Lab) -> f64 {
    spent(|| {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("echo ready; sleep 1; {WORK}; echo done; sleep 1");
        let mut panda = lab.booting(dir.path(), &script, Plugin::Absent, "");
        Monitor::add(dir.path(), &mut panda);
        let said = fs::File::create(dir.path().join("said")).unwrap();
        let child = panda.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        let console = dir.path().join("console");
        until_said(&console, "ready", PATIENCE);
        let mut monitor = Monitor::connect(dir.path()).unwrap();
        monitor.ask("begin_record work").unwrap();
        until_said(&console, "done", PATIENCE);
        monitor.ask("end_record").unwrap();
        let run = Run::after(dir, child);
        assert_eq!(run.recordings(), ["work"]);
    })
}

/// Seconds of processor time that the children which ended meanwhile have spent.
fn spent(work: impl FnOnce()) -> f64 {
    let before = children();
    work();
    children() - before
}

fn children() -> f64 {
    // SAFETY: it fills the struct, which is plain numbers.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

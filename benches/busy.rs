//! What happens to a PANDA whose guest is never idle, with and without recctrl's kicks, on the embedded PANDA and on
//! that of `$PANDA_PATH`: `scripts/bench busy [MINUTES [CYCLES [TIMES]]]` prints the tables.
#![allow(clippy::disallowed_methods, reason = "the files are the bench's own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use panda_host::{Panda, Selection};
use rr_log::Target;
use serde_json::Value;
use tempfile::TempDir;
use testkit::checkout::home;
use testkit::machine::{Lab, Plugin};
use testkit::monitor::{Killed, Monitor};

/// Machines that run under load at the same time.
const AT_ONCE: usize = 4;
/// Recordings that one machine makes before they are replayed and removed: snapshots are large.
const BATCH: u32 = 50;
/// The piece of work that is repeated.
const WORK: &str = "probe work 20";

/// A PANDA, by its name in the tables.
struct Subject {
    name: &'static str,
    lab: Lab,
}

/// A machine that runs under load.
#[derive(Clone, Copy)]
struct Try<'a> {
    subject: &'a Subject,
    recorded: bool,
    kick: bool,
}

fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let mut next = |otherwise| numbers.next().unwrap_or(otherwise);
    let (minutes, cycles, times) = (next(30), next(1000), next(50));
    let mut subjects = vec![Subject { name: "embedded", lab: open(None) }];
    if let Some(panda) = env::var_os("PANDA_PATH") {
        subjects.push(Subject { name: "$PANDA_PATH", lab: open(Some(panda.into())) });
    }

    if minutes > 0 {
        println!("| PANDA | guest under load | kick | hung |");
        println!("|---|---|---|---|");
        let tries = [true, false].into_iter().flat_map(|kick| {
            subjects
                .iter()
                .flat_map(move |subject| [true, false].map(|recorded| Try { subject, recorded, kick }))
        });
        let tries = Mutex::new(tries.collect::<VecDeque<_>>());
        let pop = || tries.lock().unwrap().pop_front();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(a_try) = pop() {
                        let hung = match a_try.soak(Duration::from_secs(60 * u64::from(minutes))) {
                            Some(after) => format!("after {} s", after.as_secs()),
                            None => format!("not in {minutes} min"),
                        };
                        let guest = if a_try.recorded { "recorded" } else { "not recorded" };
                        let kick = if a_try.kick { "y" } else { "n" };
                        println!("| {} | {guest} | {kick} | {hung} |", a_try.subject.name);
                    }
                });
            }
        });
    }
    for Subject { name, lab } in &subjects {
        if cycles > 0 {
            let share = cycles / subjects.len() as u32;
            let (mut made, mut replayed) = (0, 0);
            for begun in (0..share).step_by(BATCH as usize) {
                let batch = BATCH.min(share - begun);
                let (more, of_them, _) = record(lab, &format!("probe cycles {batch}"), batch);
                (made, replayed) = (made + more, replayed + of_them);
                eprintln!("{name}: {made} recordings made, {replayed} of them replay");
            }
            println!("{name}: {made} of {share} recordings made under load, {replayed} of them replay");
        }
        if times > 0 {
            let script = format!("for n in $(seq {times}); do recctrlu run work -- {WORK}; done");
            let (made, replayed, ended) = record(lab, &script, times);
            println!("{name}: `{WORK}` recorded {made} times of {times} under load, {replayed} replay");
            for figure in ["seconds", "instructions", "log_bytes"] {
                let mut values: Vec<_> = ended.iter().filter_map(|event| event[figure].as_f64()).collect();
                values.sort_by(f64::total_cmp);
                let (median, longest) = (values[values.len() / 2], values[values.len() - 1]);
                println!("{name}: {figure}: median {median}, longest {longest}: {:.2}", longest / median);
            }
        }
    }
}

fn open(panda: Option<PathBuf>) -> Lab {
    let panda = Panda::find(&home(), &Selection { panda, ..Selection::default() }, Target::X86_64).unwrap();
    Lab::open(panda, &home())
}

/// A machine with its monitor and serial ports on sockets, and its guest under load.
fn busy(lab: &Lab, dir: &TempDir, script: &str, arguments: &str) -> Killed {
    let script = format!("probe load\n{script}");
    let mut panda =
        lab.booting(dir.path(), &script, Plugin::Ours, &format!("events=events.jsonl,{arguments}"));
    Monitor::add(dir.path(), &mut panda);
    panda.args(["-serial", "unix:serial,server,nowait", "-qmp", "unix:qmp,server,nowait"]);
    let log = fs::File::create(dir.path().join("said")).unwrap();
    Killed(Some(panda.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()))
}

impl Try<'_> {
    /// Lets the machine run for this long; returns when it hung, if it did.
    fn soak(&self, time: Duration) -> Option<Duration> {
        // One recording per minute, because longer ones fill the disk.
        let script = match self.recorded {
            true => "while :; do recctrlu start soak; sleep 60; recctrlu stop; done",
            false => "while :; do sleep 60; done",
        };
        let dir = tempfile::tempdir().unwrap();
        let kick = if self.kick { "kick=y" } else { "kick=n" };
        let _panda = busy(&self.subject.lab, &dir, script, kick);
        let begun = Instant::now();
        let mut removed = 0;
        // PANDA creates the socket a while after its start.
        while !dir.path().join("monitor").exists() {
            sleep(Duration::from_millis(10));
        }
        sleep(Duration::from_secs(1));
        let mut monitor = Monitor::connect(dir.path()).ok();
        while begun.elapsed() < time {
            let asked = begun.elapsed();
            if monitor.as_mut().is_none_or(|monitor| monitor.ask("info status").is_err()) {
                return Some(asked);
            }
            for event in ended(&dir, removed) {
                remove(&dir, &event);
                removed += 1;
            }
            sleep(Duration::from_secs(1));
        }
        None
    }
}

/// Makes a guest under load record `count` times; returns how many it made, how many replay, and how they ended.
fn record(lab: &Lab, script: &str, count: u32) -> (usize, usize, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = busy(lab, &dir, script, "kick=y");
    // A guest that ends no recording for this long will make no more.
    let (mut made, mut last) = (0, Instant::now());
    while made < count as usize && last.elapsed() < Duration::from_secs(300) {
        sleep(Duration::from_millis(100));
        let so_far = ended(&dir, 0).len();
        if so_far > made {
            (made, last) = (so_far, Instant::now());
        }
        if let Some(ended) = panda.0.as_mut().and_then(|panda| panda.try_wait().unwrap()) {
            eprintln!("PANDA ended: {ended}\n{}", fs::read_to_string(dir.path().join("said")).unwrap());
            break;
        }
    }
    drop(panda);
    let all = ended(&dir, 0);
    let replays =
        all.iter().filter(|event| match lab.replay_with(dir.path(), name(event), &["-serial", "null"]) {
            Ok(()) => true,
            Err(said) => {
                eprintln!("{}: {said}", name(event));
                false
            }
        });
    (made, replays.count(), all)
}

/// recctrl's events for the recordings that have ended, except for the first few.
fn ended(dir: &TempDir, skipped: usize) -> Vec<Value> {
    let events = fs::read_to_string(dir.path().join("events.jsonl")).unwrap_or_default();
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "ended").skip(skipped).collect()
}

fn name(event: &Value) -> &str {
    event["name"].as_str().unwrap()
}

fn remove(dir: &TempDir, event: &Value) {
    for ending in ["rr-snp", "rr-nondet.log"] {
        fs::remove_file(dir.path().join(format!("{}-{ending}", name(event)))).unwrap();
    }
}

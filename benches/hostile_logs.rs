//! Hostile logs against `pandacap verify`: a real trace's log, mutated in thousands of ways. Half of the mutants have
//! matching digests, and half of those are such that PANDA gets to see them. Counts the outcomes, and for each mutant
//! that kills PANDA, prints its seed and keeps its log in `target/hostile-logs`, because each run records anew.
//!
//! usage: `scripts/bench hostile-logs [COUNT [SEED]]`; `$PANDACAP_TRIED` names another pandacap to try.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "hostile_logs/mutate.rs"]
mod mutate;

use files::FileDigest;
use mutate::{Random, mutate};
use rr_log::Target;
use rr_log::{Limits, Reader, check};
use serde_json::Value;
use testkit::checkout;
use trace::{MANIFEST, log_name, snapshot_name};

/// Traces for one `verify`.
const BATCH: u64 = 25;
/// How many run at once.
const AT_ONCE: usize = 2;
/// The time limit for a replay that normally takes a fifth of a second. If it takes longer, for instance because the
/// guest waits for an interrupt that is no longer in the log, it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A real trace, and the folder for its mutants.
struct Original {
    folder: PathBuf,
    name: String,
    manifest: Value,
    log: Vec<u8>,
    ends: Vec<u64>,
    program: PathBuf,
    scratch: PathBuf,
}

fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let count = numbers.next().unwrap_or(10_000);
    let seed = numbers.next().unwrap_or(1);
    let scratch = tempfile::tempdir_in(checkout::scratch()).unwrap();
    let original = Original::record(scratch.path());
    let next = AtomicU64::new(0);
    let found: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= count {
                        return;
                    }
                    for (which, problem) in original.batch(seed, from..count.min(from + BATCH)) {
                        let end = classify(&problem);
                        *found.lock().unwrap().entry(end).or_default() += 1;
                        if end.starts_with("CRASH") {
                            println!("{end}: seed {seed}, mutant {which}: {problem}");
                        }
                    }
                    eprint!("\r{} of {count}", next.load(Ordering::Relaxed).min(count));
                }
            });
        }
    });
    eprintln!();
    println!("{count} mutants, seed {seed}, {:.0} s", began.elapsed().as_secs_f64());
    for (end, count) in found.into_inner().unwrap() {
        println!("{count:>7}  {end}");
    }
}

/// The outcome of a mutant, according to `verify`.
fn classify(problem: &str) -> &'static str {
    let says = |word: &str| problem.contains(word);
    let heap = ["malloc", "free()", "corrupted", "munmap_chunk", "realloc", "stack smashing", "double free"];
    let asserts =
        ["ssertion", "replay failed", "ERROR:", "GLib", "Ahead of log", "qemu: fatal", "FOUND DISAGREEMENT"];
    match problem {
        "" => "replayed to its end",
        _ if says("SHA-256 differs") || says(" bytes, not ") => "refused: digest",
        _ if says("was not given") => "refused: the log",
        _ if says("signal: 9") => "ended: killed, for it did not end",
        _ if heap.iter().any(|word| says(word)) => "CRASH: heap",
        _ if says("signal: 6") && asserts.iter().any(|word| says(word)) => "ended: PANDA's own assertion",
        _ if says("signal: 6") => "CRASH: abort without an assertion",
        _ if says("signal: 11") || says("signal: 7") || says("signal: 4") => "CRASH: signal",
        _ if says("died") => "ended: PANDA gave up",
        _ if says("ended before") => "ended: before the recording's end",
        _ => "CRASH: unknown",
    }
}

impl Original {
    /// Records the shortest possible run.
    fn record(scratch: &Path) -> Original {
        let own = checkout::pandacap();
        let mut rec = Command::new(&own);
        rec.env("PANDACAP_HOME", checkout::home()).env("PANDACAP_DIST", checkout::dist());
        let status = rec
            .args(["rec", "--mem", "96", "--cold", "--name", "t", "--out"])
            .arg(scratch)
            .args(["--", "true"])
            .status();
        assert!(status.unwrap().success());
        let (folder, name) = (scratch.join("t"), "t".to_owned());
        let manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST)).unwrap()).unwrap();
        let log = fs::read(folder.join(log_name(&name))).unwrap();
        let reader = Reader::open(&folder.join(log_name(&name))).unwrap();
        let ends = reader.map(|entry| entry.unwrap().end()).collect();
        let program = env::var_os("PANDACAP_TRIED").map_or(own, PathBuf::from);
        Original { folder, name, manifest, log, ends, program, scratch: scratch.to_owned() }
    }

    /// Makes a mutant in `folder`, every other one with a matching digest.
    fn make(&self, seed: u64, which: u64, folder: &Path) {
        fs::create_dir(folder).unwrap();
        let mut random = Random::new(Random::new(seed).next() ^ which);
        let log = folder.join(log_name(&self.name));
        // Every fourth must pass the check, or PANDA would get to see too few.
        let mut mutant = mutate(&self.log, &self.ends, &mut random);
        while which.is_multiple_of(4) && !self.passes(&mutant) {
            mutant = mutate(&self.log, &self.ends, &mut random);
        }
        fs::write(&log, mutant).unwrap();
        let mut manifest = self.manifest.clone();
        if which.is_multiple_of(2) {
            manifest["files"][log_name(&self.name)] =
                serde_json::to_value(FileDigest::of(&log).unwrap()).unwrap();
        }
        fs::write(folder.join(MANIFEST), manifest.to_string()).unwrap();
        // The other files are links to the original's.
        for file in
            manifest["files"].as_object().unwrap().keys().filter(|file| **file != log_name(&self.name))
        {
            fs::hard_link(self.folder.join(file), folder.join(file)).unwrap();
        }
        assert!(folder.join(snapshot_name(&self.name)).is_file());
    }

    /// Whether PANDA is given such a log.
    fn passes(&self, log: &[u8]) -> bool {
        let mebibytes = self.manifest["machine"]["memory_mib"].as_u64().unwrap() as u32;
        let limits = Limits::of(Target::X86_64, mebibytes, &[]);
        Reader::new(Cursor::new(log)).is_ok_and(|mut reader| check(&mut reader, &limits).is_ok())
    }

    /// Verifies some mutants, and returns what is wrong with each.
    fn batch(&self, seed: u64, range: std::ops::Range<u64>) -> Vec<(u64, String)> {
        let place = tempfile::tempdir_in(&self.scratch).unwrap();
        let folders: Vec<PathBuf> =
            range.clone().map(|which| place.path().join(format!("m{which:09}"))).collect();
        range.clone().zip(&folders).for_each(|(which, folder)| self.make(seed, which, folder));
        let mut verify = Command::new(&self.program);
        verify.env("PANDACAP_HOME", checkout::home()).args(["--json", "verify"]).args(&folders);
        let report = fs::File::create(place.path().join("report.json")).unwrap();
        verify.stdout(report).stderr(Stdio::null());
        wait(verify.spawn().unwrap());
        let report: Value =
            serde_json::from_slice(&fs::read(place.path().join("report.json")).unwrap()).unwrap();
        let reports = report.as_array().unwrap();
        assert_eq!(reports.len(), folders.len(), "verify lost a trace");
        let problems = |report: &Value| {
            let problems = report["problems"].as_array().unwrap().iter().filter_map(Value::as_str);
            problems.collect::<Vec<_>>().join(" | ")
        };
        let found: Vec<_> = range.zip(reports.iter().map(problems)).collect();
        let kept = checkout::target().join("hostile-logs");
        for ((which, _), folder) in
            found.iter().zip(&folders).filter(|((_, why), _)| classify(why).starts_with("CRASH"))
        {
            fs::create_dir_all(&kept).unwrap();
            fs::rename(folder.join(log_name(&self.name)), kept.join(format!("{seed}-{which}.log"))).unwrap();
        }
        found
    }
}

/// Waits for `verify`, and kills each of its PANDAs that takes too long.
fn wait(mut verify: Child) {
    let children = format!("/proc/{0}/task/{0}/children", verify.id());
    let mut seen: BTreeMap<i32, Instant> = BTreeMap::new();
    while verify.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(20));
        let now: Vec<i32> = fs::read_to_string(&children)
            .unwrap_or_default()
            .split_whitespace()
            .flat_map(str::parse)
            .collect();
        seen.retain(|child, _| now.contains(child));
        for child in now {
            if seen.entry(child).or_insert_with(Instant::now).elapsed() > PATIENCE {
                // SAFETY: sends a signal to a child of our own child, which has not been waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
            }
        }
    }
}

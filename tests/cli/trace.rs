//! `pandacap trace` on logs that the tests write.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rr_log::{Call, Callsite, Direction, Event, Reader, encode, encode_header};
use serde_json::Value;
use tempfile::TempDir;
use testkit::program::{nowhere, pandacap};

/// Where the last entry before the end of [`recording`]'s log starts.
pub const LAST: usize = 8 + 14 + 14 + (27 + 4) + 14;

/// A folder with a recording of 900 instructions: two clocks, a packet, two inputs of one instruction.
pub fn recording() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let io = Callsite::new(4).unwrap();
    let packet = Event::Call(Call::Packet { direction: Direction::Received, len: 4 });
    let mut log = Vec::new();
    encode_header(900, &mut log);
    encode(10, io, Event::Input4(1), &[], &mut log);
    encode(20, io, Event::Input4(2), &[], &mut log);
    encode(500, Callsite::MAIN_LOOP, packet, b"ping", &mut log);
    encode(800, io, Event::Input4(3), &[], &mut log);
    encode(800, io, Event::Input4(4), &[], &mut log);
    encode(900, Callsite::END, Event::End, &[], &mut log);
    fs::write(log_of(&dir, "boot"), log).unwrap();
    fs::write(dir.path().join("boot-rr-snp"), "the machine").unwrap();
    dir
}

fn log_of(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join(format!("{name}-rr-nondet.log"))
}

/// Truncates the log at `at`, and clears the count in its header, as after SIGKILL.
pub fn tear(dir: &TempDir, at: usize) -> Vec<u8> {
    let mut log = fs::read(log_of(dir, "boot")).unwrap();
    log.truncate(at);
    let header = log.len().min(8);
    log[..header].fill(0);
    fs::write(log_of(dir, "boot"), &log).unwrap();
    log
}

fn json(command: &[&str], path: &Path) -> Value {
    let mut pandacap = pandacap(nowhere());
    let output = pandacap.arg("trace").args(command).arg("--json").arg(path).assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn inspect_shows_what_came_in_from_where_and_when() {
    let dir = recording();
    let found = json(&["inspect", "--buckets", "10"], dir.path());
    assert_eq!(found["schema"], "pandacap.trace.inspect");
    assert_eq!(found["version"], 1);
    assert_eq!(found["instructions"], 900);
    assert_eq!(found["end"]["state"], "complete");
    assert_eq!(found["rows"][0]["kind"], "input_4");
    assert_eq!(found["rows"][0]["callsite"], "io_read_all");
    assert_eq!(found["rows"][0]["entries"], 4);
    assert_eq!(found["traffic"]["packets_received"]["bytes"], 4);
    assert_eq!(found["bucket_width"], 128);
    assert_eq!(found["timeline"][3]["from"], 384);
    assert_eq!(found["timeline"][3]["classes"]["network"]["entries"], 1);

    let mut inspect = pandacap(nowhere());
    let shown = inspect.args(["trace", "inspect"]).arg(dir.path()).assert().success();
    shown.stdout(contains("packets received")).stdout(contains("complete"));
}

#[test]
fn inspect_plots_the_timeline() {
    let dir = recording();
    let picture = dir.path().join("time.svg");
    let mut inspect = pandacap(nowhere());
    inspect.args(["trace", "inspect", "--plot"]).arg(&picture).arg(dir.path()).assert().success();
    let picture = fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("guest instructions"), "{picture}");

    let mut inspect = pandacap(nowhere());
    inspect.args(["trace", "inspect", "--plot", "time.png"]).arg(dir.path());
    inspect.assert().code(1).stderr(contains("NAME.svg"));
}

#[test]
fn a_recording_is_found_by_its_folder_its_log_or_its_name() {
    let dir = recording();
    for path in [dir.path().into(), log_of(&dir, "boot"), dir.path().join("boot")] {
        assert_eq!(json(&["inspect"], &path)["total"]["entries"], 6, "{}", path.display());
    }
    fs::copy(log_of(&dir, "boot"), log_of(&dir, "other")).unwrap();
    let mut inspect = pandacap(nowhere());
    inspect.args(["trace", "inspect"]).arg(dir.path());
    inspect.assert().code(1).stderr(contains("boot-rr-nondet.log, other-rr-nondet.log"));
}

#[test]
fn a_file_that_is_no_log_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(log_of(&dir, "folder")).unwrap();
    fs::write(log_of(&dir, "short"), "1234567").unwrap();
    for (path, reason) in [
        ("nothing", "no recording at"),
        ("packed.rr2", "unpack it first"),
        ("folder", "not a regular file"),
        ("short", "ends at byte 0"),
    ] {
        let mut inspect = pandacap(nowhere());
        inspect.args(["trace", "inspect"]).arg(dir.path().join(path));
        inspect.assert().code(1).stderr(contains(reason));
    }
}

#[test]
fn a_torn_recording_is_salvaged_beside_the_original() {
    let dir = recording();
    let torn = tear(&dir, LAST + 5);
    assert_eq!(json(&["inspect"], dir.path())["end"]["state"], "broken");

    let salvaged = &json(&["salvage"], dir.path())["salvaged"];
    // Instruction 800 lost one of its two inputs, so all of it is dropped.
    assert_eq!(salvaged["instructions"], 799);
    assert_eq!(salvaged["kept_bytes"], LAST - 14);
    assert_eq!(fs::read(log_of(&dir, "boot")).unwrap(), torn);
    let entries: Result<Vec<_>, _> = Reader::open(&log_of(&dir, "boot-salvaged")).unwrap().collect();
    assert_eq!(entries.unwrap().len(), 4);
    let inode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().ino();
    assert_eq!(inode("boot-salvaged-rr-snp"), inode("boot-rr-snp"));
}

#[test]
fn an_instruction_is_kept_when_the_next_one_has_begun() {
    let dir = recording();
    tear(&dir, LAST + 14 + 10 - 1);
    assert_eq!(json(&["salvage"], dir.path().join("boot").as_path())["salvaged"]["instructions"], 799);

    let dir = recording();
    let mut log = tear(&dir, LAST + 14);
    log.extend(900u64.to_le_bytes());
    log.extend([6, 4, 0]);
    fs::write(log_of(&dir, "boot"), log).unwrap();
    assert_eq!(json(&["salvage"], dir.path().join("boot").as_path())["salvaged"]["instructions"], 899);
}

#[test]
fn a_complete_recording_is_left_alone() {
    let dir = recording();
    let mut salvage = pandacap(nowhere());
    salvage.args(["trace", "salvage"]).arg(dir.path());
    salvage.assert().success().stdout(contains("is complete: nothing to salvage"));
    assert_eq!(json(&["salvage"], dir.path())["salvaged"], Value::Null);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn salvage_overwrites_nothing_and_leaves_nothing_behind() {
    let refused = |dir: &TempDir, reason: &str| {
        let files = || fs::read_dir(dir.path()).unwrap().count();
        let before = files();
        let mut salvage = pandacap(nowhere());
        salvage.args(["trace", "salvage"]).arg(dir.path().join("boot"));
        salvage.assert().code(1).stderr(contains(reason));
        assert_eq!(files(), before);
    };
    let dir = recording();
    tear(&dir, 8 + 9);
    refused(&dir, "nothing to salvage");

    let dir = recording();
    tear(&dir, LAST);
    fs::write(log_of(&dir, "boot-salvaged"), "someone's").unwrap();
    refused(&dir, "choose another name with --out");
    let mut salvage = pandacap(nowhere());
    salvage.args(["trace", "salvage", "--out", "repaired"]).arg(dir.path().join("boot")).assert().success();
    assert!(log_of(&dir, "repaired").exists());

    let dir = recording();
    tear(&dir, LAST);
    fs::remove_file(dir.path().join("boot-rr-snp")).unwrap();
    refused(&dir, "boot-rr-snp is missing");
}

#[test]
fn a_salvaged_log_keeps_the_bytes_but_not_the_mode() {
    let dir = recording();
    tear(&dir, LAST + 2);
    fs::set_permissions(log_of(&dir, "boot"), fs::Permissions::from_mode(0o6777)).unwrap();
    json(&["salvage"], dir.path());
    let mode = fs::metadata(log_of(&dir, "boot-salvaged")).unwrap().mode();
    assert_eq!(mode & 0o7133, 0, "mode {mode:o}: set-user-ID, executable or world-writable");
}

#[test]
fn a_recording_that_links_to_other_files_is_not_salvaged() {
    for file in ["boot-rr-nondet.log", "boot-rr-snp"] {
        let dir = recording();
        tear(&dir, LAST + 2);
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(dir.path().join(file), elsewhere.path().join("x")).unwrap();
        symlink(elsewhere.path().join("x"), dir.path().join(file)).unwrap();
        let mut salvage = pandacap(nowhere());
        salvage.args(["trace", "salvage"]).arg(dir.path());
        salvage.assert().code(1).stderr(contains("a link").and(contains(file)));
        assert!(!log_of(&dir, "boot-salvaged").exists());
    }
}

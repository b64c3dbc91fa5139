//! Recordings that a stranger changed: PANDA does not get to see what could harm it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pandacap::digest::FileDigest;
use pandacap::trace::log::{Call, Callsite, Event, Memory, Reader, encode};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{home, pandacap};

/// A trace called `t` of the shortest command there is.
fn trace() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).args(["--", "true"]).assert().success();
    let trace = dir.path().join("t");
    (dir, trace)
}

/// Replaces a file of the trace, with the digest that fits.
fn replace(trace: &Path, file: &str, content: &[u8]) {
    let (path, manifest) = (trace.join(file), trace.join("manifest.json"));
    // It may be a link to the file that it replaces.
    fs::remove_file(&path).unwrap();
    fs::write(&path, content).unwrap();
    let mut changed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    changed["files"][file] = serde_json::to_value(FileDigest::of(&path).unwrap()).unwrap();
    fs::write(&manifest, changed.to_string()).unwrap();
}

/// The log with one more entry behind its first.
fn with_entry(log: &[u8], event: Event) -> Vec<u8> {
    let first = Reader::new(std::io::Cursor::new(log)).unwrap().next().unwrap().unwrap();
    let (before, after) = log.split_at(first.end() as usize);
    let mut changed = before.to_vec();
    let data = vec![0xaa; event.data_len() as usize];
    encode(first.instructions, Callsite::MAIN_LOOP, event, &data, &mut changed);
    [changed, after.to_vec()].concat()
}

#[test]
fn a_log_that_would_have_panda_write_elsewhere_is_refused_before_panda_sees_it() {
    let (_dir, trace) = trace();
    let log = fs::read(trace.join("t-rr-nondet.log")).unwrap();
    let calls = [
        // A PANDA that is given these dies of SIGSEGV.
        (Call::MemoryUnmap { address: 0xfec0_0000, len: 2 << 20 }, "0xfec00000"),
        (Call::MemoryUnmap { address: 0, len: 2 << 20 }, "writes 2097152 bytes to 0x0"),
        (Call::MemoryWrite { address: 0xfec0_0000, len: 8 }, "0xfec00000"),
        (Call::RegisterWrite { cpu: 1, register: 0, len: 8 }, "processor 1"),
        (Call::RegisterWrite { cpu: 0, register: -1000, len: 8 }, "register -1000"),
        (
            Call::RegionChange { address: 0, size: 1 << 28, memory: Memory::Io, added: true, name_len: 1 },
            "changes the address space at 0x0",
        ),
    ];
    for (call, word) in calls {
        replace(&trace, "t-rr-nondet.log", &with_entry(&log, Event::Call(call)));
        for command in ["verify", "replay"] {
            let refused = pandacap(home()).arg(command).arg(&trace).assert().code(4);
            refused.stderr(contains("PANDA was not given the recording").and(contains(word)));
        }
    }
    // A log that merely is another's is PANDA's to judge.
    replace(&trace, "t-rr-nondet.log", &with_entry(&log, Event::Input4(7)));
    pandacap(home()).arg("verify").arg(&trace).assert().code(4).stderr(contains("detect_infinite_loops"));
}

#[test]
fn a_plugin_that_fails_is_blamed_and_not_the_recording() {
    let (dir, trace) = trace();
    let replay = |plugin: &str| {
        let mut replay = pandacap(home());
        replay.arg("replay").arg(&trace).args(["--plugin", plugin]).current_dir(dir.path());
        replay.assert()
    };
    let compile = |arguments: &[&str], code: &str| {
        fs::write(dir.path().join("plugin.c"), code).unwrap();
        let cc =
            Command::new("cc").args(["-shared", "-fPIC"]).args(arguments).current_dir(dir.path()).status();
        assert!(cc.unwrap().success());
    };
    let blames = |word: &'static str| {
        contains(word).and(contains("not in doubt")).and(contains("does not replay").not())
    };

    compile(&["-o", "libgone.so", "plugin.c"], "int gone;");
    let lost = ["-o", "panda_lost.so", "plugin.c", "-Wl,--no-as-needed", "-L.", "-lgone"];
    compile(&lost, "int init_plugin(void *self) { return self != 0; }");
    fs::remove_file(dir.path().join("libgone.so")).unwrap();
    replay("./panda_lost.so")
        .code(3)
        .stderr(blames("plugin lost did not load: the library libgone.so is not there"));

    compile(
        &["-o", "panda_shy.so", "plugin.c"],
        "int puts(const char *); int init_plugin(void *self) { puts(\"not today\"); return self == 0; }",
    );
    replay("./panda_shy.so").code(1).stderr(blames("plugin shy did not load: not today"));

    replay("asidstory")
        .code(2)
        .stderr(blames("plugin osi (which asidstory needs) did not load: it has to know"));
    replay("syscalls2").code(2).stderr(blames("name it with --os"));
    // PANDA's own, which ends the replay where it is told to.
    replay("memsavep:instrcount=100000,size=4096").code(1).stderr(blames("a plugin ended the replay"));
    let mut verify = pandacap(home());
    verify.arg("verify").arg(&trace).assert().success();
}

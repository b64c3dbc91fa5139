//! Manipulated recordings: PANDA never sees what could harm it.

use std::fs;
use std::path::Path;
use std::process::Command;

use files::FileDigest;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rr_log::{Call, Callsite, Event, Memory, Reader, encode};
use serde_json::Value;
use testkit::program::{home, pandacap, recorded};

/// Replaces a file of the trace, and updates its digest.
fn replace(trace: &Path, file: &str, content: &[u8]) {
    let (path, manifest) = (trace.join(file), trace.join("manifest.json"));
    // It may be a link to the original file.
    fs::remove_file(&path).unwrap();
    fs::write(&path, content).unwrap();
    let mut changed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    changed["files"][file] = serde_json::to_value(FileDigest::of(&path).unwrap()).unwrap();
    fs::write(&manifest, changed.to_string()).unwrap();
}

/// The log with one more entry after its first.
fn with_entry(log: &[u8], event: Event) -> Vec<u8> {
    let first = Reader::new(std::io::Cursor::new(log)).unwrap().next().unwrap().unwrap();
    let (before, after) = log.split_at(first.end() as usize);
    let mut changed = before.to_vec();
    let data = vec![0xaa; event.data_len() as usize];
    encode(first.instructions, Callsite::MAIN_LOOP, event, &data, &mut changed);
    [changed, after.to_vec()].concat()
}

#[test]
fn a_log_that_would_make_panda_write_elsewhere_is_refused_before_panda_sees_it() {
    let (_dir, trace) = recorded(&["true"]);
    let log = fs::read(trace.join("t-rr-nondet.log")).unwrap();
    let calls = [
        // These kill PANDA with SIGSEGV.
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
    replace(&trace, "t-rr-nondet.log", &with_entry(&log, Event::InterruptRequest(0x80)));
    let refused = pandacap(home()).arg("verify").arg(&trace).assert().code(4);
    refused.stderr(contains("unknown interrupt request (0x80)"));
    // A valid log of another recording is left for PANDA to judge.
    replace(&trace, "t-rr-nondet.log", &with_entry(&log, Event::Input4(7)));
    pandacap(home()).arg("verify").arg(&trace).assert().code(4).stderr(contains("detect_infinite_loops"));
}

#[test]
fn a_failing_plugin_is_blamed_instead_of_the_recording() {
    // Long enough for PANDA's main loop to notice a plugin that ends the replay.
    let (dir, trace) = recorded(&["sh", "-c", "seq 100000 | md5sum"]);
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
    // One of PANDA's own, which ends the replay at a given point.
    replay("memsavep:instrcount=100000,size=4096").code(1).stderr(blames("a plugin ended the replay"));
    let mut verify = pandacap(home());
    verify.arg("verify").arg(&trace).assert().success();
}

#[test]
fn a_damaged_snapshot_is_refused_before_panda_sees_it() {
    let (_dir, trace) = recorded(&["true"]);
    let snapshot = fs::read(trace.join("t-rr-snp")).unwrap();
    let find = |word: &[u8]| snapshot.windows(word.len()).position(|bytes| bytes == word).unwrap();
    // The length of the guest's memory, and the address of its first page.
    let (length, page) = (find(b"pc.ram") + 6, find(b"\x7e\0\0\0\x03\x02\0\0\0\x03") + 10);
    let changes: [(usize, &[u8], &str); 5] = [
        (0, b"QEVN", "not a PANDA snapshot"),
        (length, &[0, 0, 0, 0, 0x20], "blocks of memory that do not add up"),
        (page, &[0xff; 6], "lies beyond pc.ram"),
        (page + 6, &[1, 0], "memory with the flags"),
        (find(b"\x05i8254\0\0\0\0") + 1, b"i8042", "the state of i8042, which no usual machine has"),
    ];
    for (at, bytes, word) in changes {
        let mut changed = snapshot.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        replace(&trace, "t-rr-snp", &changed);
        let refused = pandacap(home()).arg("verify").arg(&trace).assert();
        refused.stderr(contains("PANDA was not given the recording").and(contains(word))).code(4);
    }
    replace(&trace, "t-rr-snp", &snapshot[..snapshot.len() / 2]);
    pandacap(home()).arg("verify").arg(&trace).assert().code(4).stderr(contains("before it is complete"));
    replace(&trace, "t-rr-snp", &snapshot);
    pandacap(home()).arg("verify").arg(&trace).assert().success();
}

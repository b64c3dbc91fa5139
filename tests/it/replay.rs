//! `pandacap replay`: replaying traces, with and without plugins.

use std::env;
use std::fs;
use std::process::Command;

use panda_host::Panda;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rr_log::Target;
use serde_json::Value;
use testkit::program::{home, pandacap, selection};
use testkit::skip::skip;

/// What the dynamic loader says is missing for one of PANDA's own plugins on this machine, if anything.
fn lacking(plugin: &str) -> Option<String> {
    if env::var_os("PANDACAP_PROGRAM").is_some() {
        return Some("the image does not have its library".to_owned());
    }
    let panda = Panda::find(home(), &selection(), Target::X86_64).unwrap();
    let file = format!("panda_{plugin}.so");
    let Some(plugin) = panda.plugin_dirs().into_iter().map(|folder| folder.join(&file)).find(|p| p.exists())
    else {
        return Some(format!("this PANDA has no {file}"));
    };
    let asked = Command::new("ldd").arg(&plugin).output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let told = String::from_utf8(asked.stdout).unwrap();
    let lacks = told.lines().find_map(|line| line.trim().strip_suffix(" => not found"));
    lacks.map(|library| format!("the machine has no {library}"))
}

#[test]
fn a_trace_replays_with_plugins_and_succeeds_only_if_it_reaches_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).args(["--", "sh", "-c", "echo $((6 * 7))"]);
    rec.assert().success();
    let trace = dir.path().join("t");
    let replay = |arguments: &[&str]| {
        let mut replay = pandacap(home());
        // Not the trace's folder: plugins' files go to the current folder.
        replay.arg("replay").arg(&trace).args(arguments).current_dir(dir.path());
        replay
    };
    let files = || fs::read_dir(&trace).unwrap().count();
    let before = files();
    let plain = replay(&[]).assert().success();
    plain.stdout(contains("Replay completed successfully")).stdout(contains("instructions in"));
    if let Some(lacks) = lacking("coverage") {
        skip("replay with PANDA's plugin coverage", &lacks);
    } else {
        let output = replay(&["--json", "--plugin", "coverage:filename=seen.csv"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["replayed"]), (Some(0), &Value::Bool(true)), "{report}");
        assert!(fs::metadata(dir.path().join("seen.csv")).unwrap().len() > 1000);
    }
    assert_eq!(files(), before);

    replay(&["--plugin", "nosuch"]).assert().code(2).stderr(contains("no plugin \"nosuch\""));
    replay(&["--plog", "a.plog"]).assert().code(3).stderr(contains("full PANDA"));
    replay(&["--dry-run"]).assert().success().stdout(contains("-replay"));

    // The trace is not at fault here.
    let os = replay(&["--os", "nosuch"]).assert().code(2);
    os.stderr(
        contains("does not know the guest system")
            .and(contains("not in doubt"))
            .and(contains("does not replay").not()),
    );
    let system = replay(&["--plugin", "asidstory"]).assert().code(2);
    system.stderr(contains("plugin osi (which asidstory needs) did not load").and(contains("--os")));

    let log = trace.join("t-rr-nondet.log");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    replay(&[]).assert().code(4).stderr(contains("was not given").and(contains("no end-of-log entry")));
    fs::remove_file(&log).unwrap();
    replay(&[]).assert().code(4).stderr(contains("t-rr-nondet.log"));
    pandacap(home()).args(["replay", "nosuch"]).assert().code(4).stderr(contains("nosuch is not a trace"));
}

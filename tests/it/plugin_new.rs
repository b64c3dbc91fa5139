//! `pandacap plugin new`: creating plugins, and what happens when one panics.

use std::fs;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use testkit::machine::{Plugin, Run, lab};
use testkit::plugin::own;
use testkit::program::{home, pandacap, recorded};

/// Creates a plugin in `folder`.
pub fn begin(name: &str, folder: &Path) {
    let mut new = pandacap(home());
    new.args(["plugin", "new", name])
        .arg(folder)
        .assert()
        .success()
        .stdout(contains("cargo build --release"));
}

#[test]
fn a_new_plugin_builds_and_logs_what_it_sees_in_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    begin("sightings", &folder);
    let plugin = own("sightings", &folder).into_os_string().into_string().unwrap();

    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).args(["--", "sh", "-c", "ls | cat"]);
    rec.args(["--json"]).assert().success();
    let replay = |plugin: &str| {
        let mut replay = pandacap(home());
        replay.arg("replay").arg(dir.path().join("t")).args(["--plugin", plugin]).current_dir(dir.path());
        replay
    };
    let said = replay(&format!("{plugin}:show=2")).assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches("PANDA[sightings]: 0x").count(), 2, "{said}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("t/manifest.json")).unwrap()).unwrap();
    let all = format!("{} instructions", manifest["recording"]["instructions"]);
    assert!(said.contains(&all), "no {all:?} in {said}");

    replay(&format!("{plugin}:show=few")).assert().code(1).stdout(contains("expected a number of 0 or more"));
    replay("./libpanda_none.so").assert().code(2).stderr(contains("no such file"));
    let dry = replay(&plugin).arg("--dry-run").assert().success();
    dry.stdout(contains("panda_sightings.so")).stdout(contains("PANDA_DIR=panda-dir"));
}

#[test]
fn a_new_plugin_for_linux_guests_needs_no_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    pandacap(home()).args(["plugin", "new", "programs", "--linux"]).arg(&folder).assert().success();
    let plugin = own("programs", &folder).into_os_string().into_string().unwrap();
    let (_trace, trace) = recorded(&["sh", "-c", "/bin/ls / >/dev/null"]);
    let mut replay = pandacap(home());
    replay.arg("replay").arg(trace).args(["--plugin", &plugin]).current_dir(dir.path());
    replay.assert().success().stdout(contains("executes /bin/busybox").and(contains("system calls")));
    assert!(!dir.path().join("profile.json").exists(), "it is the trace's");
}

#[test]
fn a_plugin_that_panics_stops_neither_the_machine_nor_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    begin("stumble", dir.path());
    let source = testkit::checkout::root().join("tests/plugins/stumble.rs");
    fs::copy(source, dir.path().join("src/lib.rs")).unwrap();
    let plugin = own("stumble", dir.path());
    let run = |place: &str| {
        let dir = tempfile::tempdir().unwrap();
        let script = "recctrlu start a; recctrlu message note; ls >/dev/null; recctrlu stop; echo goes on";
        let mut panda = lab().booting(dir.path(), script, Plugin::Ours, "");
        let plugins = lab().plugins(dir.path(), &mut panda);
        fs::copy(&plugin, plugins.join("panda_stumble.so")).unwrap();
        panda.args(["-panda", &format!("stumble:at={place}")]);
        Run::of(dir, panda)
    };
    let stopped = "PANDA[stumble]: error: stopped by an internal error";
    let (panicked, unloaded) = ("stumbled", "PANDA[stumble]: unloaded");

    let sound = run("nowhere").said;
    assert!(!sound.contains(panicked) && sound.contains(unloaded), "{sound}");
    for place in ["block", "hypercall", "message"] {
        let run = run(place);
        assert!(run.status.success(), "at {place}: {}\n{}", run.status, run.said);
        run.assert_says(&["goes on"]);
        assert_eq!(run.recordings(), ["a_000"], "at {place}: {}", run.said);
        lab().replay(run.dir.path(), "a_000").unwrap_or_else(|said| panic!("at {place}: {said}"));
        let counts = [panicked, stopped, unloaded].map(|text| run.said.matches(text).count());
        assert_eq!(counts, [1, 1, 0], "at {place}: {}", run.said);
    }
    let at_its_end = run("unload");
    assert!(at_its_end.status.success() && at_its_end.said.contains(panicked), "{}", at_its_end.said);
    let refused = run("load");
    assert!(refused.said.contains("Unable to load plugin"), "as any that does not load: {}", refused.said);
}

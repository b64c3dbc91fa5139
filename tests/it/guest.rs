//! Guests: building the tiny guest, and warm starts.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use testkit::program::{own_home, pandacap, process};

fn json(home: &Path, arguments: &[&str]) -> Value {
    let output = pandacap(home).arg("--json").args(arguments).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn two_concurrent_first_runs_make_one_tiny_guest() {
    let dir = tempfile::tempdir().unwrap();
    let home = own_home(dir.path());
    fs::remove_dir_all(home.join("guests/tiny")).unwrap();
    let runs = [(); 2].map(|()| {
        let mut rec = process(&home);
        rec.args(["rec", "--dry-run", "--", "true"]).stdout(Stdio::null()).spawn().unwrap()
    });
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let guests: Vec<_> =
        fs::read_dir(home.join("guests")).unwrap().map(|at| at.unwrap().file_name()).collect();
    assert_eq!(guests, ["tiny"]);
}

#[test]
fn a_dry_run_boots_no_machine_to_make_a_warm_state() {
    let dir = tempfile::tempdir().unwrap();
    let home = own_home(dir.path());
    let warm = home.join("guests/tiny/warm");
    fs::create_dir_all(warm.join("0123456789abcdef")).unwrap();
    let printed = pandacap(&home).args(["rec", "--dry-run", "--", "true"]).assert().success();
    printed.stdout(contains("-kernel").and(contains("-incoming").not()));
    assert_eq!(fs::read_dir(&warm).unwrap().count(), 1);
    assert!(warm.join("0123456789abcdef").exists());
}

#[test]
fn a_warm_guest_runs_any_command_and_an_outdated_state_is_never_used() {
    let dir = tempfile::tempdir().unwrap();
    let home = own_home(dir.path());
    assert_eq!(json(&home, &["guest", "warm", "tiny"])["made"], true);
    assert_eq!(json(&home, &["guest", "warm", "tiny"])["made"], false);
    let rec = |name: &str, more: &[&str], command: &[&str]| {
        let mut rec = pandacap(&home);
        rec.args(["rec", "--name", name, "--out"]).arg(dir.path().join("traces")).args(more);
        rec.arg("--").args(command).assert().success();
        let read = |file: &str| fs::read(dir.path().join("traces").join(name).join(file)).unwrap();
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(manifest["verification"]["replayed"], true, "{manifest:#}");
        let warm = manifest["arguments"]["record"].as_array().unwrap().contains(&"-incoming".into());
        (warm, read("output.log"))
    };
    let long = "x".repeat(20_000);
    let odd = ["printf", "<%s>", "it's", "", "a\nb", " $x `y` \\ \"", "\u{e9}\u{1}", &long];
    let expected: String = odd[2..].iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(rec("warm", &[], &odd), (true, expected.clone().into_bytes()));
    assert_eq!(rec("cold", &["--cold"], &odd), (false, expected.into_bytes()));
    assert!(!rec("more-memory", &["--mem", "300"], &["true"]).0, "a state of another machine was used");

    // Under the name that would fit now, because the name changes with everything that the state depends on.
    let warm = home.join("guests/tiny/warm");
    let state = fs::read_dir(&warm).unwrap().next().unwrap().unwrap().path();
    fs::rename(&state, warm.join("0123456789abcdef")).unwrap();
    assert!(rec("anew", &[], &["true"]).0, "it is made anew");
    assert!(state.join("state").is_file() && !warm.join("0123456789abcdef").exists(), "the stale one goes");
}

//! The embedded PANDA: installing, finding and repairing it, and its missing libraries.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;
use testkit::checkout::{self, scratch};
use testkit::fake;
use testkit::program::pandacap;
use testkit::wheel::{PANDA, wheel, wheelhouse};

/// A home with PANDA for x86_64 in it.
fn installed() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(install(home.path(), "x86_64")[0]["change"], "installed");
    home
}

/// Installs, and returns the output for each target.
fn install(home: &Path, targets: &str) -> Value {
    let mut command = pandacap(home);
    command.args(["--json", "panda", "install", "--target", targets, "--wheel"]).arg(wheel());
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn folder(home: &Path) -> PathBuf {
    home.join(PANDA).join("x86_64-softmmu")
}

fn program(home: &Path) -> PathBuf {
    folder(home).join("panda-system-x86_64")
}

/// The lines of `pandacap doctor` by the name of the check.
fn doctor(pandacap: &mut assert_cmd::Command) -> (Option<i32>, Value) {
    let output = pandacap.args(["--json", "doctor"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let states =
        checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check["state"].clone()));
    (output.status.code(), Value::Object(states.collect()))
}

#[test]
fn install_gets_a_panda_that_starts_and_the_second_run_has_nothing_to_do() {
    let home = tempfile::tempdir().unwrap();
    let install = || {
        let mut command = pandacap(home.path());
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheelhouse());
        command.args(["panda", "install"]).assert().success()
    };
    install().stdout(contains("installed x86_64"));
    Command::new(program(home.path()))
        .arg("-version")
        .assert()
        .success()
        .stdout(contains("v2.9.1-2959-g8823ced927"));

    let mut left: Vec<_> =
        fs::read_dir(home.path().join("panda")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["0.1.1.5", "lock"], "neither the wheel nor a staging folder stays behind");
    install().stdout(contains("nothing to do for x86_64"));
}

#[test]
fn two_concurrent_installs_make_one_installation() {
    let home = tempfile::tempdir().unwrap();
    let mut changes = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| install(home.path(), "x86_64")[0]["change"].clone()));
        both.map(|one| one.join().unwrap().as_str().unwrap().to_owned())
    });
    changes.sort();
    assert_eq!(changes, ["installed", "unchanged"]);
}

#[test]
fn a_target_added_later_leaves_the_others_as_they_are() {
    let home = installed();
    let before = fs::metadata(folder(home.path()).join("libpanda-x86_64.so")).unwrap().ino();
    let both = install(home.path(), "i386,x86_64");
    assert_eq!((&both[0]["target"], &both[0]["change"]), (&"x86_64".into(), &"unchanged".into()));
    assert_eq!((&both[1]["target"], &both[1]["change"]), (&"i386".into(), &"installed".into()));
    assert_eq!(fs::metadata(folder(home.path()).join("libpanda-x86_64.so")).unwrap().ino(), before);
}

#[test]
fn a_corrupted_wheel_is_refused_and_nothing_is_installed() {
    let home = tempfile::tempdir().unwrap();
    let bad = home.path().join("bad.whl");
    let mut bytes = fs::read(wheel()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bad, bytes).unwrap();
    let mut command = pandacap(home.path());
    command
        .args(["panda", "install", "--wheel"])
        .arg(&bad)
        .assert()
        .code(1)
        .stderr(contains("its SHA-256 is"));
    assert!(!home.path().join(PANDA).exists());
    assert!(!home.path().join("panda/staging").exists());
}

#[test]
fn doctor_finds_a_damaged_installation_and_install_repairs_it() {
    let home = installed();
    let stand_in = folder(home.path()).join("stand-ins/libprotobuf.so.17");
    fs::remove_file(&stand_in).unwrap();
    assert_eq!(doctor(&mut pandacap(home.path())).1["libraries"], "missing");
    assert_eq!(install(home.path(), "x86_64")[0]["change"], "repaired");
    assert!(stand_in.is_file());
    assert_eq!(doctor(&mut pandacap(home.path())).1["libraries"], "ok");
    let told = pandacap(home.path()).arg("doctor").assert();
    told.stdout(contains("of them stand-ins: ").and(contains(" libprotobuf.so.17 ")));

    fs::write(folder(home.path()).join("libpanda-x86_64.so"), "cut short").unwrap();
    assert_eq!(doctor(&mut pandacap(home.path())).1["libraries"], "missing");
    assert_eq!(install(home.path(), "x86_64")[0]["change"], "installed");
    Command::new(program(home.path())).arg("-version").assert().success();
}

#[test]
fn an_installation_of_a_newer_pandacap_is_not_used_and_can_be_replaced() {
    let home = installed();
    fs::write(folder(home.path()).join("install.json"), r#"{"schema": 1000}"#).unwrap();
    let refused = pandacap(home.path()).args(["panda", "path"]).assert().code(3);
    refused.stderr(contains("schema 1000").and(contains("pandacap panda install --target x86_64")));
    assert_eq!(install(home.path(), "x86_64")[0]["change"], "installed");
}

#[test]
fn a_named_panda_comes_before_the_embedded_one_and_that_before_the_path() {
    let home = installed();
    let own = tempfile::tempdir().unwrap();
    let fake = fake::panda(own.path(), "9.9", "");
    let says = |command: &mut assert_cmd::Command, expected: &Path| {
        let expected = format!("{}\n", expected.display());
        command.args(["--confine=off", "panda", "path"]).assert().success().stdout(expected);
    };
    let script = pandacap(home.path()).env("PANDA_PATH", own.path()).args(["panda", "path"]).assert().code(3);
    script.stderr(contains("is a script, and a confined PANDA executes nothing"));

    says(pandacap(home.path()).env("PANDA_PATH", own.path()), &fake);
    says(pandacap(home.path()).env("PANDA_PATH", "/nowhere").arg("--panda").arg(own.path()), &fake);
    says(pandacap(home.path()).arg("--panda").arg(own.path().join("bin")), &fake);
    says(pandacap(home.path()).arg("--panda").arg(&fake), &fake);
    says(pandacap(home.path()).arg("--panda").arg(home.path().join(PANDA)), &program(home.path()));
    says(pandacap(home.path()).env("PATH", own.path().join("bin")), &program(home.path()));
    says(pandacap(own.path()).env("PATH", own.path().join("bin")), &fake);

    let wrong = pandacap(home.path()).args(["--panda", "/nowhere", "panda", "path"]).assert().code(3);
    wrong.stderr(contains("/nowhere/bin/panda-system-x86_64"));
    let nothing = pandacap(own.path()).env("PATH", "/nowhere").args(["panda", "path"]).assert().code(3);
    nothing.stderr(contains("pandacap panda install --target x86_64"));
}

#[test]
fn doctor_succeeds_only_if_everything_for_recording_is_there() {
    let home = tempfile::tempdir().unwrap();
    // pandacap as a package would install it, in bin/ and lib/; a hard link, because it searches beside itself.
    let prefix = tempfile::tempdir_in(scratch()).unwrap();
    let program = prefix.path().join("bin/pandacap");
    fs::create_dir(prefix.path().join("bin")).unwrap();
    fs::hard_link(checkout::pandacap(), &program).unwrap();
    let packaged = || {
        let mut command = assert_cmd::Command::new(&program);
        command.env("PANDACAP_HOME", home.path()).env_remove("PANDA_PATH");
        command
    };

    let (code, checks) = doctor(&mut packaged());
    assert_eq!(code, Some(3));
    assert_eq!((&checks["panda"], &checks["plugin"]), (&"missing".into(), &"missing".into()));

    install(home.path(), "x86_64");
    let (code, checks) = doctor(&mut packaged());
    assert_eq!((code, &checks["panda"], &checks["agent"]), (Some(3), &"ok".into(), &"missing".into()));

    let library = prefix.path().join("lib/pandacap/x86_64");
    fs::create_dir_all(&library).unwrap();
    fs::write(library.join("panda_recctrl.so"), "").unwrap();
    fs::write(library.join("recctrlu"), "").unwrap();
    let (code, checks) = doctor(&mut packaged());
    assert_eq!((code, &checks["plugin"]), (Some(3), &"missing".into()), "PANDA can't load an empty file");

    let built = checkout::dist().join("x86_64/panda_recctrl.so");
    fs::copy(built, library.join("panda_recctrl.so")).expect("scripts/build has been run");
    let (code, checks) = doctor(&mut packaged());
    assert_eq!(code, Some(0), "{checks:#}");
}

#[test]
fn calling_a_missing_library_ends_panda_with_the_name_of_the_function() {
    let home = installed();
    let output = Command::new(program(home.path()))
        .args(["-display", "none", "-chardev", "braille,id=b"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(6), "{stderr}");
    assert!(stderr.starts_with("panda stand-in: brlapi_getHandleSize was called"), "{stderr}");
    assert!(stderr.contains("libbrlapi.so.0.7"), "{stderr}");
}

#[test]
fn panda_records_and_replays_its_firmware_through_a_link_and_calls_no_stand_in() {
    let home = installed();
    let work = tempfile::tempdir().unwrap();
    let link = work.path().join("panda");
    symlink(program(home.path()), &link).unwrap();
    let machine = ["-display", "none", "-m", "64", "-net", "none"];
    let recorded = Command::new(&link)
        .args(machine)
        .args(["-monitor", "stdio", "-panda", "recctrl"])
        .current_dir(&work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut recorded = recorded.unwrap();
    let mut monitor = recorded.stdin.take().unwrap();
    for line in ["begin_record firmware", "end_record", "quit"] {
        sleep(Duration::from_millis(700));
        writeln!(monitor, "{line}").unwrap();
    }
    let recorded = recorded.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&recorded.stderr);
    assert!(recorded.status.success() && stderr.contains("initializing recctrl"), "{stderr}");

    let mut replay = Command::new(&link);
    replay.args(machine).args(["-replay", "firmware"]).current_dir(&work);
    replay.assert().success().stdout(contains("Replay completed successfully"));
}

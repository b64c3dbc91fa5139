//! The Python module and what makes packages: their own tests, and that the module speaks of the same machines.

use std::path::Path;
use std::process::Command;

use machine::Machine;
use testkit::checkout::root;
use testkit::files;
use testkit::skip::skip;

/// Python with the module, or none where there is no Python that can have it.
fn python(test: &str) -> Option<Command> {
    let mut asked = Command::new("python3");
    asked.args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]);
    if !asked.status().is_ok_and(|status| status.success()) {
        skip(test, "no Python 3.9 or newer");
        return None;
    }
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", root().join("packaging/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(python)
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_python_modules_tests_pass() {
    let Some(mut python) = python("the Python module's tests") else { return };
    succeeds(python.args(["-m", "unittest", "discover", "-s"]).arg(root().join("packaging/python/tests")));
}

#[test]
fn the_tests_of_what_makes_packages_pass() {
    let Some(mut python) = python("the tests of what makes packages") else { return };
    succeeds(python.args(["-m", "unittest", "discover", "-s"]).arg(root().join("packaging/tests")));
}

#[test]
fn the_python_module_replays_on_the_same_machines() {
    let Some(mut python) = python("the Python module's machines") else { return };
    let bare = Machine { memory_mib: 256, serial_ports: 2, ..Machine::default() };
    let whole = Machine {
        disk_bytes: Some(1 << 30),
        bootstrap_bytes: Some(4096),
        nic: "rtl8139".parse().ok(),
        vga: true,
        more: ["-icount", "1"].map(str::to_owned).into(),
        ..bare.clone()
    };
    let dir = tempfile::tempdir().unwrap();
    python.args([
        "-c",
        "import json, sys, pandacap\n\
         for folder in sys.argv[1:]:\n\
         \x20   print(json.dumps(pandacap.open(folder, trust_arguments=True).machine_arguments))",
    ]);
    let machines = [bare, whole];
    for (number, machine) in machines.iter().enumerate() {
        python.arg(trace(&dir.path().join(number.to_string()), machine));
    }
    let said = succeeds(&mut python);
    let arguments: Vec<Vec<String>> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(arguments.len(), machines.len());
    for (machine, mut arguments) in machines.iter().zip(arguments) {
        arguments.extend(["-replay", "x"].map(str::to_owned));
        assert_eq!(arguments, machine.replay_args("x"));
    }
}

/// A folder with the manifest of a trace of this machine.
fn trace<'a>(folder: &'a Path, machine: &Machine) -> &'a Path {
    let mut manifest = files::json(&root().join("crates/trace/src/manifest-1.json"));
    manifest["machine"] = serde_json::to_value(machine).unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

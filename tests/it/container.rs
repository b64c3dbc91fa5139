//! pandacap in containers: the image by itself, and the same commands with `--docker`.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::debian::{Machine, debian, warm_debian};
use testkit::files::entries;
use testkit::image::{engine, image, in_image};
use testkit::program::{home, json, pandacap, process, verify};

/// All that a container can be denied.
const BOUND: [&str; 7] =
    ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"];

/// Asserts that a trace replays here, outside of any container.
#[track_caller]
fn assert_verifies(trace: &Path) {
    let (code, reports) = verify(trace);
    assert_eq!((code, &reports[0]["replay_ok"]), (Some(0), &Value::Bool(true)), "{reports:#}");
}

/// The names of running and stopped containers that contain `word`.
fn containers(word: &str) -> String {
    let filter = format!("name={word}");
    let list = Process::new(engine().unwrap())
        .args(["ps", "-a", "--format", "{{.Names}}", "--filter", &filter])
        .output();
    String::from_utf8(list.unwrap().stdout).unwrap()
}

#[test]
fn the_image_makes_a_verified_trace_for_any_user_with_everything_denied() {
    let Some(image) = image("the image by itself") else { return };
    let work = tempfile::tempdir().unwrap();
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mount = format!("{}:/work", work.path().display());
    let options = [&BOUND[..], &["--user", "12345:54321", "--volume", &mount]].concat();
    let output =
        in_image(image, &options, &["--json", "rec", "--name", "a", "--", "uname", "-a"]).output().unwrap();
    let report = json(&output);
    assert_eq!(report["verification"]["replayed"], true, "{report:#}");
    let trace = work.path().join("traces/a");
    assert!(fs::read_to_string(trace.join("output.log")).unwrap().starts_with("Linux"));
    for file in entries(&trace) {
        let owner = fs::metadata(trace.join(&file)).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (12345, 54321), "{file}");
    }
    assert_verifies(&trace);
}

#[test]
fn the_image_is_healthy_and_has_nothing_to_build_with() {
    let Some(image) = image("the image by itself") else { return };
    let doctor = in_image(image, &BOUND, &["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success() && said.contains("can record x86_64 guests"), "{said}");
    let look = "ls /usr/bin/apt* /usr/bin/dpkg* /usr/bin/gcc* /usr/bin/python* /usr/bin/pip* /var/lib/apt 2>/dev/null";
    let found = in_image(image, &["--entrypoint", "/bin/sh"], &["-c", look]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let own =
        in_image(image, &["--entrypoint", "/bin/sh"], &["-c", "id -u; cat /usr/share/doc/libc6/copyright"]);
    let said = String::from_utf8({ own }.output().unwrap().stdout).unwrap();
    assert!(said.starts_with("1000\n") && said.contains("GNU"), "{said}");
}

#[test]
fn the_same_command_runs_in_a_container_on_the_users_own_paths() {
    let Some(image) = image("--docker") else { return };
    let docker = format!("--docker={image}");
    let dir = tempfile::Builder::new().prefix("a, b=\"c\" ").tempdir().unwrap();
    let command = ["sh", "-c", "printf '%s|' \"$@\"; exit 3", "sh", "a b", "\"'$X", "--docker", ""];
    let mut rec = pandacap(home());
    rec.current_dir(dir.path())
        .args(["rec", &docker, "--json", "--name", "paths", "--out", "out/x", "--"])
        .args(command);
    let report = json(&rec.output().unwrap());
    assert_eq!(
        (&report["exit_status"], &report["verification"]["replayed"]),
        (&3.into(), &true.into()),
        "{report:#}"
    );
    let trace = dir.path().join("out/x/paths");
    assert_eq!(report["trace"], trace.to_str().unwrap());
    assert_eq!(fs::read_to_string(trace.join("output.log")).unwrap(), "a b|\"'$X|--docker||");
    assert_eq!(fs::metadata(&trace).unwrap().uid(), rustix::process::getuid().as_raw());
    assert_verifies(&trace);

    pandacap(home()).arg("verify").arg(&docker).arg(&trace).assert().success();
    let mut replay = pandacap(home());
    replay.current_dir(dir.path()).arg("replay").arg(&docker).args([
        "--plugin",
        "asid_instr_count",
        "out/x/paths",
    ]);
    replay.assert().success().stdout(contains("replayed"));
    assert_eq!(containers("pandacap-paths"), "");
}

#[test]
fn a_command_line_that_cannot_be_run_in_a_container_says_why() {
    let Some(image) = image("--docker") else { return };
    let docker = format!("--docker={image}");
    let run = |arguments: &[&str]| pandacap(home()).args(arguments).assert();
    run(&["rec", "--docker=no-such-image", "--", "true"]).code(3).stderr(contains("pandacap image build"));
    run(&["rec", &docker, "--panda", "/opt/panda", "--", "true"])
        .code(2)
        .stderr(contains("--docker-panda-root"));
    run(&["verify", &docker, "/no/such/trace"]).code(1).stderr(contains("/no/such/trace"));
    run(&["verify", &docker, "/etc"]).code(2).stderr(contains("copy it elsewhere"));
    let mut bytes = pandacap(home());
    bytes.args(["rec", &docker, "--", "echo"]).arg(OsStr::from_bytes(b"\xff"));
    bytes.assert().code(2).stderr(contains("not UTF-8"));
    run(&["image", "rm", "pandacap-base:bookworm"]).code(1).stderr(contains("left alone"));
}

/// Starts a recording in a container that ends only when it is told to, and waits until it has begun.
fn begin(image: &str, out: &Path, name: &str) -> Child {
    let mut rec = process(home());
    rec.args(["rec", &format!("--docker={image}"), "--name", name, "--out"]).arg(out);
    rec.args(["--", "sh", "-c", "echo begun; sleep 1000"]);
    let mut rec = rec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(rec.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    said.find(|line| line == "begun").expect("it has begun");
    rec
}

#[test]
fn signals_and_docker_stop_end_the_recording_properly() {
    let Some(image) = image("--docker") else { return };
    let out = tempfile::tempdir().unwrap();
    for (name, signal) in [("int", Some(Signal::INT)), ("term", Some(Signal::TERM)), ("stop", None)] {
        let mut rec = begin(image, out.path(), name);
        let container = format!("pandacap-{name}");
        match signal {
            Some(signal) => kill_process(Pid::from_child(&rec), signal).unwrap(),
            None => {
                testkit::run(Process::new(engine().unwrap()).args(["stop", &container]).stdout(Stdio::null()))
            }
        }
        assert_eq!(rec.wait().unwrap().code(), Some(130), "{name}");
        assert_verifies(&out.path().join(name));
        assert_eq!(containers(&container), "");
    }
}

#[test]
fn a_container_forwards_ports_and_leaves_the_users_guest_alone() {
    let Some(image) = image("--docker") else { return };
    let mut machine = Machine::start(warm_debian(), &["--nrec", "1", &format!("--docker={image}")]);
    machine.banner();
    // The run ends with the recording, and so does the login.
    let _ = machine.ssh("root", &[], "recctrlu run a -- true").output().unwrap();
    machine.traced(&["a"]);
}

#[test]
fn one_bootstrap_folder_sets_up_the_container_and_the_machine_in_it() {
    let Some(image) = image("--docker") else { return };
    let docker = format!("--docker={image}");
    let dir = tempfile::tempdir().unwrap();
    let lab = dir.path().join("lab");
    let scripts = lab.join("scripts");
    fs::create_dir_all(&scripts).unwrap();
    fs::write(lab.join("variables.toml"), "user = \"nobody\"\n").unwrap();
    fs::write(lab.join("bootstrap.env.j2"), "WHO={{ user | sh }}\n").unwrap();
    fs::write(scripts.join("vm_10_machine.sh"), "#!/bin/sh\necho \"machine $WHO\" >/root/who\n").unwrap();
    let container =
        "#!/bin/sh\n[ \"$WHO\" = alice ] && [ ! -e /root/who ] || { echo \"who is $WHO\"; exit 7; }\n";
    fs::write(scripts.join("docker_10_container.sh"), container).unwrap();
    let rec = |settings: &[&str]| {
        let mut rec = pandacap(home());
        rec.args(["rec", &docker, "--guest", debian(), "--name", "lab", "--out"])
            .arg(dir.path().join("traces"));
        rec.arg("--bootstrap").arg(&lab).args(settings).args(["--", "cat", "/root/who"]);
        rec.assert()
    };
    rec(&[])
        .code(5)
        .stderr(contains("10_container.sh failed with status 7"))
        .stderr(contains("who is nobody"));
    assert!(!dir.path().join("traces/lab").exists());
    rec(&["--set", "user=alice"]).success().stdout(contains("machine alice"));
}

#[test]
fn four_containers_on_one_folder_of_images_do_not_interfere() {
    let Some(image) = image("--docker") else { return };
    let out = tempfile::tempdir().unwrap();
    let runs: Vec<Child> = (0..4)
        .map(|number| {
            let mut rec = process(home());
            rec.args(["--json", "rec", &format!("--docker={image}"), "--out"]).arg(out.path());
            rec.args(["--", "echo", &number.to_string()]);
            rec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        let report = json(&run.wait_with_output().unwrap());
        assert_eq!(report["verification"]["replayed"], true, "{report:#}");
        let output = Path::new(report["trace"].as_str().unwrap()).join("output.log");
        assert_eq!(fs::read_to_string(output).unwrap(), format!("{number}\n"));
    }
    assert_eq!(entries(out.path()).len(), 4);
    testkit::wait::until("end of all containers", Duration::from_secs(20), || {
        containers("pandacap-rec").is_empty().then_some(())
    });
}

//! Whole runs of guests with disks: what they leave behind, what they never touch, and what they refuse.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use testkit::disk::{APPEND, image_that_runs, initramfs, kernel, rec};
use testkit::files::{entries, running_below, sha256};
use testkit::program::{home, json, pandacap, process, verify};
use testkit::skip::skip;
use testkit::wait::until;

/// Writes to the disk, and reads the data back from the disk itself.
const BUSY: &str = "
recctrlu message up
recctrlu run write -- sh -c 'dd if=/dev/urandom of=/data bs=64k count=32; sync'
echo 3 > /proc/sys/vm/drop_caches
recctrlu run read -- sh -c 'md5sum /data /bin/busybox; rm /data; sync'
";

#[test]
fn a_disk_is_recorded_from_not_needed_in_a_replay_and_never_written_to() {
    let (dir, image) = image_that_runs(BUSY);
    let traces = dir.path().join("traces");
    let before = sha256(&image);
    let output = rec(&image).args(["--name", "r", "--json"]).output().unwrap();
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(entries(&traces), ["r-read_001", "r-write_000"]);
    assert_eq!(sha256(&image), before);
    for trace in report.as_array().unwrap() {
        assert_eq!(trace["verification"]["replayed"], true);
        assert_eq!(trace["disk"]["delta"], "disk.qcow2");
    }
    let delta = |trace: &str| fs::metadata(traces.join(trace).join("disk.qcow2")).unwrap();
    assert_eq!(delta("r-read_001").ino(), delta("r-write_000").ino());
    let console = fs::read_to_string(traces.join("r-read_001/console.log")).unwrap();
    assert!(console.contains("/data") && console.contains("/bin/busybox"), "{console}");

    // A replay depends neither on the content of the disk nor on its existence.
    fs::remove_file(&image).unwrap();
    let (code, report) = verify(&traces);
    assert_eq!((code, report.as_array().unwrap().len()), (Some(0), 2), "{report}");
}

#[test]
fn the_guests_writes_can_be_discarded_and_the_number_of_recordings_limited() {
    let (dir, image) = image_that_runs(BUSY);
    rec(&image).args(["--name", "r", "--discard-disk", "--nrec", "1"]).assert().success();
    let traces = dir.path().join("traces");
    assert_eq!(entries(&traces).len(), 1);
    let trace = traces.join(&entries(&traces)[0]);
    assert!(!trace.join("disk.qcow2").exists());
    assert_eq!(verify(&trace).0, Some(0));
}

#[test]
fn sessions_make_one_recording_from_the_first_open_to_the_last_close() {
    let (dir, image) = image_that_runs(
        "recctrlu open_session alice; recctrlu open_session bob; recctrlu close_session; echo between
         recctrlu close_session; echo after",
    );
    let output = rec(&image).args(["--name", "s", "--sessions", "--json"]).output().unwrap();
    let report = json(&output);
    assert_eq!((output.status.code(), report.as_array().unwrap().len()), (Some(0), 1), "{report}");
    assert!(entries(&dir.path().join("traces"))[0].starts_with("s-alice"));
}

#[test]
fn four_concurrent_runs_in_one_folder_do_not_interfere() {
    let (dir, image) = image_that_runs("recctrlu run one -- sh -c 'echo $$ > /pid; sync'");
    let before = sha256(&image);
    let runs: Vec<Child> = (0..4).map(|_| start(&image, &["--port-fwd", "ssh:0:l"])).collect();
    for mut run in runs {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    let traces = dir.path().join("traces");
    assert_eq!(entries(&traces).len(), 4, "{:?}", entries(&traces));
    assert_eq!(verify(&traces).0, Some(0));
    assert_eq!(sha256(&image), before);
}

#[test]
fn invalid_options_are_refused_by_name_before_anything_is_written() {
    let (dir, image) = image_that_runs("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = format!("ssh:{}:l", taken.local_addr().unwrap().port());
    for (arguments, named) in [
        (&["--port-fwd", "ftp:1"][..], "FROM is \"ftp\""),
        (&["--port-fwd", "ssh:1:x"], "SCOPE is \"x\""),
        (&["--port-fwd", &in_use], "--port-fwd: cannot use port"),
        (&["--port-fwd", "ssh:0", "--nic", "none"], "--nic e1000"),
        (&["--nic", "e2000"], "--nic"),
        (&["--target", "vax"], "--target"),
        (&["--plugin", "../x"], "--plugin"),
        (&["--plugin", "nosuch"], "no plugin \"nosuch\""),
        (&["--plugin", "recctrl"], "pandacap's own"),
        (&["--name", "a/b"], "--name"),
        (&["--nrec", "0"], "--nrec"),
        (&["--max-instr", "1,nrec=2"], "--max-instr"),
        (&["--timeout-rec", "x"], "--timeout-rec"),
    ] {
        rec(&image).args(arguments).assert().failure().stderr(contains(named));
    }
    for (memory, named) in [("3", "--mem"), ("1000G", "of memory left")] {
        let mut command = pandacap(home());
        command
            .args(["rec", "--mem", memory, "--out"])
            .arg(dir.path().join("traces"))
            .arg("--disk")
            .arg(&image);
        command.assert().failure().stderr(contains(named));
    }
    let mut tiny = pandacap(home());
    tiny.args(["rec", "--guest", "nosuch", "--", "true"])
        .assert()
        .code(3)
        .stderr(contains("no guest \"nosuch\""));
    assert_eq!(entries(dir.path()), ["disk.img"]);
}

#[test]
fn an_image_that_cannot_be_booted_is_refused_before_anything_is_written() {
    let (dir, image) = image_that_runs("");
    let file = |name: &str| dir.path().join(name);
    let qemu_img = |arguments: &[&str]| {
        let status = Process::new("qemu-img").args(arguments).current_dir(dir.path()).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    qemu_img(&["convert", "-O", "qcow2", "disk.img", "whole.qcow2"]);
    for (name, of, left) in [("short.img", "disk.img", 9_000_000), ("short.qcow2", "whole.qcow2", 1_000_000)]
    {
        let bytes = fs::read(file(of)).unwrap();
        fs::write(file(name), &bytes[..left]).unwrap();
    }
    let bytes = fs::read(file("whole.qcow2")).unwrap();
    fs::write(file("shorter.qcow2"), &bytes[..bytes.len() - 1000]).unwrap();
    let key = ["create", "-q", "--object", "secret,id=key,data=secret", "-f", "qcow2", "-o"];
    qemu_img(&[&key[..], &["encrypt.format=aes,encrypt.key-secret=key", "locked.qcow2", "1M"]].concat());
    qemu_img(&["convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", "disk.img", "new.qcow2"]);
    fs::create_dir(file("folder")).unwrap();
    fs::write(file("text"), "no disk").unwrap();
    let before = entries(dir.path());
    for (name, said) in [
        ("nosuch.img", "cannot read the image"),
        ("folder", "not a regular file"),
        ("short.img", "truncated"),
        ("text", "not a whole number of sectors"),
        ("short.qcow2", "truncated"),
        ("shorter.qcow2", "truncated"),
        ("locked.qcow2", "encrypted"),
        ("new.qcow2", "zstd compression"),
    ] {
        let image = image.with_file_name(name);
        rec(&image).assert().code(1).stderr(contains(said).and(contains(name)));
    }
    assert_eq!(entries(dir.path()), before);
}

#[test]
fn a_full_disk_is_reported_before_the_start() {
    let out = tempfile::tempdir().unwrap();
    let small = "mount -t tmpfs -o size=64m small \"$0\" && \"$@\"; status=$?; ls -A \"$0\"; exit $status";
    // Root may mount in its own namespace; other users also need a user namespace, which many machines forbid.
    let rights = ["-m", "-rm"].into_iter().find(|rights| {
        let tried = Process::new("unshare").args([rights, "true"]).stderr(Stdio::null()).status().unwrap();
        tried.success()
    });
    let Some(rights) = rights else {
        return skip("a disk without room", "a mount needs root or user namespaces");
    };
    let mut unshare = Command::new("unshare");
    unshare.args([rights, "sh", "-c", small]).arg(out.path()).arg(testkit::checkout::pandacap());
    unshare.args(["rec", "--out"]).arg(out.path()).args(["--", "true"]).env("PANDACAP_HOME", home());
    unshare.assert().code(1).stdout("").stderr(contains("MiB free").and(contains("--out")));
}

#[test]
fn a_guest_that_does_not_boot_ends_the_run_and_its_console_is_shown() {
    let (dir, image) = image_that_runs("recctrlu run a -- true");
    let traces = dir.path().join("traces");
    let boot = |append: &str, options: &[&str]| {
        let mut command = pandacap(home());
        command.args(["rec", "--mem", "128", "--append", append, "--out"]).arg(&traces).args(options);
        command.arg("--disk").arg(&image).arg("--kernel").arg(kernel());
        command.assert()
    };
    // Without its initramfs, the kernel has no driver for the disk.
    boot("root=/dev/sda console=ttyS0", &[])
        .code(5)
        .stderr(contains("Unable to mount root fs").and(contains("initramfs")));
    boot("root=/dev/sda rootwait console=ttyS0", &["--boot-timeout", "20"])
        .code(5)
        .stderr(contains("no sign of having booted within 20 s").and(contains("Waiting for root device")));
    assert_eq!(entries(&traces), [""; 0]);
}

#[test]
fn a_dry_run_prints_commands_that_a_shell_can_run() {
    let (dir, image) = image_that_runs("recctrlu run dry -- true");
    let output = rec(&image).args(["--name", "dry", "--dry-run"]).output().unwrap();
    assert_eq!(entries(dir.path()), ["disk.img"]);
    let status =
        Process::new("sh").arg("-ec").arg(String::from_utf8(output.stdout).unwrap()).status().unwrap();
    assert!(status.success());
    assert!(dir.path().join("traces/dry/dry_000-rr-nondet.log").is_file());
}

#[test]
fn pandacap_killed_at_any_moment_leaves_the_image_and_finished_traces_as_they_are() {
    let (dir, image) =
        image_that_runs("recctrlu run one -- sh -c 'dd if=/dev/urandom of=/data bs=64k count=16; sync'");
    let before = sha256(&image);
    let traces = dir.path().join("traces");
    let began = Instant::now();
    assert_eq!(start(&image, &["--name", "whole"]).wait().unwrap().code(), Some(0));
    let whole = began.elapsed();
    for moment in 0..20 {
        let mut run = start(&image, &["--name", &format!("cut{moment}")]);
        sleep(whole * (2 * moment + 1) / 40);
        run.kill().unwrap();
        run.wait().unwrap();
    }
    until("end of every PANDA", Duration::from_secs(15), || (running_below(&traces) == 0).then_some(()));
    assert_eq!(sha256(&image), before);
    assert_eq!(verify(&traces).0, Some(0));

    // Leftovers with a recording are reported, and others are removed.
    sleep(Duration::from_secs(3));
    let next = rec(&image).args(["--name", "next"]).output().unwrap();
    let said = String::from_utf8_lossy(&next.stderr).into_owned();
    assert_eq!(next.status.code(), Some(0), "{said}");
    for left in entries(&traces).iter().filter(|name| name.starts_with('.')) {
        assert!(said.contains(left.as_str()), "{left} is not in {said}");
        let files = entries(&traces.join(left));
        assert!(files.iter().any(|file| file.ends_with("-rr-nondet.log")), "{left}: {files:?}");
    }
}

/// Starts `pandacap rec` on an image, and leaves it running.
fn start(image: &Path, options: &[&str]) -> Child {
    let mut run = process(home());
    run.args(["rec", "--mem", "128", "--append", APPEND, "--out"]).arg(image.with_file_name("traces"));
    run.arg("--disk").arg(image).arg("--kernel").arg(kernel()).arg("--initrd").arg(initramfs());
    run.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

//! Bootstrapping: what a real guest does with the disk that is made from a folder.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command as Process;

use ::guest::bootstrap::{Bootstrap, GuestCommand, Place, Setting, disk, guest};
use ::guest::cpio::Archive;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::disk::{bootstrapping, image, rec, virtio};
use testkit::files::bootstrap;
use testkit::machine::{Plugin, Run, lab};
use testkit::program::{home, pandacap};

const ODD: &str = "it's \"odd\" $HOME `id` \\ \n\ttwo lines";

/// The folder, for a machine.
fn vm<'a>(source: &'a TempDir, settings: &'a [Setting]) -> Bootstrap<'a> {
    Bootstrap { source: source.path(), settings, place: Place::Vm }
}

#[test]
fn a_guest_runs_each_disk_once_in_order_and_then_the_recorded_command() {
    let source = bootstrap(&[
        ("variables.toml", "odd = \"\"\nplain = 7\n"),
        ("bootstrap.env.j2", "ODD={{ odd | sh }}\nPLAIN={{ plain }}\n"),
        ("files/odd.j2", "{{ odd }}"),
        ("scripts/30_last.sh", "#!/bin/sh\necho last $PLAIN $HOME\n"),
        (
            "scripts/vm_20_odd.sh",
            "#!/bin/sh\nprintf %s \"$ODD\" | cmp - \"$BOOTSTRAP_FILES_DIR/odd\" && echo same\n",
        ),
        ("scripts/docker_20_not.sh", "#!/bin/sh\necho container\n"),
        (
            "scripts/10_first.sh.j2",
            "#!/bin/sh\necho first {{ plain }}; echo x >\"$BOOTSTRAP_DIR/x\" || echo read-only\n",
        ),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let argv = ["sh", "-c", "printf '<%s>\\n' \"$@\"; exit 3", "sh", "it's", "a\nb", ""].map(OsString::from);
    let command = GuestCommand { recording: "odd", argv: &argv, power_off: true };
    let settings: Vec<Setting> = vec![format!("odd={ODD}").parse().unwrap()];
    let image = dir.path().join("disk");
    disk(Some(vm(&source, &settings)), Some(command), &image).unwrap();
    let before = fs::read(&image).unwrap();

    let run =
        boot(dir, "trap 'echo powers off' USR2\npandacap-bootstrap; echo status $?\npandacap-bootstrap\n");
    run.assert_says(&[
        "bootstrap: 10_first.sh",
        "first 7",
        "read-only",
        "bootstrap: 20_odd.sh",
        "same",
        "bootstrap: 30_last.sh",
        "last 7 /root",
        "bootstrap: done",
        "powers off",
        "status 0",
        "bootstrap: /dev/vda has been run before",
    ]);
    assert!(!run.console.contains("container"), "{}", run.console);
    assert_eq!(fs::read_to_string(run.dir.path().join("output")).unwrap(), "<it's>\n<a\nb>\n<>\n");
    let messages = run.events_of("message");
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"].as_str()).collect();
    assert_eq!(
        texts,
        [
            "bootstrap: 10_first.sh",
            "bootstrap: 20_odd.sh",
            "bootstrap: 30_last.sh",
            "bootstrap: done",
            "exit=3"
        ]
    );
    assert!(fs::read(&image).unwrap() == before, "the guest wrote to the disk");
    let [recording] = &run.recordings()[..] else { panic!("{:?}", run.recordings()) };
    lab().replay_with(run.dir.path(), recording, &[&["-serial", "null"], DRIVE].concat()).unwrap();
}

#[test]
fn a_failing_script_ends_the_bootstrap_with_its_output_and_a_message() {
    let ends = [
        ("exit 7", "20_bad.sh status 7"),
        ("kill -9 $$", "20_bad.sh status 137"),
        ("no-such-program", "20_bad.sh status 127"),
    ];
    for (end, said) in ends {
        let bad = format!("#!/bin/sh\necho why it fails\n{end}\n");
        let source = bootstrap(&[
            ("scripts/10_good.sh", "#!/bin/sh\n"),
            ("scripts/20_bad.sh", &bad),
            ("scripts/30_never.sh", "#!/bin/sh\necho never\n"),
        ]);
        let run = boot_disk(&source, "pandacap-bootstrap; echo status $?\n");
        let said = format!("bootstrap failed: {said}");
        let status = format!("status {}", said.rsplit(' ').next().unwrap());
        run.assert_says(&["bootstrap: 10_good.sh", "why it fails", &said, &status]);
        assert!(!run.console.contains("never"), "{}", run.console);
        assert_eq!(run.events_of("message").last().unwrap()["text"], said.as_str());
    }
}

#[test]
fn an_invalid_environment_file_is_a_failure_too() {
    let source =
        bootstrap(&[("bootstrap.env", "A='open\n"), ("scripts/10_never.sh", "#!/bin/sh\necho never\n")]);
    let run = boot_disk(&source, "pandacap-bootstrap; echo status $?\n");
    run.assert_says(&["bootstrap failed: bootstrap.env status 2", "status 2"]);
    assert!(!run.console.contains("never"), "{}", run.console);
}

#[test]
fn without_the_disk_the_hook_does_and_prints_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = lab().booting(dir.path(), "pandacap-bootstrap; echo status $?\n", Plugin::Absent, "");
    install(dir.path());
    panda.args(["-serial", "null"]);
    let run = Run::of(dir, panda);
    run.assert_says(&["status 0"]);
    assert!(!run.console.contains("bootstrap"), "{}", run.console);
}

#[test]
fn a_command_needs_no_bootstrap_folder_and_a_guest_without_a_second_port_shows_it_on_its_console() {
    let dir = tempfile::tempdir().unwrap();
    let argv = ["echo", "hello"].map(OsString::from);
    let command = GuestCommand { recording: "alone", argv: &argv, power_off: false };
    disk(None, Some(command), &dir.path().join("disk")).unwrap();
    let mut panda = booting(&dir, "pandacap-bootstrap; echo status $?\n");
    panda.args(DRIVE);
    let run = Run::of(dir, panda);
    run.assert_says(&["bootstrap: done", "hello", "status 0"]);
    assert_eq!(run.recordings(), ["alone_000"]);
}

#[test]
fn a_foreign_disk_with_the_same_label_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut mke2fs = Process::new("/usr/sbin/mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-L", "bootstrap"]).arg(dir.path().join("disk")).arg("2M");
    assert!(mke2fs.status().unwrap().success());
    let run = boot(dir, "pandacap-bootstrap; echo status $?\n");
    run.assert_says(&["bootstrap failed: /dev/vda was not made by pandacap", "status 1"]);
}

#[test]
fn rec_bootstraps_a_guest_and_records_a_command_in_it() {
    let source = bootstrap(&[
        ("variables.toml", "who = \"nina\"\n"),
        ("files/who.j2", "{{ who }}\n\n"),
        ("scripts/10_who.sh", "#!/bin/sh\ncp \"$BOOTSTRAP_FILES_DIR/who\" /who\n"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let image = bootstrapping(dir.path(), "echo the command powers off");
    let mut rec = rec(&image);
    rec.args(["--name", "who", "--set", "who=alice", "--bootstrap"]).arg(source.path());
    rec.args(["--", "sh", "-c", "cat /who \"$@\"; exit 3", "sh", "a  b"]);
    let done = rec.assert().success().stdout(contains("alice\n").and(contains("'a  b': No such file")));
    let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(said.contains("exit status   3"), "{said}");
    let trace = dir.path().join("traces/who");
    assert!(trace.join("bootstrap.img").is_file());
    pandacap(home()).arg("replay").arg(&trace).assert().success();
}

#[test]
fn a_failing_bootstrap_script_ends_the_run_with_its_output() {
    let source = bootstrap(&[("scripts/10_bad.sh", "#!/bin/sh\necho why it fails\nexit 7\n")]);
    let dir = tempfile::tempdir().unwrap();
    let image = bootstrapping(dir.path(), "sleep 600");
    let said = contains("10_bad.sh status 7").and(contains("why it fails"));
    rec(&image).arg("--bootstrap").arg(source.path()).assert().code(5).stderr(said);
    assert_eq!(fs::read_dir(dir.path().join("traces")).unwrap().count(), 0);
}

#[test]
fn a_guest_without_the_hook_ends_the_run_and_a_wrong_setting_boots_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path(), "echo login:; sleep 600");
    rec(&image).args(["--", "true"]).assert().code(5).stderr(contains("does not run its bootstrap disk"));
    let source = bootstrap(&[("variables.toml", "user = \"nina\"\n")]);
    let mut rec = rec(&image);
    rec.arg("--bootstrap").arg(source.path()).args(["--set", "usr=alice"]);
    rec.assert().code(1).stderr(contains("usr").and(contains("no such variable")));
    assert_eq!(fs::read_dir(dir.path().join("traces")).unwrap().count(), 0);
    let mut tiny = pandacap(Path::new("/nowhere"));
    tiny.args(["rec", "--bootstrap"]).arg(source.path()).args(["--", "true"]);
    tiny.assert().code(2).stderr(contains("the tiny guest has no disk driver"));
}

/// The disk, as the guest gets it: read-only, on a virtio bus.
const DRIVE: &[&str] = &["-drive", "file=disk,format=raw,if=virtio,readonly=on"];

fn boot_disk(source: &TempDir, script: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    disk(Some(vm(source, &[])), None, &dir.path().join("disk")).unwrap();
    boot(dir, script)
}

/// Boots the tiny guest with the hook in it and `disk` of the folder attached.
fn boot(dir: TempDir, script: &str) -> Run {
    let mut panda = booting(&dir, script);
    panda.args(["-serial", "file:output"]).args(DRIVE);
    Run::of(dir, panda)
}

fn booting(dir: &TempDir, script: &str) -> Process {
    let script = format!("for m in /modules/*; do insmod $m; done\n{script}");
    let panda = lab().booting(dir.path(), &script, Plugin::Ours, "dir=.,events=events.jsonl");
    install(dir.path());
    panda
}

/// Puts the hook and the disk's driver into the guest.
fn install(dir: &Path) {
    let mut archive = Archive::default().file("bin/pandacap-bootstrap", 0o755, guest::HOOK.as_bytes());
    archive = archive.folder("modules");
    for (index, module) in virtio().iter().enumerate() {
        archive = archive.file(&format!("modules/{index}"), 0o644, module);
    }
    let initramfs = dir.join("initramfs");
    let all = [fs::read(&initramfs).unwrap(), archive.finish()].concat();
    fs::write(initramfs, all).unwrap();
}

//! `pandacap maint`: the image itself changes, unless traces depend on it.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use assert_cmd::Command;
use machine::{Base, Below, Format};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use testkit::disk::{APPEND, image_that_runs, initramfs, kernel, rec};
use testkit::program::{home, pandacap};

fn maint(image: &Path) -> Command {
    let mut command = pandacap(home());
    command.args(["maint", "--no-kvm", "--mem", "128", "--append", APPEND, "--disk"]).arg(image);
    command.arg("--kernel").arg(kernel()).arg("--initrd").arg(initramfs());
    command
}

/// A file's content on an ext4 image.
fn on_image(image: &Path, file: &str) -> String {
    let output = Process::new("debugfs").args(["-R", &format!("cat {file}")]).arg(image).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn changes_are_written_to_the_image_and_the_console_is_on_the_terminal() {
    let (_dir, image) = image_that_runs("echo I am here; echo changed > /note; sync");
    let run = maint(&image).assert().success();
    run.stdout(contains("I am here")).stderr(contains("overlays on"));
    assert_eq!(on_image(&image, "/note"), "changed\n");
}

#[test]
fn an_image_that_traces_depend_on_is_changed_only_with_force() {
    let (dir, image) = image_that_runs("recctrlu run a -- true; echo changed > /note; sync");
    // Through an image in between, like a warm state's.
    let between = image.with_file_name("between.qcow2");
    let mut qemu_img = std::process::Command::new("qemu-img");
    qemu_img.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(&image).arg(&between);
    assert!(qemu_img.status().unwrap().success());
    rec(&between).args(["--allow-backing", "--name", "r"]).assert().success();
    for image in [&between, &image] {
        maint(image)
            .arg("--allow-backing")
            .assert()
            .code(1)
            .stderr(contains("the base of the disks of one trace").and(contains("--force")));
    }
    assert_eq!(on_image(&image, "/note"), "");
    maint(&image).arg("--force").assert().success();
    assert_eq!(on_image(&image, "/note"), "changed\n");
    fs::remove_dir_all(dir.path().join("traces")).unwrap();
    maint(&image).assert().success();
}

#[test]
fn an_image_that_a_run_uses_is_refused() {
    let (_dir, image) = image_that_runs("");
    let hold = Base::inspect(&image, Format::Raw, Below::Nothing).unwrap();
    let run = hold.hold().unwrap();
    maint(&image).assert().code(1).stderr(contains("in use by another pandacap"));
    drop(run);
    let maintenance = hold.hold_alone().unwrap();
    rec(&image).assert().code(1).stderr(contains("in use by pandacap maint"));
    drop(maintenance);
}

#[test]
fn a_dry_run_prints_the_command_line() {
    let (_dir, image) = image_that_runs("");
    let printed = maint(&image).args(["--dry-run", "--port-fwd", "ssh:0:l"]).assert().success();
    printed.stdout(contains("hostfwd=tcp:127.0.0.1:")).stdout(contains("format=raw"));
}

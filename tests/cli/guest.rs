//! Guests without a PANDA: imported, listed, shrunk and removed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};
use testkit::program::pandacap;

/// Runs a program that must succeed.
fn run(program: &str, arguments: &[&str], dir: &Path) {
    let status = Command::new(program).args(arguments).current_dir(dir).status();
    assert!(status.unwrap_or_else(|error| panic!("{program}: {error}")).success(), "{program} {arguments:?}");
}

/// An ext4 image of 64 MiB in which 8 MiB were used and then freed.
fn image(dir: &Path) -> PathBuf {
    run("mke2fs", &["-q", "-t", "ext4", "disk.raw", "64M"], dir);
    let noise: Vec<u8> =
        (0_u64..1 << 20).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    fs::write(dir.join("noise"), noise).unwrap();
    run("debugfs", &["-w", "-R", "write noise noise", "disk.raw"], dir);
    run("debugfs", &["-w", "-R", "rm noise", "disk.raw"], dir);
    dir.join("disk.raw")
}

fn json(home: &Path, arguments: &[&str]) -> Value {
    let output = pandacap(home).arg("--json").args(arguments).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn an_imported_image_is_listed_shrunk_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (home, image) = (dir.path().join("home"), image(dir.path()));
    let before = fs::read(&image).unwrap();
    pandacap(&home)
        .args(["guest", "import", "mine", "--nic", "rtl8139", "--disk"])
        .arg(&image)
        .assert()
        .success();
    pandacap(&home)
        .args(["guest", "import", "mine", "--disk"])
        .arg(&image)
        .assert()
        .code(1)
        .stderr(contains("the guest \"mine\" already exists"));
    let listed = json(&home, &["guest", "ls"]);
    assert_eq!((&listed[0]["name"], &listed[0]["nic"]), (&"mine".into(), &"rtl8139".into()));

    let sizes = json(&home, &["guest", "shrink", "mine"]);
    let [old, new] = ["bytes_before", "bytes"].map(|key| sizes[key].as_u64().unwrap());
    assert!(old > 8 << 20 && new < 1 << 20, "{sizes}");
    pandacap(&home)
        .args(["guest", "inspect", "--check", "mine"])
        .assert()
        .success()
        .stdout(contains("qcow2, 64.00 MiB"));
    assert!(fs::read(&image).unwrap() == before, "the image itself has changed");

    pandacap(&home).args(["guest", "rm", "mine"]).assert().success();
    pandacap(&home)
        .args(["guest", "rm", "mine"])
        .assert()
        .code(3)
        .stderr(contains("there is no guest \"mine\""));
    assert_eq!(fs::read_dir(home.join("guests")).unwrap().count(), 0, "something is left");
}

#[test]
fn an_image_that_cannot_be_booted_is_refused_by_name_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (home, image) = (dir.path().join("home"), image(dir.path()));
    run("qemu-img", &["convert", "-O", "qcow2", "disk.raw", "cut.qcow2"], dir.path());
    let whole = fs::metadata(dir.path().join("cut.qcow2")).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("cut.qcow2"))
        .and_then(|file| file.set_len(whole - (1 << 20)))
        .unwrap();
    // Not LUKS: qemu-img measures how long its key derivation takes, which fails on a busy machine.
    let secret = ["--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s"];
    run(
        "qemu-img",
        &[&["create", "-q", "-f", "qcow2"], &secret[..], &["secret.qcow2", "1M"]].concat(),
        dir.path(),
    );
    for (file, why) in
        [("none.qcow2", "No such file"), ("cut.qcow2", "truncated"), ("secret.qcow2", "encrypted")]
    {
        let file = image.with_file_name(file);
        pandacap(&home)
            .args(["guest", "import", "bad", "--disk"])
            .arg(&file)
            .assert()
            .code(1)
            .stderr(contains(why).and(contains(file.to_str().unwrap())));
    }
    assert!(!home.exists(), "something was made");
}

#[test]
fn without_guests_the_message_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    pandacap(dir.path()).args(["guest", "ls"]).assert().success().stderr(contains("pandacap guest build"));
    pandacap(dir.path()).args(["guest", "shell", "x"]).assert().code(3).stderr(contains("pandacap guest ls"));
    let named = pandacap(dir.path()).args(["guest", "build", "tiny", "--name", "x"]).assert();
    named.code(2).stderr(contains("leave out --name"));
}

#[test]
fn a_digest_of_the_wrong_length_is_shown_but_does_not_match() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("guests/g");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("vmlinuz"), "").unwrap();
    let manifest = json!({
        "schema": 2, "target": "x86_64", "memory_mib": 256, "append": "", "booted": { "ssh": 22 },
        "origin": { "imported": { "from": "/disk" } },
        "files": { "vmlinuz": { "bytes": 0, "sha256": "ab" } },
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let inspect = |more: &[&str]| pandacap(home.path()).args(["guest", "inspect", "g"]).args(more).assert();
    inspect(&[]).success().stdout(contains("SHA-256 ab..."));
    inspect(&["--check"]).code(1).stderr(contains("vmlinuz has changed"));
}

#[test]
fn a_damaged_guest_is_reported_and_only_force_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (home, image) = (dir.path().join("home"), image(dir.path()));
    pandacap(&home).args(["guest", "import", "mine", "--disk"]).arg(&image).assert().success();
    let disk = home.join("guests/mine/disk.qcow2");
    fs::write(&disk, "shorter").unwrap();
    pandacap(&home)
        .args(["guest", "inspect", "mine"])
        .assert()
        .code(1)
        .stderr(contains("is damaged (disk.qcow2"));
    pandacap(&home).args(["guest", "ls"]).assert().success().stdout(contains("cannot be used"));
    pandacap(&home).args(["guest", "rm", "mine"]).assert().code(1);
    pandacap(&home).args(["guest", "rm", "--force", "mine"]).assert().success();
    assert!(!home.join("guests/mine").exists());
}

#[test]
fn an_imported_kernel_keeps_the_bytes_but_not_the_mode() {
    let dir = tempfile::tempdir().unwrap();
    let (home, image, kernel) = (dir.path().join("home"), image(dir.path()), dir.path().join("kernel"));
    fs::write(&kernel, "a program").unwrap();
    fs::set_permissions(&kernel, fs::Permissions::from_mode(0o6777)).unwrap();
    let import = |kernel: &Path| {
        let mut import = pandacap(&home);
        import.args(["guest", "import", "mine", "--kernel"]).arg(kernel).arg("--disk").arg(&image);
        import.timeout(Duration::from_secs(300)).assert()
    };
    import(&kernel).success();
    let mode = fs::metadata(home.join("guests/mine/vmlinuz")).unwrap().mode();
    assert_eq!(mode & 0o7133, 0, "mode {mode:o}: set-user-ID, executable or world-writable");

    // Opening a pipe would block until its other end is opened.
    fs::remove_dir_all(home.join("guests/mine")).unwrap();
    run("mkfifo", &["pipe"], dir.path());
    import(&dir.path().join("pipe")).code(1).stderr(contains("not a regular file"));
}

#[test]
fn a_guest_whose_kernel_tells_nothing_takes_a_profile_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (home, image, kernel) = (dir.path().join("home"), image(dir.path()), dir.path().join("vmlinuz"));
    fs::write(&kernel, "no kernel").unwrap();
    let import = |name: &str, arguments: &[&str]| {
        let mut import = pandacap(&home);
        import.args(["guest", "import", name, "--disk"]).arg(&image).args(arguments);
        import.assert().success();
    };
    import("bare", &[]);
    import("mine", &["--kernel", kernel.to_str().unwrap()]);
    let profile = |name: &str, arguments: &[&str]| {
        let mut profile = pandacap(&home);
        profile.args(["guest", "profile", name]).args(arguments).assert()
    };
    profile("bare", &[]).code(1).stderr(contains("boot loader").and(contains("--profile FILE")));
    profile("mine", &[]).code(1).stderr(contains("not a Linux kernel"));

    let given = dir.path().join("given.json");
    let text = json!({
        "schema": 1, "target": "i386", "banner": "Linux version 6.1.0-50-686", "version": [6, 1, 176],
        "symbols": { "init_task": 0xc1a8_0000_u32 }, "offsets": { "task_struct.pid": 4 }, "sizes": { "task_struct": 64 },
    });
    fs::write(&given, text.to_string()).unwrap();
    let given = given.to_str().unwrap();
    import("whole", &["--profile", given]);
    for (name, arguments) in
        [("bare", &["--profile", given][..]), ("mine", &["--profile", given]), ("whole", &[])]
    {
        profile(name, arguments).success().stdout(contains("6.1.176").and(contains("i386")));
        pandacap(&home)
            .args(["guest", "inspect", "--check", name])
            .assert()
            .success()
            .stdout(contains("profile.json"));
        assert_eq!(json(&home, &["guest", "profile", name]), text);
    }
    profile("mine", &["--format", "kernelinfo"]).code(1).stderr(contains("has no current_task"));
    profile("mine", &["--format", "isf"]).code(1).stderr(contains("not a Linux kernel"));

    fs::write(given, "{\"schema\": 2}").unwrap();
    profile("mine", &["--profile", given]).code(1).stderr(contains("only schema 1 can be read"));
    profile("mine", &[]).success();
}

//! What PANDA may do on this machine, tried from outside and from within.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::str::contains;
use tempfile::TempDir;

use crate::support::{home, pandacap};

const FOLDER: &str = "panda/0.1.1.5/x86_64-softmmu";
/// Where the embedded PANDA has been built to look for a configuration.
const CONFIGURATION: &str = "/home/andrew/git/panda/build/install/etc/panda/qemu.conf";

/// A home like the shared one, whose PANDA looks for its configuration in `folder`; returns that file.
fn configured(folder: &Path) -> (TempDir, PathBuf) {
    let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir_all(own.path().join(FOLDER)).unwrap();
    for shared in ["panda/0.1.1.5/pc-bios", "guests"] {
        std::os::unix::fs::symlink(home().join(shared), own.path().join(shared)).unwrap();
    }
    for entry in fs::read_dir(home().join(FOLDER)).unwrap() {
        let entry = entry.unwrap();
        let place = own.path().join(FOLDER).join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => std::os::unix::fs::symlink(entry.path(), place).unwrap(),
            false => fs::copy(entry.path(), place).map(drop).unwrap(),
        }
    }
    let file = folder.join("qemu.conf");
    let place = file.to_str().unwrap();
    let padded = format!("{}{place}", "/".repeat(CONFIGURATION.len() - place.len()));
    let library = own.path().join(FOLDER).join("libpanda-x86_64.so");
    let mut code = fs::read(&library).unwrap();
    let at = code.windows(CONFIGURATION.len()).position(|bytes| bytes == CONFIGURATION.as_bytes()).unwrap();
    code[at..at + padded.len()].copy_from_slice(padded.as_bytes());
    fs::write(library, code).unwrap();
    (own, file)
}

#[test]
fn a_configuration_where_panda_was_built_is_never_read() {
    let place = tempfile::tempdir().unwrap();
    let (own, file) = configured(place.path());
    let made = place.path().join("made");
    let chardev = format!("[chardev \"x\"]\n  backend = \"file\"\n  path = \"{}\"\n", made.display());
    for text in [chardev, "nonsense\n".to_owned()] {
        fs::write(&file, text).unwrap();
        pandacap(own.path()).arg("doctor").assert().success();
        let out = place.path().join("out");
        let mut rec = pandacap(own.path());
        rec.args(["rec", "--name", "r", "--out"]).arg(&out).args(["--", "true"]).assert().success();
        pandacap(own.path()).arg("replay").arg(out.join("r")).assert().success();
        pandacap(own.path()).arg("verify").arg(out.join("r")).assert().success();
        fs::remove_dir_all(out).unwrap();
        assert!(!made.exists());
    }
}

#[test]
fn a_replay_takes_firmware_neither_from_the_trace_nor_from_where_the_user_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).args(["--", "true"]).assert().success();
    let trace = dir.path().join("t");
    for firmware in ["bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "linuxboot.bin"] {
        fs::write(trace.join(firmware), "not what PANDA's machine begins with").unwrap();
    }
    for command in [&["verify", "."][..], &["replay", "."], &["replay", ".", "--plugin", "coverage"]] {
        pandacap(home()).args(command).current_dir(&trace).assert().success();
    }
}

#[test]
fn the_doctor_warns_of_a_folder_where_others_can_put_what_panda_loads() {
    let place = tempfile::tempdir().unwrap();
    let (own, _) = configured(&place.path().join("nosuch"));
    let warned = || pandacap(own.path()).arg("doctor").assert().success();
    let text = String::from_utf8(warned().get_output().stdout.clone()).unwrap();
    assert!(!text.contains("qemu.conf"), "{text}");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(place.path(), everybody).unwrap();
    warned().stdout(contains("nosuch/qemu.conf, which other users"));
}

#[test]
fn no_plugin_of_the_embedded_panda_has_its_libraries_searched_where_it_was_built() {
    let plugins = home().join(FOLDER).join("panda/plugins");
    let mut count = 0;
    for entry in fs::read_dir(plugins).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "so") {
            let loader = std::process::Command::new("readelf").arg("-d").arg(&path).output().unwrap();
            let said = String::from_utf8(loader.stdout).unwrap();
            assert!(!said.contains("andrew"), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 50, "{count} plugins");
}

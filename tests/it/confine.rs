//! What PANDA may do on this machine, tested from outside and from within.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use predicates::str::contains;
use tempfile::TempDir;

use crate::plugin_new::begin;
use testkit::checkout::scratch;
use testkit::plugin::own;
use testkit::program::{home, pandacap};

const FOLDER: &str = "panda/0.1.1.5/x86_64-softmmu";
/// Where the embedded PANDA was built to look for its configuration.
const CONFIGURATION: &str = "/home/andrew/git/panda/build/install/etc/panda/qemu.conf";

/// A home like the shared one, whose PANDA looks for its configuration in `folder`; returns that file.
fn configured(folder: &Path) -> (TempDir, PathBuf) {
    let own = tempfile::tempdir_in(scratch()).unwrap();
    fs::create_dir_all(own.path().join(FOLDER).parent().unwrap()).unwrap();
    for shared in ["panda/0.1.1.5/pc-bios", "guests"] {
        std::os::unix::fs::symlink(home().join(shared), own.path().join(shared)).unwrap();
    }
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(home().join(FOLDER)).arg(own.path().join(FOLDER).parent().unwrap());
    assert!(copy.status().unwrap().success());
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
fn configuration_in_pandas_build_paths_is_never_read() {
    let place = tempfile::tempdir().unwrap();
    let (own, file) = configured(place.path());
    let made = place.path().join("made");
    let chardev = format!("[chardev \"x\"]\n  backend = \"file\"\n  path = \"{}\"\n", made.display());
    for text in [chardev, "nonsense\n".to_owned()] {
        fs::write(&file, text).unwrap();
        // Unconfined, because a confined PANDA could not read it anyway.
        let pandacap = |home: &Path| {
            let mut pandacap = pandacap(home);
            pandacap.arg("--confine=off");
            pandacap
        };
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
fn a_replay_loads_no_firmware_from_the_trace_or_the_current_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).args(["--", "true"]).assert().success();
    let trace = dir.path().join("t");
    for firmware in ["bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "linuxboot.bin"] {
        fs::write(trace.join(firmware), "not PANDA's firmware").unwrap();
    }
    for command in [&["verify", "."][..], &["replay", "."], &["replay", ".", "--plugin", "asid_instr_count"]]
    {
        pandacap(home()).args(command).current_dir(&trace).assert().success();
    }
}

#[test]
fn doctor_warns_about_build_paths_that_others_can_create() {
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
fn the_embedded_pandas_plugins_search_no_libraries_in_build_paths() {
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

/// The plugin of `tests/plugins/hostile.rs`, built once.
fn hostile() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        begin("hostile", dir.path());
        let source = testkit::checkout::root().join("tests/plugins/hostile.rs");
        fs::copy(source, dir.path().join("src/lib.rs")).unwrap();
        own("hostile", dir.path())
    })
}

/// The targets that a hostile plugin tries to reach, and its results.
struct Prey {
    dir: TempDir,
    argument: String,
    _listeners: (TcpListener, UnixListener, UnixListener),
}

impl Prey {
    fn new() -> Prey {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for folder in ["home/.ssh", "beside"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(place("home/.ssh/id_ed25519"), "secret").unwrap();
        fs::write(place("file"), "the user's").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(place("socket")).unwrap();
        let hidden = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let hidden_address = SocketAddr::from_abstract_name(&hidden).unwrap();
        let abstracted = UnixListener::bind_addr(&hidden_address).unwrap();
        let port = tcp.local_addr().unwrap().port().to_string();
        let [key, file, folder] = ["home/.ssh/id_ed25519", "file", "beside"].map(place);
        let places =
            [key, file, folder, place("t"), "t".to_owned(), port, place("socket"), hidden].join("\n");
        let digits: String = places.bytes().map(|byte| format!("{byte:02x}")).collect();
        let argument = format!("{}:places={digits}", hostile().display());
        Prey { dir, argument, _listeners: (tcp, unix, abstracted) }
    }

    /// `pandacap` in the user's folder, with the plugin for commands that have `--plugin`.
    fn pandacap(&self, mode: &str, arguments: &[&str]) -> assert_cmd::Command {
        let work = self.dir.path().join("cwd");
        fs::create_dir_all(&work).unwrap();
        let mut command = pandacap(home());
        command.current_dir(work).env("PANDACAP_TEST_SECRET", "x").arg(format!("--confine={mode}"));
        command.args(arguments);
        command
    }

    fn record(&self, mode: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut rec = self.pandacap(mode, &["rec", "--name", "t", "--out"]);
        rec.arg(self.dir.path()).args(arguments).args(["--", "true"]).assert().success()
    }
}

/// What the plugin tried, and whether it worked.
fn tries(folder: &Path, from: &[&str]) -> BTreeMap<String, bool> {
    let mut tries = BTreeMap::new();
    for from in from {
        let file = folder.join(format!("tries.{from}"));
        for line in fs::read_to_string(&file).unwrap().lines() {
            println!("{from} {line}");
            let mut words = line.split(' ');
            let name = format!("{from}_{}", words.next().unwrap());
            tries.insert(name, words.next() == Some("yes"));
        }
        fs::remove_file(file).unwrap();
    }
    tries
}

fn that_worked(tries: &BTreeMap<String, bool>) -> Vec<&str> {
    tries.iter().filter(|(_, worked)| **worked).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_hostile_plugin_is_confined_in_a_replay() {
    let prey = Prey::new();
    prey.record("auto", &[]);
    let trace = prey.dir.path().join("t");
    let replay = |mode: &str, argument: &str, from: &[&str]| {
        let arguments = ["replay", trace.to_str().unwrap(), "--plugin", argument];
        prey.pandacap(mode, &arguments).assert().success();
        tries(&prey.dir.path().join("cwd"), from)
    };
    let both = ["load", "block"];
    let confined = replay("require", &format!("{},from=block", prey.argument), &both);
    assert_eq!(that_worked(&confined), [""; 0]);
    // An unconfined PANDA that forks in a callback hangs, because its own threads hold locks.
    let free = replay("off", &prey.argument, &["load"]);
    let worked = that_worked(&free).len();
    println!("{} tries in a replay: 0 worked; of {} unconfined ones {worked}", confined.len(), free.len());
    assert_eq!(confined.len(), 2 * free.len());
    assert!(free.len() >= 60 && 2 * worked > free.len(), "{worked} of {}", free.len());
}

#[test]
fn a_hostile_plugin_in_a_recording_gets_only_what_was_requested() {
    let prey = Prey::new();
    for options in [&[][..], &["--nic", "e1000", "--port-fwd", "22:0"]] {
        let argument = format!("{},from=block", prey.argument);
        let arguments = [&["--plugin", &argument], options].concat();
        prey.record("require", &arguments);
        let trace = prey.dir.path().join("t");
        // Its working folder is the unfinished trace, which does not have its final name yet.
        assert_eq!(that_worked(&tries(&trace, &["load", "block"])), [""; 0], "{options:?}");
        let manifest = fs::read(trace.join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["confinement"], serde_json::json!({"mode": "require", "missing": []}));
        fs::remove_dir_all(trace).unwrap();
    }
}

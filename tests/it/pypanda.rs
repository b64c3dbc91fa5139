//! PANDA in library mode: the example script records with the real PyPANDA, and the recording replays without it.

use std::path::PathBuf;
use std::process::Command;

use rr_log::Target;
use testkit::checkout::scratch;
use testkit::machine::{Plugin, Run, lab};
use testkit::program::{home, pandacap};
use testkit::run;
use testkit::wheel::{PANDA, wheelhouse};

/// The guest's script: a session with one command.
const SCRIPT: &str = "
recctrlu open_session py; echo opened=$?
ls /bin | md5sum
recctrlu close_session; echo closed=$?
";

/// A folder for `PYTHONPATH` with PyPANDA 0.1.1.5 and our plugin, made once and kept in cargo's target folder.
fn packages() -> PathBuf {
    let folder = scratch().join("pypanda-packages");
    if !folder.join("made").exists() {
        let _ = std::fs::remove_dir_all(&folder);
        let pip = || {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
                .arg(&folder);
            pip
        };
        run(pip().args(["cffi", "colorama", "protobuf<3.21"]));
        run(pip().args(["--no-deps", "pandare==0.1.1.5", "--find-links"]).arg(wheelhouse()));
        std::fs::write(folder.join("made"), "").unwrap();
    }
    let plugins = folder.join("pandare/data/x86_64-softmmu/panda/plugins");
    pandacap(home()).args(["plugin", "install", "--dir"]).arg(plugins).assert().success();
    folder
}

#[test]
fn a_pypanda_script_loads_recctrl_and_its_recording_replays_without() {
    let (lab, dir) = (lab(), tempfile::tempdir().unwrap());
    // for the initramfs that it makes
    drop(lab.booting(dir.path(), SCRIPT, Plugin::Absent, ""));
    let log = std::fs::File::create(dir.path().join("said")).unwrap();
    let example = testkit::checkout::root().join("examples/pypanda/record.py");
    let mut script = Command::new("python3");
    script.env("PYTHONPATH", packages());
    script
        .arg(example)
        .arg(
            guest::tiny::ready(home(), None, Target::X86_64, &panda_host::progress::Silent)
                .unwrap()
                .kernel()
                .unwrap(),
        )
        .arg("initramfs");
    script
        .env("LD_LIBRARY_PATH", home().join(PANDA).join("x86_64-softmmu/stand-ins"))
        .env_remove("PANDA_DIR");
    script.current_dir(dir.path()).stdout(log.try_clone().unwrap()).stderr(log);

    let run = Run::after(dir, script.spawn().unwrap());
    run.assert_says(&["recording started", "opened=0", "recording ended", "closed=0"]);
    assert_eq!(run.recordings(), ["py_000"], "{}", run.said);
    assert_eq!(run.events_of("ended")[0]["why"], "guest");
    lab.replay(run.dir.path(), "py_000").unwrap();
}

//! Every target: its agent and plugin, and how far PANDA's own replays get.

use std::fs;
use std::process::Command;

use panda_host::Panda;
use rr_log::Target;
use testkit::checkout::root;
use testkit::foreign::{Count, Foreign, KINDS, Kind};
use testkit::program::{home, pandacap, selection};
use testkit::wheel::wheel;

fn open(kind: Kind) -> Foreign {
    let mut install = pandacap(home());
    install.args(["panda", "install", "--target", kind.target.name(), "--wheel"]).arg(wheel());
    install.assert().success();
    let panda = Panda::find(home(), &selection(), kind.target).unwrap();
    Foreign::open(kind, panda)
}

/// The first machine of a target.
fn first(target: Target) -> Kind {
    KINDS.into_iter().find(|kind| kind.target == target).unwrap()
}

#[test]
fn on_i386_every_recording_replays_without_the_plugin() {
    let i386 = open(first(Target::I386));
    assert_eq!(i386.by_recctrl(5), Count { made: 5, replayed: 5, exact: 5 });
    assert_eq!(i386.by_monitor(2), Count { made: 2, replayed: 2, exact: 0 }, "the control run");
}

#[test]
fn on_i386_old_agents_work_with_our_plugin_and_our_agent_with_upstreams() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    let mut cc = Command::new("cc");
    cc.args(["-m32", "-Os", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-no-pie", "-o"]).arg(&old);
    testkit::run(cc.arg("tests/guest/old.c").current_dir(root()));
    let old = fs::read(old).unwrap();

    let i386 = open(first(Target::I386));
    let (said, recordings) = i386.says(OLD, ("old", &old), true);
    assert!(said.contains("old 1") && said.contains("old 2") && said.contains("check 0"), "{said}");
    assert_eq!(recordings, ["one_000"]);
    let (said, recordings) = i386.says(NEW, ("old", &old), false);
    for line in ["check 0", "start 0", "stop 0", "status 4", "run 0"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(recordings, ["a_000", "b_001"]);
}

const OLD: &str = "old one; echo old $?; old one; echo old $?; recctrlu check; echo check $?; poweroff -f";
const NEW: &str =
    "recctrlu check; echo check $?; recctrlu start a; echo start $?; recctrlu stop; echo stop $?
recctrlu status; echo status $?; recctrlu run b -- true; echo run $?; poweroff -f";

#[test]
fn on_an_arm_machine_with_logged_time_every_recording_replays_without_the_plugin() {
    assert_eq!(open(first(Target::Arm)).by_recctrl(5), Count { made: 5, replayed: 5, exact: 5 });
}

#[test]
fn on_aarch64_with_icount_recordings_replay_on_one_core() {
    let counting =
        KINDS.into_iter().find(|kind| kind.target == Target::Aarch64 && kind.machine.contains("-icount"));
    assert_eq!(open(counting.unwrap()).by_recctrl(3), Count { made: 3, replayed: 3, exact: 3 });
}

#[test]
fn on_arm_and_aarch64_guests_start_and_stop_recordings() {
    for target in [Target::Arm, Target::Aarch64] {
        let kind = first(target);
        // Whether they replay depends on PANDA: docs/targets.md.
        assert_eq!(open(kind).by_recctrl(2).made, 2, "{kind:?}");
    }
}

#[test]
fn every_agent_fits_into_9_kib() {
    for kind in KINDS {
        let bytes = open(kind).agent_bytes();
        assert!(bytes <= 9216, "{}: {bytes} bytes", kind.target);
    }
}

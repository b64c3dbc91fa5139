//! Other plugins beside recctrl: they follow it, they ask it for recordings, or they have a magic of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{Plugin, Run};
use crate::support::lab;

/// Compiles a plugin in C, from its place in the checkout, into PANDA's folder.
fn compile(source: &str, plugin: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]);
    cc.arg("-I").arg(root.join("plugin/include")).arg("-I").arg(root.join("panda-sys/include"));
    assert!(cc.arg("-o").arg(plugin).arg(root.join(source)).status().unwrap().success(), "{source}");
}

/// Boots a guest with plugins loaded in the order of `loaded`; those in C are made from `source`.
fn beside(source: &str, name: &str, loaded: &[&str], script: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = lab().booting(dir.path(), script, Plugin::Absent, "");
    let plugins = lab().plugins(dir.path(), &mut panda);
    compile(source, &plugins.join(format!("panda_{name}.so")));
    for plugin in loaded {
        panda.args(["-panda", plugin]);
    }
    Run::of(dir, panda)
}

/// Holds that PANDA's plugins said all of `lines`, in this order.
fn assert_said(run: &Run, lines: &[&str]) {
    let mut rest = run.said.lines();
    for line in lines {
        assert!(rest.any(|said| said.contains(line)), "no {line:?} (in order) in:\n{}", run.said);
    }
}

#[test]
fn a_plugin_in_c_follows_recordings_and_makes_its_own() {
    let script = "recctrlu start a; recctrlu message 'half way'; recctrlu stop
        recctrlu message 'record this: after'
        until recctrlu status | grep -q 'recording: yes'; do :; done
        ls / >/dev/null
        while recctrlu status | grep -q 'recording: yes'; do recctrlu message enough; done
        recctrlu status; recctrlu start b; recctrlu stop";
    // Loaded first or second: it requires recctrl.
    for loaded in [["follow", "recctrl"], ["recctrl", "follow"]] {
        let run = beside("examples/follow-c/follow.c", "follow", &loaded, script);
        assert_said(
            &run,
            &[
                "follow: a_000 began",
                "follow: the guest says: half way",
                "follow: a_000 ended (guest), ",
                "follow: start: 0",
                "follow: after_001 began",
                "follow: stop: 0",
                "follow: after_001 ended (plugin), ",
                "follow: b_002 began",
                "follow: b_002 ended (guest), ",
            ],
        );
        assert_eq!(run.recordings(), ["a_000", "after_001", "b_002"], "{}", run.said);
        for name in run.recordings() {
            lab().replay(run.dir.path(), &name).unwrap_or_else(|said| panic!("{name}: {said}"));
        }
    }
}

#[test]
fn a_plugin_with_a_magic_of_its_own_works_beside_recctrl_in_either_order() {
    let script = "probe magic 1911; recctrlu start a; recctrlu check; recctrlu stop
        for n in 1 2 3 4 5 6 7 8; do recctrlu status >/dev/null; probe magic 1911; done
        recctrlu start b; probe magic 1911; recctrlu stop; probe magic 0";
    for loaded in [["neighbour", "recctrl"], ["recctrl", "neighbour"]] {
        let run = beside("tests/plugins/neighbour.c", "neighbour", &loaded, script);
        let answers = run.console.matches("magic 1911 -> 2184\n").count();
        assert_eq!(answers, 10, "{}", run.console);
        assert!(run.console.contains("magic 0 -> ") && !run.console.contains("magic 0 -> 2184"));
        assert_eq!(run.recordings(), ["a_000", "b_001"], "{}", run.said);
        lab().replay(run.dir.path(), "a_000").unwrap_or_else(|said| panic!("{said}"));
        assert!(fs::metadata(run.dir.path().join("b_001-rr-nondet.log")).unwrap().len() > 0);
    }
}

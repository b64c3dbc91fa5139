//! Other plugins beside recctrl: they follow it, ask it for recordings, or have their own magic.

use std::fs;
use std::path::Path;
use testkit::machine::{Plugin, Run, lab};
use testkit::plugin::{example, in_c};

/// Boots a guest with plugins loaded in the order of `loaded`; `plugin` is the one called `name`.
fn beside(plugin: &Path, name: &str, loaded: &[&str], script: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = lab().booting(dir.path(), script, Plugin::Absent, "");
    let plugins = lab().plugins(dir.path(), &mut panda);
    fs::copy(plugin, plugins.join(format!("panda_{name}.so"))).unwrap();
    for plugin in loaded {
        panda.args(["-panda", plugin]);
    }
    Run::of(dir, panda)
}

/// Asserts that PANDA's plugins logged all of `lines`, in this order.
fn assert_said(run: &Run, lines: &[&str]) {
    let mut rest = run.said.lines();
    for line in lines {
        assert!(rest.any(|said| said.contains(line)), "no {line:?} (in order) in:\n{}", run.said);
    }
}

/// Asserts that the example `plugin` follows everything, makes its own recording, and that each one replays. `asked`
/// is how it logs that it asked.
fn follows(plugin: &Path, loaded: &[&str], asked: &str) {
    let script = "recctrlu start a; recctrlu message 'half way'; recctrlu stop
        recctrlu message 'record this: after'
        until recctrlu status | grep -q 'recording: yes'; do :; done
        ls / >/dev/null
        while recctrlu status | grep -q 'recording: yes'; do recctrlu message enough; done
        recctrlu status; recctrlu start b; recctrlu stop";
    let run = beside(plugin, "follow", loaded, script);
    let (start, stop) = (format!("start: {asked}"), format!("stop: {asked}"));
    let story = [
        "a_000 began",
        "the guest says: half way",
        "a_000 ended (guest), ",
        &start,
        "after_001 began",
        &stop,
        "after_001 ended (plugin), ",
        "b_002 began",
        "b_002 ended (guest), ",
    ];
    assert_said(&run, &story);
    assert_eq!(run.recordings(), ["a_000", "after_001", "b_002"], "{}", run.said);
    for name in run.recordings() {
        lab().replay(run.dir.path(), &name).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}

#[test]
fn a_plugin_in_c_follows_recordings_and_makes_its_own() {
    let plugin = in_c("examples/follow-c/follow.c");
    // In either order, because it requires recctrl.
    follows(&plugin, &["follow", "recctrl"], "0");
    follows(&plugin, &["recctrl", "follow"], "0");
}

#[test]
fn a_plugin_in_rust_follows_recordings_and_makes_its_own() {
    follows(&example("follow"), &["follow"], "Asked");
}

#[test]
fn a_plugin_that_needs_our_recctrl_does_not_load_with_upstreams() {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = lab().booting(dir.path(), "true", Plugin::Absent, "");
    let plugins = lab().plugins(dir.path(), &mut panda);
    fs::copy(example("follow"), plugins.join("panda_follow.so")).unwrap();
    fs::remove_file(plugins.join("panda_recctrl.so")).unwrap();
    let run = Run::of(dir, {
        panda.args(["-panda", "follow"]);
        panda
    });
    assert_said(&run, &["PANDA[follow]: error: not loaded: recctrl does not offer recctrl_start"]);
}

#[test]
fn a_plugin_with_its_own_magic_works_beside_recctrl_in_either_order() {
    let script = "probe magic 1911; recctrlu start a; recctrlu check; recctrlu stop
        for n in 1 2 3 4 5 6 7 8; do recctrlu status >/dev/null; probe magic 1911; done
        recctrlu start b; probe magic 1911; recctrlu stop; probe magic 0";
    let plugin = in_c("tests/plugins/neighbour.c");
    for loaded in [["neighbour", "recctrl"], ["recctrl", "neighbour"]] {
        let run = beside(&plugin, "neighbour", &loaded, script);
        let answers = run.console.matches("magic 1911 -> 2184\n").count();
        assert_eq!(answers, 10, "{}", run.console);
        assert!(run.console.contains("magic 0 -> ") && !run.console.contains("magic 0 -> 2184"));
        assert_eq!(run.recordings(), ["a_000", "b_001"], "{}", run.said);
        lab().replay(run.dir.path(), "a_000").unwrap_or_else(|said| panic!("{said}"));
        assert!(fs::metadata(run.dir.path().join("b_001-rr-nondet.log")).unwrap().len() > 0);
    }
}

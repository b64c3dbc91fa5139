//! `pandacap analyze`, and the plugin behind it, on replays of what guests are known to have done.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use predicates::str::contains;
use serde_json::Value;
use testkit::debian::{Machine, warm_debian};
use testkit::machine::{Plugin, lab};
use testkit::plugin::analysis;
use testkit::program::{home, json, pandacap, recorded};

/// The profile of the tiny guest's kernel, in a file.
fn profile(folder: &Path) -> String {
    let path = folder.join("kernel.json");
    fs::write(&path, lab().profile()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the plugin tells of a recording of the lab's.
fn events(script: &str, arguments: &str) -> Vec<Value> {
    let run = lab().run(&format!("recctrlu start a; {script}; recctrlu stop"), Plugin::Ours, "");
    assert_eq!(run.recordings(), ["a_000"], "{}", run.said);
    let plugins = run.dir.path().join("panda-dir/x86_64-softmmu/panda/plugins");
    fs::copy(analysis("activity"), plugins.join("panda_activity.so")).unwrap();
    let plugin = format!("activity:profile={},{arguments}", profile(run.dir.path()));
    let replayed = lab().replay_with(run.dir.path(), "a_000", &["-panda", &plugin]);
    replayed.unwrap_or_else(|said| panic!("with {plugin} it does not replay: {said}"));
    let text = fs::read_to_string(run.dir.path().join("activity.jsonl")).unwrap();
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The calls of one thread: names and results.
fn calls_of(events: &[Value], tid: &Value) -> Vec<(String, Option<i64>)> {
    let calls = events.iter().filter(|event| event["event"] == "call" && event["tid"] == *tid);
    calls.map(|call| (call["call"].as_str().unwrap().to_owned(), call["result"].as_i64())).collect()
}

#[test]
fn every_system_call_is_told_once_with_its_result_whatever_signals_and_ends_come_between() {
    let events = events("probe calls", "calls=y");
    let begin = events.iter().find(|event| event["call"] == "1000").unwrap_or_else(|| panic!("{events:#?}"));
    let own = begin["tid"].as_i64().unwrap();
    let calls = calls_of(&events, &begin["tid"]);
    let [begin, end] = ["1000", "1001"].map(|name| calls.iter().position(|(call, _)| call == name).unwrap());
    let made = &calls[begin + 1..end];

    let children: Vec<i64> =
        made.iter().filter(|(call, _)| call == "fork").filter_map(|(_, result)| *result).collect();
    let [first, second] = children[..] else { panic!("{made:?}") };
    let parent = made.iter().find(|(call, _)| call == "getppid").and_then(|(_, result)| *result);
    let group = made.iter().find(|(call, _)| call == "getpgrp").and_then(|(_, result)| *result);
    let call = |name: &str, result| (name.to_owned(), result);
    let mut expected = vec![call("getpid", Some(own)); 100];
    expected.extend(vec![call("i386:getpid", Some(own)); 10]);
    expected.extend([
        call("setitimer", Some(0)),
        // ERESTARTNOHAND, as the kernel itself has it; the program sees EINTR.
        call("pause", Some(-514)),
        call("getpgrp", group),
        call("rt_sigreturn", Some(-4)),
        call("getpid", Some(own)),
        call("kill", Some(0)),
        call("getpid", Some(own)),
        call("kill", Some(0)),
        call("getpgrp", group),
        call("rt_sigreturn", Some(0)),
        call("getppid", parent),
        call("rt_sigreturn", Some(0)),
        call("fork", Some(first)),
        call("wait4", Some(first)),
        call("fork", Some(second)),
        call("kill", Some(0)),
        call("wait4", Some(second)),
    ]);
    assert_eq!(made, expected);

    assert_eq!(calls_of(&events, &first.into()), [call("exit", None)]);
    let fates: BTreeMap<i64, &Value> = events
        .iter()
        .filter(|event| event["event"] == "ended")
        .map(|event| (event["pid"].as_i64().unwrap(), &event["fate"]))
        .collect();
    assert_eq!(
        (fates[&first], fates[&second]),
        (&serde_json::json!({"status": 5}), &serde_json::json!({"signal": 9}))
    );
}

#[test]
fn a_report_has_processes_files_and_ends() {
    let script = "echo secret >/tmp/a; /bin/mv /tmp/a /tmp/b; /bin/rm /tmp/b; (exit 3); exit 0";
    let (dir, trace) = recorded(&["sh", "-c", script]);
    let kernel = profile(dir.path());
    let analyze = |arguments: &[&str]| {
        let mut analyze = pandacap(home());
        analyze.args(["analyze", "--profile", &kernel]).arg(&trace).args(arguments);
        analyze
    };
    let report = json(&analyze(&["--json"]).output().unwrap());
    assert_eq!((&report["complete"], &report["failure"]), (&true.into(), &Value::Null), "{report:#}");
    let processes = report["processes"].as_array().unwrap();
    let of = |name: &str| {
        let found = processes.iter().find(|process| {
            let programs = process["programs"].as_array().unwrap();
            programs.iter().any(|program| program["arguments"][0] == name)
        });
        found.unwrap_or_else(|| panic!("no {name}: {report:#}"))
    };
    let shell = of("sh");
    let wrote = shell["files"].as_array().unwrap().iter().find(|file| file["path"] == "/tmp/a").unwrap();
    assert_eq!((&wrote["written"], &wrote["to_write"]), (&7.into(), &true.into()));
    let renamed = &of("/bin/mv")["names"][0];
    assert_eq!(
        (&renamed["what"], &renamed["from"], &renamed["path"]),
        (&"renamed".into(), &"/tmp/a".into(), &"/tmp/b".into())
    );
    assert_eq!(of("/bin/rm")["names"][0]["what"], "removed");
    assert!(processes.iter().any(|process| process["fate"]["status"] == 3), "{report:#}");

    analyze(&[]).assert().success().stdout(contains("renamed /tmp/a to /tmp/b"));

    let another = fs::read_to_string(&kernel).unwrap().replace("Linux version 6", "Linux version 5");
    fs::write(&kernel, another).unwrap();
    analyze(&[]).assert().code(1).stderr(contains("does not run the kernel that the profile describes"));
}

#[test]
fn a_user_who_becomes_root_is_told_with_the_way_there_and_a_login_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(warm_debian(), &["--sessions", "--nrec", "1"]);
    machine.banner();
    machine.interactive("panda", "passwd -S; echo mine >note; exit\n");
    let trace = machine.kept("panda_session", dir.path());
    let report = json(&pandacap(home()).args(["--json", "analyze"]).arg(&trace).output().unwrap());
    let escalations = report["escalations"].as_array().unwrap();
    assert_eq!(escalations.len(), 1, "{escalations:#?}");
    let found = &escalations[0];
    assert_eq!((&found["how"]["by"], &found["program"]), (&"execution".into(), &"/usr/bin/passwd".into()));
    assert_eq!((&found["before"]["uid"], &found["after"]["euid"]), (&1000.into(), &0.into()));
    let name = |place: &Value| report["processes"][place.as_u64().unwrap() as usize]["name"].clone();
    let chain: Vec<Value> = found["chain"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(chain, ["passwd", "bash", "sshd", "sshd", "sshd", "systemd"]);

    let processes = report["processes"].as_array().unwrap();
    let peers = processes.iter().flat_map(|process| process["connections"].as_array().unwrap());
    assert!(peers.filter_map(|peer| peer["socket"]["local"].as_str()).any(|local| local == "10.0.2.15:22"));
    let terminal = &report["terminals"][0];
    assert_eq!(terminal["path"], "/dev/pts/0");
    assert!(terminal["typed"].as_str().unwrap().contains("echo mine"), "{terminal:#}");
}

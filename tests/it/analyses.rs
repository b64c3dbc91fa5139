//! The analyses in `examples/`, on replays of traces that the tests record.

use std::fs;

use serde_json::Value;
use testkit::machine::{Plugin, Run, lab};
use testkit::plugin::example;

/// A trace called `a`, in which the guest sends a message and runs a program.
fn trace() -> Run {
    let script = "recctrlu start a; recctrlu message 'half way'; ls / >/dev/null; recctrlu stop";
    let run = lab().run(script, Plugin::Ours, "events=events.jsonl");
    assert_eq!(run.recordings(), ["a_000"], "{}", run.said);
    for name in ["coverage", "timeline"] {
        let plugins = run.dir.path().join("panda-dir/x86_64-softmmu/panda/plugins");
        fs::copy(example(name), plugins.join(format!("panda_{name}.so"))).unwrap();
    }
    run
}

/// Replays the trace with one more plugin, and returns the file that it writes.
fn analyse(run: &Run, plugin: &str, result: &str) -> String {
    let replayed = lab().replay_with(run.dir.path(), "a_000", &["-panda", plugin]);
    replayed.unwrap_or_else(|said| panic!("with {plugin} it does not replay: {said}"));
    fs::read_to_string(run.dir.path().join(result)).unwrap_or_else(|error| panic!("{result}: {error}"))
}

#[test]
fn coverage_accounts_for_every_instruction_and_is_the_same_each_time() {
    let run = trace();
    let text = analyse(&run, "coverage", "coverage.json");
    assert_eq!(text, analyse(&run, "coverage:out=again.json", "again.json"));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["schema"], &report["version"]), (&"pandacap.coverage".into(), &1.into()));
    assert_eq!(report["instructions"], run.events_of("ended")[0]["instructions"], "{text}");
    let asids = report["asids"].as_array().unwrap();
    assert!(asids.len() >= 2, "the shell and ls: {text}");
    let number = |asid: &Value, field: &str| asid[field].as_u64().unwrap();
    for asid in asids {
        let [distinct, blocks, instructions] =
            ["distinct_blocks", "blocks", "instructions"].map(|field| number(asid, field));
        assert!(0 < distinct && distinct <= blocks && blocks <= instructions, "{asid}");
    }
}

#[test]
fn a_timeline_has_the_guests_calls_at_recctrls_instruction_counts() {
    let run = trace();
    let text = analyse(&run, "timeline", "timeline.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["schema"], &lines[0]["version"]), (&"pandacap.timeline".into(), &1.into()));
    let times: Vec<u64> = lines[1..].iter().map(|line| line["instructions"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{text}");
    let message = lines.iter().find(|line| line["call"] == "message").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(message["text"], "half way");
    assert_eq!(message["instructions"], run.events_of("message")[0]["instructions"]);
    assert!(lines.iter().any(|line| line["event"] == "process"), "{text}");
    let last = &lines[lines.len() - 1];
    assert_eq!(
        (&last["call"], &last["instructions"]),
        (&"stop".into(), &run.events_of("ended")[0]["instructions"])
    );

    assert_eq!(text, analyse(&run, "timeline:out=again.jsonl", "again.jsonl"));
    let calls = analyse(&run, "timeline:processes=n,out=calls.jsonl", "calls.jsonl");
    assert!(calls.contains("message") && !calls.contains("\"process\""), "{calls}");
}

#[test]
fn an_example_reports_invalid_arguments() {
    let run = trace();
    let refused = lab().replay_with(run.dir.path(), "a_000", &["-panda", "timeline:processes=perhaps"]);
    let said = fs::read_to_string(run.dir.path().join("replay.out")).unwrap();
    assert!(refused.is_err(), "{said}");
    assert!(
        said.contains("PANDA[timeline]: error: not loaded: processes=perhaps: expected y or n"),
        "{said}"
    );
}

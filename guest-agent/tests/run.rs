//! `run` with real processes, and a plugin that only pretends.

use std::{
    env, fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const ERROR: i64 = -1;
const NOOP: i64 = 0;
const START: i64 = 1;
const STOP: i64 = 2;
const BOTH: &str = "start\nstop\n";

fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scripted");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "recctrlu", "--example", "scripted", "--target-dir"])
            .arg(&target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the program builds");
        target.join("debug/examples/scripted")
    })
}

/// A `run x -- COMMAND` that is under way.
struct Run {
    child: Child,
    journal: PathBuf,
}

/// How it ended: its exit code, the calls in order, its outputs.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    calls: String,
    out: String,
    err: String,
}

impl Run {
    fn begin(command: &[&str], start: i64, stop: i64) -> Run {
        Run::with(0, command, start, stop)
    }

    fn with(features: u32, command: &[&str], start: i64, stop: i64) -> Run {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("journal-{}-{number}", std::process::id()));
        let child = Command::new(program())
            .args([&features.to_string(), &start.to_string(), &stop.to_string()])
            .arg(&journal)
            .args(["run", "x", "--"])
            .args(command)
            .env("KEY", "value")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Run { child, journal }
    }

    fn end(self) -> Ended {
        let output = self.child.wait_with_output().expect("it ends");
        let calls = fs::read_to_string(&self.journal).unwrap_or_default();
        let _ = fs::remove_file(&self.journal);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), calls, out: text(output.stdout), err: text(output.stderr) }
    }
}

fn recorded(command: &[&str]) -> Ended {
    Run::begin(command, START, STOP).end()
}

#[test]
fn a_commands_exit_status_is_passed_on() {
    for code in [0, 1, 7, 125, 255] {
        let ended = recorded(&["sh", "-c", &format!("echo ran; exit {code}")]);
        assert_eq!((ended.code, ended.calls.as_str()), (Some(code), BOTH));
        assert_eq!(
            (ended.out.as_str(), ended.err.as_str()),
            ("ran\n", ""),
            "the output is the command's alone"
        );
    }
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_its_number() {
    for (signal, code) in [("KILL", 137), ("TERM", 143)] {
        let ended = recorded(&["sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!((ended.code, ended.calls.as_str()), (Some(code), BOTH));
    }
}

#[test]
fn a_command_gets_its_arguments_its_environment_and_no_blocked_signal() {
    let check = r#"test "$0 $1" = "a b" && test "$KEY" = value && grep -q '^SigBlk:.0*$' /proc/self/status"#;
    assert_eq!(recorded(&["sh", "-c", check, "a", "b"]).code, Some(0));
}

#[test]
fn what_cannot_be_executed_is_not_recorded() {
    let ended = recorded(&["no-such-program"]);
    assert_eq!((ended.code, ended.calls.as_str()), (Some(127), ""));
    assert_eq!(ended.err, "recctrlu: no-such-program: not found\n");
    let ended = recorded(&["/etc"]);
    assert_eq!((ended.code, ended.calls.as_str()), (Some(126), ""));
}

#[test]
fn what_turns_out_to_be_no_program_ends_its_recording() {
    let garbage = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("garbage");
    fs::write(&garbage, "neither ELF nor script").expect("a file");
    fs::set_permissions(&garbage, fs::Permissions::from_mode(0o755)).expect("its mode");
    let ended = recorded(&[garbage.to_str().expect("UTF-8")]);
    assert_eq!((ended.code, ended.calls.as_str()), (Some(126), BOTH));
    assert!(ended.err.ends_with("cannot be executed\n"), "{}", ended.err);
}

#[test]
fn a_command_is_not_run_when_recording_does_not_start() {
    for answer in [ERROR, NOOP, STOP, 99] {
        let ended = Run::begin(&["echo", "ran"], answer, STOP).end();
        assert_eq!(
            (ended.code, ended.calls.as_str(), ended.out.as_str()),
            (Some(125), "start\n", ""),
            "{answer}"
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
}

#[test]
fn a_plugin_that_knows_locks_gets_the_exit_status_with_the_key() {
    let locked = |command: &[&str]| Run::with(protocol::feature::LOCK, command, START, STOP).end();
    let ended = locked(&["sh", "-c", "exit 7"]);
    assert_eq!((ended.code, ended.calls.as_str()), (Some(7), "start locked\nstop locked 7\n"));
    let ended = locked(&["sh", "-c", "kill -KILL $$"]);
    assert_eq!((ended.code, ended.calls.as_str()), (Some(137), "start locked\nstop locked 137\n"));
}

#[test]
fn a_command_cannot_look_into_the_memory_of_what_records_it() {
    let folder = env::temp_dir().join(format!("recctrlu-hidden-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its mode");
    let (program, journal) = (folder.join("scripted"), folder.join("journal"));
    fs::write(&program, fs::read(self::program()).expect("it is built")).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("every user can execute it");
    let mut command = Command::new(&program);
    command.args(["8", "1", "2"]).arg(&journal).args(["run", "x", "--", "sh", "-c"]);
    command
        .arg("cat /proc/self/maps >/dev/null || exit 3; cat /proc/$PPID/maps >/dev/null && exit 4; exit 5");
    if fs::metadata("/proc/self").expect("its owner").uid() == 0 {
        // Root may look into everything.
        command.uid(65534).gid(65534);
    }
    let status = command.current_dir("/").stderr(Stdio::null()).status().expect("it runs");
    let calls = fs::read_to_string(&journal).unwrap_or_default();
    fs::remove_dir_all(&folder).expect("removed");
    assert_eq!((status.code(), calls.as_str()), (Some(5), "start locked\nstop locked 5\n"));
}

#[test]
fn a_recording_that_does_not_end_with_the_command_is_told() {
    let ended = Run::begin(&["true"], START, ERROR).end();
    assert!(ended.code == Some(125) && ended.err.contains("could not be ended"), "{ended:?}");
    let ended = Run::begin(&["sh", "-c", "exit 3"], START, NOOP).end();
    assert!(ended.code == Some(3) && ended.err.contains("ended before the command did"), "{ended:?}");
}

#[test]
fn a_signal_reaches_the_command_and_the_recording_still_ends() {
    for (signal, number) in
        [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT), ("TERM", Signal::TERM)]
    {
        let trap =
            format!("trap 'echo got it; exit 9' {signal}; echo ready >&2; while :; do sleep 0.05; done");
        // A shell cannot trap what was ignored when it began, as a job in the background has it.
        let mut run = Run::begin(&["env", "--default-signal", "sh", "-c", &trap], START, STOP);
        let mut ready = [0; 6];
        let stderr = run.child.stderr.as_mut().expect("piped");
        std::io::Read::read_exact(stderr, &mut ready).expect("the trap is set");
        kill_process(Pid::from_child(&run.child), number).expect("it runs");
        let ended = run.end();
        assert_eq!(
            (ended.code, ended.calls.as_str(), ended.out.as_str()),
            (Some(9), BOTH, "got it\n"),
            "{signal}"
        );
    }
}

#[test]
fn a_parent_that_ignores_its_children_does_not_matter() {
    // A shell's `trap '' CHLD` is inherited as an ignored signal, and the kernel would reap the command unseen.
    let begun = Instant::now();
    let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ignored-{}", std::process::id()));
    let status = Command::new("timeout")
        .args(["20", "env", "--ignore-signal=CHLD"])
        .arg(program())
        .args(["0", "1", "2"])
        .arg(&journal)
        .args(["run", "x", "--", "sh", "-c", "exit 6"])
        .status()
        .expect("env runs");
    let _ = fs::remove_file(&journal);
    assert_eq!(status.code(), Some(6));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

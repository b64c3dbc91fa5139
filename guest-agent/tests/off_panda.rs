//! The real program as a process where there is no PANDA.

use std::{
    env,
    os::unix::{ffi::OsStrExt, process::CommandExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Command, Output},
    sync::OnceLock,
};

const NO_RECCTRL: i32 = 3;
const USAGE: i32 = 2;

/// The program, built as a release builds it.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("agent");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "recctrlu", "--features", "freestanding"])
            .args(["--profile", "agent", "--target-dir"])
            .arg(&target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the program builds");
        target.join("agent").join("recctrlu")
    })
}

fn recctrlu(args: &[&[u8]], env: &[(&str, &str)]) -> Output {
    let args = args.iter().map(|arg| std::ffi::OsStr::from_bytes(arg));
    Command::new(program()).args(args).env_clear().envs(env.iter().copied()).output().expect("it starts")
}

/// What the line gives: its exit code, and its outputs as text.
fn line(args: &str) -> (i32, String, String) {
    let args: Vec<&[u8]> = args.split_whitespace().map(str::as_bytes).collect();
    told(recctrlu(&args, &[]))
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("killed by {:?}", output.status.signal()));
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_fits_in_8_kib() {
    let size = program().metadata().expect("it is there").len();
    assert!(size <= 9216, "recctrlu has {size} bytes");
}

#[test]
fn it_needs_no_loader_and_has_no_writable_code() {
    let elf = std::fs::read(program()).expect("it is there");
    let headers = u16::from_le_bytes([elf[56], elf[57]]) as usize;
    let header = |i: usize| &elf[64 + i * 56..][..8];
    let kinds: Vec<(u32, u32)> = (0..headers)
        .map(|i| header(i).split_at(4))
        .map(|(kind, flags)| {
            [kind, flags].map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes"))).into()
        })
        .collect();
    const LOAD: u32 = 1;
    const GNU_STACK: u32 = 0x6474_e551;
    assert_eq!(
        kinds,
        [(LOAD, 0b101), (GNU_STACK, 0b110)],
        "one segment to read and execute, a stack to write"
    );
}

#[test]
fn every_command_that_needs_recctrl_says_that_there_is_none() {
    for args in [
        "start a",
        "stop",
        "toggle a",
        "open_session a",
        "close_session a",
        "close_session",
        "status",
        "check",
        "message hello",
        "run a -- touch /tmp/recctrlu-must-not-be-made",
    ] {
        let (code, out, err) = line(args);
        assert_eq!((code, out.as_str()), (NO_RECCTRL, ""), "{args}");
        let says =
            "recctrlu: not inside PANDA, or PANDA runs without recctrl (start it with `-panda recctrl`)\n";
        assert_eq!(err, says, "{args}");
    }
    assert!(!std::path::Path::new("/tmp/recctrlu-must-not-be-made").exists());
}

#[test]
fn help_and_version_work_anywhere() {
    for help in ["help", "--help", "-h"] {
        let (code, out, err) = line(help);
        assert_eq!((code, err.as_str()), (0, ""));
        for word in ["start", "stop", "toggle", "open_session", "close_session", "status", "check", "message"]
        {
            assert!(out.contains(word), "{word} is explained");
        }
    }
    let version = concat!("recctrlu ", env!("CARGO_PKG_VERSION"), " (protocol 1)\n");
    assert_eq!(line("version"), (0, version.into(), String::new()));
}

#[test]
fn a_wrong_line_is_explained() {
    for args in ["", "begin", "start", "stop now", "run a", "run a ls", "run a --", "pam --users", "pam ann"]
    {
        let (code, out, err) = line(args);
        assert_eq!((code, out.as_str(), err.lines().count()), (USAGE, "", 1), "{args}: {err}");
    }
    let long = [b'x'; 128];
    assert_eq!(told(recctrlu(&[b"start", &long], &[])).0, USAGE);
    assert_eq!(told(recctrlu(&[b"start", &long[1..]], &[])).0, NO_RECCTRL);
    assert_eq!(told(recctrlu(&[b"message", &[b'x'; 1025]], &[])).0, USAGE);
}

#[test]
fn hostile_arguments_do_it_no_harm() {
    assert_eq!(told(recctrlu(&[b"start", b"\xff\xfe\x01"], &[])).0, NO_RECCTRL);
    assert_eq!(told(recctrlu(&[&[b'x'; 100_000]], &[])).0, USAGE);
    let many: Vec<&[u8]> = vec![b"x"; 10_000];
    assert_eq!(told(recctrlu(&many, &[])).0, USAGE);
    let nameless = Command::new(program()).arg0("").output().expect("it starts");
    assert_eq!(told(nameless).0, USAGE);
}

#[test]
fn a_login_is_never_in_the_way() {
    for step in ["open_session", "close_session", "auth", ""] {
        let env = [("PAM_TYPE", step), ("PAM_USER", "ann")];
        assert_eq!(told(recctrlu(&[b"pam"], &env)), (0, String::new(), String::new()));
        assert_eq!(
            told(recctrlu(&[b"pam", b"--users", b"ann,bob"], &env)),
            (0, String::new(), String::new())
        );
    }
    assert_eq!(told(recctrlu(&[b"pam"], &[])), (0, String::new(), String::new()));
}

#[test]
fn a_closed_output_does_it_no_harm() {
    let status = Command::new("sh")
        .args(["-c", "\"$0\" help >&- ; test $? = 0 && \"$0\" check 2>&- ; test $? = 3"])
        .arg(program())
        .status()
        .expect("sh starts");
    assert!(status.success());
}

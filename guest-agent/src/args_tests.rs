use super::*;
use std::ffi::CString;

/// What a command line comes to, in words.
fn parsed(args: &[&[u8]]) -> String {
    let args: Vec<CString> = args.iter().map(|arg| CString::new(*arg).expect("no NUL inside")).collect();
    let args: Vec<Option<Text<'_>>> =
        args.iter().map(|arg| Some(arg.as_c_str().into())).chain([None]).collect();
    let text = String::from_utf8_lossy;
    match parse(Strings::new(&args).expect("it ends")) {
        Ok(Request { verb, word, command }) => {
            let command: Vec<_> = command.map(text).collect();
            format!("{verb:?} [{}] {command:?}", text(word))
        }
        Err(Wrong(_, argument)) => format!("wrong: {}", text(argument)),
    }
}

fn line(args: &str) -> String {
    parsed(&args.split_whitespace().map(str::as_bytes).collect::<Vec<_>>())
}

#[test]
fn each_command_is_known() {
    assert_eq!(line("recctrlu start one"), "Start [one] []");
    assert_eq!(line("recctrlu stop"), "Stop [] []");
    assert_eq!(line("recctrlu toggle one"), "Toggle [one] []");
    assert_eq!(line("recctrlu open_session one"), "OpenSession [one] []");
    assert_eq!(line("recctrlu status"), "Status [] []");
    assert_eq!(line("recctrlu check"), "Check [] []");
    assert_eq!(line("recctrlu message hi"), "Message [hi] []");
    assert_eq!(line("recctrlu version"), "Version [] []");
    assert_eq!(line("recctrlu pam"), "Pam [] []");
    for help in ["help", "--help", "-h"] {
        assert_eq!(line(&format!("recctrlu {help}")), "Help [] []");
    }
}

#[test]
fn close_session_takes_a_name_and_needs_none() {
    assert_eq!(line("recctrlu close_session"), "CloseSession [] []");
    assert_eq!(line("recctrlu close_session one"), "CloseSession [] []");
    assert_eq!(line("recctrlu close_session one two"), "wrong: two");
}

#[test]
fn run_takes_everything_after_the_dashes() {
    assert_eq!(line("recctrlu run one -- ls -l -- x"), r#"Run [one] ["ls", "-l", "--", "x"]"#);
    for incomplete in ["run", "run one", "run one --", "run one ls", "run -- ls"] {
        assert_eq!(line(&format!("recctrlu {incomplete}")), "wrong: run");
    }
}

#[test]
fn pam_takes_a_list_of_users() {
    assert_eq!(line("recctrlu pam --users ann,bob"), "Pam [ann,bob] []");
    assert_eq!(line("recctrlu pam --users"), "wrong: --users");
    assert_eq!(parsed(&[b"recctrlu", b"pam", b"--users", b""]), "wrong: --users");
    assert_eq!(line("recctrlu pam ann"), "wrong: ann");
    assert_eq!(line("recctrlu pam --users ann bob"), "wrong: bob");
}

#[test]
fn a_line_without_a_known_command_is_wrong() {
    assert_eq!(parsed(&[]), "wrong: ");
    assert_eq!(line("recctrlu"), "wrong: ");
    assert_eq!(line("recctrlu begin"), "wrong: begin");
    assert_eq!(line("recctrlu star"), "wrong: star");
    assert_eq!(line("recctrlu stop now"), "wrong: now");
}

#[test]
fn words_have_their_bounds() {
    for (verb, longest) in [("start", 127), ("toggle", 127), ("open_session", 127), ("message", 1024)] {
        let long = vec![b'x'; longest + 1];
        assert!(parsed(&[b"recctrlu", verb.as_bytes(), &long[1..]]).contains("[xxx"));
        for bad in [&long[..], b""] {
            assert_eq!(parsed(&[b"recctrlu", verb.as_bytes(), bad]), format!("wrong: {verb}"));
        }
        assert_eq!(parsed(&[b"recctrlu", verb.as_bytes()]), format!("wrong: {verb}"));
    }
}

#[test]
fn bytes_that_are_no_text_are_taken_as_they_are() {
    assert_eq!(parsed(&[b"recctrlu", b"start", b"\xff\xfe"]), "Start [\u{fffd}\u{fffd}] []");
    assert_eq!(parsed(&[b"\xff", b"\xfe"]), "wrong: \u{fffd}");
}

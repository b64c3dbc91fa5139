//! The driver on processes of the system's shell, which do what a PANDA might.

use std::fs;
use std::time::Duration;

use super::*;
use files::Tail;
use panda_host::confine::{Mode, Settings};

use crate::life::{Bound, Way};

/// How long something may take on a machine that is busy with other things.
const LONG: Duration = Duration::from_secs(30);
const RULES: Rules =
    Rules { boot: Some(LONG), look: Some(Duration::from_secs(60)), end: Way::Ask(Some(LONG)), ..Rules::OPEN };

fn plan<'a>(script: &str, folder: &'a Path, rules: Rules) -> Plan<'a> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env("PATH", "/usr/bin:/bin");
    let open = Settings { mode: Mode::Off, ..Settings::default() };
    Plan {
        files: &["said"],
        state: "state",
        ..Plan::apart(command, Sandbox::of(Path::new("/bin/sh"), &open), folder, rules)
    }
}

/// Follows a file, and takes its lines for events.
struct Lines(Tail);

impl Lines {
    fn of(folder: &Path) -> Lines {
        Lines(Tail::of(folder.join("said")))
    }
}

impl Follow for Lines {
    fn look(&mut self) -> io::Result<Vec<Event>> {
        let event = |line: Vec<u8>| match &*line {
            b"booted" => Event::Booted,
            b"done" => Event::SaidAll,
            b"much" => Event::Reached(Bound::Space),
            other => panic!("{other:?}"),
        };
        Ok(self.0.lines()?.into_iter().map(event).collect())
    }
}

/// How long it took, and what came of it.
fn live(plan: Plan<'_>, interrupt: &Interrupt, follow: &mut dyn Follow) -> (Duration, Lived) {
    let began = Instant::now();
    let lived = plan.live(interrupt, follow).expect("lived");
    (began.elapsed(), lived)
}

#[test]
fn what_a_process_writes_is_seen_at_once_and_ends_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = dir.path();
    for (said, ended) in [("done", Ended::Done), ("much", Ended::Cut(Cut::Bound(Bound::Space)))] {
        let script = format!("echo booted >said; echo {said} >>said; exec sleep 100");
        let (took, lived) = live(plan(&script, folder, RULES), &Interrupt::default(), &mut Lines::of(folder));
        assert!(took < LONG, "{took:?}");
        assert_eq!(lived.ended, ended);
        fs::remove_file(folder.join("said")).expect("removed");
    }
}

#[test]
fn a_process_that_ends_by_itself_is_said_to_have() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_, lived) = live(plan("exit 3", dir.path(), RULES), &Interrupt::default(), &mut ());
    assert_eq!((lived.ended, lived.status.code()), (Ended::Itself, Some(3)));
}

#[test]
fn a_process_that_shows_no_sign_is_ended_in_time_and_killed_if_need_be() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let short = Duration::from_millis(300);
    let rules = Rules { boot: Some(short), end: Way::Ask(Some(short)), ..RULES };
    // Its whole group: a shell's child has its own ideas.
    let stubborn = "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done";
    let (took, lived) = live(plan(stubborn, dir.path(), rules), &Interrupt::default(), &mut ());
    assert_eq!(lived.ended, Ended::Cut(Cut::Boot));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&lived.status), Some(9));
    assert!((2 * short..LONG).contains(&took), "{took:?}");
}

#[test]
fn an_interrupt_ends_it_whether_it_came_before_or_meanwhile() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        raised.raise();
    });
    for _ in 0..2 {
        let (took, lived) = live(plan("exec sleep 100", dir.path(), RULES), &interrupt, &mut ());
        assert_eq!(lived.ended, Ended::Cut(Cut::Interrupt));
        assert!(took < LONG, "{took:?}");
    }
    later.join().expect("raised");
}

#[test]
fn all_that_a_process_says_arrives_before_its_end_however_slowly_it_is_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (from, theirs) = io::pipe().expect("a pipe");
    let (to, said) = sync_channel(1);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        for piece in said {
            all.extend(piece);
            std::thread::sleep(Duration::from_millis(1));
        }
        all
    });
    let rules = Rules { boot: None, silence: Some(LONG), end: Way::Kill(LONG), ..RULES };
    let mut plan = plan("seq 100000", dir.path(), rules);
    plan.command.stdout(theirs);
    plan.output = Some(Output { from: File::from(std::os::fd::OwnedFd::from(from)), to });
    let (_, lived) = live(plan, &Interrupt::default(), &mut ());
    assert_eq!((lived.ended, lived.status.success()), (Ended::Itself, true));
    let all = String::from_utf8(reader.join().expect("read")).expect("text");
    assert_eq!(all.lines().count(), 100_000);
}

#[test]
fn a_reader_that_stops_reading_does_not_keep_a_process_from_its_end() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (from, theirs) = io::pipe().expect("a pipe");
    let (to, said) = sync_channel(1);
    let short = Duration::from_millis(500);
    // Held back, it is not silent; but it has a time to live.
    let rules =
        Rules { boot: None, silence: Some(short / 2), timeout: Some(short), end: Way::Kill(short), ..RULES };
    let mut plan = plan("yes", dir.path(), rules);
    plan.command.stdout(theirs);
    plan.output = Some(Output { from: File::from(std::os::fd::OwnedFd::from(from)), to });
    let (took, lived) = live(plan, &Interrupt::default(), &mut ());
    assert_eq!(lived.ended, Ended::Cut(Cut::Timeout));
    assert!(took < LONG, "{took:?}");
    drop(said);
}

#[test]
fn what_cannot_be_read_ends_it_too() {
    struct Blind;
    impl Follow for Blind {
        fn look(&mut self) -> io::Result<Vec<Event>> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plan = plan("echo x >said; exec sleep 100", dir.path(), RULES);
    assert!(matches!(plan.live(&Interrupt::default(), &mut Blind), Err(ProcessError::Follow(_))));
}

#[test]
fn a_state_that_cannot_be_saved_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let rules = Rules { save: Some(Duration::ZERO), ..RULES };
    let plan = plan("echo booted >said; exec sleep 100", dir.path(), rules);
    assert!(matches!(
        plan.live(&Interrupt::default(), &mut Lines::of(dir.path())),
        Err(ProcessError::Save(_))
    ));
}

//! Reports on events as a guest may bring them about, in whatever order.

use super::*;
use crate::event::{Access, Credentials, Fate};

fn report(events: &[(u64, u32, Event)]) -> Report {
    let lines = events.iter().map(|(instructions, pid, event)| Line {
        instructions: *instructions,
        pid: Some(*pid),
        event: event.clone(),
    });
    Report::of(lines.map(Ok::<_, ()>)).unwrap()
}

fn present(parent: u32, name: &str) -> Event {
    let credentials = Credentials::default();
    Event::Present { parent, name: name.to_owned(), file: None, credentials, kernel: false }
}

fn started(parent: u32) -> Event {
    let credentials = Credentials::default();
    Event::Started { parent, name: "sh".to_owned(), credentials, kernel: false }
}

fn ended() -> Event {
    Event::Ended { fate: Fate::Status(0) }
}

#[test]
fn a_tree_has_those_that_acted_and_their_ancestors() {
    let report = report(&[
        (0, 1, present(0, "init")),
        (0, 2, present(1, "idle")),
        (0, 3, present(1, "sshd")),
        (5, 10, started(3)),
        (9, 10, ended()),
    ]);
    assert_eq!(report.shown(), [true, false, true, true]);
    let (roots, children) = report.children();
    assert_eq!((roots, &children[0], &children[2]), (vec![0], &vec![1, 2], &vec![3]));
    assert_eq!((report.processes[3].began, report.processes[3].ended), (Some(5), Some(9)));
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let open = Event::Opened { path: "/a".to_owned(), fd: 3, access: Access::Write, create: true };
    let report = report(&[
        (1, 7, started(1)),
        (2, 7, open.clone()),
        (3, 7, ended()),
        (4, 7, started(1)),
        (5, 7, open),
    ]);
    let opened: Vec<u64> = report.processes.iter().map(|process| process.files[0].opened).collect();
    assert_eq!(opened, [1, 1]);
}

#[test]
fn what_was_used_adds_up_by_path() {
    let used = |read| Event::Used { path: "/a".to_owned(), read, written: 1, mapped: false, socket: None };
    let report = report(&[(1, 7, used(2)), (2, 7, used(3)), (3, 7, used(u64::MAX))]);
    let file = &report.processes[0].files[0];
    assert_eq!((file.read, file.written), (u64::MAX, 3));
}

#[test]
fn a_process_that_is_its_own_parent_is_a_root() {
    let report = report(&[(0, 7, present(7, "odd")), (1, 7, ended())]);
    assert_eq!(report.children().0, [0]);
    assert_eq!(report.shown(), [true]);
}

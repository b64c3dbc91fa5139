//! The transcripts of recordings in the documentation match real output, except for what differs each time.

use std::fs;

use testkit::program::{home, pandacap};
use testkit::run;
use testkit::transcript::{assert_shown, hold_with_panda, said_with_panda};

#[test]
fn the_pages_on_rec_and_verify_match_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let said = said_with_panda("pandacap rec --cold -- uname -a", dir.path());
    assert_shown("README.md", "scripts/quickstart uname -a", &said);
    let mut rec = pandacap(home());
    rec.current_dir(dir.path()).args(["rec", "--cold", "--name", "hello", "--", "uname", "-a"]);
    let told = rec.assert().success().get_output().stdout.clone();
    let shown = "pandacap rec --name hello -- uname -a";
    assert_shown("docs/guide/rec.md", shown, &String::from_utf8(told).unwrap());

    fs::remove_dir_all(dir.path().join("traces")).unwrap();
    said_with_panda("pandacap rec --cold --name greeting -- echo hello", dir.path());
    let mut copy = std::process::Command::new("cp");
    run(copy.current_dir(dir.path()).args(["-r", "traces/greeting", "traces/damaged"]));
    let snapshot = dir.path().join("traces/damaged/greeting-rr-snp");
    let mut bytes = fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    hold_with_panda("docs/guide/verify.md", "pandacap verify traces/*", dir.path());
    // A program reads only the document.
    let document = said_with_panda("pandacap verify --json traces/greeting 2>/dev/null", dir.path());
    assert_shown("docs/guide/verify.md", "pandacap verify --json traces/greeting", &document);
}

#[test]
fn the_page_on_guests_matches_the_output_for_the_tiny_guest() {
    let dir = tempfile::tempdir().unwrap();
    said_with_panda("pandacap rec --dry-run -- true", dir.path());
    hold_with_panda("docs/guide/guest.md", "pandacap guest inspect tiny", dir.path());
}

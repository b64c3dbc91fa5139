//! `pandacap rec` without a PANDA.

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use testkit::files::entries;
use testkit::program::pandacap;

#[test]
fn without_a_panda_no_guest_is_fetched() {
    let [out, home] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut rec = pandacap(home.path());
    rec.env("PATH", "/nowhere").args(["rec", "--out"]).arg(out.path()).args(["--", "true"]);
    rec.assert().code(3).stderr(contains("pandacap panda install").and(contains("fetching").not()));
    assert_eq!(entries(home.path()), [""; 0]);
}

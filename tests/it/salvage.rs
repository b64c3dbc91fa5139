//! Recordings during which PANDA is killed all replay once they are salvaged.

use testkit::torn::{KILLS, salvaged};

#[test]
fn recordings_cut_short_by_sigkill_replay_to_their_end_once_salvaged() {
    for kill in 0..KILLS {
        let (kept, replayed) = salvaged(kill);
        assert!(kept >= 0.99, "kill {kill}: only {kept} of the log is kept");
        if let Err(said) = replayed {
            panic!("kill {kill}: the salvaged recording does not replay: {said}");
        }
    }
}

//! Guests, other plugins, PANDA's monitor and its main loop, in any order.

use super::*;

/// What may happen next.
#[derive(Clone, Debug)]
enum Act {
    Call(i32, u64, u64),
    PluginStarts,
    PluginStops,
    MonitorBegins,
    MonitorEnds,
    Turn,
    /// The main loop does nothing that it is asked to, from now on or no longer.
    Deaf(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let action = prop::sample::select(vec![
        action::TOGGLE,
        action::START,
        action::STOP,
        action::SESSION_OPEN,
        action::SESSION_CLOSE,
        action::START_LOCKED,
        action::STOP_LOCKED,
        action::STATUS,
    ]);
    let act = prop_oneof![
        8 => (action, 0..3u64, 0..3u64).prop_map(|(action, first, second)| Act::Call(action, first, second)),
        1 => Just(Act::PluginStarts),
        1 => Just(Act::PluginStops),
        1 => Just(Act::MonitorBegins),
        1 => Just(Act::MonitorEnds),
        3 => Just(Act::Turn),
        1 => any::<bool>().prop_map(Act::Deaf),
    ];
    prop::collection::vec(act, 0..30)
}

impl Fixture {
    fn act(&self, act: &Act) {
        match *act {
            Act::Call(action, first, second) => _ = self.hypercall(action, first, second),
            Act::PluginStarts => _ = self.plugin.ask_start(Some(c"plugin")),
            Act::PluginStops => _ = self.plugin.ask_stop(),
            Act::MonitorBegins => {
                // A pretended recording is none that a monitor would see.
                self.plugin.tick();
                let mut panda = self.panda();
                if panda.mode != Some(Mode::Record) && panda.next.is_none() {
                    panda.mode = Some(Mode::Record);
                }
            }
            Act::MonitorEnds => self.panda().mode = Some(Mode::Off),
            Act::Turn => self.turn(),
            Act::Deaf(is_deaf) => self.panda().is_deaf = is_deaf,
        }
    }
}

proptest! {
    #[test]
    fn each_recording_is_told_once_and_leaves_two_files_or_none_where_it_is_pretended(
        acts in acts(),
        session_rec: bool,
        dry: bool,
    ) {
        let word = |yes| if yes { "y" } else { "n" };
        let fixture = Fixture::new(&[("session_rec", word(session_rec)), ("dry", word(dry))]);
        let heard = fixture.follow();
        for act in &acts {
            fixture.act(act);
            prop_assert!(fixture.plugin.state.try_lock().is_some(), "the lock was kept");
        }
        fixture.panda().mode = Some(Mode::Off);
        fixture.plugin.shutdown();
        let heard = heard.lock();
        for told in heard.chunks(2) {
            let name = told[0].strip_prefix("began ").expect("a beginning");
            prop_assert!(told.len() == 2 && told[1].starts_with(&format!("ended {name} ")), "{told:?}");
        }
        let recordings = fixture.plugin.state.lock().recorder.recordings() as usize;
        prop_assert_eq!(heard.len(), 2 * recordings);
        prop_assert_eq!(fixture.files().len(), if dry { 0 } else { 2 * recordings });
        prop_assert_eq!(fixture.panda().begun.len(), if dry { 0 } else { recordings });
    }
}

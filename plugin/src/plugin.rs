//! The plugin itself: turns a guest's calls and PANDA's turns into events for the recorder, and its effects into
//! deeds.

mod made;
mod neighbours;
mod recordings;
mod texts;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use protocol::{Answer, Call, Registers, feature};
use serde_json::json;

use self::{
    made::Made,
    neighbours::Wanted,
    recordings::{Current, Starting},
};
use crate::{
    events::Events,
    files::{self, Folder},
    follow::{Followers, News},
    host::Host,
    options::Options,
    quiet::{Budget, say},
    recorder::{Effect, Event, Mode, Recorder, Request, Rules, Tick},
};

/// How often the main loop looks after a recording.
const TICK: Duration = Duration::from_millis(50);
/// The same when instructions are counted, of which there are many in a short time.
const FINE_TICK: Duration = Duration::from_millis(10);
/// How long a guest waits for each call that it makes too many.
const PENALTY: Duration = Duration::from_millis(1);

/// What is to become of the guest's hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is none of ours: the processor's own instruction is to be executed.
    NotOurs,
    /// The answer is in the registers.
    Answered,
    /// The guest stands behind the hypercall, its answer in the registers; PANDA's execution loop is to be left.
    SteppedOut,
}

/// recctrl, loaded into one PANDA.
///
/// The virtual processor's thread and the main loop's share it. Both have QEMU's big lock when they come here and
/// take ours after it; while a guest is held for the main loop, neither lock is.
pub struct Plugin<H: Host> {
    host: H,
    options: Options,
    rules: Rules,
    folder: Folder,
    followers: Followers,
    state: Mutex<State>,
    started: Instant,
}

struct State {
    recorder: Recorder,
    /// What another plugin asked for and the main loop has not begun yet.
    wanted: Option<Wanted>,
    /// What a guest asked for that is on its way out of PANDA's execution loop.
    starting: Option<Starting>,
    /// What followers are told once our lock is given back.
    news: Vec<News>,
    /// The main loop comes by again and again.
    watched: bool,
    current: Option<Current>,
    made: Made,
    events: Events,
    lines: Budget,
    calls: Budget,
    /// As many recordings as were asked for are on disk.
    quit_due: bool,
    /// What a dry run pretends.
    pretended: Mode,
}

impl State {
    /// Whether there is something to do once the lock is given back.
    fn has_news(&self) -> bool {
        self.quit_due || !self.news.is_empty()
    }
}

impl<H: Host> Plugin<H> {
    /// A plugin that records to `folder` and tells `events`.
    pub(crate) fn new(host: H, options: Options, folder: Folder, mut events: Events) -> Plugin<H> {
        events.record(
            "loaded",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "dir": files::text(folder.path()),
                "session_rec": options.rules.session_rec,
                "dry": options.dry,
            }),
        );
        let rules = options.rules(folder.free().unwrap_or(0));
        let state = State {
            recorder: Recorder::new(rules),
            wanted: None,
            starting: None,
            news: Vec::new(),
            watched: false,
            current: None,
            made: Made::default(),
            events,
            lines: Budget::new(100, 10),
            calls: Budget::new(1000, 1000),
            quit_due: false,
            pretended: Mode::Off,
        };
        let followers = Followers::default();
        Plugin { host, options, rules, folder, followers, state: Mutex::new(state), started: Instant::now() }
    }

    /// The door to PANDA.
    pub(crate) fn host(&self) -> &H {
        &self.host
    }

    /// Other plugins that follow recordings.
    pub fn followers(&self) -> &Followers {
        &self.followers
    }

    /// A clock that never goes back.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A guest made a hypercall with these registers, or something that looks like one.
    pub fn call(&self, cpu: H::Cpu) -> Verdict {
        let registers = self.host.registers(cpu);
        let Some(call) = protocol::decode(registers) else { return Verdict::NotOurs };
        // In a replay every answer is in the log already.
        if self.host.mode() == Mode::Replay {
            return Verdict::NotOurs;
        }
        let mut state = self.state.lock();
        if state.calls.spend().is_none() {
            MutexGuard::unlocked(&mut state, || self.host.pause(PENALTY));
        }
        self.observe(&mut state);

        let answer = match call {
            Call::Hello { nonce } => {
                let events = if self.keeps_messages(&state) { feature::EVENTS } else { 0 };
                protocol::hello_answer(nonce, feature::EXACT | feature::REPLAYABLE | feature::LOCK | events)
            }
            Call::Status => state.recorder.status(self.options.dry).to_registers(),
            Call::Message { text, len } => with(registers, self.message(&mut state, cpu, text, len)),
            Call::NewKey => match self.host.random() {
                Some(key) => protocol::key_answer(key),
                None => with(registers, Answer::Error),
            },
            Call::Unknown(action) => {
                say!(state.lines, warn, "ignoring action {action}, which is nobody's");
                with(registers, Answer::Noop)
            }
            Call::Toggle { name } => return self.request(state, cpu, registers, Request::Toggle, Some(name)),
            Call::OpenSession { name } => {
                return self.request(state, cpu, registers, Request::OpenSession, Some(name));
            }
            Call::Start { name } => return self.request(state, cpu, registers, Request::Start, Some(name)),
            Call::StartLocked { name, key } => {
                return self.request(state, cpu, registers, Request::StartLocked(key), Some(name));
            }
            Call::StopLocked { key, status } => {
                return self.request(state, cpu, registers, Request::StopLocked { key, status }, None);
            }
            Call::CloseSession => return self.request(state, cpu, registers, Request::CloseSession, None),
            Call::Stop => return self.request(state, cpu, registers, Request::Stop, None),
        };
        self.release(state);
        self.host.answer(cpu, answer);
        Verdict::Answered
    }

    /// The main loop came by; false when there is nothing left to look after.
    pub fn tick(&self) -> bool {
        if self.host.mode() == Mode::Replay {
            return false;
        }
        let mut state = self.state.lock();
        self.observe(&mut state);
        if !state.recorder.wants_ticks() {
            // The tick after loading, unless a recording is on already.
            if let Some(obstacle) = self.host.obstacle() {
                log::warn!("every recording will be refused: {obstacle}");
            }
            state.watched = false;
            self.release(state);
            return false;
        }
        let tick = Tick {
            now: self.now(),
            instructions: if self.options.dry { 0 } else { self.host.instructions() },
            bytes: self.bytes(&state),
            free: self.free(),
        };
        if self.decide(&mut state, Event::Tick(tick)).contains(&Effect::AskEnd) {
            self.ask_end(&mut state);
        }
        state.watched = state.recorder.wants_ticks();
        let again = state.watched;
        self.release(state);
        again
    }

    /// PANDA goes; it has ended a recording that was on.
    pub fn shutdown(&self) {
        let mut state = self.state.lock();
        self.settle_starting(&mut state);
        self.settle(&mut state, true);
        self.decide(&mut state, Event::Shutdown);
        log::info!("made {} recordings", state.recorder.recordings());
        self.release(state);
    }

    /// Has the recorder decide, and does what needs no guest: everything but begin, end and answer.
    fn decide(&self, state: &mut State, event: Event) -> Vec<Effect> {
        let (recorder, effects) = state.recorder.step(event);
        state.recorder = recorder;
        for effect in &effects {
            match effect {
                Effect::Complete(why) => self.complete(state, *why),
                Effect::Denied(denied) => self.denied(state, *denied),
                Effect::Odd(reason) => say!(state.lines, warn, "ignoring {reason}"),
                Effect::Quit => state.quit_due = true,
                _ => {}
            }
        }
        effects
    }

    /// Gives the lock back, and only then tells followers, who may come back here, and quits if that is due: PANDA
    /// waits for the virtual processor then, which may be waiting for the lock.
    fn release(&self, mut state: MutexGuard<'_, State>) {
        let quit = std::mem::take(&mut state.quit_due);
        let news = std::mem::take(&mut state.news);
        let recordings = state.recorder.recordings();
        drop(state);
        self.followers.tell(&news);
        if quit {
            log::info!("quitting after {recordings} recordings");
            self.host.quit();
        }
    }

    /// Makes the recorder see what PANDA did without being asked: its monitor ended a recording, say.
    fn observe(&self, state: &mut State) {
        self.settle(state, false);
        let mode = if self.options.dry { state.pretended } else { self.host.mode() };
        self.decide(state, Event::Observed(mode));
    }

    /// Has the main loop come by once the machine is made: under KVM no hypercall ever would.
    pub(crate) fn loaded(&self) {
        self.watch(&mut self.state.lock());
    }

    /// Has the main loop come by until nothing is left to look after.
    fn watch(&self, state: &mut State) {
        if !std::mem::replace(&mut state.watched, true) {
            let fine = self.rules.max_instr.is_some();
            self.host.arm_ticks(if fine { FINE_TICK } else { TICK });
        }
    }

    /// Bytes free for recordings: none when the folder has gone.
    fn free(&self) -> u64 {
        self.folder.free().unwrap_or(0)
    }
}

/// The registers of a call, with its answer in the first.
fn with(mut registers: Registers, answer: Answer) -> Registers {
    registers[0] = answer.to_register();
    registers
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;

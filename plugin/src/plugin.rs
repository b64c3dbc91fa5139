//! The plugin itself: turns a guest's calls and PANDA's turns into events for the recorder, and carries out its effects.

mod effects;
mod neighbours;
mod report;
mod texts;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use protocol::{Answer, Call, Registers, feature};
use serde_json::json;

use self::effects::{Caller, Guest};
use crate::{
    events::Events,
    files::{Files, Folder},
    follow::{Followers, News},
    host::Host,
    options::Options,
    pretend::Pretend,
    quiet::{Budget, say},
    recorder::{Event, Mode, Observed, Recorder, Request, Rules, Tick},
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
    /// It is not for us: the processor's own instruction is to be executed.
    NotOurs,
    /// The answer is in the registers.
    Answered,
    /// The guest stands behind the hypercall, its answer in the registers; PANDA's execution loop is to be left.
    SteppedOut,
}

/// recctrl, loaded into one PANDA whose processors are named by a `C`.
///
/// The virtual processor's thread and the main loop's share it. Both have QEMU's big lock when they come here and
/// take ours after it; while a guest is held for the main loop, neither lock is.
pub struct Plugin<C> {
    host: Box<dyn Host<Cpu = C>>,
    dry: bool,
    rules: Rules,
    folder: Folder,
    followers: Followers,
    state: Mutex<State>,
    started: Instant,
}

/// What the lock is for: the recorder, which knows all about recordings, and what tells of them.
struct State {
    recorder: Recorder,
    events: Events,
    /// Bounds what is logged of the guest.
    lines: Budget,
    /// Bounds the guest's calls.
    calls: Budget,
    /// The main loop comes by again and again.
    watched: bool,
    later: Later,
}

/// What is done once our lock has been given back.
#[derive(Default)]
struct Later {
    news: Vec<News>,
    quit: bool,
}

impl Later {
    fn is_due(&self) -> bool {
        self.quit || !self.news.is_empty()
    }
}

impl<C: Copy + 'static> Plugin<C> {
    /// A plugin that records to `folder` and tells `events`.
    pub(crate) fn new(
        host: impl Host<Cpu = C>,
        options: &Options,
        folder: Folder,
        mut events: Events,
    ) -> Plugin<C> {
        events.record(
            "loaded",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "dir": folder.path().to_string_lossy(),
                "session_rec": options.rules.session_rec,
                "dry": options.dry,
            }),
        );
        let rules = options.rules(folder.free());
        let state = State {
            recorder: Recorder::new(rules),
            events,
            lines: Budget::new(100, 10),
            calls: Budget::new(1000, 1000),
            watched: false,
            later: Later::default(),
        };
        Plugin {
            host: if options.dry { Box::new(Pretend::new(host)) } else { Box::new(host) },
            dry: options.dry,
            rules,
            folder,
            followers: Followers::default(),
            state: Mutex::new(state),
            started: Instant::now(),
        }
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
    pub fn call(&self, cpu: C) -> Verdict {
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
        let mut request = |request, name| {
            let caller = Caller::Guest(Guest { cpu, registers, name });
            self.handle(&mut state, caller, Event::Asked(request)).verdict
        };
        let verdict = match call {
            Call::Toggle { name } => request(Request::Toggle, name),
            Call::OpenSession { name } => request(Request::OpenSession, name),
            Call::CloseSession => request(Request::CloseSession, 0),
            Call::Start { name } => request(Request::Start, name),
            Call::Stop => request(Request::Stop, 0),
            Call::StartLocked { name, key } => request(Request::StartLocked(key), name),
            Call::StopLocked { key, status } => request(Request::StopLocked { key, status }, 0),
            Call::Hello { nonce } => {
                let events = if self.keeps_messages(&state) { feature::EVENTS } else { 0 };
                let features = feature::EXACT | feature::REPLAYABLE | feature::LOCK | events;
                self.tell(cpu, protocol::hello_answer(nonce, features))
            }
            Call::Status => self.tell(cpu, state.recorder.status(self.dry).to_registers()),
            Call::Message { text, len } => {
                let answer = self.message(&mut state, cpu, text, len);
                self.tell(cpu, with(registers, answer))
            }
            Call::NewKey => {
                let key = self.host.random().map(protocol::key_answer);
                self.tell(cpu, key.unwrap_or_else(|| with(registers, Answer::Error)))
            }
            Call::Unknown(action) => {
                say!(state.lines, Warn, "ignoring the guest's unknown action {action}");
                self.tell(cpu, with(registers, Answer::Noop))
            }
        };
        self.release(state);
        verdict
    }

    /// Answers a call that is not about recordings.
    fn tell(&self, cpu: C, answer: Registers) -> Verdict {
        self.host.answer(cpu, answer);
        Verdict::Answered
    }

    /// The guest has stepped out of PANDA's execution loop, as it was asked to.
    pub fn stepped_out(&self, cpu: C) {
        let mut state = self.state.lock();
        let registers = self.host.registers(cpu);
        self.handle(&mut state, Caller::Guest(Guest { cpu, registers, name: 0 }), Event::SteppedOut);
        self.release(state);
    }

    /// The main loop came by; false when there is nothing left to look after.
    pub fn tick(&self) -> bool {
        if self.host.mode() == Mode::Replay {
            return false;
        }
        let mut state = self.state.lock();
        self.observe(&mut state);
        if state.recorder.wants_ticks() {
            let tick = Tick {
                now: self.now(),
                instructions: self.host.instructions(),
                sizes: state.recorder.current().map(Files::sizes).unwrap_or_default(),
                free: self.folder.free(),
            };
            self.handle(&mut state, Caller::MainLoop, Event::Tick(tick));
        } else if let Some(obstacle) = self.host.obstacle() {
            // The tick after loading, unless a recording is on already.
            say!(state.lines, Warn, "every recording will be refused: {obstacle}");
        }
        state.watched = state.recorder.wants_ticks();
        let again = state.watched;
        self.release(state);
        again
    }

    /// PANDA is about to exit; it has ended a recording that was on.
    #[expect(clippy::disallowed_macros, reason = "it logs once: PANDA exits")]
    pub fn shutdown(&self) {
        let mut state = self.state.lock();
        self.handle(&mut state, Caller::MainLoop, Event::Shutdown);
        log::info!("made {} recordings", state.recorder.recordings());
        self.release(state);
    }

    /// Gives the lock back, and only then tells followers, who may come back here, and quits if that is due: PANDA
    /// waits for the virtual processor then, which may be waiting for the lock.
    #[expect(clippy::disallowed_macros, reason = "it logs once: PANDA quits")]
    fn release(&self, mut state: MutexGuard<'_, State>) {
        let Later { news, quit } = std::mem::take(&mut state.later);
        let recordings = state.recorder.recordings();
        drop(state);
        self.followers.tell(&news);
        if quit {
            log::info!("quitting after {recordings} recordings");
            self.host.quit();
        }
    }

    /// Makes the recorder see what PANDA did without being asked: its monitor ended a recording, say.
    fn observe(&self, state: &mut MutexGuard<'_, State>) {
        let (mode, pending) = (self.host.mode(), self.host.is_pending());
        let observed = Observed { mode, pending, now: self.now() };
        self.handle(state, Caller::MainLoop, Event::Observed(observed));
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
}

/// The registers of a call, with its answer in the first.
fn with(mut registers: Registers, answer: Answer) -> Registers {
    registers[0] = answer.to_register();
    registers
}

#[cfg(test)]
mod tests;

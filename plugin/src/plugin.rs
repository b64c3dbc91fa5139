//! The plugin itself: turns a guest's calls and PANDA's turns into events for the recorder, and its effects into
//! deeds.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use protocol::{Answer, Call, MESSAGE_MAX, NAME_MAX, Name, Registers, feature};
use serde_json::json;

use crate::{
    events::Events,
    files::{self, Files, Folder},
    follow::{Followers, News},
    host::{Host, Refusal},
    neighbours::{Wanted, c_text},
    options::Options,
    quiet::{Budget, say},
    recorder::{Effect, Event, Mode, Recorder, Request, Tick, Why},
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
    folder: Folder,
    followers: Followers,
    state: Mutex<State>,
    started: Instant,
}

pub(crate) struct State {
    pub(crate) recorder: Recorder,
    /// What another plugin asked for and the main loop has not begun yet.
    pub(crate) wanted: Option<Wanted>,
    /// What a guest asked for that is on its way out of PANDA's execution loop.
    starting: Option<Starting>,
    /// What followers are told once our lock is given back.
    news: Vec<News>,
    /// The main loop comes by again and again.
    watched: bool,
    current: Option<Current>,
    events: Events,
    lines: Budget,
    calls: Budget,
    /// As many recordings as were asked for are on disk.
    quit_due: bool,
    /// What a dry run pretends.
    pub(crate) pretended: Mode,
}

impl State {
    /// Whether there is something to do once the lock is given back.
    pub(crate) fn has_news(&self) -> bool {
        self.quit_due || !self.news.is_empty()
    }
}

/// A recording that begins where the guest stands.
struct Starting {
    files: Files,
    /// The guest's, as it made the call.
    registers: Registers,
    asked: Instant,
}

/// The recording that is on.
struct Current {
    files: Option<Files>,
    name: String,
    began: Instant,
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
        let state = State {
            recorder: Recorder::new(options.rules),
            wanted: None,
            starting: None,
            news: Vec::new(),
            watched: false,
            current: None,
            events,
            lines: Budget::new(100, 10),
            calls: Budget::new(1000, 1000),
            quit_due: false,
            pretended: Mode::Off,
        };
        let followers = Followers::default();
        Plugin { host, options, folder, followers, state: Mutex::new(state), started: Instant::now() }
    }

    /// The door to PANDA.
    pub(crate) fn host(&self) -> &H {
        &self.host
    }

    /// Other plugins that follow recordings.
    pub fn followers(&self) -> &Followers {
        &self.followers
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn is_dry(&self) -> bool {
        self.options.dry
    }

    /// A clock that never goes back.
    pub(crate) fn now(&self) -> Duration {
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
                protocol::hello_answer(nonce, feature::EXACT | feature::REPLAYABLE | events)
            }
            Call::Status => state.recorder.status(self.options.dry).to_registers(),
            Call::Message { text, len } => with(registers, self.message(&mut state, cpu, text, len)),
            Call::Unknown(action) => {
                say!(state.lines, warn, "ignoring action {action}, which is nobody's");
                with(registers, Answer::Noop)
            }
            Call::Toggle { name } => return self.request(state, cpu, registers, Request::Toggle, Some(name)),
            Call::OpenSession { name } => {
                return self.request(state, cpu, registers, Request::OpenSession, Some(name));
            }
            Call::Start { name } => return self.request(state, cpu, registers, Request::Start, Some(name)),
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
        if let Some(starting) = state.starting.take() {
            starting.files.remove();
        }
        self.settle(&mut state, true);
        self.decide(&mut state, Event::Shutdown);
        log::info!("made {} recordings", state.recorder.recordings());
        self.release(state);
    }

    /// What somebody asked for that may start or stop a recording.
    fn request(
        &self,
        mut state: MutexGuard<'_, State>,
        cpu: H::Cpu,
        registers: Registers,
        request: Request,
        name: Option<u64>,
    ) -> Verdict {
        let mut effects = self.decide(&mut state, Event::Asked(request));
        if effects.contains(&Effect::Begin) {
            let name = self.name(&mut state, cpu, name.unwrap_or(0));
            state.events.chatter("asked", json!({ "name": name }));
            if self.options.dry {
                state.pretended = Mode::Record;
                effects = self.began(&mut state, name, None, None);
            } else {
                match self.step_out(&name, cpu, registers) {
                    Ok(starting) => {
                        state.starting = Some(starting);
                        self.release(state);
                        return Verdict::SteppedOut;
                    }
                    Err(refusal) => effects = self.refused(&mut state, &refusal),
                }
            }
        } else if effects.contains(&Effect::End) {
            let ended = if self.options.dry {
                state.pretended = Mode::Off;
                Ok(())
            } else {
                MutexGuard::unlocked(&mut state, || self.host.end())
            };
            let event = match ended {
                Ok(()) => Event::Ended,
                Err(refusal) => {
                    say!(state.lines, error, "the recording goes on: {refusal}");
                    Event::NotEnded
                }
            };
            effects = self.decide(&mut state, event);
        }
        self.release(state);
        let answer = effects.iter().find_map(|effect| match effect {
            Effect::Answer(answer) => Some(*answer),
            _ => None,
        });
        self.host.answer(cpu, with(registers, answer.unwrap_or(Answer::Noop)));
        Verdict::Answered
    }

    /// Has the guest step out of PANDA's execution loop, told that its recording has begun.
    fn step_out(&self, name: &str, cpu: H::Cpu, registers: Registers) -> Result<Starting, Refusal> {
        let files = self.reserve(name)?;
        let asked = Instant::now();
        match self.host.step_out(cpu, with(registers, Answer::Start)) {
            Ok(()) => Ok(Starting { files, registers, asked }),
            Err(refusal) => {
                files.remove();
                Err(refusal)
            }
        }
    }

    /// The guest has stepped out of PANDA's execution loop: begins what it asked for, and tells it when that failed.
    pub fn stepped_out(&self, cpu: H::Cpu) {
        let mut state = self.state.lock();
        let Some(Starting { files, registers, asked }) = state.starting.take() else { return };
        match MutexGuard::unlocked(&mut state, || self.host.begin(&files.recording)) {
            Ok(()) => {
                self.began(&mut state, files.name.clone(), Some(files), Some(asked.elapsed()));
            }
            Err(refusal) => {
                files.remove();
                self.refused(&mut state, &refusal);
                self.host.answer(cpu, with(registers, Answer::Error));
            }
        }
        self.release(state);
    }

    /// Has the recorder decide, and does what needs no guest: everything but begin, end and answer.
    pub(crate) fn decide(&self, state: &mut State, event: Event) -> Vec<Effect> {
        let (recorder, effects) = state.recorder.step(event);
        state.recorder = recorder;
        for effect in &effects {
            match effect {
                Effect::Complete(why) => self.complete(state, *why),
                Effect::Odd(reason) => say!(state.lines, warn, "ignoring {reason}"),
                Effect::Quit => state.quit_due = true,
                _ => {}
            }
        }
        effects
    }

    /// Gives the lock back, and only then tells followers, who may come back here, and quits if that is due: PANDA
    /// waits for the virtual processor then, which may be waiting for the lock.
    pub(crate) fn release(&self, mut state: MutexGuard<'_, State>) {
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
    pub(crate) fn observe(&self, state: &mut State) {
        self.settle(state, false);
        let mode = if self.options.dry { state.pretended } else { self.host.mode() };
        self.decide(state, Event::Observed(mode));
    }

    /// The files for a recording, if it can be made and there is room for it.
    pub(crate) fn reserve(&self, name: &str) -> Result<Files, Refusal> {
        if let Some(obstacle) = self.host.obstacle() {
            return Err(obstacle);
        }
        let needed = self.host.snapshot_bytes().saturating_add(self.options.rules.min_free);
        let free = self.free();
        if free < needed {
            return Err(Refusal::Space { dir: files::text(self.folder.path()), free, needed });
        }
        self.folder.reserve(name)
    }

    /// A recording has begun; `held` is how long the guest was, behind its hypercall.
    pub(crate) fn began(
        &self,
        state: &mut State,
        name: String,
        files: Option<Files>,
        held: Option<Duration>,
    ) -> Vec<Effect> {
        let name = files.as_ref().map_or(name, |files| files.name.clone());
        match &files {
            None => log::info!("recording {name} (not really: dry=y)"),
            Some(files) => {
                log::info!("recording {name}");
                let snapshot_bytes = files.sizes().snapshot_bytes;
                let mut fields = json!({ "name": name, "snapshot_bytes": snapshot_bytes });
                if let Some(held) = held {
                    fields["held_seconds"] = held.as_secs_f64().into();
                }
                state.events.record("began", fields);
            }
        }
        state.news.push(News::Began { name: c_text(&name) });
        state.current = Some(Current { name, files, began: Instant::now() });
        self.watch(state);
        self.decide(state, Event::Begun(self.now()))
    }

    /// A recording can't be made, for this reason.
    pub(crate) fn refused(&self, state: &mut State, refusal: &Refusal) -> Vec<Effect> {
        say!(state.lines, error, "no recording: {refusal}");
        state.events.chatter("refused", json!({ "why": refusal.to_string() }));
        self.decide(state, Event::NotBegun)
    }

    /// Has the main loop come by once the machine is made: under KVM no hypercall ever would.
    pub(crate) fn loaded(&self) {
        self.watch(&mut self.state.lock());
    }

    /// Has the main loop come by until nothing is left to look after.
    pub(crate) fn watch(&self, state: &mut State) {
        if !std::mem::replace(&mut state.watched, true) {
            let fine = self.options.rules.max_instr.is_some();
            self.host.arm_ticks(if fine { FINE_TICK } else { TICK });
        }
    }

    /// Has the main loop end the recording.
    pub(crate) fn ask_end(&self, state: &mut State) {
        if self.options.dry {
            state.pretended = Mode::Off;
        } else {
            self.host.ask_end();
        }
    }

    fn complete(&self, state: &mut State, why: Why) {
        let Some(current) = state.current.take() else { return };
        let sizes = current.files.as_ref().map(Files::sizes).unwrap_or_default();
        let seconds = current.began.elapsed().as_secs_f64();
        state.news.push(News::Ended {
            name: c_text(&current.name),
            why: c_text(why.as_str()),
            instructions: sizes.instructions,
        });
        log::info!("{} is complete: {} instructions ({})", current.name, sizes.instructions, why.as_str());
        state.events.record(
            "ended",
            json!({
                "name": current.name,
                "why": why.as_str(),
                "instructions": sizes.instructions,
                "snapshot_bytes": sizes.snapshot_bytes,
                "log_bytes": sizes.log_bytes,
                "seconds": seconds,
                "dry": current.files.is_none(),
            }),
        );
    }

    /// The name for the next recording, whatever the guest's pointer leads to.
    fn name(&self, state: &mut State, cpu: H::Cpu, address: u64) -> String {
        let mut raw = [0; NAME_MAX];
        let length = self.read_prefix(cpu, address, &mut raw);
        let raw = &raw[..length];
        let name = if raw.contains(&0) || length == NAME_MAX { Name::from_guest(raw) } else { None };
        if name.is_none() {
            say!(state.lines, warn, "no name can be read at {address:#x}, so the recording gets one of ours");
        }
        self.numbered(state, name)
    }

    /// The name of the next recording.
    pub(crate) fn numbered(&self, state: &State, name: Option<Name>) -> String {
        files::numbered(name, state.recorder.recordings(), self.options.rules.nrec == Some(1))
    }

    /// Reads as much of guest memory as is mapped, page by page, up to the first NUL or the buffer's end.
    fn read_prefix(&self, cpu: H::Cpu, address: u64, buffer: &mut [u8]) -> usize {
        const SMALLEST_PAGE: u64 = 1024;
        let mut length = 0;
        while length < buffer.len() {
            let from = address.wrapping_add(length as u64);
            let in_page = (SMALLEST_PAGE - from % SMALLEST_PAGE) as usize;
            let end = buffer.len().min(length + in_page);
            if !self.host.read(cpu, from, &mut buffer[length..end]) {
                break;
            }
            let nul = buffer[length..end].contains(&0);
            length = end;
            if nul {
                break;
            }
        }
        length
    }

    fn message(&self, state: &mut State, cpu: H::Cpu, address: u64, len: u64) -> Answer {
        let mut buffer = [0; MESSAGE_MAX as usize];
        let text = usize::try_from(len).ok().and_then(|len| buffer.get_mut(..len));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            say!(state.lines, warn, "a message of {len} bytes: it may have 1 to {MESSAGE_MAX}");
            return Answer::Error;
        };
        if !self.keeps_messages(state) {
            say!(state.lines, warn, "a message, but nobody keeps it (events=FILE)");
            return Answer::Error;
        }
        if !self.host.read(cpu, address, text) {
            say!(state.lines, warn, "no message can be read at {address:#x}");
            return Answer::Error;
        }
        let recording = state.current.as_ref().map(|current| current.name.clone());
        let instructions = recording.as_ref().map(|_| self.host.instructions());
        state.news.push(News::Message { text: text.to_vec() });
        let text = String::from_utf8_lossy(text);
        state
            .events
            .chatter("message", json!({ "text": text, "name": recording, "instructions": instructions }));
        Answer::Noop
    }

    /// Whether a message reaches anybody: the events file, or another plugin.
    fn keeps_messages(&self, state: &State) -> bool {
        state.events.is_kept() || !self.followers.is_empty()
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

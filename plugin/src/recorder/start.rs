//! How a recording starts, from the request to its beginning.

use std::{mem, time::Duration};

use panda_plugin::recctrl::Reply;
use protocol::Answer;

use super::{
    Counted, Effect, Event, Mode, Observed, Odd, Recorder, Why,
    phase::{Denials, Lock, Owner, Phase, Recording, Stage, Starting},
};
use crate::{files::Files, refusal::Refusal};

impl Recorder {
    /// The guest wants a recording.
    pub(super) fn start(&mut self, owner: Owner, key: Option<u32>) -> Vec<Effect> {
        match self.phase {
            Phase::Idle => self.name(owner, key),
            Phase::Finished => vec![Effect::Odd(Odd::Finished), Effect::Answer(Answer::Error)],
            Phase::Starting(_)
            | Phase::Recording(_)
            | Phase::Stopping(..)
            | Phase::Ending(..)
            | Phase::Monitors
            | Phase::StoppingMonitors => {
                if owner == Owner::Session {
                    self.sessions = self.sessions.saturating_add(1);
                }
                vec![Effect::Answer(Answer::Noop)]
            }
        }
    }

    /// Another plugin wants a recording.
    pub(super) fn start_asked(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Idle => self.name(Owner::Plugin, None),
            Phase::Recording(_) | Phase::Monitors => vec![Effect::Reply(Reply::Already)],
            Phase::Starting(_) | Phase::Stopping(..) | Phase::Ending(..) | Phase::StoppingMonitors => {
                vec![Effect::Reply(Reply::Busy)]
            }
            Phase::Finished => vec![Effect::Odd(Odd::Finished), Effect::Reply(Reply::Refused)],
        }
    }

    fn name(&mut self, owner: Owner, key: Option<u32>) -> Vec<Effect> {
        let lock = key.map(|key| Lock { key, wrong_keys: 0 });
        self.phase = Phase::Starting(Starting { owner, lock, stage: Stage::Naming });
        let is_only_one = self.rules.nrec == Some(1);
        vec![Effect::Name((!is_only_one).then_some(self.recordings))]
    }

    pub(super) fn named(&mut self, name: String, snapshot_bytes: u64, counted: Counted) -> Vec<Effect> {
        let Phase::Starting(Starting { stage: stage @ Stage::Naming, .. }) = &mut self.phase else {
            return vec![];
        };
        match self.rules.allow(self.recordings, &self.made, snapshot_bytes) {
            Ok(()) => {
                *stage = Stage::Reserving;
                vec![Effect::Reserve(name)]
            }
            // Some of them may have been taken away since.
            Err(Refusal::MaxBytes { .. }) if counted == Counted::Before => {
                vec![Effect::Count(self.made.clone(), Event::Named { name, snapshot_bytes }.into())]
            }
            Err(refusal) => self.not_begun(refusal),
        }
    }

    pub(super) fn reserved(&mut self, files: Files, now: Duration) -> Vec<Effect> {
        let Phase::Starting(Starting { owner, stage: stage @ Stage::Reserving, .. }) = &mut self.phase else {
            return vec![Effect::Discard(files)];
        };
        *stage = Stage::Placing(files.clone(), now);
        match owner {
            // The answer is in the snapshot with the guest's other registers, so it comes before the beginning.
            Owner::Guest | Owner::Session => vec![Effect::Answer(Answer::Start), Effect::StepOut],
            Owner::Plugin => vec![Effect::AskBegin(files)],
        }
    }

    pub(super) fn stepped_out(&mut self) -> Vec<Effect> {
        let Phase::Starting(Starting { owner: Owner::Guest | Owner::Session, stage, .. }) = &mut self.phase
        else {
            return vec![];
        };
        let Stage::Placing(files, since) = stage else { return vec![] };
        let effects = vec![Effect::Begin(files.clone())];
        *stage = Stage::Beginning(files.clone(), *since);
        effects
    }

    pub(super) fn awaited(&mut self) -> Vec<Effect> {
        let Phase::Starting(Starting { owner: Owner::Plugin, stage, .. }) = &mut self.phase else {
            return vec![];
        };
        let Stage::Placing(files, _) = stage else { return vec![] };
        *stage = Stage::Awaited(files.clone());
        vec![Effect::Reply(Reply::Asked)]
    }

    /// Sees whether the main loop has begun what another plugin asked for.
    pub(super) fn await_begin(&mut self, starting: Starting, observed: Observed) -> Vec<Effect> {
        match observed.mode {
            Mode::Record => self.begin(starting, observed.now),
            Mode::Off | Mode::Replay if observed.pending => self.stay(Phase::Starting(starting)),
            Mode::Off | Mode::Replay => self.look_for(starting, Refusal::NoTurn),
        }
    }

    /// Looks whether a recording has begun all the same; `refusal` is why it has not, otherwise.
    pub(super) fn look_for(&mut self, starting: Starting, refusal: Refusal) -> Vec<Effect> {
        let Starting { owner, lock, stage } = starting;
        let Some(files) = stage.into_files() else { return vec![] };
        let effects = vec![Effect::LookFor(files.clone())];
        self.phase = Phase::Starting(Starting { owner, lock, stage: Stage::LookedFor(files, refusal) });
        effects
    }

    pub(super) fn looked_for(&mut self, written: bool, now: Duration) -> Vec<Effect> {
        let starting = match mem::take(&mut self.phase) {
            Phase::Starting(starting) => starting,
            phase => return self.stay(phase),
        };
        let Stage::LookedFor(files, refusal) = &starting.stage else {
            return self.stay(Phase::Starting(starting));
        };
        if !written {
            return vec![Effect::Discard(files.clone()), Effect::Refused(refusal.clone())];
        }
        let goes_down = *refusal == Refusal::Shutdown;
        let why = if goes_down { Why::Shutdown } else { Why::Monitor };
        let mut effects = self.begin(starting, now);
        if let Phase::Recording(recording) = mem::take(&mut self.phase) {
            effects.extend(self.complete(recording, why, None));
        }
        effects.retain(|effect| !goes_down || *effect != Effect::Quit);
        effects
    }

    /// PANDA has begun what a guest is held for.
    pub(super) fn begun(&mut self, now: Duration) -> Vec<Effect> {
        match mem::take(&mut self.phase) {
            Phase::Starting(starting @ Starting { stage: Stage::Beginning(..), .. }) => {
                self.begin(starting, now)
            }
            phase => self.stay(phase),
        }
    }

    /// The recording that was starting is on.
    fn begin(&mut self, starting: Starting, now: Duration) -> Vec<Effect> {
        let Starting { owner, lock, stage } = starting;
        let held = match stage {
            Stage::Beginning(_, since) => Some(now.saturating_sub(since)),
            Stage::Naming
            | Stage::Reserving
            | Stage::Placing(..)
            | Stage::Awaited(_)
            | Stage::LookedFor(..) => None,
        };
        let Some(files) = stage.into_files() else { return vec![] };
        if owner == Owner::Session {
            self.sessions = 1;
        }
        let recording = Recording { owner, files, began: now, lock, denied: Denials::default() };
        let effects = vec![Effect::Began(recording.told(held))];
        self.phase = Phase::Recording(recording);
        effects
    }

    /// It will not begin, and who asked for it is told.
    pub(super) fn not_begun(&mut self, refusal: Refusal) -> Vec<Effect> {
        let Starting { owner, stage, .. } = match mem::take(&mut self.phase) {
            Phase::Starting(starting) => starting,
            phase => return self.stay(phase),
        };
        let told = match (owner, &stage) {
            (Owner::Guest | Owner::Session, _) => Some(Effect::Answer(Answer::Error)),
            (Owner::Plugin, Stage::Naming | Stage::Reserving | Stage::Placing(..)) => {
                Some(Effect::Reply(Reply::Refused))
            }
            (Owner::Plugin, Stage::Beginning(..) | Stage::Awaited(_) | Stage::LookedFor(..)) => None,
        };
        let discard = stage.into_files().map(Effect::Discard);
        discard.into_iter().chain([Effect::Refused(refusal)]).chain(told).collect()
    }
}

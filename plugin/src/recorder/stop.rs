//! How a recording ends: by a guest, a limit or another plugin.

use std::mem;

use panda_plugin::recctrl::Reply;
use protocol::Answer;

use super::{
    Counted, Denied, Effect, Event, Odd, Recorder, Tick, Why, odd,
    phase::{Owner, Phase, Recording},
};

impl Recorder {
    /// Ends a recording, unless it is locked: that is denied, as `what` was tried.
    pub(super) fn stop(&mut self, what: Denied) -> Vec<Effect> {
        match mem::take(&mut self.phase) {
            Phase::Recording(recording) if recording.lock.is_some() => self.deny(recording, what),
            Phase::Recording(recording) => self.end(recording, None),
            Phase::Monitors => {
                self.phase = Phase::StoppingMonitors;
                vec![Effect::End]
            }
            phase => self.nothing_to_stop(phase),
        }
    }

    /// Ends a recording that this key has locked, and no other.
    pub(super) fn unlock(&mut self, key: u32, status: u8) -> Vec<Effect> {
        match mem::take(&mut self.phase) {
            Phase::Recording(mut recording) => {
                match recording.lock.as_mut().map(|lock| lock.opens(key)) {
                    Some(true) => self.end(recording, Some(status)),
                    Some(false) => self.deny(recording, Denied::Key),
                    // The one that the key was for has ended, and this is another one.
                    None => self.nothing_to_stop(Phase::Recording(recording)),
                }
            }
            phase => self.nothing_to_stop(phase),
        }
    }

    fn end(&mut self, recording: Recording, exit_status: Option<u8>) -> Vec<Effect> {
        self.phase = Phase::Stopping(recording, exit_status);
        vec![Effect::End]
    }

    fn deny(&mut self, mut recording: Recording, what: Denied) -> Vec<Effect> {
        recording.denied.count(what);
        let name = recording.files.name().to_owned();
        self.phase = Phase::Recording(recording);
        vec![Effect::Denied { name, what }, Effect::Answer(Answer::Error)]
    }

    fn nothing_to_stop(&mut self, phase: Phase) -> Vec<Effect> {
        self.phase = phase;
        vec![Effect::Answer(Answer::Noop)]
    }

    pub(super) fn close_session(&mut self) -> Vec<Effect> {
        match (self.sessions, &self.phase) {
            (0, _) => odd(Odd::SessionOver),
            (1, Phase::Recording(Recording { owner: Owner::Session, .. })) => self.stop(Denied::Stop),
            _ => {
                self.sessions -= 1;
                vec![Effect::Answer(Answer::Noop)]
            }
        }
    }

    /// Another plugin wants the recording to end: any but the one of PANDA's monitor.
    pub(super) fn stop_asked(&mut self) -> Vec<Effect> {
        let (phase, effects) = match mem::take(&mut self.phase) {
            Phase::Recording(recording) => {
                (Phase::Ending(recording, Why::Plugin), vec![Effect::AskEnd, Effect::Reply(Reply::Asked)])
            }
            phase @ Phase::Monitors => (phase, vec![Effect::Reply(Reply::Refused)]),
            phase @ (Phase::Idle | Phase::Finished) => (phase, vec![Effect::Reply(Reply::Already)]),
            phase @ (Phase::Starting(_)
            | Phase::Stopping(..)
            | Phase::Ending(..)
            | Phase::StoppingMonitors) => (phase, vec![Effect::Reply(Reply::Busy)]),
        };
        self.phase = phase;
        effects
    }

    pub(super) fn tick(&mut self, tick: Tick, counted: Counted) -> Vec<Effect> {
        let Phase::Recording(recording) = &self.phase else { return vec![] };
        match self.rules.due(recording.began, &self.made, &tick) {
            None => vec![],
            // Some of those before it may have been taken away since.
            Some(Why::MaxBytes) if counted == Counted::Before && !self.made.is_empty() => {
                vec![Effect::Count(self.made.clone(), Event::Tick(tick).into())]
            }
            Some(why) => {
                if let Phase::Recording(recording) = mem::take(&mut self.phase) {
                    self.phase = Phase::Ending(recording, why);
                }
                vec![Effect::AskEnd]
            }
        }
    }

    pub(super) fn ended(&mut self) -> Vec<Effect> {
        let mut effects = match mem::take(&mut self.phase) {
            Phase::Stopping(recording, status) => self.complete(recording, Why::Guest, status),
            Phase::StoppingMonitors => {
                self.sessions = 0;
                vec![]
            }
            phase => return self.nothing_to_stop(phase),
        };
        effects.insert(0, Effect::Answer(Answer::Stop));
        effects
    }

    pub(super) fn not_ended(&mut self) -> Vec<Effect> {
        self.phase = match mem::take(&mut self.phase) {
            Phase::Stopping(recording, _) => Phase::Recording(recording),
            Phase::StoppingMonitors => Phase::Monitors,
            phase => phase,
        };
        vec![Effect::Answer(Answer::Error)]
    }
}

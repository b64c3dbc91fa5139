//! What a guest points at: names of recordings, and messages. A hostile one chooses the pointers and the bytes.

use protocol::{Answer, MESSAGE_MAX, NAME_MAX, Name};
use serde_json::json;

use super::{Plugin, State};
use crate::{files::Files, follow::News, quiet::say};

impl<C: Copy + 'static> Plugin<C> {
    /// The name for the next recording, whatever the guest's pointer leads to.
    pub(super) fn guest_name(&self, state: &mut State, cpu: C, address: u64) -> Option<Name> {
        let mut raw = [0; NAME_MAX];
        let length = self.read_prefix(cpu, address, &mut raw);
        let raw = &raw[..length];
        let name = if raw.contains(&0) || length == NAME_MAX { Name::from_guest(raw) } else { None };
        if name.is_none() {
            say!(state.lines, Warn, "no name can be read at {address:#x}: the recording gets a default name");
        }
        name
    }

    /// Reads as much of guest memory as is mapped, page by page, up to the first NUL or the buffer's end.
    fn read_prefix(&self, cpu: C, address: u64, buffer: &mut [u8]) -> usize {
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

    pub(super) fn message(&self, state: &mut State, cpu: C, address: u64, len: u64) -> Answer {
        let mut buffer = [0; MESSAGE_MAX as usize];
        let text = usize::try_from(len).ok().and_then(|len| buffer.get_mut(..len));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            say!(state.lines, Warn, "a message of {len} bytes is refused: it may have 1 to {MESSAGE_MAX}");
            return Answer::Error;
        };
        if !self.keeps_messages(state) {
            say!(
                state.lines,
                Warn,
                "a message is lost: there is no events file (events=FILE), and no plugin follows"
            );
            return Answer::Error;
        }
        if !self.host.read(cpu, address, text) {
            say!(state.lines, Warn, "no message can be read at {address:#x}");
            return Answer::Error;
        }
        let recording = state.recorder.current().map(Files::name).map(str::to_owned);
        let instructions = recording.as_ref().map(|_| self.host.instructions());
        state.later.news.push(News::Message { text: text.to_vec() });
        let text = String::from_utf8_lossy(text);
        state
            .events
            .chatter("message", json!({ "text": text, "name": recording, "instructions": instructions }));
        Answer::Noop
    }

    /// Whether a message is kept: in the events file, or by another plugin.
    pub(super) fn keeps_messages(&self, state: &State) -> bool {
        state.events.is_kept() || !self.followers.is_empty()
    }
}

//! Follows recctrl: logs its events, and makes a recording when a guest's message asks for one.

use std::{error::Error, ffi::CStr};

use panda_plugin::{Argument, Arguments, Callback, Plugin, recctrl::Recctrl};

/// The plugin.
pub struct Follow {
    recctrl: Recctrl,
}

impl Plugin for Follow {
    const NAME: &'static CStr = c"follow";
    const ARGUMENTS: &'static [Argument] = &[];
    const CALLBACKS: &'static [Callback] = &[Callback::Recordings];

    fn load(_arguments: &Arguments) -> Result<Follow, Box<dyn Error>> {
        Ok(Follow { recctrl: Recctrl::require()? })
    }

    fn recording_began(&mut self, name: &str) {
        log::info!("{name} began");
    }

    fn recording_ended(&mut self, name: &str, why: &str, instructions: u64) {
        let number = self.recctrl.state().map_or(0, |state| state.recordings);
        log::info!("{name} ended ({why}), {instructions} instructions, recording number {number}");
    }

    fn guest_message(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        log::info!("the guest says: {text}");
        if let Some(name) = text.strip_prefix("record this: ") {
            log::info!("start: {:?}", self.recctrl.start(name));
        } else if text == "enough" {
            log::info!("stop: {:?}", self.recctrl.stop());
        }
    }
}

panda_plugin::export!(Follow);

//! Panics in the callback that `at` names, each time it is called.

use std::{error::Error, ffi::CStr};

use panda_plugin::{Argument, Arguments, Callback, Cpu, Panda, Plugin, argument};

pub struct Stumble {
    at: String,
    blocks: u64,
}

impl Stumble {
    fn reach(&self, place: &str) {
        assert_ne!(self.at, place, "stumbled");
    }
}

impl Plugin for Stumble {
    const NAME: &'static CStr = c"stumble";
    const ARGUMENTS: &'static [Argument] = &[argument("at", "nowhere", "where to panic")];
    const CALLBACKS: &'static [Callback] = &[Callback::Block, Callback::Hypercall, Callback::Recordings];

    fn load(arguments: &Arguments) -> Result<Stumble, Box<dyn Error>> {
        let plugin = Stumble { at: arguments.text("at").to_owned(), blocks: 0 };
        plugin.reach("load");
        Ok(plugin)
    }

    fn before_block(&mut self, _cpu: Cpu<'_>) {
        self.blocks += 1;
        if self.blocks == 1_000_000 {
            self.reach("block");
        }
    }

    fn hypercall(&mut self, _cpu: Cpu<'_>) -> bool {
        self.reach("hypercall");
        false
    }

    fn guest_message(&mut self, _text: &[u8]) {
        self.reach("message");
    }

    fn unload(self, _panda: &Panda) {
        self.reach("unload");
        log::info!("unloaded after {} blocks", self.blocks);
    }
}

panda_plugin::export!(Stumble);

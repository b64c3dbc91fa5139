//! The plugin's callbacks against a fake PANDA, and a hostile guest.

mod calls;
mod dry;
mod fake;
mod limits;
mod names;
mod neighbours;
mod orders;
mod recordings;

use std::{collections::BTreeMap, ffi::CString, fs, path::Path};

use panda_plugin::recctrl::Reply;
use parking_lot::MutexGuard;
use proptest::prelude::*;
use protocol::{MAGIC, Peer, Status, action};
use serde_json::Value;

use self::fake::{FakeHost, FakePanda, PAGE};
use super::*;
use crate::refusal::Refusal;

/// A plugin on a fake PANDA, in a folder of its own inside a larger one.
struct Fixture {
    host: FakeHost,
    plugin: Plugin<()>,
    around: tempfile::TempDir,
}

impl Fixture {
    fn new(arguments: &[(&str, &str)]) -> Fixture {
        let around = tempfile::tempdir().expect("a temporary folder");
        let dir = around.path().join("dir");
        fs::create_dir(&dir).expect("create");
        let options = Options::parse(arguments).expect("good arguments");
        let events = Events::open(Some(&around.path().join("events.jsonl"))).expect("opens");
        let host = FakeHost::default();
        let plugin = Plugin::new(host.clone(), &options, Folder::open(&dir).expect("is there"), events);
        Fixture { host, plugin, around }
    }

    /// PANDA's main loop has a turn: it begins what it was asked to.
    fn turn(&self) {
        let next = self.panda().next.take();
        if let Some(recording) = next {
            let recording = CString::new(recording).expect("a path of ours");
            self.host.begin(&recording).ok();
        }
        self.plugin.tick();
    }

    fn panda(&self) -> MutexGuard<'_, FakePanda> {
        self.host.0.lock()
    }

    fn dir(&self) -> std::path::PathBuf {
        self.around.path().join("dir")
    }

    /// Makes a hypercall and returns what the guest reads afterwards.
    fn hypercall(&self, action: i32, first: u64, second: u64) -> Registers {
        self.panda().registers = [MAGIC.into(), action as u32 as u64, first, second];
        match self.plugin.call(()) {
            Verdict::NotOurs => panic!("{action} is ours"),
            Verdict::Answered => {}
            Verdict::SteppedOut => self.plugin.stepped_out(()),
        }
        self.panda().registers
    }

    /// Puts a text into guest memory and makes a hypercall with it.
    fn say(&self, action: i32, text: &[u8]) -> Option<Answer> {
        let mut page = text.to_vec();
        page.resize(2 * PAGE as usize, 0);
        {
            let mut panda = self.panda();
            panda.pages.insert(16, page[..PAGE as usize].to_vec());
            panda.pages.insert(17, page[PAGE as usize..].to_vec());
        }
        Answer::from_register(self.hypercall(action, 16 * PAGE, text.len() as u64)[0])
    }

    fn status(&self) -> Status {
        Status::from_registers(self.hypercall(action::STATUS, 0, 0)).expect("a status")
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir())
            .expect("is there")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name"))
            .collect();
        names.sort();
        names
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.around.path().join("events.jsonl")).expect("events");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn event(&self, kind: &str) -> Value {
        let found = self.events().into_iter().find(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} among {:?}", self.events()))
    }
}

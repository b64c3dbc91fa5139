//! Timeline: the hypercalls and address space changes of a trace, by instruction, as JSON Lines.

use std::{
    error::Error,
    ffi::CStr,
    io::{self, Write as _},
};

use panda_plugin::{Argument, Arguments, Callback, Cpu, Output, Panda, Plugin, argument};
use protocol::{Call, MESSAGE_MAX, NAME_MAX};
use serde_json::{Value, json};

/// The plugin.
pub struct Timeline {
    output: Output,
    processes: bool,
    /// The first write error; nothing more is written after it.
    written: io::Result<()>,
    hypercalls: u64,
    changes: u64,
}

impl Timeline {
    fn line(&mut self, line: &Value) {
        if self.written.is_ok() {
            self.written = writeln!(self.output, "{line}");
        }
    }
}

/// Text in guest memory, up to a NUL; as much of it as can be read.
fn text(cpu: Cpu<'_>, address: u64, most: usize) -> String {
    let bytes = (0..most as u64).map_while(|i| cpu.memory(address.wrapping_add(i), 1)).flatten();
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A call's name, and the text that it points to.
fn described(cpu: Cpu<'_>, call: Call) -> (&'static str, Option<String>) {
    let name = |address| Some(text(cpu, address, NAME_MAX));
    match call {
        Call::Hello { .. } => ("hello", None),
        Call::Status => ("status", None),
        Call::Toggle { name: at } => ("toggle", name(at)),
        Call::OpenSession { name: at } => ("open_session", name(at)),
        Call::CloseSession => ("close_session", None),
        Call::Start { name: at } => ("start", name(at)),
        Call::Stop => ("stop", None),
        Call::Message { text: at, len } => {
            ("message", Some(text(cpu, at, len.min(MESSAGE_MAX.into()) as usize)))
        }
        Call::NewKey => ("new_key", None),
        Call::StartLocked { name: at, .. } => ("start", name(at)),
        Call::StopLocked { .. } => ("stop", None),
        Call::Unknown(_) => ("unknown", None),
    }
}

impl Plugin for Timeline {
    const NAME: &'static CStr = c"timeline";
    const ARGUMENTS: &'static [Argument] = &[
        argument("out", "timeline.jsonl", "file for the result"),
        argument("processes", "y", "changes of address space too"),
    ];
    const CALLBACKS: &'static [Callback] = &[Callback::Hypercall, Callback::AsidChanged];

    fn load(arguments: &Arguments) -> Result<Timeline, Box<dyn Error>> {
        let mut output = Output::create(&arguments.path("out")?)?;
        let processes = arguments.flag("processes")?;
        writeln!(output, "{}", json!({ "schema": "pandacap.timeline", "version": 1 }))?;
        Ok(Timeline { output, processes, written: Ok(()), hypercalls: 0, changes: 0 })
    }

    fn hypercall(&mut self, cpu: Cpu<'_>) -> bool {
        if let Some(call) = protocol::decode(cpu.call()) {
            self.hypercalls += 1;
            let (call, text) = described(cpu, call);
            let mut line = json!({
                "instructions": cpu.instructions(),
                "event": "hypercall",
                "asid": format!("{:#x}", cpu.asid()),
                "call": call,
            });
            if let Some(text) = text {
                line["text"] = text.into();
            }
            self.line(&line);
        }
        // Only observed, and left for other plugins to answer.
        false
    }

    fn asid_changed(&mut self, cpu: Cpu<'_>, before: u64, after: u64) {
        if self.processes && before != after {
            self.changes += 1;
            self.line(&json!({
                "instructions": cpu.instructions(),
                "event": "process",
                "asid": format!("{after:#x}"),
            }));
        }
    }

    fn unload(self, panda: &Panda) {
        log::info!(
            "{} hypercalls and {} changes of address space in {} instructions",
            self.hypercalls,
            self.changes,
            panda.instructions()
        );
        if let Err(error) = self.written.and_then(|()| self.output.keep()) {
            log::error!("the result can't be written: {error}");
        }
    }
}

panda_plugin::export!(Timeline);

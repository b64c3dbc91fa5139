//! recctrlu with a plugin that only pretends, to see what `run` does where there is no PANDA:
//! `scripted FEATURES START STOP JOURNAL ARGUMENTS...` gives these two answers and writes a line for each call.

use protocol::{Call, Registers, action};
use recctrlu::{Stream, Strings, Text, World, linux::Machine};
use std::{env, ffi::CString, fs::OpenOptions, io::Write, os::unix::ffi::OsStringExt, process::exit};

/// The key that it gives.
const KEY: u32 = 0xfeed_beef;

struct Scripted {
    features: u32,
    start: i64,
    stop: i64,
    journal: String,
}

impl World for Scripted {
    fn has_hypercall(&mut self) -> bool {
        true
    }

    fn hypercall(&mut self, call: Registers) -> Registers {
        let (word, answer): (String, i64) = match protocol::decode(call) {
            Some(Call::Hello { nonce }) => return protocol::hello_answer(nonce, self.features),
            Some(Call::NewKey) => return protocol::key_answer(KEY),
            Some(Call::Start { .. }) => ("start".into(), self.start),
            Some(Call::Stop) => ("stop".into(), self.stop),
            Some(Call::StartLocked { key: KEY, .. }) => ("start locked".into(), self.start),
            Some(Call::StopLocked { key: KEY, status }) => (format!("stop locked {status}"), self.stop),
            other => panic!("`run` has no use for {other:?}"),
        };
        let mut journal =
            OpenOptions::new().append(true).create(true).open(&self.journal).expect("a journal");
        writeln!(journal, "{word}").expect("the journal can be written");
        [answer as u64, action::START as u64, 0, 0]
    }

    fn write(&mut self, stream: Stream, text: &[u8]) {
        Machine.write(stream, text);
    }

    fn pause(&mut self, milliseconds: u32) {
        Machine.pause(milliseconds);
    }
}

fn main() {
    let mut args: Vec<CString> =
        env::args_os().skip(1).map(|arg| CString::new(arg.into_vec()).expect("no NUL inside")).collect();
    let command = args.split_off(4);
    let [features, start, stop, journal] = [0, 1, 2, 3].map(|i| args[i].to_str().expect("UTF-8"));
    let number = |text: &str| text.parse().expect("a number");
    let features = features.parse().expect("a number");
    let mut world = Scripted { features, start: number(start), stop: number(stop), journal: journal.into() };
    let env: Vec<CString> = env::vars()
        .map(|(name, value)| CString::new(format!("{name}={value}")).expect("no NUL inside"))
        .collect();
    let args: Vec<Option<Text<'_>>> =
        [c"recctrlu"].into_iter().chain(command.iter().map(CString::as_c_str)).map(end).collect();
    let env: Vec<Option<Text<'_>>> = env.iter().map(CString::as_c_str).map(end).collect();
    let [args, env] = [args, env].map(|mut strings| {
        strings.push(None);
        strings
    });
    let strings = |strings| Strings::new(strings).expect("it ends");
    exit(recctrlu::main(&mut world, strings(&args), strings(&env)).into());
}

fn end(text: &std::ffi::CStr) -> Option<Text<'_>> {
    Some(text.into())
}

//! A world for tests: a plugin that answers as it is told to, and a terminal that remembers.

use crate::{Stream, Strings, Text, World};
use protocol::{Answer, NAME_MAX, Registers, Status, VERSION, action};
use std::{ffi::CString, slice};

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Who {
    Absent,
    Trap,
    Upstream,
    Ours { version: u32, features: u32 },
}

pub(crate) struct Fake {
    pub(crate) who: Who,
    /// What an action is answered with; it may remember.
    pub(crate) plugin: Box<dyn FnMut(i32) -> Answer>,
    pub(crate) status: Status,
    /// The calls but hello, as words.
    pub(crate) calls: Vec<String>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) pauses: u32,
}

impl Fake {
    pub(crate) fn new(who: Who, plugin: impl FnMut(i32) -> Answer + 'static) -> Fake {
        let status = Status::default();
        let plugin = Box::new(plugin);
        let (calls, out, err) = (Vec::new(), String::new(), String::new());
        Fake { who, plugin, status, calls, out, err, pauses: 0 }
    }

    pub(crate) fn without_recctrl() -> Fake {
        Fake::new(Who::Absent, |_| Answer::Error)
    }

    pub(crate) fn ours(features: u32, answer: Answer) -> Fake {
        Fake::new(Who::Ours { version: VERSION, features }, move |_| answer)
    }

    /// Upstream's plugin as it is by default: a toggle, and nothing else.
    pub(crate) fn upstream(mut recording: bool) -> Fake {
        Fake::new(Who::Upstream, move |action| {
            if action != action::TOGGLE {
                return Answer::Noop;
            }
            recording = !recording;
            if recording { Answer::Start } else { Answer::Stop }
        })
    }

    /// Upstream's plugin with `session_rec=y`.
    pub(crate) fn upstream_with_sessions(mut sessions: u32) -> Fake {
        Fake::new(Who::Upstream, move |action| match (action, sessions) {
            (action::SESSION_OPEN, _) => {
                sessions += 1;
                if sessions == 1 { Answer::Start } else { Answer::Noop }
            }
            (action::SESSION_CLOSE, 1..) => {
                sessions -= 1;
                if sessions == 0 { Answer::Stop } else { Answer::Noop }
            }
            _ => Answer::Noop,
        })
    }

    /// Runs a command line; the exit code.
    pub(crate) fn run(&mut self, args: &[&str], env: &[&str]) -> u8 {
        let own = |strings: &[&str]| -> Vec<CString> {
            strings.iter().map(|string| CString::new(*string).expect("no NUL inside")).collect()
        };
        let (args, env) = (own(args), own(env));
        let array = |strings: &'_ [CString]| -> Vec<Option<Text<'static>>> {
            // SAFETY: the strings outlive the call below, which is all that uses these.
            let text = |string: &CString| unsafe { &*(string.as_c_str() as *const std::ffi::CStr) }.into();
            strings.iter().map(|string| Some(text(string))).chain([None]).collect()
        };
        let (args, env) = (array(&args), array(&env));
        let strings = |array| Strings::new(array).expect("it ends");
        crate::main(self, strings(&args), strings(&env))
    }
}

/// The bytes that a call points at.
fn bytes(address: u64, len: u64) -> &'static [u8] {
    // SAFETY: the agent is to pass nothing but its own living buffers; that is what the tests are about.
    unsafe { slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), len as usize) }
}

fn name(address: u64) -> String {
    let all = bytes(address, NAME_MAX as u64);
    let len = all.iter().position(|&byte| byte == 0).expect("a NUL within 128 bytes");
    String::from_utf8_lossy(&all[..len]).into_owned()
}

impl World for Fake {
    fn has_hypercall(&mut self) -> bool {
        self.who != Who::Trap
    }

    fn hypercall(&mut self, sent: Registers) -> Registers {
        let call = protocol::decode(sent).expect("every call of ours has the magic");
        let [_, action, first, second] = sent;
        if let protocol::Call::Hello { nonce } = call {
            return match self.who {
                Who::Absent => [0x16, 0, 0, 0],
                Who::Trap => panic!("the instruction must not be tried"),
                Who::Upstream => [0, action, first, second],
                Who::Ours { version, features } => {
                    let mut answer = protocol::hello_answer(nonce, features);
                    answer[0] = version.into();
                    answer
                }
            };
        }
        let word = match call {
            protocol::Call::Toggle { name: at } => format!("toggle {}", name(at)),
            protocol::Call::OpenSession { name: at } => format!("open {}", name(at)),
            protocol::Call::CloseSession => "close".into(),
            protocol::Call::Start { name: at } => format!("start {}", name(at)),
            protocol::Call::Stop => "stop".into(),
            protocol::Call::Message { text, len } => {
                format!("message {}", String::from_utf8_lossy(bytes(text, len)))
            }
            protocol::Call::Status => "status".into(),
            other => panic!("{other:?} is nothing that the agent says"),
        };
        self.calls.push(word);
        if call == protocol::Call::Status {
            return self.status.to_registers();
        }
        [(self.plugin)(action as i32).to_register(), action, first, second]
    }

    fn write(&mut self, stream: Stream, text: &[u8]) {
        let stream = if stream == Stream::Out { &mut self.out } else { &mut self.err };
        stream.push_str(&String::from_utf8_lossy(text));
    }

    fn pause(&mut self, _: u32) {
        self.pauses += 1;
    }
}

//! Saving a machine's state over QMP, on a thread that waits for PANDA to say that it is done.

use std::fs::File;
use std::io::{self, BufRead, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use qapi::{Command, Empty, Enum, Qmp, qmp};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};

use super::{Inbox, wait};
use crate::QMP_SOCKET;
use crate::life::event::Event;

/// How long PANDA may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// As fast as it can, in bytes per second: by itself QEMU would spare a network.
const FAST: i64 = 8 << 30;
/// What it calls the file to which it writes the state.
const FILE: &str = "state";
/// Its event that tells how far it is, once it is asked for.
const MIGRATION: &str = "MIGRATION";

/// Has the PANDA that runs in `folder` stop its machine and write its state to `file` there; tells when that is done or
/// has failed. The thread ends with PANDA at the latest.
pub(crate) fn save(folder: &Path, file: &str, inbox: Inbox) -> io::Result<JoinHandle<io::Result<()>>> {
    let (folder, file) = (folder.to_owned(), file.to_owned());
    wait("qmp", move || {
        let saved = write(&folder, &file);
        let _ = inbox.send(if saved.is_ok() { Event::Saved } else { Event::NotSaved });
        saved
    })
}

/// A machine that was stopped before would not run after its state is loaded.
fn write(folder: &Path, file: &str) -> io::Result<()> {
    let stream = connect(folder)?;
    let mut qmp = Qmp::from_stream(&stream);
    qmp.handshake()?;
    give(&stream, &File::create(folder.join(file))?)?;
    qmp.execute(&qmp::getfd { fdname: FILE.to_owned() }).map_err(io::Error::from)?;
    let uri = Some(format!("fd:{FILE}"));
    qmp.execute(&Limits { max_bandwidth: FAST }).map_err(io::Error::from)?;
    qmp.execute(&Capabilities::EVENTS).map_err(io::Error::from)?;
    let migrate = qmp::migrate { uri, channels: None, detach: None, resume: None };
    qmp.execute(&migrate).map_err(io::Error::from)?;
    // It may be done before it has answered.
    let queued = qmp.events().find_map(|event| match event {
        qmp::Event::MIGRATION { data, .. } => end(Enum::name(&data.status)),
        _ => None,
    });
    if let Some(end) = queued {
        return end;
    }
    stream.set_read_timeout(None)?;
    until_end(qmp.into_inner())
}

/// Reads until an event tells the end.
fn until_end(from: impl BufRead) -> io::Result<()> {
    for line in from.lines() {
        match serde_json::from_str(&line?) {
            Ok(Told { event, data: Data { status } }) if event == MIGRATION => {
                if let Some(end) = end(&status) {
                    return end;
                }
            }
            _ => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "PANDA ended meanwhile"))
}

/// What came of it, if it has come to an end.
fn end(status: &str) -> Option<io::Result<()>> {
    match status {
        "completed" => Some(Ok(())),
        "failed" | "cancelled" => Some(Err(io::Error::other("it gave up; is the disk full?"))),
        _ => None,
    }
}

/// Hands PANDA a file that is open, with a blank, which means nothing to it.
fn give(stream: &UnixStream, file: &File) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    with.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(stream, &[IoSlice::new(b" ")], &mut with, SendFlags::empty())?;
    Ok(())
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let folder = File::open(folder)?;
    // A socket's path has to be short, the folder's path may be long.
    let short = format!("/proc/self/fd/{}/{QMP_SOCKET}", folder.as_raw_fd());
    let stream = UnixStream::connect(short)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// An event, as far as it matters.
#[derive(Debug, Deserialize)]
struct Told {
    event: String,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    status: String,
}

/// `migrate-set-parameters`, with what is set here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Limits {
    max_bandwidth: i64,
}

impl qmp::QmpCommand for Limits {}
impl Command for Limits {
    const NAME: &'static str = "migrate-set-parameters";
    const ALLOW_OOB: bool = false;
    type Ok = Empty;
}

/// `migrate-set-capabilities`, of whose capabilities this one is in every version of QEMU.
#[derive(Debug, Serialize)]
struct Capabilities {
    capabilities: [Capability; 1],
}

#[derive(Debug, Serialize)]
struct Capability {
    capability: &'static str,
    state: bool,
}

impl Capabilities {
    const EVENTS: Capabilities =
        Capabilities { capabilities: [Capability { capability: "events", state: true }] };
}

impl qmp::QmpCommand for Capabilities {}
impl Command for Capabilities {
    const NAME: &'static str = "migrate-set-capabilities";
    const ALLOW_OOB: bool = false;
    type Ok = Empty;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_among_other_events() {
        let told = |lines: &[&str]| until_end(lines.join("\n").as_bytes());
        let event = |status: &str| {
            format!(
                r#"{{"timestamp": {{"seconds": 1, "microseconds": 2}}, "event": "MIGRATION", "data": {{"status": "{status}"}}}}"#
            )
        };
        let stop = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#;
        let (active, completed, failed) = (event("active"), event("completed"), event("failed"));
        assert!(told(&[&active, stop, &completed]).is_ok());
        assert!(
            told(&[&active, "nonsense", &failed]).is_err_and(|error| error.to_string().contains("disk full"))
        );
        assert!(told(&[&active, stop]).is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
    }
}

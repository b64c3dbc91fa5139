//! Talking to a running PANDA over QMP.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use qapi::{Command, Empty, Qmp, qmp};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};

/// How long PANDA may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is asked how far it is.
const TICK: Duration = Duration::from_millis(50);
/// As fast as it can, in bytes per second: by itself QEMU would spare a network.
const FAST: i64 = 8 << 30;
/// What it calls the file to which it writes the state.
const FILE: &str = "state";

/// Has the PANDA that runs in `folder` write its machine's state to `file` there, and stop it. A machine that was
/// stopped before would not run after it is loaded.
pub(super) fn save(folder: &Path, file: &str) -> io::Result<()> {
    let stream = connect(folder)?;
    let mut qmp = Qmp::from_stream(&stream);
    qmp.handshake()?;
    give(&stream, &File::create(folder.join(file))?)?;
    qmp.execute(&qmp::getfd { fdname: FILE.to_owned() }).map_err(io::Error::from)?;
    let uri = Some(format!("fd:{FILE}"));
    qmp.execute(&Limits { max_bandwidth: FAST }).map_err(io::Error::from)?;
    let migrate = qmp::migrate { uri, channels: None, detach: None, resume: None };
    qmp.execute(&migrate).map_err(io::Error::from)?;
    loop {
        match qmp.execute(&Saved {}).map_err(io::Error::from)?.status.as_str() {
            "completed" => return Ok(()),
            "failed" | "cancelled" => return Err(io::Error::other("it gave up; is the disk full?")),
            _ => sleep(TICK),
        }
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
    let short = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), super::QMP_SOCKET);
    let stream = UnixStream::connect(short)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
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

/// `query-migrate`, of whose answer little is the same in every version of QEMU.
#[derive(Debug, Serialize)]
struct Saved {}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
}

impl qmp::QmpCommand for Saved {}
impl Command for Saved {
    const NAME: &'static str = "query-migrate";
    const ALLOW_OOB: bool = false;
    type Ok = Status;
}

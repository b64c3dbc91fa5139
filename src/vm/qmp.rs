//! Talking to a running PANDA over QMP.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use qapi::{Command, Empty, Qmp, qmp};
use serde::{Deserialize, Serialize};

/// How long PANDA may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is asked how far it is.
const TICK: Duration = Duration::from_millis(50);
/// As fast as it can, in bytes per second: by itself QEMU would spare a network.
const FAST: i64 = 8 << 30;

/// Asks the PANDA that runs in `folder` to quit; a recording that is on is ended on the way.
pub(super) fn quit(folder: &Path) -> io::Result<()> {
    let stream = connect(folder)?;
    let mut qmp = Qmp::from_stream(&stream);
    qmp.handshake()?;
    qmp.execute(&qmp::quit {}).map_err(io::Error::from)?;
    Ok(())
}

/// Has the PANDA that runs in `folder` write its machine's state to `file` there, and stop it. A machine that was
/// stopped before would not run after it is loaded.
pub(super) fn save(folder: &Path, file: &str) -> io::Result<()> {
    let stream = connect(folder)?;
    let mut qmp = Qmp::from_stream(&stream);
    qmp.handshake()?;
    let uri = Some(format!("exec:cat > {}", shell_words::quote(file)));
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

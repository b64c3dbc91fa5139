//! Talking to a running PANDA over QMP.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use qapi::{Qmp, qmp};

/// How long PANDA may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the PANDA that runs in `folder` to quit; a recording that is on is ended on the way.
pub(super) fn quit(folder: &Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    // A socket's path has to be short, the folder's path may be long.
    let short = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), super::QMP_SOCKET);
    let stream = UnixStream::connect(short)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut qmp = Qmp::from_stream(&stream);
    qmp.handshake()?;
    qmp.execute(&qmp::quit {}).map_err(io::Error::from)?;
    Ok(())
}

//! Files that grow, as the kernel tells of them.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{Inbox, wait};
use crate::life::event::Event;

/// Files in one folder, which need not exist yet. Each change is told once, until it is [armed](Changes::arm) again:
/// a guest that writes byte by byte does not wake the driver for each.
#[derive(Debug)]
pub(crate) struct Changes {
    inotify: Arc<OwnedFd>,
    files: Vec<PathBuf>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Changes {
    /// Tells of changes to `files` in `folder` as [`Event::Changed`].
    pub(crate) fn of(folder: &Path, files: &[&str], inbox: Inbox) -> io::Result<Changes> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        inotify::add_watch(&inotify, folder, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let names: Vec<OsString> = files.iter().map(OsString::from).collect();
        let thread = {
            let (inotify, stop) = (Arc::clone(&inotify), Arc::clone(&stop));
            wait("files", move || tell(&inotify, &stop, &names, &inbox))?
        };
        let files = files.iter().map(|file| folder.join(file)).collect();
        let changes = Changes { inotify, files, stop, thread: Some(thread) };
        changes.arm();
        Ok(changes)
    }

    /// Has the next change told. Call it before the files are read: what is written meanwhile is not missed then.
    pub(crate) fn arm(&self) {
        let once = WatchFlags::MODIFY | WatchFlags::ONESHOT | WatchFlags::DONT_FOLLOW;
        for file in &self.files {
            match inotify::add_watch(&self.inotify, file, once) {
                // The folder tells when it comes.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => log::debug!("cannot be told of changes to {}: {error}", file.display()),
            }
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        match rustix::io::write(&self.stop, &1u64.to_ne_bytes()) {
            Ok(_) => drop(self.thread.take().map(JoinHandle::join)),
            Err(error) => log::debug!("the thread that follows files is left: {error}"),
        }
    }
}

fn tell(inotify: &OwnedFd, stop: &OwnedFd, names: &[OsString], inbox: &Inbox) {
    loop {
        let mut waiting = [PollFd::new(inotify, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut waiting, None) {
            Err(Errno::INTR) => continue,
            Err(error) => return log::debug!("cannot wait for changes: {error}"),
            Ok(_) => {}
        }
        if !waiting[1].revents().is_empty() {
            return;
        }
        match changed(inotify, names) {
            Ok(true) if inbox.send(Event::Changed).is_err() => return,
            Ok(_) => {}
            Err(error) => return log::debug!("cannot read what has changed: {error}"),
        }
    }
}

/// Reads what the kernel has to tell; whether it matters.
fn changed(inotify: &OwnedFd, names: &[OsString]) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut changed = false;
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::AGAIN) => return Ok(changed),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        // A change that was told ends with the end of its watch. Of the folder's files only ours matter.
        let ours =
            event.file_name().is_none_or(|name| names.iter().any(|own| own.as_bytes() == name.to_bytes()));
        changed |= ours && !event.events().contains(ReadFlags::IGNORED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
    use std::time::Duration;

    fn comes(inbox: &Receiver<Event>) {
        assert_eq!(inbox.recv_timeout(Duration::from_secs(20)), Ok(Event::Changed));
        // The creation of a file and its first bytes are two changes.
        while inbox.recv_timeout(Duration::from_millis(50)).is_ok() {}
    }

    fn stays_away(inbox: &Receiver<Event>) {
        assert_eq!(inbox.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn a_change_is_told_once_until_the_next_is_asked_for_and_other_files_are_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (send, inbox) = sync_channel(16);
        let changes = Changes::of(dir.path(), &["a", "b"], send).expect("watched");
        stays_away(&inbox);
        fs::write(dir.path().join("a"), "1").expect("written");
        comes(&inbox);
        changes.arm();
        let mut file = OpenOptions::new().append(true).open(dir.path().join("a")).expect("opened");
        file.write_all(b"2").expect("written");
        comes(&inbox);
        file.write_all(b"3").expect("written");
        fs::write(dir.path().join("c"), "1").expect("written");
        stays_away(&inbox);
        changes.arm();
        file.write_all(b"4").expect("written");
        comes(&inbox);
        drop(changes);
        assert_eq!(inbox.recv(), Err(std::sync::mpsc::RecvError));
    }
}

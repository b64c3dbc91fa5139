//! The command's output, shown as it comes by a thread of its own.
//!
//! What waits to be shown waits in the file to which the machine writes it: none is lost, none is in memory, and a reader
//! that does not read holds up nothing but itself.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;
use std::time::Duration;

use files::Tail;

use crate::context::Sink;

/// How long a reader may take for what is left once the machine has ended, before something else is done.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that is being shown, to its end once this is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Says that there is something new.
    wake: SyncSender<()>,
    /// Is closed once all of it was shown.
    done: Receiver<()>,
}

impl Shown {
    /// Shows what is in `file`, as it is woken.
    pub(crate) fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        file: PathBuf,
        sink: &'scope dyn Sink,
    ) -> Shown {
        let (wake, woken) = sync_channel(1);
        let (showing, done) = channel();
        scope.spawn(move || show(&mut Tail::of(file), sink, &woken, showing));
        Shown { wake, done }
    }

    /// Has what is new shown.
    pub(crate) fn wake(&self) {
        // One that was woken and has not looked yet sees this as well.
        let _ = self.wake.try_send(());
    }

    /// Has the rest shown. A reader that takes too long for it is not waited for.
    pub(crate) fn end(self) {
        drop(self.wake);
        if self.done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            log::info!("not all of the command's output was read yet");
        }
    }
}

fn show(file: &mut Tail, sink: &dyn Sink, woken: &Receiver<()>, _showing: Sender<()>) {
    loop {
        let last = woken.recv().is_err();
        // What is recorded does not depend on who reads along; all of it is in the trace.
        if let Err(error) = catch_up(file, sink) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                log::warn!("cannot show the command's output any more: {error}");
            }
            return;
        }
        if last {
            return;
        }
    }
}

/// Shows all that there is.
fn catch_up(file: &mut Tail, sink: &dyn Sink) -> io::Result<()> {
    loop {
        let new = file.bytes()?;
        if new.is_empty() {
            return Ok(());
        }
        sink.write(&new)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Mutex;
    use std::thread;

    /// Keeps what it is given, once it may.
    struct Kept {
        gate: Mutex<()>,
        bytes: Mutex<Vec<u8>>,
    }

    impl Kept {
        fn new() -> Kept {
            Kept { gate: Mutex::default(), bytes: Mutex::default() }
        }

        fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().expect("whole").clone()).expect("text")
        }
    }

    impl Sink for Kept {
        fn write(&self, bytes: &[u8]) -> io::Result<()> {
            let _open = self.gate.lock().expect("whole");
            self.bytes.lock().expect("whole").extend(bytes);
            Ok(())
        }
    }

    #[test]
    fn all_is_shown_though_it_was_not_woken_for_the_last() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (file, kept) = (dir.path().join("output"), Kept::new());
        thread::scope(|scope| {
            let shown = Shown::begin(scope, file.clone(), &kept);
            fs::write(&file, "one\n").expect("written");
            shown.wake();
            fs::write(&file, "one\ntwo\n").expect("written");
            shown.end();
            assert_eq!(kept.text(), "one\ntwo\n");
        });
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nothing_up_and_loses_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (file, kept) = (dir.path().join("output"), Kept::new());
        let text = "much\n".repeat(1 << 20);
        thread::scope(|scope| {
            let closed = kept.gate.lock().expect("whole");
            let shown = Shown::begin(scope, file.clone(), &kept);
            fs::write(&file, &text).expect("written");
            for _ in 0..1000 {
                shown.wake();
            }
            shown.end();
            assert_eq!(kept.text(), "");
            drop(closed);
        });
        assert!(kept.text() == text);
    }
}

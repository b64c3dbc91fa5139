//! What PANDA says, read as it comes and handed on.

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc::{SyncSender, TrySendError};

use rustix::io::Errno;

use super::{Inbox, wait};
use crate::life::event::Event;

/// Reads `output` to its end and hands it to `reader`; while that is full, PANDA waits.
pub(crate) fn follow(mut output: File, reader: SyncSender<Vec<u8>>, inbox: Inbox) -> io::Result<()> {
    wait("output", move || {
        let mut buffer = [0; 4096];
        loop {
            let length = match output.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // What reading from a terminal gives once its other end is closed.
                Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => 0,
                Err(error) => {
                    log::warn!("cannot read what PANDA says: {error}");
                    0
                }
                Ok(length) => length,
            };
            if length == 0 {
                let _ = inbox.send(Event::Hangup);
                return;
            }
            hand_on(buffer[..length].to_vec(), &reader, &inbox);
            // All of it is read, whether or not the driver waits for it.
            let _ = inbox.send(Event::Output);
        }
    })
    .map(drop)
}

fn hand_on(said: Vec<u8>, reader: &SyncSender<Vec<u8>>, inbox: &Inbox) {
    if let Err(TrySendError::Full(said)) = reader.try_send(said) {
        let _ = inbox.send(Event::Held);
        // A reader that has gone has read enough.
        let _ = reader.send(said);
    }
}

//! Ctrl-C and SIGTERM: told to what waits, and to be asked for in between.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Whether the program is wanted to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    set: Arc<AtomicBool>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    all: BTreeMap<u64, Arc<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

impl Interrupt {
    /// Catches Ctrl-C and SIGTERM from now on; the second one ends the program on the spot.
    pub fn catch() -> io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        for signal in [SIGINT, SIGTERM] {
            // The order matters: what is registered first sees the flag as the signal before left it.
            flag::register_conditional_default(signal, Arc::clone(&interrupt.0.set))?;
            flag::register(signal, Arc::clone(&interrupt.0.set))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let raised = interrupt.clone();
        // It ends with the program, which it keeps from nothing.
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(|_| raised.raise()))?;
        Ok(interrupt)
    }

    /// Whether it has come.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Relaxed)
    }

    /// Does what the signals do.
    pub fn raise(&self) {
        self.0.set.store(true, Ordering::Relaxed);
        // A listener that takes its time keeps no other from going away.
        let listeners: Vec<_> = self.0.listeners().all.values().cloned().collect();
        listeners.iter().for_each(|tell| tell());
    }

    /// Tells, from another thread, that it has come, until what this returns is dropped; if it has come already, at
    /// once.
    pub fn listen(&self, tell: impl Fn() + Send + Sync + 'static) -> Listening {
        let tell: Arc<dyn Fn() + Send + Sync> = Arc::new(tell);
        let id = {
            let mut listeners = self.0.listeners();
            listeners.next += 1;
            let id = listeners.next;
            listeners.all.insert(id, Arc::clone(&tell));
            id
        };
        // One that comes just now may be told twice, but none is lost.
        if self.is_set() {
            tell();
        }
        Listening { interrupt: self.clone(), id }
    }
}

impl Shared {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An interrupt is told until this is dropped.
#[derive(Debug)]
pub struct Listening {
    interrupt: Interrupt,
    id: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.interrupt.0.listeners().all.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn an_interrupt_is_told_to_those_who_listen_before_and_after_it() {
        let interrupt = Interrupt::default();
        let (tell, told) = channel();
        let listen = |who: &'static str| {
            let tell = tell.clone();
            interrupt.listen(move || tell.send(who).unwrap_or_default())
        };
        let _early = listen("early");
        drop(listen("gone"));
        assert!(!interrupt.is_set());
        interrupt.raise();
        assert!(interrupt.is_set());
        let _late = listen("late");
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["early", "late"]);
    }
}

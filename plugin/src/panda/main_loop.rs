//! QEMU's main loop, and the big lock that it shares with the virtual processor's thread.

use std::{
    ffi::{c_int, c_void},
    ptr,
    time::{Duration, Instant},
};

use panda_plugin::{Symbols, Unfit, need};

/// How long the main loop may let a held guest wait without doing anything else.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is left alone between two looks.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// What the main loop calls when a timer fires; 0 ends the timer.
pub(super) type Tick = unsafe extern "C" fn(*mut c_void) -> c_int;

/// The main loop.
pub(super) struct MainLoop {
    locked: unsafe extern "C" fn() -> bool,
    lock: unsafe extern "C" fn(),
    unlock: unsafe extern "C" fn(),
    notify: unsafe extern "C" fn(),
    timeout_add: unsafe extern "C" fn(u32, Option<Tick>, *mut c_void) -> u32,
}

impl MainLoop {
    pub(super) fn find(symbols: &Symbols) -> Result<MainLoop, Unfit> {
        Ok(MainLoop {
            locked: need!(symbols, qemu_mutex_iothread_locked),
            lock: need!(symbols, qemu_mutex_lock_iothread),
            unlock: need!(symbols, qemu_mutex_unlock_iothread),
            notify: need!(symbols, qemu_notify_event),
            timeout_add: need!(symbols, g_timeout_add),
        })
    }

    /// Has it take its next turn now, if it waits for something.
    pub(super) fn wake(&self) {
        // SAFETY: a plain function of QEMU's.
        unsafe { (self.notify)() };
    }

    /// Has it call `tick` every so often until that returns 0.
    pub(super) fn call_every(&self, time: Duration, tick: Tick) {
        let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: glib's main context is the main loop's; `tick` lives as long as the process.
        unsafe { (self.timeout_add)(milliseconds, Some(tick), ptr::null_mut()) };
    }

    /// Keeps this thread waiting, but not the main loop.
    pub(super) fn pause(&self, time: Duration) {
        // SAFETY: we have the lock, give it back, and take it again.
        unsafe { (self.unlock)() };
        std::thread::sleep(time);
        // SAFETY: as above.
        unsafe { (self.lock)() };
    }

    /// Lets it have its turns, with the guest held, until `done`, which is asked with the lock held; false when it does
    /// nothing about it.
    pub(super) fn turn_until(&self, done: impl Fn() -> bool) -> bool {
        // SAFETY: a plain function of QEMU's.
        let owned = unsafe { (self.locked)() };
        let mut alone = Duration::ZERO;
        loop {
            if owned {
                // SAFETY: only what we have is given back, for a moment.
                unsafe { (self.unlock)() };
            }
            self.wake();
            std::thread::sleep(LOOK_AGAIN);
            let asked = Instant::now();
            if owned {
                // SAFETY: this thread has just given it back.
                unsafe { (self.lock)() };
            }
            if done() {
                return true;
            }
            // While the main loop writes a snapshot it has the lock, for as long as that takes. Where it lets us
            // have it again and again and does nothing, it waits for this very processor to stop: pausing.
            if asked.elapsed() < Duration::from_millis(1) {
                alone += LOOK_AGAIN;
            }
            if alone > PATIENCE {
                return false;
            }
        }
    }
}

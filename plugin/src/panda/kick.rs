//! Repeats the kick that PANDA's processor can miss, without which a guest that is never idle hangs PANDA.
//!
//! The processor's thread holds QEMU's big lock while it runs the guest. A thread that wants the lock counts itself
//! among those that wait and kicks the processor out of its execution loop, once. The processor looks whether anyone
//! waits when it comes round outside of that loop, and a moment later it makes itself the one to be kicked. A kick
//! between the two is lost. Nothing but the guest can end the loop then: the main loop waits, and with it the timers,
//! monitor, serial ports and network.
//!
//! So a thread of ours looks every [`PATIENCE`] whether the processor has come round, and kicks it if it has not.

use std::{
    ffi::c_void,
    mem, ptr,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use panda_plugin::{
    Callback, Handle, Symbols, Unfit, guarded, need,
    sys::{CPUState, panda_cb_with_context},
};
use parking_lot::Mutex;

/// How long the processor may go without coming round: the longest that anything waits for a kick that was lost.
const PATIENCE: Duration = Duration::from_millis(20);

type Exit = unsafe extern "C" fn(*mut CPUState);

/// The thread that kicks, and what it goes by.
pub(crate) struct Kicker {
    exit: Exit,
    /// How often the processor came round.
    rounds: AtomicU64,
    thread: Mutex<Thread>,
}

enum Thread {
    /// There is no processor yet, and PANDA may still fork.
    Due,
    Running {
        end: Sender<()>,
        thread: JoinHandle<()>,
    },
    Ended,
}

/// The processor, on its way to the thread that kicks it.
struct Processor(*mut CPUState);

// SAFETY: it lives as long as PANDA, and all that is done to it elsewhere is `cpu_exit`.
unsafe impl Send for Processor {}

impl Kicker {
    /// Has PANDA say when the processor comes round; the kicks begin with the machine.
    pub(crate) fn install(handle: Handle, symbols: &Symbols) -> Result<&'static Kicker, Unfit> {
        let kicker = Kicker::new(need!(symbols, cpu_exit));
        let function = panda_cb_with_context { top_loop: Some(came_round) };
        // SAFETY: the handle is PANDA's for us, and the function expects a kicker, which lives for ever.
        unsafe {
            handle.register(symbols, Callback::TopLoop, function, ptr::from_ref(kicker).cast_mut().cast())?;
        }
        Ok(kicker)
    }

    fn new(exit: Exit) -> &'static Kicker {
        Box::leak(Box::new(Kicker { exit, rounds: AtomicU64::new(0), thread: Mutex::new(Thread::Due) }))
    }

    /// The processor is outside of its execution loop; PANDA names it the first time at least.
    #[expect(clippy::disallowed_macros, reason = "it logs once: the thread is not tried again")]
    fn came_round(&'static self, cpu: *mut CPUState) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        if cpu.is_null() {
            return;
        }
        let mut thread = self.thread.lock();
        if matches!(*thread, Thread::Due) {
            let processor = Processor(cpu);
            let (end, ended) = mpsc::channel();
            // From the processor's thread, so that like that one it takes no signal which is meant for PANDA.
            let spawned = thread::Builder::new()
                .name("recctrl-kick".into())
                .spawn(move || self.look_after(&processor, &ended));
            match spawned {
                Ok(spawned) => *thread = Thread::Running { end, thread: spawned },
                Err(error) => {
                    log::warn!("no thread to look after the processor, which may hang PANDA: {error}");
                    *thread = Thread::Ended;
                }
            }
        }
    }

    fn look_after(&self, processor: &Processor, ended: &Receiver<()>) {
        let mut seen = None;
        while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let rounds = Some(self.rounds.load(Ordering::Relaxed));
            if rounds == seen {
                // SAFETY: the processor lives as long as PANDA. It is two atomic stores to it, in an order that the
                // execution loop relies on, and QEMU does the same from threads that have no lock. PANDA leaves the
                // loop in this way for each turn of its main loop, in recordings and replays alike, and logs nothing
                // of it. One kick too many costs the guest a look at its interrupts.
                unsafe { (self.exit)(processor.0) };
            }
            seen = rounds;
        }
    }

    /// Ends the thread; it waits for nothing that anyone else has.
    pub(crate) fn end(&self) {
        let thread = mem::replace(&mut *self.thread.lock(), Thread::Ended);
        if let Thread::Running { end, thread } = thread {
            drop(end);
            let _ = thread.join();
        }
    }
}

extern "C" fn came_round(kicker: *mut c_void, cpu: *mut CPUState) {
    // SAFETY: what `install` registered, which lives for ever.
    let kicker: &'static Kicker = unsafe { &*kicker.cast() };
    guarded((), || kicker.came_round(cpu));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that counts its kicks, and that `cpu_exit` is called with nothing else.
    unsafe extern "C" fn count(cpu: *mut CPUState) {
        // SAFETY: the tests hand out nothing but counters.
        unsafe { &*cpu.cast::<AtomicU64>() }.fetch_add(1, Ordering::Relaxed);
    }

    fn processor() -> (&'static AtomicU64, *mut CPUState) {
        let kicks: &'static AtomicU64 = Box::leak(Box::default());
        (kicks, ptr::from_ref(kicks).cast_mut().cast())
    }

    #[test]
    fn a_processor_that_does_not_come_round_is_kicked_until_the_end() {
        let (kicks, cpu) = processor();
        let kicker = Kicker::new(count);
        kicker.came_round(cpu);
        while kicks.load(Ordering::Relaxed) < 3 {
            thread::yield_now();
        }
        kicker.end();
        let kicked = kicks.load(Ordering::Relaxed);
        thread::sleep(3 * PATIENCE);
        assert_eq!(kicks.load(Ordering::Relaxed), kicked);
    }

    #[test]
    fn a_processor_is_looked_after_once_it_is_named_and_never_after_the_end() {
        let (kicks, cpu) = processor();
        let kicker = Kicker::new(count);
        kicker.came_round(ptr::null_mut());
        assert!(matches!(*kicker.thread.lock(), Thread::Due));
        kicker.end();
        kicker.came_round(cpu);
        assert!(matches!(*kicker.thread.lock(), Thread::Ended));
        assert_eq!(kicks.load(Ordering::Relaxed), 0);
    }
}

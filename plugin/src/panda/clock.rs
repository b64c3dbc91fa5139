//! The guest's clock where it counts instructions (`-icount`).

use std::{ffi::c_int, ptr, time::Duration};

use panda_plugin::{Symbols, sys};

/// The most that the clock is put on.
const LONGEST_WARP: Duration = Duration::from_secs(1);

/// What reads the clock and puts it on.
pub(super) struct Clock {
    counts: *mut c_int,
    now: unsafe extern "C" fn(c_int) -> i64,
    deadline: unsafe extern "C" fn(c_int) -> i64,
    warp: unsafe extern "C" fn(i64),
    may_warp: *mut bool,
    complete_snapshots: Option<*mut c_int>,
}

impl Clock {
    /// All of it, or nothing: recordings are made without it, too.
    pub(super) fn find(symbols: &Symbols) -> Option<Clock> {
        Some(Clock {
            counts: *symbols.use_icount.as_ref().ok()?,
            now: *symbols.qemu_clock_get_ns.as_ref().ok()?,
            deadline: *symbols.qemu_clock_deadline_ns_all.as_ref().ok()?,
            warp: *symbols.qtest_clock_warp.as_ref().ok()?,
            may_warp: *symbols.qtest_allowed.as_ref().ok()?,
            complete_snapshots: symbols.panda_complete_rr_snapshot.as_ref().ok().copied(),
        })
    }

    /// Has the clock's time put into the snapshot, which of itself PANDA of 2024 does not.
    pub(super) fn keep_time(&self) {
        // SAFETY: PANDA's globals, with the lock held; snapshots are written with it held too.
        unsafe {
            if let (Some(complete), true) = (self.complete_snapshots, *self.counts != 0) {
                *complete = 1;
            }
        }
    }

    /// Has the guest's next timer fire now.
    ///
    /// A replay drops the timers that are armed in its snapshot. Where the clock counts instructions, replays run the
    /// timers that the guest arms later, so one that the guest waits for must not be among those that are lost.
    pub(super) fn reach_next_timer(&self) {
        let clock = sys::PANDACAP_CLOCK_VIRTUAL as c_int;
        // SAFETY: QEMU's globals and plain functions, on the processor's thread, outside its execution loop, with the
        // lock held.
        unsafe {
            if *self.counts == 0 {
                return;
            }
            let deadline = (self.deadline)(clock);
            if (0..LONGEST_WARP.as_nanos() as i64).contains(&deadline) {
                let might = ptr::replace(self.may_warp, true);
                (self.warp)((self.now)(clock) + deadline);
                *self.may_warp = might;
            }
        }
    }
}

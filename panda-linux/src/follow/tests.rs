//! Guests that behave, and guests that do not.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::kernel::tests::{TEXT, memory, profile};
use crate::machine::tests::Fake;

/// Where the running task's pointer is, and two tasks and what they point to.
const CURRENT: u64 = 0xffff_8880_0000_0020;
const TASK: u64 = 0xffff_8880_0010_0000;
const OTHER: u64 = 0xffff_8880_0020_0000;
const CRED: u64 = 0xffff_8880_0030_0000;
const REGISTERS: u64 = 0xffff_8880_0040_0000;

const ENTER: u64 = TEXT + 0x1001;
const RETURN: u64 = TEXT + 0x1006;
const SIGNAL: u64 = TEXT + 0x3000;
const START: u64 = TEXT + 0x4000;
const END: u64 = TEXT + 0x5000;
const COMMIT: u64 = TEXT + 0x6000;

/// A machine with the task 7, which runs, and the task 8.
fn machine() -> (Fake, Follower) {
    let fake = memory(0);
    let kernel = Kernel::find(&profile(), &fake).unwrap().unwrap();
    let layout = kernel.layout.clone();
    for (task, number) in [(TASK, 7), (OTHER, 8)] {
        fake.put(task, &[0; 4096]);
        fake.put(task + layout.task_pid, &[number, 0, 0, 0]);
        fake.put(task + layout.task_tgid, &[number, 0, 0, 0]);
        fake.put_u64(task + layout.task_cred, CRED);
    }
    fake.put(CRED, &[0; 4096]);
    fake.put(REGISTERS, &[0; 256]);
    fake.put_u64(CURRENT, TASK);
    fake.registers.borrow_mut()[STACK as usize] = REGISTERS;
    (fake, Follower::new(kernel))
}

/// What is told when the places are reached one after another, in short.
fn told(fake: &Fake, follower: &mut Follower, places: &[u64]) -> Vec<String> {
    let mut said = Vec::new();
    for place in places {
        follower.reach(fake, *place, &mut |guest, event| {
            let who = guest.current.map_or(0, |task| task.tid);
            said.push(match event {
                Event::Began => "began".to_owned(),
                Event::Entered(call) => format!("{who} {}", call.name().unwrap_or("?")),
                Event::Returned(call, result) => format!("{who} {} = {result}", call.name().unwrap_or("?")),
                Event::Executed => format!("{who} executed"),
                Event::Started(task) => format!("{who} made {}", task.tid),
                Event::Ended { status, .. } => format!("{who} ended {status}"),
                Event::Changed { before, after, committed, .. } => {
                    format!("{who} {} -> {}, {committed}", before.euid, after.euid)
                }
                Event::Forgot(tasks) => format!("forgot {tasks}"),
            });
        });
    }
    said
}

/// Sets the registers of the next call, or its result.
fn call(fake: &Fake, number: u64, result: u64) {
    fake.put_u64(REGISTERS + 8 * 15, number);
    fake.put_u64(REGISTERS + 8 * 10, result);
}

#[test]
fn a_result_is_taken_before_a_signal_overwrites_it_and_only_once() {
    let (fake, mut follower) = machine();
    call(&fake, 34, 0);
    assert_eq!(told(&fake, &mut follower, &[ENTER]), ["7 pause"]);
    call(&fake, 34, -514_i64 as u64);
    fake.registers.borrow_mut()[ARGUMENT as usize] = REGISTERS;
    assert_eq!(told(&fake, &mut follower, &[SIGNAL]), ["7 pause = -514"]);
    call(&fake, 34, 14);
    assert_eq!(told(&fake, &mut follower, &[SIGNAL, RETURN]), [""; 0]);
}

#[test]
fn a_call_that_never_returns_ends_with_its_task() {
    let (fake, mut follower) = machine();
    call(&fake, 60, 0);
    fake.registers.borrow_mut()[ARGUMENT as usize] = 3 << 8;
    assert_eq!(told(&fake, &mut follower, &[ENTER, END]), ["7 exit", "7 ended 768"]);
    // Its memory is another task's by now.
    assert_eq!(told(&fake, &mut follower, &[RETURN]), [""; 0]);
}

#[test]
fn what_returns_without_having_been_seen_to_be_made_is_left_out() {
    let (fake, mut follower) = machine();
    assert_eq!(told(&fake, &mut follower, &[RETURN, SIGNAL, COMMIT]), [""; 0]);
}

#[test]
fn a_new_task_is_its_makers() {
    let (fake, mut follower) = machine();
    fake.registers.borrow_mut()[ARGUMENT as usize] = OTHER;
    assert_eq!(told(&fake, &mut follower, &[START]), ["7 made 8"]);
}

#[test]
fn credentials_that_the_kernel_did_not_give_are_told_apart() {
    let (fake, mut follower) = machine();
    let euid = CRED + follower.kernel().layout.cred_uid + 16;
    fake.put(euid, &1000_u32.to_le_bytes());
    call(&fake, 39, 0);
    assert_eq!(told(&fake, &mut follower, &[ENTER, RETURN]), ["7 getpid", "7 getpid = 0"]);
    call(&fake, 105, 0);
    assert_eq!(told(&fake, &mut follower, &[ENTER, COMMIT]), ["7 setuid"]);
    fake.put(euid, &0_u32.to_le_bytes());
    assert_eq!(told(&fake, &mut follower, &[RETURN]), ["7 1000 -> 0, true", "7 setuid = 0"]);
    fake.put(euid, &1000_u32.to_le_bytes());
    call(&fake, 39, 0);
    assert_eq!(told(&fake, &mut follower, &[ENTER]), ["7 0 -> 1000, false", "7 getpid"]);
}

/// Memory in which whatever is read is there, made of its address: every pointer leads on, and none to an end.
struct Endless {
    seed: u64,
    /// Addresses are this far apart, so that lists come back to where they were.
    grain: u64,
    reads: Cell<u64>,
}

impl Machine for Endless {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.reads.set(self.reads.get() + 1);
        for (i, byte) in into.iter_mut().enumerate() {
            let at = address.wrapping_add(i as u64);
            let word = (at / 8 / self.grain).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.seed;
            *byte = word.to_le_bytes()[at as usize % 8];
        }
        true
    }

    fn register(&self, number: i32) -> u64 {
        self.seed.rotate_left(number as u32)
    }

    fn instructions(&self) -> u64 {
        0
    }
}

proptest! {
    #[test]
    fn memory_without_an_end_is_followed_so_far_and_no_further(
        seed in any::<u64>(),
        grain in 1_u64..1000,
        places in proptest::collection::vec(0_usize..6, 1..20),
    ) {
        let kernel = Kernel::find(&profile(), &memory(0)).unwrap().unwrap();
        let mut follower = Follower::new(kernel);
        let endless = Endless { seed, grain, reads: Cell::new(0) };
        let mut look = |guest: Guest<'_>, _: Event<'_>| {
            guest.processes(100);
            guest.working_directory();
            guest.arguments(4096);
            if let Some(task) = guest.current {
                guest.executable(&task);
                guest.parent(&task);
                for fd in [-1, 0, 7, i32::MAX] {
                    if let Some(file) = guest.file(&task, fd) {
                        guest.path(&file);
                        guest.inet(&file);
                    }
                }
            }
            guest.address(seed, u64::MAX);
        };
        follower.begin(&endless, &mut look);
        for place in &places {
            let place = [ENTER, RETURN, SIGNAL, START, END, COMMIT][*place];
            follower.reach(&endless, place, &mut look);
        }
        prop_assert!(endless.reads.get() < 100_000 * (places.len() as u64 + 1), "{}", endless.reads.get());
    }
}

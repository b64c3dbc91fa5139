//! Follows the guest's tasks from one watched place in its kernel to the next.

use std::collections::HashMap;

use crate::call::{Abi, Call};
use crate::guest::Guest;
use crate::kernel::{Kernel, Site};
use crate::machine::Machine;
use crate::task::{Credentials, Task};

/// Tasks that are followed at the same time; a real guest has no memory for more.
const TASKS: usize = 1 << 16;
/// gdb's number of the register with the first argument, and of the stack pointer.
const ARGUMENT: i32 = 5;
const STACK: i32 = 7;

/// What a guest has done; [`Guest::current`] did it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The kernel has been found, soon after the trace's beginning: [`Guest::processes`] are those that are there.
    Began,
    /// A system call is about to be handled.
    Entered(&'a Call),
    /// A system call has returned; negative results are errors. Calls that end their task never return.
    Returned(&'a Call, i64),
    /// A system call has replaced the process's program with another.
    Executed,
    /// There is a new task, a process or a thread; [`Guest::current`] made it.
    Started(Task),
    /// A task ends.
    Ended {
        /// What `wait` tells of it: its exit status times 256, or the signal that killed it.
        status: u32,
        /// Whether it is the last of its process's threads.
        last: bool,
    },
    /// A task's credentials have changed.
    Changed {
        /// The credentials before.
        before: Credentials,
        /// The credentials after.
        after: Credentials,
        /// The call in which it was seen, if there was one.
        call: Option<&'a Call>,
        /// Whether the kernel's own way was taken. If not, its memory was written to.
        committed: bool,
    },
    /// So many tasks were forgotten, because there were too many.
    Forgot(usize),
}

/// What is known of a task.
#[derive(Clone, Copy, Debug)]
struct Known {
    task: Task,
    /// The call that it has made.
    call: Option<Call>,
    credentials: Option<Credentials>,
    /// Whether it has got new credentials since they were last looked at.
    committed: bool,
}

/// Follows a guest.
#[derive(Debug)]
pub struct Follower {
    kernel: Kernel,
    tasks: HashMap<u64, Known>,
}

/// Who is told.
pub type Tell<'t> = &'t mut dyn FnMut(Guest<'_>, Event<'_>);

impl Follower {
    /// Follows what this kernel does.
    pub fn new(kernel: Kernel) -> Follower {
        Follower { kernel, tasks: HashMap::new() }
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Tells of the beginning.
    pub fn begin(&self, machine: &dyn Machine, tell: Tell<'_>) {
        let guest = Guest { machine, kernel: &self.kernel, current: None };
        let current = self.kernel.current(machine).and_then(|address| guest.task_at(address));
        tell(Guest { current, ..guest }, Event::Began);
    }

    /// The guest has reached an address; tells what that means, if it is one of the kernel's [`Kernel::sites`].
    pub fn reach(&mut self, machine: &dyn Machine, address: u64, tell: Tell<'_>) {
        let Some(site) = self.kernel.site(address) else { return };
        let Some(current) = self.kernel.current(machine) else { return };
        match site {
            Site::Enter(abi) => self.enter(machine, current, abi, tell),
            Site::Return => self.leave(machine, current, machine.register(STACK), tell),
            Site::Signal => self.leave(machine, current, machine.register(ARGUMENT), tell),
            Site::Start => self.start(machine, current, tell),
            Site::End => self.end(machine, current, tell),
            Site::Commit => {
                if let Some(known) = self.tasks.get_mut(&current) {
                    known.committed = true;
                }
            }
        }
    }

    fn enter(&mut self, machine: &dyn Machine, current: u64, abi: Abi, tell: Tell<'_>) {
        let Some(mut known) = self.known(machine, current, tell) else { return };
        let guest = Guest { machine, kernel: &self.kernel, current: Some(known.task) };
        known.look(guest, None, tell);
        known.call = Call::at(machine, machine.register(STACK), abi);
        if let Some(call) = &known.call {
            tell(guest, Event::Entered(call));
        }
        self.tasks.insert(current, known);
    }

    /// A call whose registers lie at `registers` has its result in them.
    fn leave(&mut self, machine: &dyn Machine, current: u64, registers: u64, tell: Tell<'_>) {
        let Some(known) = self.tasks.get_mut(&current) else { return };
        let Some(call) = known.call.take_if(|call| call.registers == registers) else { return };
        let Some(result) = call.result(machine) else { return };
        let mut guest = Guest { machine, kernel: &self.kernel, current: Some(known.task) };
        let executed = result == 0 && matches!(call.name(), Some("execve" | "execveat"));
        if executed && let Some(task) = guest.task_at(current) {
            // A thread that executes a program becomes its process's only one, and takes its number.
            known.task = task;
            guest.current = Some(task);
        }
        known.look(guest, Some(&call), tell);
        tell(guest, Event::Returned(&call, result));
        if executed {
            tell(guest, Event::Executed);
        }
    }

    fn start(&mut self, machine: &dyn Machine, current: u64, tell: Tell<'_>) {
        let maker = self.known(machine, current, tell);
        let guest = Guest { machine, kernel: &self.kernel, current: maker.map(|known| known.task) };
        let Some(task) = guest.task_at(machine.register(ARGUMENT)) else { return };
        tell(guest, Event::Started(task));
        let credentials = guest.credentials(&task);
        self.make_room(machine, tell);
        self.tasks.insert(task.address, Known { task, call: None, credentials, committed: false });
    }

    fn end(&mut self, machine: &dyn Machine, current: u64, tell: Tell<'_>) {
        let Some(mut known) = self.known(machine, current, tell) else { return };
        let guest = Guest { machine, kernel: &self.kernel, current: Some(known.task) };
        let call = known.call;
        known.look(guest, call.as_ref(), tell);
        let status = machine.register(ARGUMENT) as u32;
        tell(guest, Event::Ended { status, last: guest.threads(&known.task).is_none_or(|live| live <= 1) });
        self.tasks.remove(&current);
    }

    /// What is known of the task that runs: as it is now, if it has not been seen before.
    fn known(&mut self, machine: &dyn Machine, address: u64, tell: Tell<'_>) -> Option<Known> {
        if let Some(known) = self.tasks.get(&address) {
            return Some(*known);
        }
        let guest = Guest { machine, kernel: &self.kernel, current: None };
        let task = guest.task_at(address)?;
        let known = Known { task, call: None, credentials: guest.credentials(&task), committed: false };
        self.make_room(machine, tell);
        self.tasks.insert(address, known);
        Some(known)
    }

    /// Forgets tasks when there are too many; those that live on are met again at their next call.
    fn make_room(&mut self, machine: &dyn Machine, tell: Tell<'_>) {
        if self.tasks.len() < TASKS {
            return;
        }
        let before = self.tasks.len();
        self.tasks.retain(|_, known| known.call.is_some());
        if self.tasks.len() >= TASKS {
            self.tasks.clear();
        }
        let forgotten = before - self.tasks.len();
        tell(Guest { machine, kernel: &self.kernel, current: None }, Event::Forgot(forgotten));
    }
}

impl Known {
    /// Looks at the task's credentials, and tells when they have changed.
    fn look(&mut self, guest: Guest<'_>, call: Option<&Call>, tell: Tell<'_>) {
        let now = guest.credentials(&self.task);
        let committed = std::mem::take(&mut self.committed);
        if let (Some(before), Some(after)) = (self.credentials, now)
            && before != after
        {
            tell(guest, Event::Changed { before, after, call, committed });
        }
        self.credentials = now.or(self.credentials);
    }
}

#[cfg(test)]
mod tests;

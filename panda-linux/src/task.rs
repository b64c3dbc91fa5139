//! Tasks: the threads and processes of a guest, as its kernel has them.

use crate::guest::Guest;

/// A kernel thread, by its task's flags.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// Bytes of a task's name.
const NAME: usize = 16;

/// What tells a task apart for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    /// Where the kernel keeps it.
    pub address: u64,
    /// Its own number, which `gettid` returns.
    pub tid: u32,
    /// The number of the process that it is a thread of, which `getpid` returns.
    pub pid: u32,
    /// Whether it is the kernel's own.
    pub kernel: bool,
}

/// Who a task acts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The real user.
    pub uid: u32,
    /// The real group.
    pub gid: u32,
    /// The saved user.
    pub suid: u32,
    /// The saved group.
    pub sgid: u32,
    /// The user that counts.
    pub euid: u32,
    /// The group that counts.
    pub egid: u32,
    /// The effective capabilities.
    pub capabilities: u64,
}

impl Guest<'_> {
    /// The task at an address, if there is one to be read.
    pub fn task_at(&self, address: u64) -> Option<Task> {
        let layout = &self.kernel.layout;
        let number = |offset: u64| self.machine.u32(address.wrapping_add(offset));
        let kernel = number(layout.task_flags)? & KERNEL_THREAD != 0;
        Some(Task { address, tid: number(layout.task_pid)?, pid: number(layout.task_tgid)?, kernel })
    }

    /// The process that began a task, or took it in when that one had ended.
    pub fn parent(&self, task: &Task) -> Option<Task> {
        self.task_at(self.member(task, self.kernel.layout.task_parent)?)
    }

    /// What a task is called, which is its own to choose.
    pub fn name(&self, task: &Task) -> Vec<u8> {
        self.machine.text(task.address.wrapping_add(self.kernel.layout.task_comm), NAME)
    }

    /// Who a task acts as.
    pub fn credentials(&self, task: &Task) -> Option<Credentials> {
        let layout = &self.kernel.layout;
        let cred = self.member(task, layout.task_cred)?;
        let mut ids = [0; 24];
        if !self.machine.read(cred.wrapping_add(layout.cred_uid), &mut ids) {
            return None;
        }
        let id = |i: usize| u32::from_le_bytes([ids[4 * i], ids[4 * i + 1], ids[4 * i + 2], ids[4 * i + 3]]);
        Some(Credentials {
            uid: id(0),
            gid: id(1),
            suid: id(2),
            sgid: id(3),
            euid: id(4),
            egid: id(5),
            capabilities: self.machine.u64(cred.wrapping_add(layout.cred_capabilities))?,
        })
    }

    /// How many threads of a task's process have not ended yet, itself included.
    pub fn threads(&self, task: &Task) -> Option<u32> {
        let signal = self.member(task, self.kernel.layout.task_signal)?;
        self.machine.u32(signal.wrapping_add(self.kernel.layout.signal_live))
    }

    /// The file that a task executes.
    pub fn executable(&self, task: &Task) -> Option<Vec<u8>> {
        let mm = self.member(task, self.kernel.layout.task_mm)?;
        let file = self.pointer(mm, self.kernel.layout.mm_exe_file)?;
        self.file_at(file).map(|file| self.path(&file))
    }

    /// The arguments of the running task's program, at most `most` bytes of them. The program can overwrite them.
    pub fn arguments(&self, most: usize) -> Option<Vec<Vec<u8>>> {
        let layout = &self.kernel.layout;
        self.strings(layout.mm_arg_start, layout.mm_arg_end, most)
    }

    /// The environment of the running task's program, likewise.
    pub fn environment(&self, most: usize) -> Option<Vec<Vec<u8>>> {
        let layout = &self.kernel.layout;
        self.strings(layout.mm_env_start, layout.mm_env_end, most)
    }

    /// The strings between the two addresses in the running task's memory descriptor.
    fn strings(&self, start: u64, end: u64, most: usize) -> Option<Vec<Vec<u8>>> {
        let mm = self.member(self.current.as_ref()?, self.kernel.layout.task_mm)?;
        let [start, end] = [start, end].map(|offset| self.pointer(mm, offset));
        let (start, end) = (start?, end?);
        let length = usize::try_from(end.checked_sub(start)?).ok()?.min(most);
        let mut bytes = self.machine.mapped(start, length);
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        Some(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
    }

    /// The processes that there are, the kernel's own included, as far as `most`.
    pub fn processes(&self, most: usize) -> Vec<Task> {
        let next = |task: u64| {
            let link = self.pointer(task, self.kernel.layout.task_tasks)?;
            Some(link.wrapping_sub(self.kernel.layout.task_tasks))
        };
        let first = self.kernel.first_task;
        let others = std::iter::successors(next(first), |&task| next(task));
        // A forged list may lead anywhere, and round in circles: `most` ends it.
        others.take_while(|&task| task != first).take(most).map_while(|task| self.task_at(task)).collect()
    }

    /// A pointer in a task that is not null.
    pub(crate) fn member(&self, task: &Task, offset: u64) -> Option<u64> {
        self.pointer(task.address, offset)
    }

    /// A pointer in a struct that is not null.
    pub(crate) fn pointer(&self, address: u64, offset: u64) -> Option<u64> {
        self.machine.u64(address.wrapping_add(offset)).filter(|&pointer| pointer != 0)
    }
}

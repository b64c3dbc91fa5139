//! The guest's kernel: found in its memory, wherever address space randomisation has put it.

use kernel_profile::Profile;

use crate::Unfollowable;
use crate::call::Abi;
use crate::layout::Layout;
use crate::machine::Machine;

/// x86's kernels are put at a multiple of this, within [`RANGE`] of where they were linked.
const STEP: u64 = 2 << 20;
const RANGE: u64 = 1 << 30;
/// Kernels are linked above this, and what belongs to a processor is linked below, from 0 on.
const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// How much of the beginning of an entry from user mode is searched for the call of what handles it.
const ENTRY: usize = 1024;
/// How much of the banner is compared.
const BANNER: usize = 512;

/// How the kernel is entered from user mode, by its assembly.
const ENTRIES: [&str; 6] = [
    "entry_SYSCALL_64",
    "entry_SYSCALL_64_after_hwframe",
    "entry_SYSENTER_compat",
    "entry_SYSCALL_compat",
    "entry_INT80_compat",
    "asm_int80_emulation",
];
/// What these entries call, with the processes' registers on the top of the stack.
const HANDLERS: [(&str, Abi); 6] = [
    ("do_syscall_64", Abi::X86_64),
    ("do_SYSENTER_32", Abi::I386),
    ("do_fast_syscall_32", Abi::I386),
    // 64-bit programs can make such calls too.
    ("do_int80_syscall_32", Abi::I386),
    ("do_int80_emulation", Abi::I386),
    ("int80_emulation", Abi::I386),
];
/// What delivers signals on the way back to user mode, and takes the call's result off the registers for that.
const SIGNALS: [&str; 3] = ["arch_do_signal_or_restart", "arch_do_signal", "do_signal"];

/// A place in the kernel where something is told of its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// A system call is about to be handled: the registers of its process are on the top of the stack.
    Enter(Abi),
    /// It has been handled: they are there again.
    Return,
    /// Before a signal is delivered, or a call is to be made again: the first argument points to the registers.
    Signal,
    /// The first argument is a new task.
    Start,
    /// The task that runs ends, with the first argument as its status.
    End,
    /// The task that runs gets new credentials.
    Commit,
}

/// The guest's kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where the members of its structs are.
    pub layout: Layout,
    /// How far it lies from where it was linked.
    pub slide: u64,
    /// Where the pointer to the running task is.
    current: u64,
    /// `init_task`.
    pub(crate) first_task: u64,
    sites: Vec<(u64, Site)>,
}

impl Kernel {
    /// Finds it in memory; `None` if it is not there, or not in the page table that is in use.
    ///
    /// # Errors
    ///
    /// The profile lacks a symbol or a member, or the kernel is not what the profile says.
    pub fn find(profile: &Profile, machine: &dyn Machine) -> Result<Option<Kernel>, Unfollowable> {
        let Some(slide) = slide(profile, machine)? else { return Ok(None) };
        let layout = Layout::of(profile)?;
        let symbol = |name| symbol(profile, name);
        let offsets = symbol("__per_cpu_offset")?.wrapping_add(slide);
        let Some(per_cpu) = machine.u64(offsets) else { return Ok(None) };
        let current = match profile.symbol("current_task") {
            Some(current) => current,
            None => symbol("pcpu_hot")?,
        };
        // Those that are linked with the rest of the kernel move with it.
        let current = if current >= KERNEL { current.wrapping_add(slide) } else { current };
        let current = per_cpu.wrapping_add(current).wrapping_add(layout.current_in_symbol);
        let first_task = symbol("init_task")?.wrapping_add(slide);
        let sites = sites(profile, machine, slide)?;
        Ok(Some(Kernel { layout, slide, current, first_task, sites }))
    }

    /// The address of the task that runs.
    pub fn current(&self, machine: &dyn Machine) -> Option<u64> {
        machine.u64(self.current).filter(|&task| task != 0)
    }

    /// The places that are to be watched.
    pub fn sites(&self) -> impl Iterator<Item = u64> {
        self.sites.iter().map(|(address, _)| *address)
    }

    /// What is told at `address`.
    pub fn site(&self, address: u64) -> Option<Site> {
        let found = self.sites.binary_search_by_key(&address, |(address, _)| *address).ok()?;
        Some(self.sites[found].1)
    }
}

fn symbol(profile: &Profile, name: &'static str) -> Result<u64, Unfollowable> {
    profile.symbol(name).ok_or(Unfollowable::Symbol(name))
}

/// How far the kernel is from where it was linked: where its banner says that it is this very kernel.
fn slide(profile: &Profile, machine: &dyn Machine) -> Result<Option<u64>, Unfollowable> {
    let banner = profile.banner.trim_end().as_bytes();
    let banner = &banner[..banner.len().min(BANNER)];
    if banner.is_empty() {
        return Err(Unfollowable::Symbol("banner"));
    }
    let linked = symbol(profile, "linux_banner")?;
    let mut found = vec![0; banner.len()];
    let mut slides = (0..RANGE / STEP).map(|step| step * STEP);
    Ok(slides.find(|slide| machine.read(linked.wrapping_add(*slide), &mut found) && found == banner))
}

/// The places to watch, in order.
fn sites(profile: &Profile, machine: &dyn Machine, slide: u64) -> Result<Vec<(u64, Site)>, Unfollowable> {
    let at = |name: &str| profile.symbol(name).map(|linked| linked.wrapping_add(slide));
    let handlers: Vec<(u64, Abi)> =
        HANDLERS.iter().filter_map(|(name, abi)| Some((at(name)?, *abi))).collect();
    let mut sites: Vec<(u64, Site)> = Vec::new();
    for entry in ENTRIES.iter().filter_map(|name| at(name)) {
        for (call, abi) in calls(&machine.mapped(entry, ENTRY), entry, &handlers) {
            sites.extend([(call, Site::Enter(abi)), (call.wrapping_add(CALL as u64), Site::Return)]);
        }
    }
    if sites.is_empty() {
        return Err(Unfollowable::Entries);
    }
    let first = SIGNALS.iter().find_map(|name| at(name));
    sites.extend(first.map(|address| (address, Site::Signal)));
    for (name, site) in
        [("wake_up_new_task", Site::Start), ("do_exit", Site::End), ("commit_creds", Site::Commit)]
    {
        sites.push((at(name).ok_or(Unfollowable::Symbol(name))?, site));
    }
    sites.sort_unstable_by_key(|(address, _)| *address);
    sites.dedup_by_key(|(address, _)| *address);
    Ok(sites)
}

/// The length of a near call.
const CALL: usize = 5;

/// Where `code`, which lies at `address`, calls one of `handlers`, and what calls that one handles.
fn calls(code: &[u8], address: u64, handlers: &[(u64, Abi)]) -> Vec<(u64, Abi)> {
    let near = code.windows(CALL).enumerate().filter(|(_, window)| window[0] == 0xe8);
    near.filter_map(|(i, window)| {
        let call = address.wrapping_add(i as u64);
        let offset = i32::from_le_bytes(window[1..].try_into().ok()?);
        let target = call.wrapping_add(CALL as u64).wrapping_add(offset as i64 as u64);
        handlers.iter().find(|(handler, _)| *handler == target).map(|(_, abi)| (call, *abi))
    })
    .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use kernel_profile::Architecture;

    use super::*;
    use crate::machine::tests::Fake;

    pub(crate) const TEXT: u64 = 0xffff_ffff_8100_0000;

    /// A profile of a kernel that is linked at [`TEXT`], whose members are 64 bytes apart.
    pub(crate) fn profile() -> Profile {
        let mut profile = Profile {
            schema: kernel_profile::SCHEMA,
            target: Architecture::X86_64,
            banner: "Linux version 6.1.0".to_owned(),
            version: [6, 1, 0],
            symbols: BTreeMap::new(),
            offsets: BTreeMap::new(),
            sizes: BTreeMap::new(),
        };
        let symbols = [
            ("linux_banner", 0x100),
            ("__per_cpu_offset", 0x200),
            ("init_task", 0x300),
            ("entry_SYSCALL_64", 0x1000),
            ("do_syscall_64", 0x2000),
            ("arch_do_signal_or_restart", 0x3000),
            ("wake_up_new_task", 0x4000),
            ("do_exit", 0x5000),
            ("commit_creds", 0x6000),
        ];
        let symbols = symbols.map(|(name, offset)| (name.to_owned(), TEXT + offset));
        profile.symbols.extend(symbols);
        profile.symbols.insert("current_task".to_owned(), 0x20);
        let members = Layout::MEMBERS.iter().enumerate();
        profile.offsets.extend(members.map(|(i, name)| ((*name).to_owned(), 64 * i as u64)));
        profile
    }

    /// The memory of that kernel, `slide` higher than it was linked.
    pub(crate) fn memory(slide: u64) -> Fake {
        let fake = Fake::default();
        fake.put(TEXT + slide + 0x100, b"Linux version 6.1.0\n");
        fake.put_u64(TEXT + slide + 0x200, 0xffff_8880_0000_0000);
        // nop; call do_syscall_64
        let call = 0x2000_i32 - (0x1000 + 1 + CALL as i32);
        fake.put(TEXT + slide + 0x1000, &[&[0x90, 0xe8][..], &call.to_le_bytes(), &[0; 4096]].concat());
        fake
    }

    #[test]
    fn a_kernel_is_found_wherever_it_was_put() {
        for slide in [0, STEP, 0x1f40_0000] {
            let kernel = Kernel::find(&profile(), &memory(slide)).unwrap().unwrap();
            assert_eq!(kernel.slide, slide);
            let text = TEXT + slide;
            assert_eq!(kernel.site(text + 0x1001), Some(Site::Enter(Abi::X86_64)));
            assert_eq!(kernel.site(text + 0x1006), Some(Site::Return));
            assert_eq!(kernel.site(text + 0x5000), Some(Site::End));
            assert_eq!(kernel.site(text + 0x1000), None);
        }
    }

    #[test]
    fn another_kernel_is_not_found() {
        let other = Profile { banner: "Linux version 6.1.1".to_owned(), ..profile() };
        assert!(Kernel::find(&other, &memory(0)).unwrap().is_none());
        assert!(Kernel::find(&profile(), &Fake::default()).unwrap().is_none());
    }

    #[test]
    fn what_a_profile_lacks_is_named() {
        let mut lacking = profile();
        lacking.symbols.remove("do_exit");
        let error = Kernel::find(&lacking, &memory(0)).unwrap_err().to_string();
        assert_eq!(error, "the kernel's profile has no symbol do_exit");
        let mut lacking = profile();
        lacking.offsets.remove("task_struct.cred");
        let error = Kernel::find(&lacking, &memory(0)).unwrap_err().to_string();
        assert_eq!(error, "the kernel's profile has no member task_struct.cred");
    }
}

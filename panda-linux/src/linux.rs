//! The plugin around an analysis.

use std::error::Error;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;

use kernel_profile::{FILE, MAX_BYTES, Profile};
use panda_plugin::{Argument, Arguments, Callback, Cpu, Panda, Plugin, argument};

use crate::Unfollowable;
use crate::follow::{Event, Follower};
use crate::guest::Guest;
use crate::kernel::Kernel;

/// The argument that every analysis has.
pub const PROFILE: Argument = argument("profile", FILE, "the profile of the guest's kernel");

/// The upper half of the address space is the kernel's.
const KERNEL_HALF: u64 = 1 << 63;
/// How many of the first instructions in the kernel are tried, until it is found; later, ever fewer are.
const TRIES: u64 = 64;

/// An analysis of what a Linux guest does.
pub trait Analysis: Sized + Send + 'static {
    /// The plugin's name, as behind `-panda`; the file is `panda_NAME.so`.
    const NAME: &'static CStr;
    /// Its arguments, [`PROFILE`] among them.
    const ARGUMENTS: &'static [Argument];

    /// Makes the analysis, before the machine runs.
    ///
    /// # Errors
    ///
    /// Why it can't be loaded, for standard error.
    fn load(arguments: &Arguments) -> Result<Self, Box<dyn Error>>;

    /// The guest has done something.
    fn event(&mut self, guest: Guest<'_>, event: Event<'_>);

    /// The guest can't be followed, and there will be no events.
    fn unfollowable(&mut self, _why: &Unfollowable) {}

    /// PANDA is about to exit.
    fn unload(self, _panda: &Panda) {}
}

/// The plugin that an analysis is.
pub struct Linux<A> {
    analysis: A,
    state: State,
}

/// Whether the guest's kernel has been found.
enum State {
    /// Not yet, at so many instructions.
    Searching(Box<Profile>, u64),
    Found(Box<Follower>),
    Failed,
}

impl<A: Analysis> Linux<A> {
    fn fail(&mut self, why: &Unfollowable) {
        log::error!("{why}");
        self.analysis.unfollowable(why);
        self.state = State::Failed;
    }
}

impl<A: Analysis> Plugin for Linux<A> {
    const NAME: &'static CStr = A::NAME;
    const ARGUMENTS: &'static [Argument] = A::ARGUMENTS;
    const CALLBACKS: &'static [Callback] = &[Callback::Instructions];

    fn load(arguments: &Arguments) -> Result<Linux<A>, Box<dyn Error>> {
        let path = arguments.path(PROFILE.name)?;
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text));
        read.map_err(|error| format!("the profile {}: {error}", path.display()))?;
        let profile = Profile::read(&text)
            .map_err(|error| format!("the profile {} is not a kernel's: {error}", path.display()))?;
        Ok(Linux { analysis: A::load(arguments)?, state: State::Searching(Box::new(profile), 0) })
    }

    fn watch(&mut self, cpu: Cpu<'_>, address: u64) -> Option<Vec<u64>> {
        let State::Searching(profile, tries) = &mut self.state else { return Some(Vec::new()) };
        if !cpu.is_64_bit() {
            self.fail(&Unfollowable::Target);
            return Some(Vec::new());
        }
        // Under page-table isolation most of the kernel is not there as long as a process runs.
        if address < KERNEL_HALF {
            return None;
        }
        *tries += 1;
        if *tries > TRIES && !tries.is_power_of_two() {
            return None;
        }
        match Kernel::find(profile, &cpu) {
            Ok(None) => None,
            Ok(Some(kernel)) => {
                let follower = Follower::new(kernel);
                follower.begin(&cpu, &mut |guest, event| self.analysis.event(guest, event));
                let sites = follower.kernel().sites().collect();
                self.state = State::Found(Box::new(follower));
                Some(sites)
            }
            Err(why) => {
                self.fail(&why);
                Some(Vec::new())
            }
        }
    }

    fn reached(&mut self, cpu: Cpu<'_>, address: u64) {
        if let State::Found(follower) = &mut self.state {
            follower.reach(&cpu, address, &mut |guest, event| self.analysis.event(guest, event));
        }
    }

    fn unload(mut self, panda: &Panda) {
        if matches!(self.state, State::Searching(..)) {
            self.fail(&Unfollowable::NotFound);
        }
        self.analysis.unload(panda);
    }
}

/// Makes a type with the trait [`Analysis`] the plugin of this crate.
#[macro_export]
macro_rules! export {
    ($analysis:ty) => {
        $crate::panda_plugin::export!($crate::Linux<$analysis>);
    };
}

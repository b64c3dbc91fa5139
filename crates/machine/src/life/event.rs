//! What happens to a machine, and what is to be done about it.

/// What happens to a machine. Every event comes with its time, counted from the machine's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// PANDA has ended.
    Exited,
    /// A file has changed that PANDA writes.
    Changed,
    /// There are signs from outside that the guest has booted.
    Booted,
    /// The guest's kernel has given up.
    Panicked,
    /// The guest has told recctrl something, which it can only once it has booted.
    Heard,
    /// The guest runs its bootstrap disk.
    Bootstraps,
    /// A script of the bootstrap disk has failed.
    BootstrapFailed,
    /// The command's exit status is known; the guest's startup may have something more to say.
    CommandEnded,
    /// The guest's startup has come to its end.
    SaidAll,
    /// PANDA has said something.
    Output,
    /// What PANDA says waits to be read: as long as it does, PANDA's silence means nothing.
    Held,
    /// PANDA has closed its output, and is about to end.
    Hangup,
    /// The guest has made the host keep as much as it may.
    Reached(Bound),
    /// Ctrl-C or SIGTERM.
    Interrupt,
    /// The machine's state has been saved.
    Saved,
    /// It has not, and will not be.
    NotSaved,
    /// What PANDA writes cannot be followed any more.
    Lost,
    /// A deadline has come.
    Due,
}

/// What is to be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look at what PANDA has written.
    Look,
    /// Tell what was noticed, and look for no more signs of a boot.
    Tell(Notice),
    /// Save the machine's state; then `Saved` or `NotSaved`.
    Save,
    /// Ask PANDA to end, with which it properly ends a recording that is on.
    Terminate,
    /// End PANDA on the spot.
    Kill,
    /// It is over. Nothing comes after this.
    Over(Ended),
}

/// What is noticed of a machine on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The guest has booted.
    Booted,
    /// It has booted, and does not look at its bootstrap disk.
    NoHook,
}

/// Who has ended a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// PANDA, by itself: the guest has powered off, the monitor or a plugin has quit, or it died.
    Itself,
    /// pandacap, for what the machine was started for is done.
    Done,
    /// pandacap, before that.
    Cut(Cut),
}

impl Ended {
    /// Why it was ended before its time, if it was.
    pub fn cut(self) -> Option<Cut> {
        if let Ended::Cut(cut) = self { Some(cut) } else { None }
    }
}

/// Why a machine was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Ctrl-C or SIGTERM.
    Interrupt,
    /// It ran for as long as it may.
    Timeout,
    /// The guest has made the host keep as much as it may.
    Bound(Bound),
    /// The guest has not booted in time.
    Boot,
    /// The guest's kernel has given up.
    Panic,
    /// A script of the bootstrap disk has failed.
    Bootstrap,
    /// The guest does not look at its bootstrap disk, where the command is.
    NoHook,
    /// PANDA was silent for too long.
    Silence,
    /// The machine's state could not be saved.
    NotSaved,
    /// What PANDA writes cannot be followed any more.
    Lost,
}

/// A bound on what a guest may make the host keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// This file is as large as it may be.
    Output(&'static str),
    /// The disk is full.
    Space,
}

//! Other plugins that follow recordings: which events each follows, and how it is called.

use std::ffi::{CString, c_void};

use panda_plugin::recctrl::abi::{Began, BeganWith, Ended, EndedWith, Message, MessageWith};
use parking_lot::Mutex;

/// Something that followers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A recording has begun.
    Began {
        /// The recording.
        name: CString,
    },
    /// A recording is complete on disk.
    Ended {
        /// The recording.
        name: CString,
        /// Why, in the events file's word.
        why: CString,
        /// Guest instructions in it.
        instructions: u64,
    },
    /// The guest left a note.
    Message {
        /// Its bytes, as the guest wrote them.
        text: Vec<u8>,
    },
}

/// A function of another plugin, by what it follows.
#[derive(Clone, Copy, Debug)]
pub enum Follower {
    /// Hears of beginnings.
    Began(Began),
    /// The same, with its context.
    BeganWith(BeganWith, *mut c_void),
    /// Hears of ends.
    Ended(Ended),
    /// The same, with its context.
    EndedWith(EndedWith, *mut c_void),
    /// Hears of the guest's messages.
    Message(Message),
    /// The same, with its context.
    MessageWith(MessageWith, *mut c_void),
}

// SAFETY: a context is never touched here, only handed back to the plugin that gave it, on a thread of PANDA's.
unsafe impl Send for Follower {}

impl Follower {
    /// What tells followers apart: kind, function and context.
    fn identity(&self) -> (u8, usize, usize) {
        match *self {
            Follower::Began(function) => (0, function as usize, 0),
            Follower::BeganWith(function, context) => (1, function as usize, context as usize),
            Follower::Ended(function) => (2, function as usize, 0),
            Follower::EndedWith(function, context) => (3, function as usize, context as usize),
            Follower::Message(function) => (4, function as usize, 0),
            Follower::MessageWith(function, context) => (5, function as usize, context as usize),
        }
    }

    /// Calls it, if this is what it follows.
    fn tell(&self, news: &News) {
        // SAFETY: the plugin that registered a function keeps it, with this signature, until it removes it; the
        // texts end with a NUL, the message is as long as we say, and both outlive the call.
        unsafe {
            match (*self, news) {
                (Follower::Began(function), News::Began { name }) => function(name.as_ptr()),
                (Follower::BeganWith(function, context), News::Began { name }) => {
                    function(context, name.as_ptr());
                }
                (Follower::Ended(function), News::Ended { name, why, instructions }) => {
                    function(name.as_ptr(), why.as_ptr(), *instructions);
                }
                (Follower::EndedWith(function, context), News::Ended { name, why, instructions }) => {
                    function(context, name.as_ptr(), why.as_ptr(), *instructions);
                }
                (Follower::Message(function), News::Message { text }) => {
                    function(text.as_ptr().cast(), text.len());
                }
                (Follower::MessageWith(function, context), News::Message { text }) => {
                    function(context, text.as_ptr().cast(), text.len());
                }
                _ => {}
            }
        }
    }
}

impl PartialEq for Follower {
    fn eq(&self, other: &Follower) -> bool {
        self.identity() == other.identity()
    }
}

/// All followers, in the order in which they came.
#[derive(Default)]
pub struct Followers(Mutex<Vec<Follower>>);

impl Followers {
    /// One more; one that is there already hears everything twice, as elsewhere in PANDA.
    pub fn add(&self, follower: Follower) {
        self.0.lock().push(follower);
    }

    /// One less; false when it was not there.
    pub fn remove(&self, follower: Follower) -> bool {
        let mut followers = self.0.lock();
        let place = followers.iter().position(|other| *other == follower);
        place.map(|place| followers.remove(place)).is_some()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Tells all of them, with no lock held: a follower may add and remove followers, itself too.
    pub(crate) fn tell(&self, news: &[News]) {
        for news in news {
            let followers = self.0.lock().clone();
            for follower in followers {
                // It may have been removed by the one before it.
                if self.0.lock().contains(&follower) {
                    follower.tell(news);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_char;

    use super::*;

    type Heard = Mutex<Vec<String>>;

    unsafe extern "C" fn hear(context: *mut c_void, text: *const c_char, len: usize) {
        // SAFETY: the tests below register a `Heard` that they keep, and tell texts with their lengths.
        let (heard, text) =
            unsafe { (&*context.cast::<Heard>(), std::slice::from_raw_parts(text.cast(), len)) };
        heard.lock().push(String::from_utf8_lossy(text).into_owned());
    }

    fn message(text: &str) -> [News; 1] {
        [News::Message { text: text.into() }]
    }

    #[test]
    fn a_follower_hears_what_it_follows_until_it_is_removed() {
        let (followers, heard) = (Followers::default(), Heard::default());
        let follower = Follower::MessageWith(hear, ptr_of(&heard));
        followers.add(follower);
        followers.tell(&[News::Began { name: c"a".into() }]);
        followers.tell(&message("one"));
        assert!(followers.remove(follower));
        assert!(!followers.remove(follower));
        followers.tell(&message("two"));
        assert_eq!(*heard.lock(), ["one"]);
    }

    #[test]
    fn the_same_function_with_another_context_is_another_follower() {
        let (followers, first, second) = (Followers::default(), Heard::default(), Heard::default());
        let [to_first, to_second] = [&first, &second].map(|heard| Follower::MessageWith(hear, ptr_of(heard)));
        followers.add(to_first);
        followers.add(to_second);
        followers.remove(to_first);
        followers.tell(&message("one"));
        assert_eq!((first.lock().len(), second.lock().len()), (0, 1));
    }

    fn ptr_of(heard: &Heard) -> *mut c_void {
        (&raw const *heard).cast_mut().cast()
    }
}

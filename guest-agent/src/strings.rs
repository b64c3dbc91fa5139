//! The strings that a process is started with, read where the kernel has put them.

use crate::slices::{same, split_once};
use core::{
    ffi::{CStr, c_char},
    marker::PhantomData,
    ptr::NonNull,
    slice,
};

/// A NUL-terminated string, as one pointer.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text<'a>(NonNull<c_char>, PhantomData<&'a CStr>);

impl<'a> From<&'a CStr> for Text<'a> {
    fn from(text: &'a CStr) -> Text<'a> {
        Text::new(text)
    }
}

// SAFETY: a reference to immutable bytes.
unsafe impl Sync for Text<'_> {}

impl<'a> Text<'a> {
    /// A C string.
    pub const fn new(text: &'a CStr) -> Text<'a> {
        // SAFETY: a string's pointer is not null.
        Text(unsafe { NonNull::new_unchecked(text.as_ptr().cast_mut()) }, PhantomData)
    }

    /// What these bytes begin with, up to the first NUL.
    ///
    /// # Safety
    /// One of the bytes is a NUL.
    pub(crate) unsafe fn up_to_nul(bytes: &'a [u8]) -> Text<'a> {
        Text(NonNull::from(bytes).cast(), PhantomData)
    }

    /// The bytes before the NUL.
    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: the type's only constructors promise a NUL-terminated string that lives for 'a.
        unsafe { CStr::from_ptr(self.0.as_ptr()) }.to_bytes()
    }

    /// Where it begins.
    pub fn as_ptr(self) -> *const c_char {
        self.0.as_ptr()
    }
}

/// An array of strings that a null pointer ends, as `execve` takes it; iterating leaves the rest of them.
#[derive(Clone)]
pub struct Strings<'a>(&'a [Option<Text<'a>>]);

impl<'a> Strings<'a> {
    /// Takes an array whose only `None` is its last element; `None` for any other.
    pub fn new(strings: &'a [Option<Text<'a>>]) -> Option<Strings<'a>> {
        let end = strings.iter().position(Option::is_none)?;
        (end + 1 == strings.len()).then_some(Strings(strings))
    }

    /// Takes the array at `first`, however long it is.
    ///
    /// # Safety
    /// `first` points at pointers to NUL-terminated strings with a null pointer after the last one; none
    /// of it changes during 'a.
    pub unsafe fn from_raw(first: *const *const c_char) -> Strings<'a> {
        let mut len = 1;
        // SAFETY: the caller's promise; every pointer up to here was not the null that ends the array.
        while unsafe { !(*first.add(len - 1)).is_null() } {
            len += 1;
        }
        // SAFETY: `Option<Text>` is a nullable pointer, and the caller promises strings behind them.
        Strings(unsafe { slice::from_raw_parts(first.cast(), len) })
    }

    /// The value of a variable, if these are an environment's `NAME=value` strings; empty without it.
    ///
    /// Of several the last one counts, as for shells: `pam_exec.so` puts its own behind what users have set.
    pub fn variable(&self, name: &[u8]) -> &'a [u8] {
        let values = self.clone().filter_map(|entry| match split_once(entry, b'=') {
            (found, value) if same(found, name) => value,
            _ => None,
        });
        values.last().unwrap_or_default()
    }

    /// Whether there is none left.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, [None, ..])
    }

    /// Where the array begins, for `execve`.
    pub fn as_ptr(&self) -> *const Option<Text<'a>> {
        self.0.as_ptr()
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let [Some(first), rest @ ..] = self.0 else { return None };
        self.0 = rest;
        Some(first.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_needs_its_end() {
        let a = Some(Text::from(c"a"));
        assert!(Strings::new(&[a, None]).is_some());
        assert!(Strings::new(&[None]).is_some());
        assert!(Strings::new(&[a]).is_none());
        assert!(Strings::new(&[a, None, a, None]).is_none());
        assert!(Strings::new(&[]).is_none());
    }

    #[test]
    fn the_kernels_array_is_read_up_to_its_null() {
        let raw = [c"recctrlu".as_ptr(), c"\xff\xfe".as_ptr(), core::ptr::null(), c"beyond".as_ptr()];
        // SAFETY: three literals' pointers with a null among them.
        let strings = unsafe { Strings::from_raw(raw.as_ptr()) };
        assert!(strings.eq([b"recctrlu".as_slice(), b"\xff\xfe"]));
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let env = [c"PATHS=no", c"PATH=/first", c"PATH=/bin:/sbin", c"EMPTY=", c"odd"];
        let env = env.map(|text| Some(Text::from(text)));
        let env = [env[0], env[1], env[2], env[3], env[4], None];
        let env = Strings::new(&env).expect("it ends");
        assert_eq!(env.variable(b"PATH"), b"/bin:/sbin");
        assert_eq!(env.variable(b"EMPTY"), b"");
        assert_eq!(env.variable(b"odd"), b"");
        assert_eq!(env.variable(b"PAT"), b"");
    }
}

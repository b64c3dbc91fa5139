//! The libFuzzer target for [`pandacap_fuzz::snapshot`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| pandacap_fuzz::snapshot(input));

#[cfg(not(fuzzing))]
fn main() {}

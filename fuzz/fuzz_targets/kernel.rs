//! The libFuzzer target for [`pandacap_fuzz::kernel`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| pandacap_fuzz::kernel(input));

#[cfg(not(fuzzing))]
fn main() {}

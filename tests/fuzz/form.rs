//! Form data, as bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrigger_fuzz::wire::form::fuzz::fuzz_form(data));

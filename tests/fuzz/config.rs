//! Configuration files: see the body of the target in its room.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrigger_fuzz::config::fuzz_config(data));

//! Segments, seals and checkpoints: see the body of the target in its room.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| outrigger_fuzz::journal::format::fuzz::fuzz_journal(data)
);

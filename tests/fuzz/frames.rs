//! Frames of HTTP/2, in any pieces: see the body of the target in its room.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrigger_fuzz::wire::frames::fuzz::fuzz_frames(data));

//! Every file of the fuzz corpora, replayed through the fuzz bodies on the stable toolchain, so that what a fuzzer once
//! found stays found. Must never skip a file it cannot read.

use std::io;
use std::panic::catch_unwind;
use std::path::Path;

use outrigger::{config, journal, wire};

#[test]
fn head() -> io::Result<()> {
    replay("head", wire::head::fuzz::fuzz_head)
}

#[test]
fn frames() -> io::Result<()> {
    replay("frames", wire::frames::fuzz::fuzz_frames)
}

#[test]
fn sse() -> io::Result<()> {
    replay("sse", wire::sse::fuzz::fuzz_sse)
}

#[test]
fn json_scan() -> io::Result<()> {
    replay("json_scan", wire::json_scan::fuzz::fuzz_json_scan)
}

#[test]
fn form() -> io::Result<()> {
    replay("form", wire::form::fuzz::fuzz_form)
}

#[test]
fn config() -> io::Result<()> {
    replay("config", config::fuzz_config)
}

#[test]
fn journal_files() -> io::Result<()> {
    replay("journal", journal::format::fuzz::fuzz_journal)
}

/// Each file whole, and beginnings of it: a peer may stop anywhere.
fn replay(target: &str, fuzz: fn(&[u8])) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let data = std::fs::read(entry.path())?;
        let stride = data.len() / BEGINNINGS + 1;
        for end in (0..data.len()).step_by(stride).chain([data.len()]) {
            let outcome = catch_unwind(|| fuzz(&data[..end]));
            assert!(
                outcome.is_ok(),
                "{target}/{name}, its first {end} of {} bytes",
                data.len()
            );
        }
        replayed += 1;
    }
    assert!(replayed >= 12, "{target}: only {replayed} seeds");
    Ok(())
}

/// How many beginnings of a file are tried.
const BEGINNINGS: usize = 32;

//! Segments that somebody may be writing to while they are read: a read is not of one moment, so a page that was copied
//! before a write may stand before one that was copied behind it. Must never take that for what somebody has changed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::format::{Found, Scan, SegmentHead};
use super::shelf::MOST_BYTES;
use crate::host;
use crate::host::files::read_capped;

/// The bytes of a segment, as far as they had been written at one moment.
///
/// # Errors
/// It cannot be read; it may be let go of at any moment.
pub(super) fn read_live(path: &Path) -> Result<Vec<u8>, host::Error> {
    let bytes = read_capped(path, MOST_BYTES)?;
    let Some(end) = end_of_odd(&bytes) else {
        return Ok(bytes);
    };
    // What stands before a whole frame was written before it, so it is there by now. What is odd then, is.
    let mut again = read_capped(path, MOST_BYTES)?;
    if again != bytes {
        again.truncate(end);
    }
    Ok(again)
}

/// Where the last whole frame ends, if there are bytes that are none.
fn end_of_odd(bytes: &[u8]) -> Option<usize> {
    let mut scan = Scan::new(bytes, SegmentHead::BYTES);
    let (mut end, mut is_odd) = (SegmentHead::BYTES, false);
    while let Some((range, found)) = scan.step() {
        match found {
            Found::Frame(_) => end = range.end,
            Found::Damage(_) | Found::Torn => is_odd = true,
        }
    }
    is_odd.then_some(end)
}

/// Whether anything was written behind the head of a segment. If so, the one before is finished.
pub(super) fn is_begun(path: &Path) -> bool {
    let mut length = [0; 4];
    let at = u64::try_from(SegmentHead::BYTES).unwrap_or(u64::MAX);
    File::open(path).is_ok_and(|file| file.read_exact_at(&mut length, at).is_ok())
        && length != [0; 4]
}

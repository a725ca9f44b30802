//! The body of the fuzz target: whatever bytes claim to be a segment, a seal or a checkpoint. Must never accept what it
//! would not write the same way.

use super::checkpoint::ChainHead;
use super::{CheckpointLine, Found, Frame, Scan, Seal, SegmentHead, compose};
use crate::units::NanoUsd;

/// For fuzzing: walks over the bytes in every way there is.
///
/// # Panics
/// If a promise is broken.
pub fn fuzz_journal(data: &[u8]) {
    if let Some(head) = SegmentHead::parse(data) {
        assert_eq!(SegmentHead::parse(&head.encode()), Some(head));
    }
    let mut scan = Scan::new(data, 0);
    let mut until = 0;
    while let Some((range, found)) = scan.step() {
        assert!(range.start == until && range.end > range.start && range.end <= data.len());
        until = scan.at();
        if let Found::Frame(frame) = found {
            assert_eq!(frame.bytes, &data[range]);
            recomposed(&frame);
        }
    }
    if let Some((seal, signed, _)) = Seal::parse(data) {
        assert_eq!(seal.encode(), signed, "one way to write a seal");
    }
    if let Ok(line) = std::str::from_utf8(data)
        && let Some((parsed, _, signature)) = CheckpointLine::parse(line)
    {
        assert_eq!(
            parsed.with_signature(&signature),
            line,
            "one way to write a line"
        );
    }
}

/// A frame that is read is written the same again, but for what the payload's sealing and the chain decide.
fn recomposed(frame: &Frame<'_>) {
    _ = ChainHead::list(frame.payload).map(Iterator::count);
    let windows: Vec<(_, NanoUsd)> = frame.windows.iter().collect();
    if windows.len() > super::MOST_WINDOWS || !frame.head.flags.has(super::Flags::CLEAR) {
        return;
    }
    let mut again = Vec::new();
    compose(
        &mut again,
        &frame.head,
        &windows,
        frame.payload,
        &super::InTheClear,
        super::Chain::default(),
    );
    let clear = frame.bytes.len() - 32;
    assert_eq!(again.len(), frame.bytes.len());
    assert_eq!(again[8..clear], frame.bytes[8..clear]);
}

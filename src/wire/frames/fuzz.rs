//! The fuzz body of the frames, callable from a fuzz target and from tests: followed in pieces they are what a reader of
//! the whole would find. Must never be called by the program itself.

use super::{Frame, Frames, Kind, PREFACE};

/// For fuzzing: the first byte says whose side it is and how the rest is cut.
///
/// # Panics
///
/// Where pieces are followed otherwise than the whole, or the whole otherwise than it stands there: that is how a fuzz
/// target reports.
pub fn fuzz_frames(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else {
        return;
    };
    let of_client = how & 1 == 0;
    let start = || {
        if of_client {
            Frames::of_client()
        } else {
            Frames::of_server()
        }
    };
    let (mut pieces, mut seen) = (start(), Vec::new());
    for piece in bytes.chunks(usize::from(how >> 1) + 1) {
        pieces.advance(piece, |frame| seen.push(frame));
    }
    let (mut whole, mut at_once) = (start(), Vec::new());
    whole.advance(bytes, |frame| at_once.push(frame));
    assert_eq!(seen, at_once, "frames of pieces");
    assert_eq!(
        format!("{pieces:?}"),
        format!("{whole:?}"),
        "state of pieces"
    );
    let read = Read::all(bytes, of_client);
    assert_eq!(seen, read.frames, "frames");
    assert_eq!(
        (whole.heads(), whole.refusals()),
        (read.heads, read.refusals),
        "counts"
    );
    assert_eq!(whole.is_between(), read.is_between, "the end");
    assert!(!whole.is_opening() || whole.is_amid(), "a head is no body");
}

/// What stands in bytes that are all there.
struct Read {
    frames: Vec<Frame>,
    heads: u64,
    refusals: u64,
    /// Whether nothing is left that belongs to no whole frame.
    is_between: bool,
}

impl Read {
    fn all(bytes: &[u8], of_client: bool) -> Self {
        let preface = if of_client { PREFACE.len() } else { 0 };
        let mut read = Self {
            frames: Vec::new(),
            heads: 0,
            refusals: 0,
            is_between: false,
        };
        let Some(mut rest) = bytes.get(preface..) else {
            return read;
        };
        let (mut newest, mut opens, mut in_head) = (0, false, false);
        while let Some((head, behind)) = rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
            let length = u32::from_be_bytes([0, a, b, c]);
            let kind = match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                3 => Kind::Reset,
                7 => Kind::GoAway,
                9 => Kind::Continuation,
                _ => Kind::Control,
            };
            read.frames.push(Frame {
                kind,
                length,
                flags,
                stream,
            });
            if kind == Kind::Headers {
                opens = stream > newest;
                newest = newest.max(stream);
            }
            if matches!(kind, Kind::Headers | Kind::Continuation) {
                in_head = flags & 4 == 0;
            }
            let Some((payload, next)) = behind.split_at_checked(length as usize) else {
                return read;
            };
            if opens && !in_head {
                read.heads += 1;
                opens = false;
            }
            // Of whatever length: what does not have four bytes ends the connection (RFC 9113 §6.4).
            let reason = payload
                .iter()
                .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            if kind == Kind::Reset && reason == super::REFUSED {
                read.refusals += 1;
            }
            rest = next;
        }
        read.is_between = rest.is_empty();
        read
    }
}

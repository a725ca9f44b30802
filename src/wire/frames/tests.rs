//! Frames in any pieces.

use proptest::prelude::*;

use super::fuzz::fuzz_frames;
use super::{Frame, Frames, Kind, PREFACE};

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
    bytes.extend_from_slice(payload);
    bytes
}

fn follow(frames: &mut Frames, bytes: &[u8]) -> Vec<Frame> {
    let mut seen = Vec::new();
    frames.advance(bytes, |frame| seen.push(frame));
    seen
}

#[test]
fn kinds_and_boundaries_are_seen() {
    let mut frames = Frames::of_client();
    assert!(!frames.is_between() && !frames.is_amid());
    assert_eq!(follow(&mut frames, PREFACE), []);
    assert!(frames.is_between());
    let seen = follow(&mut frames, &frame(4, 0, &[0; 6]));
    assert_eq!(seen[0].kind, Kind::Control);
    assert!(frames.is_between());
    let whole = frames.whole();
    let seen = follow(&mut frames, &frame(1, 0x1, b"head"));
    assert_eq!(seen[0].kind, Kind::Headers);
    assert!(seen[0].ends_stream());
    assert!(frames.is_between() && frames.is_amid(), "a head goes on");
    assert_eq!(frames.whole(), whole);
    follow(&mut frames, &frame(9, 0x4, b""));
    assert!(!frames.is_amid());
    assert_eq!(frames.whole(), whole + 1);
    follow(&mut frames, &frame(0, 0, b"body")[..11]);
    assert!(!frames.is_between() && !frames.is_amid(), "a body may wait");
    follow(&mut frames, b"dy");
    assert_eq!(
        follow(&mut frames, &frame(3, 0, &[0; 4]))[0].kind,
        Kind::Reset
    );
    follow(&mut frames, &frame(6, 0, &[0; 8])[..4]);
    assert!(frames.is_amid(), "half a header");
}

proptest! {
    #[test]
    fn cuts_change_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        let mut whole = Frames::of_server();
        let seen = follow(&mut whole, &bytes);
        let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
        let mut parts = Frames::of_server();
        let mut both = follow(&mut parts, left);
        both.extend(follow(&mut parts, right));
        prop_assert_eq!(seen, both);
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn any_bytes_are_followed_as_they_stand(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_frames(&bytes);
    }

    #[test]
    fn frames_are_followed_as_they_stand(
        how in any::<u8>(),
        frames in proptest::collection::vec((0_u8..10, any::<u8>(), 0_u32..4, proptest::collection::vec(0_u8..8, 0..6)), 0..8),
    ) {
        let mut bytes = vec![how | 1];
        for (kind, flags, stream, payload) in frames {
            let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
            bytes.extend_from_slice(&length[1..]);
            bytes.extend_from_slice(&[kind, flags]);
            bytes.extend_from_slice(&stream.to_be_bytes());
            bytes.extend_from_slice(&payload);
        }
        fuzz_frames(&bytes);
    }
}

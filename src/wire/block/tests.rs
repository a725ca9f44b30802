//! Hits and marks, wherever they stand, and lanes of both kinds.

use super::{Lane, find, marks};

/// The lanes of other processors, checked on this one too.
#[path = "array.rs"]
mod array;

#[test]
fn the_first_hit_is_found_wherever_it_stands() {
    for length in 0..70 {
        for from in 0..=length {
            for at in from..=length {
                let mut bytes = vec![b'.'; length];
                if let Some(rest) = bytes.get_mut(at..) {
                    rest.fill(b'x');
                }
                let found = find(&bytes, from, |lane| lane.is(b'x'));
                assert_eq!(found, at, "{length} {from}");
            }
        }
    }
    assert_eq!(find(b"ab", 3, |lane| lane.at_most(255)), 2);
}

#[test]
fn marks_are_of_the_bytes_that_are_there() {
    for length in 0..200 {
        // A pattern without a period that a shift could hide.
        let bytes: Vec<u8> = (0..length)
            .map(|at: usize| b".x"[usize::from((at * at / 7 + at).is_multiple_of(3))])
            .collect();
        for from in 0..=length + 2 {
            let [hits, rest] = marks(&bytes, from, |lane| [lane.is(b'x'), lane.is(b'.')]);
            for at in 0..64 {
                let byte = bytes.get(from + at);
                assert_eq!(hits >> at & 1 == 1, byte == Some(&b'x'), "{length} {from}");
                assert_eq!(rest >> at & 1 == 1, byte == Some(&b'.'), "{length} {from}");
            }
        }
    }
}

macro_rules! check_lanes {
    ($lane:ty) => {
        for byte in 0..=255_u8 {
            for place in 0..16 {
                let mut bytes = [byte ^ 0xff; 16];
                bytes[place] = byte;
                let lane = <$lane>::load(&bytes);
                let hits = |hit: &dyn Fn(u8) -> bool| {
                    let bits = bytes.iter().enumerate();
                    bits.map(|(at, &byte)| u32::from(hit(byte)) << at)
                        .sum::<u32>()
                };
                assert_eq!(lane.is(b'"').bits(), hits(&|byte| byte == b'"'));
                assert_eq!((!lane.is(7)).bits(), hits(&|byte| byte != 7));
                assert_eq!(lane.at_most(0x1f).bits(), hits(&|byte| byte < 0x20));
                assert_eq!(
                    (lane.within(b'0', b'9') | lane.with(0x20).within(b'a', b'z')).bits(),
                    hits(&|byte| byte.is_ascii_alphanumeric())
                );
                assert_eq!(lane.flipped(3).is(b'a').bits(), hits(&|byte| byte == b'b'));
                assert_eq!(lane.bits(), hits(&|byte| byte >= 0x80));
            }
        }
    };
}

#[test]
fn lanes_test_every_byte_in_every_place() {
    check_lanes!(Lane);
    check_lanes!(array::Lane);
}

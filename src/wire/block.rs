//! Looks for the first byte that matters, sixteen at a time. Must never be given a test that branches: it would still
//! be right, but slower than one byte at a time. So tests answer with numbers: one for a hit, zero for none.

use std::hint::black_box;

/// The position, at or after `from`, of the first byte that `hit` picks; the length if there is none.
#[inline]
pub(super) fn find(bytes: &[u8], from: usize, hit: impl Fn(u8) -> u8) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        let marks = marks(block, &hit);
        if marks != 0 {
            return bytes.len() - rest.len() + (marks.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    let tail = rest.iter().position(|&byte| hit(byte) != 0);
    bytes.len() - rest.len() + tail.unwrap_or(rest.len())
}

/// A byte of ones for each byte that `hit` picks, the first byte's lowest.
#[inline]
fn marks(block: &[u8; 16], hit: impl Fn(u8) -> u8) -> u128 {
    let mut marks = [0_u8; 16];
    for (mark, &byte) in marks.iter_mut().zip(block) {
        *mark = hit(byte).wrapping_neg();
    }
    // Without the box, the compiler goes on with the marks one by one, or takes them back into a vector.
    u128::from_le_bytes(black_box(marks))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_hit_is_found_wherever_it_stands() {
        for length in 0..70 {
            for from in 0..=length {
                for at in from..=length {
                    let mut bytes = vec![b'.'; length];
                    if let Some(rest) = bytes.get_mut(at..) {
                        rest.fill(b'x');
                    }
                    assert_eq!(
                        find(&bytes, from, |byte| u8::from(byte == b'x')),
                        at,
                        "{length} {from}"
                    );
                }
            }
        }
        assert_eq!(find(b"ab", 3, |_| 1), 2);
    }
}

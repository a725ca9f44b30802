//! Looks for the bytes that matter, sixteen or sixty-four at a time. Must never be given a test that branches.
//!
//! A test gets a [`Lane`] of sixteen bytes and answers with a lane that is all ones where it hits. On x86-64 a lane is
//! a vector register (SSE2, which every such processor has); elsewhere it is an array that the compiler does the same
//! with as far as it can.

#[cfg_attr(target_arch = "x86_64", path = "block/vector.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "block/array.rs")]
mod lane;

pub(super) use lane::Lane;

/// How many bytes a lane has.
const LANE: usize = 16;

/// How many bytes [`marks`] looks at.
pub(super) const BLOCK: usize = 64;

/// The position, at or after `from`, of the first byte that `hit` picks; the length if there is none.
#[inline]
pub(super) fn find(bytes: &[u8], from: usize, hit: impl Fn(Lane) -> Lane) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<LANE>() {
        let bits = hit(Lane::load(block)).bits();
        if bits != 0 {
            return bytes.len() - rest.len() + bits.trailing_zeros() as usize;
        }
        rest = behind;
    }
    if rest.is_empty() {
        return bytes.len();
    }
    let bits = if let Some(last) = bytes.last_chunk::<LANE>() {
        // Some of it is looked at once more.
        hit(Lane::load(last)).bits() >> (LANE - rest.len())
    } else {
        let mut block = [0; LANE];
        block[..rest.len()].copy_from_slice(rest);
        hit(Lane::load(&block)).bits() & ((1 << rest.len()) - 1)
    };
    let at = (bits.trailing_zeros() as usize).min(rest.len());
    bytes.len() - rest.len() + at
}

/// Which of the 64 bytes from `from` on each of the tests picks: bit n is the byte at `from + n`. Bits past the end are
/// zero.
#[inline]
pub(super) fn marks<const N: usize>(
    bytes: &[u8],
    from: usize,
    tests: impl Fn(Lane) -> [Lane; N],
) -> [u64; N] {
    let rest = bytes.get(from..).unwrap_or_default();
    if let Some(block) = rest.first_chunk::<BLOCK>() {
        return marks_of(block, tests);
    }
    let (block, shift) = at_the_end(bytes, rest.len());
    marks_of(&block, tests).map(|marks| marks.checked_shr(shift).unwrap_or_default())
}

/// The hits of a test in the 64 bytes from `from` on, put together, to know whether there is any; where fewer are left,
/// the bytes before them are looked at too, or zeros.
#[inline]
pub(super) fn union(bytes: &[u8], from: usize, test: impl Fn(Lane) -> Lane) -> Lane {
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.first_chunk::<BLOCK>() {
        Some(block) => union_of(block, test),
        None => union_of(&at_the_end(bytes, rest.len()).0, test),
    }
}

#[inline]
fn union_of(block: &[u8; BLOCK], test: impl Fn(Lane) -> Lane) -> Lane {
    let lanes = block.as_chunks::<LANE>().0.iter();
    let none = Lane::load(&[0; LANE]);
    lanes.fold(none, |hits, lane| hits | test(Lane::load(lane)))
}

/// The last 64 bytes, zeros before them if there are fewer, and how many of them come before the last `rest`.
#[inline(never)]
fn at_the_end(bytes: &[u8], rest: usize) -> ([u8; BLOCK], u32) {
    let mut block = [0; BLOCK];
    if let Some(last) = bytes.last_chunk::<BLOCK>() {
        block = *last;
    } else {
        block[BLOCK - bytes.len()..].copy_from_slice(bytes);
    }
    let shift = BLOCK - rest.min(BLOCK);
    (block, u32::try_from(shift).unwrap_or(u32::MAX))
}

#[inline]
fn marks_of<const N: usize>(block: &[u8; BLOCK], tests: impl Fn(Lane) -> [Lane; N]) -> [u64; N] {
    let mut marks = [0; N];
    for (at, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
        let hits = tests(Lane::load(lane));
        for (marks, hits) in marks.iter_mut().zip(hits) {
            *marks |= u64::from(hits.bits()) << (LANE * at);
        }
    }
    marks
}

/// A bit for each byte of a block from this one on.
#[inline]
pub(super) fn from_on(at: usize) -> u64 {
    if at < BLOCK { u64::MAX << at } else { 0 }
}

#[cfg(test)]
mod tests;

//! A lane as an array, for processors that have no vectors which this package knows. Must never branch on a byte.

use std::ops::{BitOr, Not};

/// Sixteen bytes that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Lane([u8; 16]);

impl Lane {
    #[inline]
    pub(in crate::wire) fn load(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }

    #[inline]
    fn test(self, hit: impl Fn(u8) -> bool) -> Self {
        Self(self.0.map(|byte| u8::from(hit(byte)).wrapping_neg()))
    }

    /// All ones where the byte is this one.
    #[inline]
    pub(in crate::wire) fn is(self, wanted: u8) -> Self {
        self.test(|byte| byte == wanted)
    }

    /// All ones where the byte is at most this.
    #[inline]
    pub(in crate::wire) fn at_most(self, most: u8) -> Self {
        self.test(|byte| byte <= most)
    }

    /// All ones where the byte is between these, both included.
    #[inline]
    pub(in crate::wire) fn within(self, least: u8, most: u8) -> Self {
        self.test(|byte| byte.wrapping_sub(least) <= most.wrapping_sub(least))
    }

    /// The bytes with these bits set.
    #[inline]
    pub(in crate::wire) fn with(self, bits: u8) -> Self {
        Self(self.0.map(|byte| byte | bits))
    }

    /// The bytes with these bits the other way round.
    #[inline]
    pub(in crate::wire) fn flipped(self, bits: u8) -> Self {
        Self(self.0.map(|byte| byte ^ bits))
    }

    /// The high bit of each byte, the first byte's lowest: after a test, a bit for each hit.
    #[inline]
    pub(in crate::wire) fn bits(self) -> u32 {
        let (halves, _) = self.0.as_chunks::<8>();
        halves.iter().rev().fold(0, |bits, half| {
            let high = u64::from_le_bytes(*half) >> 7 & 0x0101_0101_0101_0101;
            // Gathers the lowest bits of the eight bytes in the highest byte; no two of the sums meet on the way.
            let gathered = high.wrapping_mul(0x0102_0408_1020_4080) >> 56;
            bits << 8 | u32::try_from(gathered).unwrap_or_default()
        })
    }
}

impl BitOr for Lane {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        let mut both = self;
        for (byte, other) in both.0.iter_mut().zip(other.0) {
            *byte |= other;
        }
        both
    }
}

impl Not for Lane {
    type Output = Self;

    /// After a test: where it does not hit.
    #[inline]
    fn not(self) -> Self {
        self.is(0)
    }
}

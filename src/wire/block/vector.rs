//! A lane in a vector register. Must never use more than SSE2: that is what every x86-64 processor has.

use std::ops::{BitOr, Not};

use safe_arch::{
    bitor_m128i, bitxor_m128i, cmp_eq_mask_i8_m128i, load_unaligned_m128i, m128i, min_u8_m128i,
    move_mask_i8_m128i, set_splat_i8_m128i, sub_i8_m128i,
};

/// Sixteen bytes that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Lane(m128i);

impl Lane {
    #[inline]
    pub(in crate::wire) fn load(bytes: &[u8; 16]) -> Self {
        Self(load_unaligned_m128i(bytes))
    }

    #[inline]
    fn all(byte: u8) -> m128i {
        set_splat_i8_m128i(byte.cast_signed())
    }

    /// All ones where the byte is this one.
    #[inline]
    pub(in crate::wire) fn is(self, byte: u8) -> Self {
        Self(cmp_eq_mask_i8_m128i(self.0, Self::all(byte)))
    }

    /// All ones where the byte is at most this.
    #[inline]
    pub(in crate::wire) fn at_most(self, most: u8) -> Self {
        Self(cmp_eq_mask_i8_m128i(
            min_u8_m128i(self.0, Self::all(most)),
            self.0,
        ))
    }

    /// All ones where the byte is between these, both included.
    #[inline]
    pub(in crate::wire) fn within(self, least: u8, most: u8) -> Self {
        Self(sub_i8_m128i(self.0, Self::all(least))).at_most(most.wrapping_sub(least))
    }

    /// The bytes with these bits set.
    #[inline]
    pub(in crate::wire) fn with(self, bits: u8) -> Self {
        Self(bitor_m128i(self.0, Self::all(bits)))
    }

    /// The bytes with these bits the other way round.
    #[inline]
    pub(in crate::wire) fn flipped(self, bits: u8) -> Self {
        Self(bitxor_m128i(self.0, Self::all(bits)))
    }

    /// The high bit of each byte, the first byte's lowest: after a test, a bit for each hit.
    #[inline]
    pub(in crate::wire) fn bits(self) -> u32 {
        move_mask_i8_m128i(self.0).cast_unsigned()
    }
}

impl BitOr for Lane {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(bitor_m128i(self.0, other.0))
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

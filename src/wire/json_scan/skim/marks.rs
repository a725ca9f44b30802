//! The bytes of a document that give it its shape, found sixty-four at a time: the quotes around strings, and the
//! brackets outside of them. Must never point at a byte that stands in a string.
//!
//! Each block is compared with what matters all at once; which quotes are escaped, and which bytes stand between two
//! quotes, follows from the marks by arithmetic. A string that a block does not see the end of is passed over by the
//! way that is made for long ones, and the next block begins behind it.

use super::super::text;
use crate::wire::block::{self, Lane};

/// Walks over the quotes and brackets.
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    /// Those in the block at `base` that were not given out yet.
    left: u64,
    /// The brackets among them.
    brackets: u64,
    base: usize,
    /// Where the next block begins.
    next: usize,
    /// The quote behind the block that ends the string which begins in it.
    closing: Option<usize>,
    /// Where the last backslash stands that was met, or a string that may have one.
    slash: Option<usize>,
}

impl<'a> Marks<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            left: 0,
            brackets: 0,
            base: 0,
            next: 0,
            closing: None,
            slash: None,
        }
    }

    /// Where the next quote or bracket stands; `None` at the end, and where there is a doubt.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            if let Some(closing) = self.closing.take() {
                return Some(closing);
            }
            self.read()?;
        }
        let at = self.base + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }

    /// Where the next bracket stands; the quotes before it are passed over.
    #[inline]
    pub(super) fn next_bracket(&mut self) -> Option<usize> {
        loop {
            let brackets = self.left & self.brackets;
            if brackets != 0 {
                // All bits above the lowest one.
                self.left &= !(brackets ^ (brackets - 1));
                return Some(self.base + brackets.trailing_zeros() as usize);
            }
            self.read()?;
        }
    }

    /// Whether a string from there on, up to the last mark that was given out, may hold an escape.
    #[inline]
    pub(super) fn may_be_escaped(&self, from: usize) -> bool {
        self.slash.is_some_and(|at| at >= from)
    }

    /// Reads the next block.
    #[inline(never)]
    fn read(&mut self) -> Option<()> {
        self.base = self.next;
        self.closing = None;
        self.bytes.get(self.base)?;
        self.next += block::BLOCK;
        let [quotes, brackets] = block::marks(self.bytes, self.base, |lane| {
            [lane.is(b'"'), is_like_bracket(lane)]
        });
        let odd = block::union(self.bytes, self.base, |lane| {
            lane.is(b'\\') | lane.at_most(0x1f)
        });
        let quotes = if odd.bits() == 0 {
            quotes
        } else {
            self.quotes_among(quotes)?
        };
        let inside = up_to_each(quotes);
        if inside >> 63 == 1 {
            self.pass(quotes.checked_ilog2()?)?;
        }
        self.brackets = brackets & !inside;
        self.left = quotes | self.brackets;
        Some(())
    }

    /// Passes over the string that begins at this bit of the block and goes on behind it.
    fn pass(&mut self, bit: u32) -> Option<()> {
        let from = self.base + bit as usize + 1;
        let (quote, plain) = text::end_of_long(self.bytes, from, from, false)?;
        self.closing = Some(quote);
        self.next = quote + 1;
        if !plain {
            self.slash = Some(quote);
        }
        Some(())
    }

    /// Those of a block's quotes that are not escaped, where it holds backslashes or control bytes.
    #[cold]
    fn quotes_among(&mut self, quotes: u64) -> Option<u64> {
        let [mut slashes, controls] = block::marks(self.bytes, self.base, |lane| {
            [lane.is(b'\\'), lane.at_most(0x1f)]
        });
        let mut quotes = quotes;
        while slashes != 0 {
            let at = slashes.trailing_zeros() as usize;
            // Not in a string, a backslash is no JSON.
            let before = quotes & !block::from_on(at);
            if before.count_ones().is_multiple_of(2) {
                return None;
            }
            let end = at + text::escape(self.bytes, self.base + at)?;
            quotes = before | (quotes & block::from_on(end));
            slashes &= block::from_on(end);
            self.slash = Some(self.base + at);
        }
        // In a string, a control byte is none.
        (controls & up_to_each(quotes) == 0).then_some(quotes)
    }
}

/// Brackets and braces are those of these bytes that stand outside of strings in a document that is JSON; the others are
/// `Y`, `y`, `_` and 0x7f.
#[inline]
fn is_like_bracket(lane: Lane) -> Lane {
    lane.with(0x26).is(0x7f)
}

/// The bits from each odd one (the first, the third, …) up to the one behind it.
#[inline]
const fn up_to_each(bits: u64) -> u64 {
    let mut sum = bits;
    sum ^= sum << 1;
    sum ^= sum << 2;
    sum ^= sum << 4;
    sum ^= sum << 8;
    sum ^= sum << 16;
    sum ^= sum << 32;
    sum
}

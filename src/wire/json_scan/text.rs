//! The insides of strings and numbers: finding the next byte that matters, decoding escapes, telling bulk media.
//! Must never allocate more than the caller bounds.

use super::paths::{MAX_KEY, first_word};
use crate::wire::block::{self, Lane};

/// Reads a number's text as a non-negative integer: digits only, so neither `-1` nor `1.0` nor `1e3`; `None` over
/// `u64::MAX` too.
pub fn integer(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// How far a number has been read (RFC 8259 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// After a number's first byte.
    pub(super) const fn first(byte: u8) -> Self {
        match byte {
            b'-' => Self::Minus,
            b'0' => Self::Zero,
            _ => Self::Digits,
        }
    }

    /// Whether the number may end here.
    pub(super) const fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Digits | Self::Fraction | Self::ExponentDigits
        )
    }

    /// After one more byte; `None` if it does not belong to the number.
    #[inline]
    pub(super) const fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            _ => return None,
        })
    }
}

/// Where the string that starts at `from`, behind its opening quote, ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Its closing quote.
    pub(super) quote: usize,
    /// Whether it is ASCII without escapes.
    pub(super) plain: bool,
    /// Its first eight bytes; what stands behind a shorter one is of no meaning.
    pub(super) first: u64,
}

/// Finds the end of a string that is beyond doubt: whole, its escapes known, without control bytes, and UTF-8 if
/// that matters. `None` means that it has to be looked at byte by byte.
#[expect(
    clippy::inline_always,
    reason = "its callers are the loop that all time is spent in"
)]
#[inline(always)]
pub(super) fn end(bytes: &[u8], from: usize, wants_utf8: bool) -> Option<End> {
    // Most strings are short, and over before a search has set itself up.
    let Some(head) = bytes.get(from..)?.first_chunk::<8>() else {
        return end_of_last(bytes, from);
    };
    let first = u64::from_le_bytes(*head);
    let found = not_plain(first);
    let known = if found == 0 {
        block::find(bytes, from + 8, not_plain_lane)
    } else {
        from + (found.trailing_zeros() / 8) as usize
    };
    if *bytes.get(known)? == b'"' {
        return Some(End {
            quote: known,
            plain: true,
            first,
        });
    }
    let (quote, plain) = end_of_long(bytes, from, known, wants_utf8)?;
    Some(End {
        quote,
        plain,
        first,
    })
}

/// As [`end`], for a plain string in the document's last seven bytes.
#[cold]
fn end_of_last(bytes: &[u8], from: usize) -> Option<End> {
    let rest = bytes.get(from..)?;
    let at = rest
        .iter()
        .position(|&byte| is_special(byte) || byte >= 0x80)?;
    (rest[at] == b'"').then(|| End {
        quote: from + at,
        plain: true,
        first: first_word(&rest[..at]),
    })
}

/// Where a byte is `"`, `\`, a control byte or not ASCII.
#[inline]
fn not_plain_lane(lane: Lane) -> Lane {
    is_stop(lane) | !lane.at_most(0x7f)
}

/// The closing quote of a string that starts at `from` and is plain up to `known`; and whether all of it is. `None` as for
/// [`end`].
#[inline(never)]
pub(super) fn end_of_long(
    bytes: &[u8],
    from: usize,
    known: usize,
    wants_utf8: bool,
) -> Option<(usize, bool)> {
    let (mut at, mut plain) = (known, true);
    let mut wide = Lane::load(&[0; 16]);
    let quote = 'blocks: loop {
        bytes.get(at)?;
        wide = wide | block::union(bytes, at, |lane| lane);
        let next = at + block::BLOCK;
        if block::union(bytes, at, is_stop).bits() == 0 {
            at = next;
            continue;
        }
        let [mut stops] = block::marks(bytes, at, |lane| [is_stop(lane)]);
        let base = at;
        at = next;
        while stops != 0 {
            let stop = base + stops.trailing_zeros() as usize;
            match *bytes.get(stop)? {
                b'"' => break 'blocks stop,
                b'\\' => {
                    plain = false;
                    let end = stop + escape(bytes, stop)?;
                    stops &= block::from_on(end - base);
                    at = next.max(end);
                }
                _ => return None,
            }
        }
    };
    let raw = bytes.get(from..quote)?;
    let unicode = wide.bits() != 0 && !raw.is_ascii();
    if unicode && wants_utf8 && std::str::from_utf8(raw).is_err() {
        return None;
    }
    Some((quote, plain && !unicode))
}

/// Where a byte is `"`, `\` or a control byte.
#[inline]
fn is_stop(lane: Lane) -> Lane {
    // With that bit turned, the quote is next to the control bytes.
    lane.flipped(b'"' ^ 0x20).at_most(0x20) | lane.is(b'\\')
}

/// How long the escape is that begins at `at`; `None` if there is no such escape, or not all of it.
#[inline]
pub(super) fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match *bytes.get(at + 1)? {
        b'n' | b'"' | b'\\' | b'/' | b'b' | b'f' | b'r' | b't' => Some(2),
        b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => Some(6),
        _ => None,
    }
}

/// The position, at or after `from`, of the first `"`, `\`, control or non-ASCII byte; the length if there is none.
pub(super) fn skip_plain(bytes: &[u8], from: usize) -> usize {
    block::find(bytes, from, not_plain_lane)
}

/// As [`skip_plain`], but non-ASCII bytes are skipped too.
pub(super) fn skip_unicode(bytes: &[u8], from: usize) -> usize {
    block::find(bytes, from, is_stop)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is `"`, `\`, a control byte or not ASCII; exact up to and including the first hit.
#[inline]
const fn not_plain(word: u64) -> u64 {
    let quote = (word ^ (LOW * 0x22)).wrapping_sub(LOW);
    let slash = (word ^ (LOW * 0x5c)).wrapping_sub(LOW);
    (quote | slash | word.wrapping_sub(LOW * 0x20) | word) & HIGH
}

#[inline]
const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// Why an escaped string has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is longer than asked for.
    TooLong,
    /// It holds a lone surrogate, or is not UTF-8.
    NotUnicode,
}

/// Puts the inside of a JSON string without escapes onto `out`.
pub(super) fn copy_onto(out: &mut String, raw: &[u8]) -> Result<(), Unreadable> {
    out.push_str(std::str::from_utf8(raw).map_err(|_| Unreadable::NotUnicode)?);
    Ok(())
}

/// Decodes the inside of a valid JSON string onto `out`, at most `limit` bytes; `out` is unchanged on failure.
pub(super) fn decode_onto(out: &mut String, raw: &[u8], limit: usize) -> Result<(), Unreadable> {
    let start = out.len();
    let result = decode_all(out, raw, limit);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn decode_all(out: &mut String, raw: &[u8], limit: usize) -> Result<(), Unreadable> {
    let end = out.len() + limit;
    let text = std::str::from_utf8(raw).map_err(|_| Unreadable::NotUnicode)?;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at(at);
        out.push_str(plain);
        let (decoded, length) = unescape(escape.as_bytes()).ok_or(Unreadable::NotUnicode)?;
        out.push(decoded);
        rest = escape.get(length..).unwrap_or_default();
        if out.len() > end {
            return Err(Unreadable::TooLong);
        }
    }
    out.push_str(rest);
    if out.len() > end {
        Err(Unreadable::TooLong)
    } else {
        Ok(())
    }
}

/// Decodes one escape (or surrogate pair of escapes) and says how many bytes it took.
fn unescape(escape: &[u8]) -> Option<(char, usize)> {
    let simple = match *escape.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(escape),
        other => char::from(other),
    };
    Some((simple, 2))
}

fn unescape_unicode(escape: &[u8]) -> Option<(char, usize)> {
    let first = hex4(escape.get(2..6)?)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|decoded| (decoded, 6));
    }
    if escape.get(6..8)? != b"\\u" {
        return None;
    }
    let second = hex4(escape.get(8..12)?)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|decoded| (decoded, 12))
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| {
        Some(sum << 4 | char::from(digit).to_digit(16)?)
    })
}

/// A key, decoded and with the two non-ASCII letters that fold to ASCII ones (U+017F, U+212A) folded.
pub(super) struct FoldedKey {
    bytes: [u8; MAX_KEY],
    length: usize,
    /// Whether a non-ASCII letter was folded, so that the key cannot be exactly a governed one.
    pub(super) folded: bool,
}

impl FoldedKey {
    /// Decodes the inside of a valid JSON string. `Ok(None)` if it cannot be a governed key.
    pub(super) fn decode(raw: &[u8]) -> Result<Option<Self>, Unreadable> {
        let mut key = Self {
            bytes: [0; MAX_KEY],
            length: 0,
            folded: false,
        };
        let mut governable = true;
        let mut rest = std::str::from_utf8(raw).map_err(|_| Unreadable::NotUnicode)?;
        while let Some(first) = rest.chars().next() {
            let (decoded, length) = match first {
                '\\' => unescape(rest.as_bytes()).ok_or(Unreadable::NotUnicode)?,
                plain => (plain, plain.len_utf8()),
            };
            governable = governable && key.push(decoded);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(governable.then_some(key))
    }

    /// The key, ASCII only.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, decoded: char) -> bool {
        let ascii = match decoded {
            '\u{17f}' => b's',
            '\u{212a}' => b'k',
            plain if plain.is_ascii() => plain as u8,
            _ => return false,
        };
        self.folded |= !decoded.is_ascii();
        let Some(slot) = self.bytes.get_mut(self.length) else {
            return false;
        };
        *slot = ascii;
        self.length += 1;
        true
    }
}

/// How much of a string's beginning [`is_media`] looks at.
pub(super) const MEDIA_HEAD: usize = 256;

/// The shortest string without a `data:` prefix that can be media.
const MEDIA_BYTES: usize = 1024;

/// Whether a string is bulk media rather than text: a base64 `data:` URL (RFC 2397), or long and opening with nothing
/// but base64 (either alphabet; `\` because of `\/` and `\n`). `head` is the first [`MEDIA_HEAD`] bytes, or all.
/// A `data:` that no base64 follows is text, so that no prompt gets under an estimate by its first word.
#[inline]
pub(super) fn is_media(head: &[u8], length: usize) -> bool {
    let scheme = head.first().is_some_and(|first| first | 0x20 == b'd');
    (scheme || length >= MEDIA_BYTES) && looks_like_media(head, length)
}

fn looks_like_media(head: &[u8], length: usize) -> bool {
    let head = head.get(..MEDIA_HEAD).unwrap_or(head);
    match head.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"data:") => is_base64_url(&head[5..]),
        _ => length >= MEDIA_BYTES && head.iter().copied().all(is_base64),
    }
}

fn is_base64_url(rest: &[u8]) -> bool {
    let Some(comma) = memchr::memchr(b',', rest) else {
        return false;
    };
    let (kind, data) = rest.split_at(comma);
    let marker = kind
        .len()
        .checked_sub(7)
        .and_then(|from| kind.get(from..))
        .unwrap_or_default();
    marker.eq_ignore_ascii_case(b";base64") && data.iter().skip(1).copied().all(is_base64)
}

const fn is_base64(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'-' | b'_' | b'=' | b'\\')
}

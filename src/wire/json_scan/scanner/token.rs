//! Strings, numbers and words: the tokens that can be cut by a chunk's end. Must never keep more of a token than can
//! still matter.

use std::ops::Range;

use super::super::paths::{Match, NodeId};
use super::super::text::{self, FoldedKey, Number, Unreadable};
use super::super::{Fault, Kind, Mode};
use super::{Inside, Role, Scanner, State, Stopped, Token};

impl Scanner {
    /// Notes where a token begins, and what for.
    #[inline]
    pub(super) fn begin(&mut self, at: usize, role: Role) {
        self.token = Token {
            start: self.base + at,
            role,
            plain: true,
        };
        self.kept.clear();
    }

    pub(super) fn string(
        &mut self,
        chunk: &[u8],
        from: usize,
        inside: Inside,
    ) -> Result<usize, Stopped> {
        let mut at = from;
        let mut inside = inside;
        loop {
            if inside == Inside::Run {
                at = text::skip_plain(chunk, at);
            }
            let Some(&byte) = chunk.get(at) else { break };
            (inside, at) = match (inside, byte) {
                (Inside::Run, b'"') => return self.end_string(chunk, at),
                (Inside::Run, b'\\') => {
                    self.token.plain = false;
                    (Inside::Escape, at + 1)
                }
                (Inside::Run, 0x80..) => self.unicode(chunk, at)?,
                (Inside::Run, _) => (self.control(at)?, at + 1),
                (Inside::Escape, b'u') => (Inside::Hex(0), at + 1),
                (Inside::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                    (Inside::Run, at + 1)
                }
                (Inside::Escape, _) => return Err(self.malformed(at, "an escape is unknown")),
                (Inside::Hex(3), _) if byte.is_ascii_hexdigit() => (Inside::Run, at + 1),
                (Inside::Hex(digits), _) if byte.is_ascii_hexdigit() => {
                    (Inside::Hex(digits + 1), at + 1)
                }
                (Inside::Hex(_), _) => {
                    return Err(self.malformed(at, "a `\\u` escape wants four hex digits"));
                }
                (Inside::Cut(bytes, length), _) => (self.mend(bytes, length, at, byte)?, at + 1),
            };
        }
        self.state = State::String(inside);
        self.keep(chunk, chunk.len());
        Ok(chunk.len())
    }

    fn control(&mut self, at: usize) -> Result<Inside, Stopped> {
        self.token.plain = false;
        match self.rules.mode {
            Mode::Strict => Err(self.malformed(at, "a control byte stands in a string")),
            Mode::Lenient => Ok(Inside::Run),
        }
    }

    /// Reads on from a non-ASCII byte to the next byte that matters.
    fn unicode(&mut self, chunk: &[u8], at: usize) -> Result<(Inside, usize), Stopped> {
        self.token.plain = false;
        let end = text::skip_unicode(chunk, at);
        if self.rules.mode == Mode::Lenient {
            return Ok((Inside::Run, end));
        }
        let run = chunk.get(at..end).unwrap_or_default();
        let Err(error) = std::str::from_utf8(run) else {
            return Ok((Inside::Run, end));
        };
        let bad = at + error.valid_up_to();
        let cut = chunk.get(bad..).unwrap_or_default();
        if error.error_len().is_some() || end < chunk.len() || cut.len() > 3 {
            return Err(self.malformed(bad, NOT_UTF8));
        }
        let mut bytes = [0; 4];
        let mut length = 0;
        for (slot, &byte) in bytes.iter_mut().zip(cut) {
            *slot = byte;
            length += 1;
        }
        Ok((Inside::Cut(bytes, length), end))
    }

    /// Adds a byte to a UTF-8 sequence that was cut off.
    fn mend(&mut self, bytes: [u8; 4], length: u8, at: usize, byte: u8) -> Result<Inside, Stopped> {
        let mut bytes = bytes;
        let end = usize::from(length) + 1;
        if let Some(slot) = bytes.get_mut(usize::from(length)) {
            *slot = byte;
        }
        match std::str::from_utf8(bytes.get(..end).unwrap_or_default()) {
            Ok(_) => Ok(Inside::Run),
            Err(error) if error.error_len().is_none() => Ok(Inside::Cut(bytes, length + 1)),
            Err(_) => {
                let at = self.base + at - usize::from(length);
                Err(self.fail(Fault::Malformed { at, what: NOT_UTF8 }))
            }
        }
    }

    /// Keeps what the chunk held of the current token before `end`, as far as it can matter later.
    fn keep(&mut self, chunk: &[u8], end: usize) {
        let limit = match self.token.role {
            Role::Key => 0,
            Role::GovernedKey => self.paths.longest_key() * ESCAPED + 1,
            Role::Value => text::MEDIA_HEAD,
            Role::Captured => text::MEDIA_HEAD.max(usize::from(self.rules.max_text) * ESCAPED + 1),
        };
        let from = (self.token.start + 1).saturating_sub(self.base);
        let part = chunk.get(from..end).unwrap_or_default();
        let room = limit.saturating_sub(self.kept.len());
        self.kept
            .extend_from_slice(part.get(..room).unwrap_or(part));
    }

    #[inline]
    fn end_string(&mut self, chunk: &[u8], quote: usize) -> Result<usize, Stopped> {
        let inside = self.token.start + 1;
        let raw_len = self.base + quote - inside;
        let role = self.token.role;
        if role == Role::Key {
            return Ok(self.colon(chunk, quote + 1));
        }
        if let Some(from) = inside.checked_sub(self.base) {
            let raw = chunk.get(from..quote).unwrap_or_default();
            self.end_raw(raw, raw_len)?;
        } else {
            self.keep(chunk, quote);
            let kept = std::mem::take(&mut self.kept);
            let ended = self.end_raw(&kept, raw_len);
            self.kept = kept;
            ended?;
        }
        if role == Role::GovernedKey {
            return Ok(self.colon(chunk, quote + 1));
        }
        self.end_value();
        Ok(quote + 1)
    }

    /// Goes on behind a key; past the colon, if it stands right there.
    #[inline]
    fn colon(&mut self, chunk: &[u8], at: usize) -> usize {
        let there = chunk.get(at) == Some(&b':');
        self.state = if there { State::Value } else { State::Colon };
        at + usize::from(there)
    }

    /// Ends a string whose inside is `raw_len` bytes long; `raw` is all of it, or as much as is ever looked at.
    #[inline]
    fn end_raw(&mut self, raw: &[u8], raw_len: usize) -> Result<(), Stopped> {
        let span = self.token.start..self.token.start + raw_len + 2;
        if self.token.role == Role::GovernedKey {
            return self.governed_key(raw, span);
        }
        if text::is_media(raw, raw_len) {
            self.scan.media_items = self.scan.media_items.saturating_add(1);
        } else {
            self.scan.text_bytes += raw_len as u64;
        }
        if self.token.role == Role::Captured {
            let text = self.capture(raw, raw_len)?;
            self.record(Kind::String, span, text)?;
        }
        Ok(())
    }

    fn governed_key(&mut self, raw: &[u8], span: Range<usize>) -> Result<(), Stopped> {
        let at = span.start;
        self.node = NodeId::CONTENT;
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let found = if self.token.plain {
            self.paths.lookup(frame.node, raw)
        } else if raw.len() > self.paths.longest_key() * ESCAPED {
            None
        } else {
            match FoldedKey::decode(raw) {
                Ok(key) => key.and_then(|key| {
                    let found = self.paths.lookup(frame.node, key.as_bytes())?;
                    Some(Match {
                        exact: found.exact && !key.folded,
                        ..found
                    })
                }),
                Err(_) if self.rules.mode == Mode::Lenient => None,
                Err(_) => {
                    let what = "a key holds a lone surrogate";
                    return Err(self.fail(Fault::Malformed { at, what }));
                }
            }
        };
        let Some(found) = found else { return Ok(()) };
        let again = frame.seen >> found.bit & 1 == 1;
        if self.rules.mode == Mode::Strict && (again || !found.exact) {
            let (path, key) = (self.paths.witness(found.node), found.name);
            return Err(self.fail(if found.exact {
                Fault::Duplicate { path, key, at }
            } else {
                Fault::Variant { path, key, at }
            }));
        }
        if found.exact {
            frame.seen |= 1 << found.bit;
            self.node = found.node;
            self.key = span;
        }
        Ok(())
    }

    /// Puts the text of a captured string into the store.
    fn capture(&mut self, raw: &[u8], raw_len: usize) -> Result<Option<Range<u32>>, Stopped> {
        let limit = usize::from(self.rules.max_text);
        let start = self.scan.texts.len();
        let most = if self.token.plain {
            limit
        } else {
            limit * ESCAPED
        };
        let stored = if raw_len > most {
            Err(Unreadable::TooLong)
        } else {
            text::decode_onto(&mut self.scan.texts, raw, limit)
        };
        match (stored, self.rules.mode) {
            (Ok(()), _) => Ok(store_range(start, self.scan.texts.len())),
            (Err(_), Mode::Lenient) => Ok(None),
            (Err(Unreadable::NotUnicode), Mode::Strict) => {
                let (at, what) = (self.token.start, "a governed string holds a lone surrogate");
                Err(self.fail(Fault::Malformed { at, what }))
            }
            (Err(Unreadable::TooLong), Mode::Strict) => Err(self.too_long()),
        }
    }

    pub(super) fn number(
        &mut self,
        chunk: &[u8],
        from: usize,
        number: Number,
    ) -> Result<usize, Stopped> {
        let mut number = number;
        let mut at = from;
        while let Some(&byte) = chunk.get(at) {
            match number.next(byte) {
                Some(next) => number = next,
                None if number.is_complete() => return self.end_number(chunk, at),
                None => return Err(self.malformed(at, "a number wants a digit here")),
            }
            at += 1;
        }
        self.state = State::Number(number);
        if self.token.role == Role::Captured {
            if self.kept.is_empty() {
                self.keep_first(chunk);
            }
            self.keep(chunk, chunk.len());
        }
        Ok(at)
    }

    /// A number's first byte belongs to it, unlike a string's quote.
    fn keep_first(&mut self, chunk: &[u8]) {
        let first = self
            .token
            .start
            .checked_sub(self.base)
            .and_then(|at| chunk.get(at));
        self.kept.extend(first);
    }

    #[inline]
    pub(super) fn end_number(&mut self, chunk: &[u8], end: usize) -> Result<usize, Stopped> {
        if self.token.role == Role::Captured {
            let start = self.token.start;
            let span = start..self.base + end;
            let store = self.scan.texts.len();
            let length = span.len();
            if length <= usize::from(self.rules.max_text) {
                let fresh = start.checked_sub(self.base);
                if fresh.is_none() {
                    self.keep(chunk, end);
                }
                let raw = match fresh {
                    Some(from) => chunk.get(from..end).unwrap_or_default(),
                    None => &self.kept,
                };
                self.scan
                    .texts
                    .extend(raw.iter().map(|&byte| char::from(byte)));
            } else if self.rules.mode == Mode::Strict {
                return Err(self.too_long());
            }
            let text = store_range(store, self.scan.texts.len()).filter(|text| !text.is_empty());
            self.record(Kind::Number, span, text)?;
        }
        self.end_value();
        Ok(end)
    }

    pub(super) fn word(
        &mut self,
        chunk: &[u8],
        from: usize,
        kind: Kind,
        rest: &'static [u8],
    ) -> Result<usize, Stopped> {
        let mut at = from;
        let mut rest = rest;
        while let Some((&wanted, behind)) = rest.split_first() {
            let Some(&byte) = chunk.get(at) else {
                self.state = State::Word(kind, rest);
                return Ok(at);
            };
            if byte != wanted {
                return Err(self.malformed(at, "a word is not `true`, `false` or `null`"));
            }
            at += 1;
            rest = behind;
        }
        if self.token.role == Role::Captured {
            self.record(kind, self.token.start..self.base + at, None)?;
        }
        self.end_value();
        Ok(at)
    }

    #[cold]
    fn too_long(&mut self) -> Stopped {
        let path = self.paths.witness(self.node);
        self.fail(Fault::TooLong {
            path,
            at: self.token.start,
        })
    }
}

const NOT_UTF8: &str = "a string is not UTF-8";

/// A range of the text store. Its size is bounded by the rules, far below 4 GiB with any sensible ones.
fn store_range(start: usize, end: usize) -> Option<Range<u32>> {
    Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
}

/// The most bytes that one byte of decoded text takes when escaped.
const ESCAPED: usize = 6;

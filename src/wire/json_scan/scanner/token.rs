//! Strings, numbers and words: the tokens that can be cut by a chunk's end. Must never keep more of a token than can
//! still matter.

use std::ops::Range;

use super::super::paths::{Match, Node, NodeId, first_word};
use super::super::text::{self, FoldedKey, Number, Unreadable};
use super::super::{Fault, Kind, Mode};
use super::{Inside, Next, Role, Scanner, State, Step, Stopped, Token};

impl Scanner {
    /// Reads a key from its opening quote on, and the colon if it stands right behind.
    #[inline]
    pub(super) fn open_key(&mut self, chunk: &[u8], at: usize) -> Step {
        let Some(end) = text::end(chunk, at + 1, self.rules.mode == Mode::Strict) else {
            let role = match self.keyed {
                Some(_) => Role::GovernedKey,
                None => Role::Key,
            };
            return self.string_slowly(chunk, at, role);
        };
        if let Some(keys) = self.keyed {
            let raw = chunk.get(at + 1..end.quote).unwrap_or_default();
            let span = self.base + at..self.base + end.quote + 1;
            let found = if end.plain {
                keys.lookup(raw, end.first)
            } else {
                self.decode_key(keys, raw, span.start)?
            };
            self.governed_key(found, span)?;
        }
        Ok(if chunk.get(end.quote + 1) == Some(&b':') {
            (Next::Value, end.quote + 2)
        } else {
            (Next::Colon, end.quote + 1)
        })
    }

    /// Reads a string value from its opening quote on.
    #[inline]
    pub(super) fn open_string(&mut self, chunk: &[u8], at: usize) -> Step {
        let Some(end) = text::end(chunk, at + 1, self.rules.mode == Mode::Strict) else {
            return self.string_slowly(chunk, at, self.value_role());
        };
        let raw = chunk.get(at + 1..end.quote).unwrap_or_default();
        self.text(raw, raw.len());
        if self.value_role() == Role::Captured {
            self.begin(at, Role::Captured);
            self.token.plain = end.plain;
            self.captured(raw, raw.len())?;
        }
        Ok((self.after_value(), end.quote + 1))
    }

    /// Reads a string byte by byte, from its opening quote on.
    #[cold]
    fn string_slowly(&mut self, chunk: &[u8], at: usize, role: Role) -> Step {
        self.begin(at, role);
        let end = self.string(chunk, at + 1, Inside::Run)?;
        Ok((self.next(), end))
    }

    /// Reads a number from its first byte on.
    #[inline]
    pub(super) fn open_number(&mut self, chunk: &[u8], at: usize, byte: u8) -> Step {
        let mut end = at + 1;
        if byte.is_ascii_digit() && byte != b'0' {
            while chunk.get(end).is_some_and(u8::is_ascii_digit) {
                end += 1;
            }
        }
        let simple = byte != b'-'
            && chunk.get(end).is_some_and(|&next| {
                next.wrapping_sub(b'0') > 9 && !matches!(next, b'.' | b'e' | b'E')
            });
        let role = self.value_role();
        if !simple {
            self.begin(at, role);
            let end = self.number(chunk, at + 1, Number::first(byte))?;
            return Ok((self.next(), end));
        }
        if role == Role::Captured {
            self.begin(at, role);
            self.captured_number(chunk, end)?;
        }
        Ok((self.after_value(), end))
    }

    /// Reads `true`, `false` or `null`.
    #[inline]
    pub(super) fn open_word(
        &mut self,
        chunk: &[u8],
        at: usize,
        kind: Kind,
        word: &'static [u8],
    ) -> Step {
        let end = at + word.len();
        let role = self.value_role();
        if chunk.get(at..end) != Some(word) {
            self.begin(at, role);
            let end = self.word(chunk, at, kind, word)?;
            return Ok((self.next(), end));
        }
        if role == Role::Captured {
            self.record(kind, self.base + at..self.base + end, None)?;
        }
        Ok((self.after_value(), end))
    }

    /// What may come after a token that stored its state.
    const fn next(&self) -> Next {
        match self.state {
            State::Between(next) => next,
            State::String(_) | State::Number(_) | State::Word(..) => Next::Rest,
        }
    }

    /// What the value that comes now is for.
    #[inline]
    fn value_role(&self) -> Role {
        if self.node != NodeId::CONTENT && self.paths.path(self.node).is_some() {
            Role::Captured
        } else {
            Role::Value
        }
    }

    /// Notes where a token begins, and what for.
    #[inline]
    fn begin(&mut self, at: usize, role: Role) {
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
                    match chunk.get(at + 1) {
                        Some(b'n' | b'"' | b'\\') => (Inside::Run, at + 2),
                        _ => (Inside::Escape, at + 1),
                    }
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

    fn end_string(&mut self, chunk: &[u8], quote: usize) -> Result<usize, Stopped> {
        let inside = self.token.start + 1;
        let raw_len = self.base + quote - inside;
        if self.token.role != Role::Key {
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
        }
        let next = match self.token.role {
            Role::Key | Role::GovernedKey => Next::Colon,
            Role::Value | Role::Captured => self.after_value(),
        };
        self.state = State::Between(next);
        Ok(quote + 1)
    }

    /// Ends a string whose inside is `raw_len` bytes long; `raw` is all of it, or as much as is ever looked at.
    fn end_raw(&mut self, raw: &[u8], raw_len: usize) -> Result<(), Stopped> {
        if self.token.role == Role::GovernedKey {
            let span = self.token.start..self.token.start + raw_len + 2;
            return match self.keyed {
                Some(keys) => {
                    let found = if self.token.plain {
                        keys.lookup(raw, first_word(raw))
                    } else {
                        self.decode_key(keys, raw, span.start)?
                    };
                    self.governed_key(found, span)
                }
                None => Ok(()),
            };
        }
        self.text(raw, raw_len);
        if self.token.role == Role::Captured {
            self.captured(raw, raw_len)?;
        }
        Ok(())
    }

    /// Counts a string value.
    #[inline]
    fn text(&mut self, raw: &[u8], raw_len: usize) {
        if text::is_media(raw, raw_len) {
            self.scan.media_items = self.scan.media_items.saturating_add(1);
        } else {
            self.scan.text_bytes += raw_len as u64;
        }
    }

    /// Records the string at the end of a governed path.
    fn captured(&mut self, raw: &[u8], raw_len: usize) -> Result<(), Stopped> {
        let span = self.token.start..self.token.start + raw_len + 2;
        let text = if self.paths.presence(self.node) {
            None
        } else {
            self.capture(raw, raw_len)?
        };
        self.record(Kind::String, span, text).map(drop)
    }

    /// Looks up a key that is not plain.
    #[cold]
    fn decode_key(
        &mut self,
        keys: &'static Node,
        raw: &[u8],
        at: usize,
    ) -> Result<Option<Match>, Stopped> {
        if raw.len() > self.paths.longest_key() * ESCAPED {
            return Ok(None);
        }
        match FoldedKey::decode(raw) {
            Ok(key) => Ok(key.and_then(|key| {
                let found = keys.lookup(key.as_bytes(), first_word(key.as_bytes()))?;
                Some(Match {
                    exact: found.exact && !key.folded,
                    ..found
                })
            })),
            Err(_) if self.rules.mode == Mode::Lenient => Ok(None),
            Err(_) => {
                let what = "a key holds a lone surrogate";
                Err(self.fail(Fault::Malformed { at, what }))
            }
        }
    }

    /// Takes note of a key in an object that has governed ones.
    #[inline]
    fn governed_key(&mut self, found: Option<Match>, span: Range<usize>) -> Result<(), Stopped> {
        self.node = NodeId::CONTENT;
        let Some(found) = found else { return Ok(()) };
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let again = frame.seen >> found.bit & 1 == 1;
        if self.rules.mode == Mode::Strict && (again || !found.exact) {
            let (path, key, at) = (
                self.paths.witness(found.key.node),
                found.key.name,
                span.start,
            );
            return Err(self.fail(if found.exact {
                Fault::Duplicate { path, key, at }
            } else {
                Fault::Variant { path, key, at }
            }));
        }
        if found.exact {
            frame.seen |= 1 << found.bit;
            self.node = found.key.node;
            self.key = span;
        }
        Ok(())
    }

    /// Puts the text of a captured string into the store.
    fn capture(&mut self, raw: &[u8], raw_len: usize) -> Result<Option<Range<u32>>, Stopped> {
        let limit = usize::from(self.rules.max_text);
        let start = self.scan.texts.len();
        let texts = &mut self.scan.texts;
        let most = if self.token.plain {
            limit
        } else {
            limit * ESCAPED
        };
        let stored = if raw_len > most {
            Err(Unreadable::TooLong)
        } else if self.token.plain {
            text::copy_onto(texts, raw)
        } else {
            text::decode_onto(texts, raw, limit)
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

    pub(super) fn end_number(&mut self, chunk: &[u8], end: usize) -> Result<usize, Stopped> {
        if self.token.role == Role::Captured {
            self.captured_number(chunk, end)?;
        }
        self.state = State::Between(self.after_value());
        Ok(end)
    }

    /// Records the number at the end of a governed path; it ends before `end`.
    fn captured_number(&mut self, chunk: &[u8], end: usize) -> Result<(), Stopped> {
        let start = self.token.start;
        let span = start..self.base + end;
        let store = self.scan.texts.len();
        if span.len() <= usize::from(self.rules.max_text) {
            let fresh = start.checked_sub(self.base);
            if fresh.is_none() {
                self.keep(chunk, end);
            }
            let raw = match fresh {
                Some(from) => chunk.get(from..end).unwrap_or_default(),
                None => &self.kept,
            };
            // A number is ASCII.
            self.scan
                .texts
                .push_str(std::str::from_utf8(raw).unwrap_or_default());
        } else if self.rules.mode == Mode::Strict {
            return Err(self.too_long());
        }
        let text = store_range(store, self.scan.texts.len()).filter(|text| !text.is_empty());
        self.record(Kind::Number, span, text).map(drop)
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
        self.state = State::Between(self.after_value());
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

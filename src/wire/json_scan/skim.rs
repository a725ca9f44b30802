//! A look at a document that is there as a whole: only governed members are read, all else is stepped over.
//! Must never be used where anything depends on the document being JSON; and must never be sure of what the
//! [scanner](super::Scanner) would read otherwise: where there is a doubt it says so, and the scanner reads.

use super::Kind;
use super::paths::{Node, NodeId, PathId, Paths};
use super::scanner::is_space;
use super::text::{self, End};
use crate::wire::block;

/// The value of a governed member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A string; without its text where that is long or not plain ASCII.
    Text(Option<&'a str>),
    /// A non-negative integer without fraction or exponent, up to `u64::MAX`.
    Integer(u64),
    /// An array or object, and whether nothing stands in it.
    Container(Kind, bool),
    /// `true`, `false`, `null`, or any other number.
    Scalar(Kind),
}

/// Reads the first document in `bytes` and shows each governed member, a container before what is in it. Returns the
/// bytes of all string values that are not media, as written; `None` if the document is not whole, or not beyond doubt.
/// What was shown until then is to be forgotten.
pub fn skim<'a>(
    paths: &'static Paths,
    bytes: &'a [u8],
    show: &mut impl FnMut(PathId, Seen<'a>),
) -> Option<u64> {
    let mut skim = Skim {
        paths,
        bytes,
        at: 0,
        text_bytes: 0,
        show,
    };
    skim.value(NodeId::ROOT, 0)?;
    Some(skim.text_bytes)
}

struct Skim<'a, 's, S> {
    paths: &'static Paths,
    bytes: &'a [u8],
    at: usize,
    text_bytes: u64,
    show: &'s mut S,
}

/// No governed path is as long.
const DEEPEST: usize = 32;

/// The longest text that is shown.
const LONGEST: usize = 1024;

impl<'a, S: FnMut(PathId, Seen<'a>)> Skim<'a, '_, S> {
    /// The next byte that is no white space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' || !is_space(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Reads a value in a place that paths lead to. Recursion ends with the paths.
    fn value(&mut self, node: NodeId, depth: usize) -> Option<()> {
        let byte = self.token()?;
        if node == NodeId::CONTENT {
            return self.content(byte);
        }
        let seen = match byte {
            b'{' | b'[' => return self.container(node, byte, depth),
            b'"' => {
                let (raw, plain) = self.string()?;
                Seen::Text(match raw.get(..LONGEST + 1) {
                    Some(_) => None,
                    None if plain => Some(std::str::from_utf8(raw).ok()?),
                    None => return None,
                })
            }
            b'0'..=b'9' => self.integer()?,
            _ => Seen::Scalar(self.word(byte)?),
        };
        if let Some(path) = self.paths.path(node) {
            (self.show)(path, seen);
        }
        Some(())
    }

    fn container(&mut self, node: NodeId, open: u8, depth: usize) -> Option<()> {
        let start = self.at;
        self.at += 1;
        let first = self.token()?;
        let (kind, close) = match open {
            b'{' => (Kind::Object, b'}'),
            _ => (Kind::Array, b']'),
        };
        let empty = first == close;
        if let Some(path) = self.paths.path(node) {
            (self.show)(path, Seen::Container(kind, empty));
        }
        if empty {
            self.at += 1;
            return Some(());
        }
        if depth >= DEEPEST {
            return None;
        }
        if kind == Kind::Object {
            if let Some(keys) = self.paths.keyed(node) {
                return self.members(keys, depth + 1);
            }
        } else {
            let element = self.paths.element(node);
            if element != NodeId::CONTENT {
                return self.elements(element, depth + 1);
            }
        }
        self.at = start;
        self.step_over()
    }

    fn members(&mut self, keys: &'static Node, depth: usize) -> Option<()> {
        loop {
            if self.token()? != b'"' {
                return None;
            }
            let node = self.key(keys)?;
            if self.token()? != b':' {
                return None;
            }
            self.at += 1;
            self.value(node, depth)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn elements(&mut self, element: NodeId, depth: usize) -> Option<()> {
        loop {
            self.value(element, depth)?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    /// Whether a comma follows, and not the end.
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        let byte = self.token()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    fn key(&mut self, keys: &'static Node) -> Option<NodeId> {
        let from = self.at + 1;
        let end = self.string_end(from).filter(|end| end.plain)?;
        self.at = end.quote + 1;
        let found = keys.lookup(self.bytes.get(from..end.quote)?, end.first);
        Some(
            found
                .filter(|found| found.exact)
                .map_or(NodeId::CONTENT, |found| found.key.node),
        )
    }

    /// Steps over a value that nobody asked for.
    fn content(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'"' => self.string().map(drop),
            b'{' | b'[' => self.step_over(),
            b'0'..=b'9' => self.integer().map(drop),
            _ => self.word(byte).map(drop),
        }
    }

    /// A string value from its opening quote on: its inside, and whether that is ASCII without escapes.
    fn string(&mut self) -> Option<(&'a [u8], bool)> {
        let from = self.at + 1;
        let end = self.string_end(from)?;
        let raw = self.bytes.get(from..end.quote)?;
        self.at = end.quote + 1;
        self.counts(raw);
        Some((raw, end.plain))
    }

    #[inline]
    fn string_end(&self, from: usize) -> Option<End> {
        text::end(self.bytes, from, false).or_else(|| text::end_of_last(self.bytes, from))
    }

    #[inline]
    fn counts(&mut self, raw: &[u8]) {
        if !text::is_media(raw, raw.len()) {
            self.text_bytes += raw.len() as u64;
        }
    }

    fn integer(&mut self) -> Option<Seen<'a>> {
        let from = self.at;
        let mut sum = Some(0_u64);
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0'))
            && digit <= 9
        {
            sum = sum
                .and_then(|sum| sum.checked_mul(10))
                .and_then(|sum| sum.checked_add(u64::from(digit)));
            self.at += 1;
        }
        let simple = self.bytes.get(from) != Some(&b'0') || self.at == from + 1;
        match self.bytes.get(self.at)? {
            b'.' | b'e' | b'E' => None,
            _ if simple => Some(sum.map_or(Seen::Scalar(Kind::Number), Seen::Integer)),
            _ => None,
        }
    }

    fn word(&mut self, byte: u8) -> Option<Kind> {
        let (word, kind): (&[u8], Kind) = match byte {
            b't' => (b"true", Kind::True),
            b'f' => (b"false", Kind::False),
            b'n' => (b"null", Kind::Null),
            _ => return None,
        };
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return None;
        }
        self.at = end;
        Some(kind)
    }

    /// Steps over a container, from bracket to bracket and quote to quote.
    fn step_over(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.at = block::find(self.bytes, self.at, |byte| {
                u8::from(byte == b'"')
                    | u8::from(byte | 0x20 == b'{')
                    | u8::from(byte | 0x20 == b'}')
            });
            match *self.bytes.get(self.at)? {
                b'"' => {
                    let from = self.at + 1;
                    let end = self.string_end(from)?;
                    self.at = end.quote + 1;
                    if self.token()? != b':' {
                        self.counts(self.bytes.get(from..end.quote)?);
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                _ => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
            }
        }
    }
}

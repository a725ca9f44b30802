//! A look at a document that is there as a whole: only governed members are read, all else is stepped over.
//! Must never be used where anything depends on the document being JSON; and must never be sure of what the
//! [scanner](super::Scanner) would read otherwise: where there is a doubt it says so, and the scanner reads.

use super::Kind;
use super::paths::{Node, NodeId, PathId, Paths, first_word};
use super::scanner::is_space;
use super::text::{Number, integer};
use marks::Marks;

mod marks;

/// The value of a governed member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A string; without its text where that is long or not Unicode.
    Text(Option<&'a str>),
    /// A non-negative integer without fraction or exponent, up to `u64::MAX`.
    Integer(u64),
    /// An array or object, and whether nothing stands in it.
    Container(Kind, bool),
    /// `true`, `false`, `null`, or any other number.
    Scalar(Kind),
}

/// Reads the first document in `bytes` and shows each governed member, a container before what is in it. `None` if the
/// document is not whole, or not beyond doubt; what was shown until then is to be forgotten.
pub fn skim<'a>(
    paths: &'static Paths,
    bytes: &'a [u8],
    show: &mut impl FnMut(PathId, Seen<'a>),
) -> Option<()> {
    let mut skim = Skim {
        paths,
        bytes,
        marks: Marks::of(bytes),
        at: 0,
        show,
    };
    skim.value(NodeId::ROOT, 0)
}

struct Skim<'a, 's, S> {
    paths: &'static Paths,
    bytes: &'a [u8],
    /// All quotes and brackets from `at` on.
    marks: Marks<'a>,
    at: usize,
    show: &'s mut S,
}

/// No governed path is as long.
const DEEPEST: usize = 32;

/// No answer nests as deeply, and the scanner allows more.
const DEEPEST_CONTENT: usize = 256;

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
                let from = self.at + 1;
                let raw = self.quoted()?;
                Seen::Text(match raw.get(..LONGEST + 1) {
                    Some(_) => None,
                    None if self.is_escaped(from, raw) => return None,
                    None => std::str::from_utf8(raw).ok(),
                })
            }
            b'-' | b'0'..=b'9' => self.number(byte)?,
            _ => Seen::Scalar(self.word(byte)?),
        };
        if let Some(path) = self.paths.path(node) {
            (self.show)(path, seen);
        }
        Some(())
    }

    fn container(&mut self, node: NodeId, open: u8, depth: usize) -> Option<()> {
        self.mark()?;
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
            self.mark()?;
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
        self.step_over()
    }

    /// The next mark stands here.
    #[inline]
    fn mark(&mut self) -> Option<()> {
        (self.marks.next()? == self.at).then_some(())
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
    #[inline]
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        let byte = self.token()?;
        if byte == close {
            self.mark()?;
        } else if byte != b',' {
            return None;
        }
        self.at += 1;
        Some(byte == b',')
    }

    fn key(&mut self, keys: &'static Node) -> Option<NodeId> {
        let from = self.at + 1;
        let raw = self.quoted()?;
        if self.is_escaped(from, raw) {
            return None;
        }
        let first = match self.bytes.get(from..)?.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => first_word(raw),
        };
        Some(
            keys.lookup(raw, first)
                .filter(|found| found.exact)
                .map_or(NodeId::CONTENT, |found| found.key.node),
        )
    }

    /// Steps over a value that nobody asked for.
    #[inline]
    fn content(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'"' => self.quoted().map(drop),
            b'{' | b'[' => {
                self.mark()?;
                self.step_over()
            }
            b'-' | b'0'..=b'9' => self.number(byte).map(drop),
            _ => self.word(byte).map(drop),
        }
    }

    /// Whether an escape stands in what was just read from there.
    #[inline]
    fn is_escaped(&self, from: usize, raw: &[u8]) -> bool {
        self.marks.may_be_escaped(from) && raw.contains(&b'\\')
    }

    /// What stands between the quotes here.
    #[inline]
    fn quoted(&mut self) -> Option<&'a [u8]> {
        self.mark()?;
        let quote = self.marks.next()?;
        let raw = self.bytes.get(self.at + 1..quote)?;
        self.at = quote + 1;
        Some(raw)
    }

    #[inline]
    fn number(&mut self, first: u8) -> Option<Seen<'a>> {
        let from = self.at;
        let mut sum = 0_u64;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0'))
            && digit <= 9
        {
            sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        let simple = match first {
            b'-' => false,
            b'0' => self.at == from + 1,
            // With more digits, the sum may have gone round.
            _ => self.at - from < 20,
        };
        if simple && !matches!(self.bytes.get(self.at)?, b'.' | b'e' | b'E') {
            return Some(Seen::Integer(sum));
        }
        self.at = from;
        self.number_by_digits(first)
    }

    /// Reads a number that is no plain integer.
    #[cold]
    fn number_by_digits(&mut self, first: u8) -> Option<Seen<'a>> {
        let (from, mut number) = (self.at, Number::first(first));
        self.at += 1;
        while let Some(next) = number.next(*self.bytes.get(self.at)?) {
            number = next;
            self.at += 1;
        }
        if !number.is_complete() {
            return None;
        }
        let digits = std::str::from_utf8(self.bytes.get(from..self.at)?).ok()?;
        Some(integer(digits).map_or(Seen::Scalar(Kind::Number), Seen::Integer))
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

    /// Steps over a container that has been opened, from bracket to bracket.
    fn step_over(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        loop {
            let at = self.marks.next_bracket()?;
            match *self.bytes.get(at)? {
                b'{' | b'[' => {
                    depth += 1;
                    if depth > DEEPEST_CONTENT {
                        return None;
                    }
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = at + 1;
                        return Some(());
                    }
                }
                _ => return None,
            }
        }
    }
}

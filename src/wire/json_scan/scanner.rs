//! The push parser: one byte position, one state, a short stack of governed containers and one bit per level below
//! them. Must never look back at bytes of an earlier push, except for the bounded rest of a token it kept.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::paths::{Node, NodeId, Paths};
use super::{Fault, Kind, Member, Mode, Rules, Scan};

mod state;
mod token;

use state::{Frame, Inside, NONE, Next, Role, State, Token};

/// Scans one document (or, after [`Scanner::reset`], one after another).
#[derive(Debug)]
pub struct Scanner {
    paths: &'static Paths,
    rules: Rules,
    scan: Scan,
    fault: Option<Fault>,
    state: State,
    /// The absolute offset of the chunk's first byte.
    base: usize,
    /// The place of the value that is being read, or that comes next.
    node: NodeId,
    /// The key of that value, if it stands in a governed object.
    key: Range<usize>,
    depth: usize,
    /// Whether the innermost open container is an array.
    in_array: bool,
    /// Its governed keys, if it is an object with any.
    keyed: Option<&'static Node>,
    /// Per open level, whether it is an array.
    arrays: [u64; DEEPEST / 64],
    /// The open containers that paths lead into; always the outermost levels.
    frames: Vec<Frame>,
    /// How many frames there have been.
    containers: u32,
    token: Token,
    /// What earlier chunks held of the current token, as far as it can matter.
    kept: Vec<u8>,
}

/// The scan is over: the fault is in the scanner. Apart from it, so that a step's result fits into registers.
#[derive(Debug)]
struct Stopped;

/// What may come after a token, and where.
type Step = Result<(Next, usize), Stopped>;

/// The deepest nesting any rules can allow.
const DEEPEST: usize = 1024;

impl Scanner {
    /// A scanner at the start of a document.
    pub fn new(paths: &'static Paths, rules: Rules) -> Self {
        let scan = Scan {
            members: Vec::with_capacity(12),
            texts: String::with_capacity(128),
            ..Scan::default()
        };
        Self {
            paths,
            rules,
            scan,
            fault: None,
            state: State::Between(Next::Value),
            base: 0,
            node: NodeId::ROOT,
            key: 0..0,
            depth: 0,
            in_array: false,
            keyed: None,
            arrays: [0; DEEPEST / 64],
            frames: Vec::with_capacity(8),
            containers: 0,
            token: Token {
                start: 0,
                role: Role::Value,
                plain: true,
            },
            kept: Vec::new(),
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// What is wrong with the document; from then on, every call returns the same fault.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        self.verdict()?;
        if self.read(chunk).is_err() {
            return self.verdict();
        }
        self.base += chunk.len();
        self.scan.len = self.base;
        Ok(())
    }

    /// What was found up to now, of a document that need not be over (or that turned out faulty).
    pub const fn so_far(&self) -> &Scan {
        &self.scan
    }

    /// The bytes of memory that what was found takes. A document of empty objects can take many times its length.
    pub fn weight(&self) -> usize {
        let members = self
            .scan
            .members
            .capacity()
            .saturating_mul(size_of::<Member>());
        let frames = self.frames.capacity().saturating_mul(size_of::<Frame>());
        let texts = self
            .scan
            .texts
            .capacity()
            .saturating_add(self.kept.capacity());
        members.saturating_add(frames).saturating_add(texts)
    }

    /// Declares the document over; like [`Scanner::finish`], but the scanner can be [`Scanner::reset`] and used again.
    ///
    /// # Errors
    /// The fault met before, or that the document ends early.
    pub fn end(&mut self) -> Result<&Scan, Fault> {
        self.end_document();
        self.verdict().map(|()| &self.scan)
    }

    /// Declares the document over and takes what was found.
    ///
    /// # Errors
    /// The fault met before, or that the document ends early.
    pub fn finish(mut self) -> Result<Scan, Fault> {
        self.end_document();
        self.verdict().map(|()| self.scan)
    }

    /// Starts a new document, keeping the allocations.
    pub fn reset(&mut self) {
        let mut members = std::mem::take(&mut self.scan.members);
        let mut texts = std::mem::take(&mut self.scan.texts);
        members.clear();
        texts.clear();
        self.scan = Scan {
            members,
            texts,
            ..Scan::default()
        };
        self.fault = None;
        self.state = State::Between(Next::Value);
        self.base = 0;
        self.node = NodeId::ROOT;
        self.depth = 0;
        self.in_array = false;
        self.keyed = None;
        self.frames.clear();
        self.containers = 0;
        self.kept.clear();
    }

    fn verdict(&self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    fn end_document(&mut self) {
        if self.fault.is_some() {
            return;
        }
        if let State::Number(number) = self.state
            && self.depth == 0
            && number.is_complete()
            && self.end_number(&[], 0).is_err()
        {
            return;
        }
        if self.state != State::Between(Next::Done) {
            self.malformed(0, "the document ends early");
        }
    }

    /// Reads a chunk: the rest of a token that was cut off, then token by token.
    fn read(&mut self, chunk: &[u8]) -> Result<(), Stopped> {
        if chunk.is_empty() {
            return Ok(());
        }
        let mut at = match self.state {
            State::Between(_) => 0,
            State::String(inside) => self.string(chunk, 0, inside)?,
            State::Number(number) => self.number(chunk, 0, number)?,
            State::Word(kind, rest) => self.word(chunk, 0, kind, rest)?,
        };
        // From here on the state stays in a register; only a token that the chunk's end cuts off stores its own.
        let State::Between(mut next) = self.state else {
            return Ok(());
        };
        // In the order in which they mostly come, so that a member goes round once.
        while let Some(byte) = token_byte(chunk, &mut at) {
            match next {
                Next::After => (next, at) = self.after(at, byte)?,
                Next::Colon if byte == b':' => (next, at) = (Next::Value, at + 1),
                Next::FirstKey if byte == b'}' => (next, at) = self.close(at, false, true)?,
                Next::FirstElement if byte == b']' => (next, at) = self.close(at, true, true)?,
                Next::FirstElement => next = Next::Value,
                Next::Key | Next::FirstKey if byte == b'"' => {}
                Next::Value => {}
                _ => return Err(self.unexpected(at, next)),
            }
            if matches!(next, Next::Key | Next::FirstKey) && chunk.get(at) == Some(&b'"') {
                (next, at) = self.open_key(chunk, at)?;
            }
            if next == Next::Value
                && let Some(byte) = token_byte(chunk, &mut at)
            {
                (next, at) = self.value(chunk, at, byte)?;
            }
        }
        if next != Next::Rest {
            self.state = State::Between(next);
        }
        Ok(())
    }

    #[cold]
    fn unexpected(&mut self, at: usize, next: Next) -> Stopped {
        self.malformed(
            at,
            match next {
                Next::Key | Next::FirstKey => "an object wants a key here",
                Next::Colon => "a key wants a colon here",
                Next::Done => "something follows the document",
                _ => "a value is missing here",
            },
        )
    }

    #[expect(
        clippy::inline_always,
        reason = "its one caller is the loop that all time is spent in"
    )]
    #[inline(always)]
    fn value(&mut self, chunk: &[u8], at: usize, byte: u8) -> Step {
        let kind = match byte {
            b'"' => Kind::String,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            0xef if self.base + at == 0 => {
                return Err(self.malformed(at, "a byte order mark is not JSON"));
            }
            _ => return Err(self.malformed(at, "a value is missing here")),
        };
        if self.depth == 0 {
            self.scan.root = Some(kind);
        }
        match kind {
            Kind::Object => self.open(at, false),
            Kind::Array => self.open(at, true),
            Kind::String => self.open_string(chunk, at),
            Kind::Number => self.open_number(chunk, at, byte),
            Kind::True => self.open_word(chunk, at, kind, b"true"),
            Kind::False => self.open_word(chunk, at, kind, b"false"),
            Kind::Null => self.open_word(chunk, at, kind, b"null"),
        }
    }

    #[inline(never)]
    fn open(&mut self, at: usize, array: bool) -> Step {
        let start = self.base + at;
        if self.depth >= usize::from(self.rules.max_depth).min(DEEPEST) {
            return Err(self.fail(Fault::TooDeep { at: start }));
        }
        self.keyed = None;
        if self.node != NodeId::CONTENT {
            self.open_frame(start, array)?;
        }
        if self.depth == 0 {
            self.scan.inside = start + 1;
        }
        let bit = 1 << (self.depth % 64);
        let word = &mut self.arrays[self.depth / 64];
        *word = if array { *word | bit } else { *word & !bit };
        self.depth += 1;
        self.in_array = array;
        let next = if array {
            Next::FirstElement
        } else {
            Next::FirstKey
        };
        Ok((next, at + 1))
    }

    fn open_frame(&mut self, start: usize, array: bool) -> Result<(), Stopped> {
        let kind = if array { Kind::Array } else { Kind::Object };
        let member = self.record(kind, start..start, None)?;
        let (index, outer) = self
            .frames
            .last()
            .map_or((0, 0), |frame| (frame.index, frame.outer));
        let element = self.paths.element(self.node);
        self.keyed = self.paths.keyed(self.node).filter(|_| !array);
        self.frames.push(Frame {
            element,
            array,
            keyed: self.keyed,
            index: if array { 0 } else { index },
            outer: if array { index } else { outer },
            id: self.containers,
            member,
            last: NONE,
            comma: None,
            seen: 0,
        });
        self.containers = self.containers.saturating_add(1);
        self.node = if array { element } else { NodeId::CONTENT };
        Ok(())
    }

    #[inline]
    fn after(&mut self, at: usize, byte: u8) -> Step {
        match byte {
            b',' => {
                if self.depth == self.frames.len() {
                    self.comma(self.base + at);
                }
                let next = if self.in_array {
                    Next::Value
                } else {
                    Next::Key
                };
                Ok((next, at + 1))
            }
            b'}' => self.close(at, false, false),
            b']' => self.close(at, true, false),
            _ => Err(self.malformed(at, "a comma or a closing bracket is missing here")),
        }
    }

    fn comma(&mut self, at: usize) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if let Some(member) = self.scan.members.get_mut(frame.last) {
            member.after = NonZeroUsize::new(at);
        }
        frame.last = NONE;
        frame.comma = NonZeroUsize::new(at);
        if frame.array {
            frame.index = frame.index.saturating_add(1);
            self.node = frame.element;
        }
    }

    #[inline(never)]
    fn close(&mut self, at: usize, array: bool, empty: bool) -> Step {
        if self.in_array != array {
            return Err(self.malformed(at, "the wrong bracket closes here"));
        }
        if self.depth == self.frames.len()
            && let Some(frame) = self.frames.pop()
            && let Some(member) = self.scan.members.get_mut(frame.member)
        {
            member.value.end = self.base + at + 1;
            member.empty = empty;
        }
        self.depth -= 1;
        if let Some(level) = self.depth.checked_sub(1) {
            self.in_array = self.arrays[level / 64] >> (level % 64) & 1 == 1;
        } else {
            self.scan.root_empty = empty;
        }
        self.keyed = if self.depth == self.frames.len() {
            self.frames.last().and_then(|frame| frame.keyed)
        } else {
            None
        };
        Ok((self.after_value(), at + 1))
    }

    /// What may come after a value.
    #[inline]
    const fn after_value(&self) -> Next {
        if self.depth == 0 {
            Next::Done
        } else {
            Next::After
        }
    }

    /// Records a member if a governed path ends here; its index, or `NONE`.
    fn record(
        &mut self,
        kind: Kind,
        value: Range<usize>,
        text: Option<Range<u32>>,
    ) -> Result<usize, Stopped> {
        let Some(path) = self.paths.path(self.node) else {
            return Ok(NONE);
        };
        let member = self.scan.members.len();
        if member >= self.rules.max_members as usize {
            if self.rules.mode == Mode::Strict {
                return Err(self.fail(Fault::TooMany { at: value.start }));
            }
            self.scan.overflowed = true;
            return Ok(NONE);
        }
        let frame = self.frames.last_mut();
        let keyed = frame.as_ref().is_some_and(|frame| !frame.array);
        let key = if keyed {
            self.key.clone()
        } else {
            value.start..value.start
        };
        let mut found = Member {
            path,
            kind,
            key,
            value,
            empty: false,
            index: 0,
            outer: 0,
            parent: u32::MAX,
            before: None,
            after: None,
            text,
        };
        if let Some(frame) = frame {
            (found.index, found.outer, found.parent) = (frame.index, frame.outer, frame.id);
            found.before = frame.comma;
            frame.last = member;
        }
        self.scan.members.push(found);
        Ok(member)
    }

    #[cold]
    fn malformed(&mut self, at: usize, what: &'static str) -> Stopped {
        let at = self.base + at;
        self.fail(Fault::Malformed { at, what })
    }

    #[cold]
    fn fail(&mut self, fault: Fault) -> Stopped {
        self.fault = Some(fault);
        Stopped
    }
}

/// The byte at `at`, or at the end of the white space there.
#[inline]
fn token_byte(chunk: &[u8], at: &mut usize) -> Option<u8> {
    let byte = *chunk.get(*at)?;
    if byte > b' ' || !is_space(byte) {
        return Some(byte);
    }
    *at = skip_space(chunk, *at + 1);
    chunk.get(*at).copied()
}

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[inline]
fn skip_space(chunk: &[u8], from: usize) -> usize {
    let mut at = from;
    while chunk.get(at).copied().is_some_and(is_space) {
        at += 1;
    }
    at
}

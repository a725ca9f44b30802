//! The push parser: one byte position, one state, a short stack of governed containers and one bit per level below
//! them. Must never look back at bytes of an earlier push, except for the bounded rest of a token it kept.

use std::ops::Range;

use super::paths::{NodeId, Paths};
use super::text::Number;
use super::{Fault, Kind, Member, Mode, Rules, Scan};

mod state;
mod token;

use state::{Frame, Inside, NONE, Role, State, Token};

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

/// The deepest nesting any rules can allow.
const DEEPEST: usize = 1024;

impl Scanner {
    /// A scanner at the start of a document.
    pub fn new(paths: &'static Paths, rules: Rules) -> Self {
        let scan = Scan {
            members: Vec::with_capacity(16),
            texts: String::with_capacity(64),
            ..Scan::default()
        };
        Self {
            paths,
            rules,
            scan,
            fault: None,
            state: State::Value,
            base: 0,
            node: NodeId::ROOT,
            key: 0..0,
            depth: 0,
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
        let mut at = 0;
        while at < chunk.len() {
            let Ok(next) = self.step(chunk, at) else {
                return self.verdict();
            };
            at = next;
        }
        self.base += chunk.len();
        self.scan.len = self.base;
        Ok(())
    }

    /// What was found up to now, of a document that need not be over (or that turned out faulty).
    pub const fn so_far(&self) -> &Scan {
        &self.scan
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
        self.state = State::Value;
        self.base = 0;
        self.node = NodeId::ROOT;
        self.depth = 0;
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
        if self.state != State::Done {
            self.malformed(0, "the document ends early");
        }
    }

    /// Reads at least one byte, or ends a number before it.
    #[inline]
    fn step(&mut self, chunk: &[u8], at: usize) -> Result<usize, Stopped> {
        let Some(&byte) = chunk.get(at) else {
            return Ok(at);
        };
        match self.state {
            State::String(inside) => self.string(chunk, at, inside),
            State::Number(number) => self.number(chunk, at, number),
            State::Word(kind, rest) => self.word(chunk, at, kind, rest),
            _ if is_space(byte) => Ok(skip_space(chunk, at + 1)),
            State::After => self.after(chunk, at, byte),
            State::Colon if byte == b':' => {
                self.state = State::Value;
                Ok(at + 1)
            }
            State::Key | State::FirstKey if byte == b'"' => self.open_key(chunk, at),
            State::FirstKey if byte == b'}' => self.close(at, false),
            State::FirstElement if byte == b']' => self.close(at, true),
            State::Value | State::FirstElement => self.value(chunk, at, byte),
            State::Key | State::FirstKey => Err(self.malformed(at, "an object wants a key here")),
            State::Colon => Err(self.malformed(at, "a key wants a colon here")),
            State::Done => Err(self.malformed(at, "something follows the document")),
        }
    }

    #[inline]
    fn value(&mut self, chunk: &[u8], at: usize, byte: u8) -> Result<usize, Stopped> {
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
        if self.scan.root.is_none() {
            self.scan.root = Some(kind);
        }
        let captured = self.node != NodeId::CONTENT && self.paths.path(self.node).is_some();
        let role = if captured {
            Role::Captured
        } else {
            Role::Value
        };
        match kind {
            Kind::Object => return self.open(at, false),
            Kind::Array => return self.open(at, true),
            Kind::String => {
                self.begin(at, role);
                return self.string(chunk, at + 1, Inside::Run);
            }
            Kind::Number => {
                self.begin(at, role);
                return self.number(chunk, at + 1, Number::first(byte));
            }
            Kind::True => self.state = State::Word(kind, b"rue"),
            Kind::False => self.state = State::Word(kind, b"alse"),
            Kind::Null => self.state = State::Word(kind, b"ull"),
        }
        self.begin(at, role);
        Ok(at + 1)
    }

    fn open(&mut self, at: usize, array: bool) -> Result<usize, Stopped> {
        let start = self.base + at;
        if self.depth >= usize::from(self.rules.max_depth).min(DEEPEST) {
            return Err(self.fail(Fault::TooDeep { at: start }));
        }
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
        self.state = if array {
            State::FirstElement
        } else {
            State::FirstKey
        };
        Ok(at + 1)
    }

    fn open_frame(&mut self, start: usize, array: bool) -> Result<(), Stopped> {
        let kind = if array { Kind::Array } else { Kind::Object };
        let member = self.record(kind, start..start, None)?;
        let (index, outer) = self
            .frames
            .last()
            .map_or((0, 0), |frame| (frame.index, frame.outer));
        let element = self.paths.element(self.node);
        self.frames.push(Frame {
            node: self.node,
            element,
            array,
            keyed: !array && self.paths.has_keys(self.node),
            index: if array { 0 } else { index },
            outer: if array { index } else { outer },
            id: self.containers,
            member,
            last: NONE,
            comma: NONE,
            seen: 0,
        });
        self.containers = self.containers.saturating_add(1);
        self.node = if array { element } else { NodeId::CONTENT };
        Ok(())
    }

    #[inline]
    fn after(&mut self, chunk: &[u8], at: usize, byte: u8) -> Result<usize, Stopped> {
        match byte {
            b',' => {
                if self.depth == self.frames.len() {
                    self.comma(self.base + at);
                }
                if self.in_array() {
                    self.state = State::Value;
                } else if chunk.get(at + 1) == Some(&b'"') {
                    return self.open_key(chunk, at + 1);
                } else {
                    self.state = State::Key;
                }
                Ok(at + 1)
            }
            b'}' => self.close(at, false),
            b']' => self.close(at, true),
            _ => Err(self.malformed(at, "a comma or a closing bracket is missing here")),
        }
    }

    fn comma(&mut self, at: usize) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if let Some(member) = self.scan.members.get_mut(frame.last) {
            member.after = Some(at);
        }
        frame.last = NONE;
        frame.comma = at;
        if frame.array {
            frame.index = frame.index.saturating_add(1);
            self.node = frame.element;
        }
    }

    fn close(&mut self, at: usize, array: bool) -> Result<usize, Stopped> {
        if self.in_array() != array {
            return Err(self.malformed(at, "the wrong bracket closes here"));
        }
        let empty = matches!(self.state, State::FirstElement | State::FirstKey);
        if self.depth == self.frames.len()
            && let Some(frame) = self.frames.pop()
            && let Some(member) = self.scan.members.get_mut(frame.member)
        {
            member.value.end = self.base + at + 1;
            member.empty = empty;
        }
        self.depth -= 1;
        if self.depth == 0 {
            self.scan.root_empty = empty;
        }
        self.end_value();
        Ok(at + 1)
    }

    /// Whether the innermost open container is an array; called only where one is open.
    #[inline]
    const fn in_array(&self) -> bool {
        let level = self.depth.saturating_sub(1);
        self.arrays[level / 64] >> (level % 64) & 1 == 1
    }

    #[inline]
    const fn end_value(&mut self) {
        self.state = if self.depth == 0 {
            State::Done
        } else {
            State::After
        };
    }

    #[inline]
    fn open_key(&mut self, chunk: &[u8], at: usize) -> Result<usize, Stopped> {
        let governed =
            self.depth == self.frames.len() && self.frames.last().is_some_and(|frame| frame.keyed);
        self.begin(
            at,
            if governed {
                Role::GovernedKey
            } else {
                Role::Key
            },
        );
        self.string(chunk, at + 1, Inside::Run)
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
            found.before = (frame.comma != NONE).then_some(frame.comma);
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

const fn is_space(byte: u8) -> bool {
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

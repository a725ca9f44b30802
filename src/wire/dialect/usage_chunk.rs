//! Takes the usage chunk out of an OpenAI chat stream again, where the caller had not asked for it: a chunk
//! without `choices` breaks clients that index the first. Must never hold more than one partial event, and
//! that only until its `choices` are known.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memchr2;
use memchr::memmem::Finder;

use super::needle::{self, key};
use crate::wire::json_scan::{Kind, PathId, Paths, Rules, Scanner};
use crate::wire::sse::{Part, Parts};

/// The most bytes that are held; past it the event is let through, whatever it is.
pub const HOLD_CAP: usize = 64 << 10;

static PATHS: LazyLock<Paths> =
    LazyLock::new(|| Paths::compile(&["$.choices", "$.choices[*]", "$.usage"]));
const CHOICES: PathId = PathId(0);
const CHOICE: PathId = PathId(1);
const USAGE: PathId = PathId(2);
static USAGE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| key("usage"));

/// The filter of one stream. The bytes it passes on are the same for every split of the stream, unless the
/// hold cap was reached.
#[derive(Debug)]
pub struct UsageChunkFilter {
    parts: Parts,
    look: Look,
    held: Vec<Bytes>,
    held_len: usize,
    last_end: LastEnd,
    dropped: u64,
    overflowed: bool,
}

/// How the event that is coming is looked at.
#[derive(Debug)]
struct Look {
    json: Scanner,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No data yet.
    Idle,
    /// The scanner has its data so far.
    Scanning,
    /// It is no usage chunk.
    Passing,
}

/// Whether a line feed at the start of the next chunk still belongs to the last event, and what became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastEnd {
    Whole,
    PassedAtCr,
    DroppedAtCr,
}

impl Default for UsageChunkFilter {
    fn default() -> Self {
        Self {
            parts: Parts::new(),
            look: Look {
                json: Scanner::new(&PATHS, Rules::LENIENT),
                state: State::Idle,
            },
            held: Vec::new(),
            held_len: 0,
            last_end: LastEnd::Whole,
            dropped: 0,
            overflowed: false,
        }
    }
}

impl UsageChunkFilter {
    /// Takes the next bytes of the stream and appends to `out` what is to be passed on now.
    pub fn push(&mut self, chunk: &Bytes, out: &mut Vec<Bytes>) {
        if chunk.is_empty() {
            return;
        }
        // What lies before `start` belongs to events that are over, what lies before `from` is dealt with.
        let (mut from, mut start) = self.trailing_line_feed(chunk);
        let Self {
            parts,
            look,
            held,
            held_len,
            last_end,
            dropped,
            ..
        } = self;
        let mut lone: &[u8] = &[];
        parts.push(chunk, &mut |part| match part {
            Part::Data { bytes, .. } => look.data(&mut lone, bytes),
            Part::End { at, dispatched, .. } => {
                let drop = dispatched && look.is_usage_chunk(std::mem::take(&mut lone));
                if drop {
                    pass(out, chunk, from, start);
                    pass_comments(out, held, chunk.slice(start..at));
                    from = at;
                    *dropped += 1;
                } else {
                    out.append(held);
                }
                held.clear();
                *held_len = 0;
                start = at;
                look.state = State::Idle;
                *last_end = match (drop, chunk.len() == at && chunk[at - 1] == b'\r') {
                    (_, false) => LastEnd::Whole,
                    (false, true) => LastEnd::PassedAtCr,
                    (true, true) => LastEnd::DroppedAtCr,
                };
            }
        });
        look.suspend(lone);
        pass(out, chunk, from, start);
        self.tail(&chunk.slice(start..), out);
    }

    /// The stream is over: what is still held was no whole event, and is passed on.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        out.append(&mut self.held);
        self.held_len = 0;
    }

    /// How many usage chunks were taken out.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether an event was let through only because it was too long to hold.
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    fn trailing_line_feed(&mut self, chunk: &[u8]) -> (usize, usize) {
        let ours = usize::from(chunk.first() == Some(&b'\n'));
        match std::mem::replace(&mut self.last_end, LastEnd::Whole) {
            LastEnd::Whole => (0, 0),
            LastEnd::PassedAtCr => (0, ours),
            LastEnd::DroppedAtCr => (ours, ours),
        }
    }

    /// Holds the rest of a chunk, an event that is not over, or lets it go if it may.
    fn tail(&mut self, tail: &Bytes, out: &mut Vec<Bytes>) {
        if self.look.state == State::Passing {
            out.append(&mut self.held);
            self.held_len = 0;
            pass(out, tail, 0, tail.len());
            return;
        }
        let comments = if self.held.is_empty() {
            comment_lines(tail)
        } else {
            0
        };
        pass(out, tail, 0, comments);
        if comments < tail.len() {
            self.held_len += tail.len() - comments;
            self.held.push(tail.slice(comments..));
        }
        if self.held_len > HOLD_CAP {
            self.overflowed = true;
            self.look.state = State::Passing;
            self.finish(out);
        }
    }
}

impl Look {
    /// The next data of the event: kept by reference while it is the only piece.
    fn data<'a>(&mut self, lone: &mut &'a [u8], bytes: &'a [u8]) {
        match self.state {
            State::Idle if lone.is_empty() => *lone = bytes,
            State::Idle | State::Scanning => {
                self.scan(std::mem::take(lone));
                self.scan(bytes);
            }
            State::Passing => {}
        }
    }

    fn scan(&mut self, bytes: &[u8]) {
        if self.state == State::Idle {
            self.json.reset();
            self.state = State::Scanning;
        }
        // What is not JSON is no usage chunk.
        if self.state == State::Scanning && self.json.push(bytes).is_err() {
            self.state = State::Passing;
        }
    }

    /// The chunk ends within the event.
    fn suspend(&mut self, lone: &[u8]) {
        if !lone.is_empty() {
            self.scan(lone);
        }
        if self.state == State::Scanning && self.json.so_far().get(CHOICE).is_some() {
            self.state = State::Passing;
        }
    }

    fn is_usage_chunk(&mut self, lone: &[u8]) -> bool {
        // The cheap look: most events lie in one chunk and have no usage.
        if !lone.is_empty() {
            if !needle::present(&USAGE_KEY, lone) {
                return false;
            }
            self.scan(lone);
        }
        if self.state != State::Scanning {
            return false;
        }
        let Ok(scan) = self.json.end() else {
            return false;
        };
        let is = |path, kind| scan.get(path).is_some_and(|member| member.kind == kind);
        is(CHOICES, Kind::Array) && scan.get(CHOICE).is_none() && is(USAGE, Kind::Object)
    }
}

fn pass(out: &mut Vec<Bytes>, chunk: &Bytes, from: usize, to: usize) {
    if from < to {
        out.push(chunk.slice(from..to));
    }
}

/// Of an event that is dropped, the comment lines it begins with still go on (some are keep-alives that went on
/// already).
fn pass_comments(out: &mut Vec<Bytes>, held: &mut Vec<Bytes>, last: Bytes) {
    let block = if held.is_empty() {
        last
    } else {
        held.push(last);
        held.concat().into()
    };
    pass(out, &block, 0, comment_lines(&block));
}

/// The length of the whole comment lines that a block begins with.
fn comment_lines(block: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = block.get(at..).filter(|rest| rest.starts_with(b":")) {
        at += match memchr2(b'\n', b'\r', rest) {
            Some(end) if rest[end] == b'\n' => end + 1,
            // What follows the carriage return tells whether the line is over.
            Some(end) => match rest.get(end + 1) {
                None => break,
                Some(b'\n') => end + 2,
                Some(_) => end + 1,
            },
            None => break,
        };
    }
    at
}

#[cfg(test)]
mod tests;

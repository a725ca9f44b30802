//! An incremental JSON scanner: bytes are pushed as they come, facts about a fixed list of governed paths come out.
//! Must never collect the document, recurse, or allocate for content that nobody governs.
//!
//! A governed path is `$.tools[*].type`: from the root, by exact key, `[*]` for any element. The same name anywhere
//! else is content. What two parsers could read differently (a governed key twice, or in another letter case) is a
//! [`Fault`] in requests; answers are read leniently.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;

mod paths;
mod scanner;
mod skim;
mod text;

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

pub use paths::{PathId, Paths};
pub use scanner::Scanner;
pub use skim::{Seen, skim};
pub use text::integer;

/// How strictly a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Requests: duplicates and case variants of governed keys, control bytes and invalid UTF-8 in strings, lone
    /// surrogates in governed keys and values, and over-long governed scalars are faults.
    Strict,
    /// Answers: none of these is a fault. The last of two duplicates wins, a case variant is content, a scalar that
    /// is over-long or not Unicode is found but has no text. The grammar is still RFC 8259.
    Lenient,
}

/// The bounds of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How strictly to read.
    pub mode: Mode,
    /// The deepest allowed nesting of arrays and objects; at most 1,024.
    pub max_depth: u16,
    /// The longest captured scalar, in bytes after decoding.
    pub max_text: u16,
    /// The most members that are recorded.
    pub max_members: u32,
}

impl Rules {
    /// The defaults for request bodies.
    pub const STRICT: Self = Self {
        mode: Mode::Strict,
        max_depth: 512,
        max_text: 1024,
        max_members: 65_536,
    };

    /// The defaults for answers.
    pub const LENIENT: Self = Self {
        mode: Mode::Lenient,
        ..Self::STRICT
    };
}

/// What a JSON value is (RFC 8259 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// One governed member (or array element) that was found. All offsets are absolute, in bytes from the first byte
/// that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The governed path it stands at.
    pub path: PathId,
    /// What the value is.
    pub kind: Kind,
    /// The key with its quotes; empty (at the value) for an array element and for the root.
    pub key: Range<usize>,
    /// The exact bytes of the value. While a container is still open, the end equals the start.
    pub value: Range<usize>,
    /// For a closed container: whether nothing stands in it.
    pub empty: bool,
    /// The index in the innermost array around it; 0 if there is none.
    pub index: u32,
    /// The index of that array in the next array outwards; 0 if there is none.
    pub outer: u32,
    /// A number shared by exactly the members that stand directly in the same object or array.
    pub parent: u32,
    /// Where the comma before it is, if there is one.
    before: Option<NonZeroUsize>,
    /// Where the comma after it is, if there is one (and it was already seen).
    after: Option<NonZeroUsize>,
    /// Where the captured text is in the scan's text store.
    text: Option<Range<u32>>,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What the root is; `None` before its first byte.
    pub root: Option<Kind>,
    /// The offset just after the root's `{` or `[`: where a first member can be inserted.
    pub inside: usize,
    /// Whether the root is an object or array with nothing in it.
    pub root_empty: bool,
    /// Bytes pushed so far; after the end, the document's length.
    pub len: usize,
    /// Bytes of all string values that are not media, as written (escapes are not decoded). Keys do not count.
    pub text_bytes: u64,
    /// Strings that are base64 `data:` URLs, or 1,024 bytes and more that open with 256 bytes of base64.
    pub media_items: u32,
    /// Lenient only: members were left out because there were too many.
    pub overflowed: bool,
    members: Vec<Member>,
    texts: String,
}

impl Member {
    /// Where the comma before it is, if there is one.
    pub fn before(&self) -> Option<usize> {
        self.before.map(NonZeroUsize::get)
    }

    /// Where the comma after it is, if there is one (and it was already seen).
    pub fn after(&self) -> Option<usize> {
        self.after.map(NonZeroUsize::get)
    }
}

impl Scan {
    /// The governed members in document order. A container comes before what is in it.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The last member found at `path`. Where a path has no `[*]`, a strict scan has at most one.
    pub fn get(&self, path: PathId) -> Option<&Member> {
        self.members.iter().rfind(|member| member.path == path)
    }

    /// Every member found at `path`, in document order.
    pub fn all(&self, path: PathId) -> impl Iterator<Item = &Member> {
        self.members
            .iter()
            .filter(move |member| member.path == path)
    }

    /// The text of a captured scalar: a string decoded, a number as written. `None` for other kinds, and where a
    /// lenient scan did not capture it.
    pub fn text(&self, member: &Member) -> Option<&str> {
        let range = member.text.as_ref()?;
        self.texts.get(range.start as usize..range.end as usize)
    }

    /// The text of the last member at `path`, if it is a string.
    pub fn string_at(&self, path: PathId) -> Option<&str> {
        self.get(path)
            .filter(|member| member.kind == Kind::String)
            .and_then(|found| self.text(found))
    }

    /// The value of the last member at `path`, if it is a non-negative integer without fraction or exponent.
    pub fn integer_at(&self, path: PathId) -> Option<u64> {
        self.get(path)
            .filter(|member| member.kind == Kind::Number)
            .and_then(|found| self.integer(found))
    }

    /// The value of a captured number; see [`integer`].
    pub fn integer(&self, member: &Member) -> Option<u64> {
        if member.kind == Kind::Number {
            self.text(member).and_then(integer)
        } else {
            None
        }
    }

    /// The byte ranges to cut so that the members `doomed` picks are gone and the document is still JSON: sorted,
    /// apart from each other, commas included. Members inside a picked container go with it.
    pub fn removals(&self, mut doomed: impl FnMut(&Member) -> bool) -> Vec<Range<usize>> {
        let mut picked: Vec<&Member> = Vec::new();
        let mut covered = 0;
        for member in self.members.iter().filter(|member| doomed(member)) {
            if member.value.end > covered {
                covered = member.value.end;
                picked.push(member);
            }
        }
        picked
            .chunk_by(|left, right| left.after.is_some() && left.after == right.before)
            .filter_map(cut)
            .collect()
    }
}

/// The range to cut for a run of neighbours. A run that reaches the end of its container takes the comma before it.
fn cut(run: &[&Member]) -> Option<Range<usize>> {
    let (first, last) = (run.first()?, run.last()?);
    Some(match (last.after(), first.before()) {
        (Some(after), _) => first.key.start..after + 1,
        (None, Some(before)) => before..last.value.end,
        (None, None) => first.key.start..last.value.end,
    })
}

/// Why a document was not accepted. `at` is the absolute byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON (RFC 8259), or not Unicode where it must be.
    Malformed {
        /// The offending byte, or the length where the document ends early.
        at: usize,
        /// What is wrong, for people.
        what: &'static str,
    },
    /// A container opens beyond the depth limit.
    TooDeep {
        /// Its opening bracket.
        at: usize,
    },
    /// A governed key stands twice in one object.
    Duplicate {
        /// The governed path; for a key on the way to governed paths, the first of those.
        path: PathId,
        /// The key as it should be.
        key: &'static str,
        /// The second key's opening quote.
        at: usize,
    },
    /// A key equals a governed key only when letter case is ignored.
    Variant {
        /// The governed path; for a key on the way to governed paths, the first of those.
        path: PathId,
        /// The key as it should be.
        key: &'static str,
        /// The key's opening quote.
        at: usize,
    },
    /// A governed scalar is longer than is captured.
    TooLong {
        /// The governed path.
        path: PathId,
        /// Where the value starts.
        at: usize,
    },
    /// More governed members than are recorded.
    TooMany {
        /// Where the first one too many starts.
        at: usize,
    },
}

impl Fault {
    /// The absolute byte offset of the fault.
    pub const fn at(&self) -> usize {
        match *self {
            Self::Malformed { at, .. }
            | Self::TooDeep { at }
            | Self::Duplicate { at, .. }
            | Self::Variant { at, .. }
            | Self::TooLong { at, .. }
            | Self::TooMany { at } => at,
        }
    }

    /// What is wrong, for people.
    pub const fn what(&self) -> &'static str {
        match *self {
            Self::Malformed { what, .. } => what,
            Self::TooDeep { .. } => "the document nests too deeply",
            Self::Duplicate { .. } => "a governed key stands twice in one object",
            Self::Variant { .. } => "a key differs from a governed key only in letter case",
            Self::TooLong { .. } => "a governed value is too long",
            Self::TooMany { .. } => "there are too many governed members",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { key, .. } | Self::Variant { key, .. } => {
                write!(f, "byte {}: {}: `{key}`", self.at(), self.what())
            }
            Self::Malformed { .. }
            | Self::TooDeep { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. } => {
                write!(f, "byte {}: {}", self.at(), self.what())
            }
        }
    }
}

impl std::error::Error for Fault {}

//! What the scanner remembers between two bytes. Must never grow with the document, only with its governed nesting.

use std::num::NonZeroUsize;

use super::super::Kind;
use super::super::paths::{Node, NodeId};
use super::super::text::Number;

/// Between two tokens, or in one that the last chunk cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Between(Next),
    String(Inside),
    Number(Number),
    Word(Kind, &'static [u8]),
}

/// What may come next, between two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    After,
    Done,
    /// The rest of a token that the chunk's end cut off.
    Rest,
}

/// Where in a string the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Run,
    Escape,
    /// After `\u` and this many digits.
    Hex(u8),
    /// In a UTF-8 sequence that the last chunk cut off; its bytes so far.
    Cut([u8; 4], u8),
}

/// The string or number being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// The absolute offset of its first byte.
    pub(super) start: usize,
    pub(super) role: Role,
    /// Whether it is ASCII without escapes so far.
    pub(super) plain: bool,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A key where no key is governed.
    Key,
    /// A key where some keys are.
    GovernedKey,
    /// A value nobody asked for.
    Value,
    /// A value at the end of a governed path.
    Captured,
}

/// An open container that paths lead into.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) element: NodeId,
    pub(super) array: bool,
    /// Its governed keys, if there are any.
    pub(super) keyed: Option<&'static Node>,
    pub(super) index: u32,
    pub(super) outer: u32,
    pub(super) id: u32,
    /// The container's own entry among the members, or `NONE`.
    pub(super) member: usize,
    /// The member whose comma is still to come, or `NONE`.
    pub(super) last: usize,
    /// The last comma's offset; none stands at 0.
    pub(super) comma: Option<NonZeroUsize>,
    /// The governed keys seen, by ordinal.
    pub(super) seen: u128,
}

pub(super) const NONE: usize = usize::MAX;

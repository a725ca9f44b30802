//! A segment from front to back, also one that a crash tore or somebody changed. Must never give up what lies behind a bad
//! place, nor take longer over made-up bytes than a few times reading them.

use std::ops::Range;

use super::frame::{Fault, Frame, LEAST_BYTES};

/// What stands at a place.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Bytes that are none, with frames behind them: no crash of the process leaves that.
    Damage(Fault),
    /// Bytes that are none, and nothing behind them: the tail of a write that a crash tore.
    Torn,
}

/// Walks over the frames of a segment.
#[derive(Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many bytes may still be summed in search of a frame.
    search: usize,
}

impl<'a> Scan<'a> {
    /// Over a segment's bytes, from the place of its first frame on.
    pub fn new(bytes: &'a [u8], from: usize) -> Self {
        Self {
            bytes,
            at: from.min(bytes.len()),
            search: bytes.len().saturating_mul(4),
        }
    }

    /// Where the next thing stands; at the end, where the next frame would.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What is next, and where; `None` where nothing more was written.
    pub fn step(&mut self) -> Option<(Range<usize>, Found<'a>)> {
        let from = self.at;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let fault = match Frame::parse(rest) {
            Ok(Some(frame)) => {
                self.at += frame.bytes.len();
                return Some((from..self.at, Found::Frame(frame)));
            }
            Ok(None) if is_zero(rest) => return None,
            Ok(None) => Fault::Shape,
            Err(fault) => fault,
        };
        if let Some(next) = self.search(from + 1) {
            self.at = next;
            return Some((from..next, Found::Damage(fault)));
        }
        let length = rest.iter().rposition(|byte| *byte != 0).unwrap_or_default() + 1;
        self.at = self.bytes.len();
        Some((from..from + length, Found::Torn))
    }

    /// The next place where a frame stands.
    fn search(&mut self, from: usize) -> Option<usize> {
        let last = self.bytes.len().checked_sub(LEAST_BYTES)?;
        for at in from..=last {
            let rest = self.bytes.get(at..)?;
            let Ok(Some(shape)) = Frame::shape(rest) else {
                continue;
            };
            self.search = self.search.checked_sub(shape.bytes.len())?;
            if Frame::parse(rest).is_ok() {
                return Some(at);
            }
        }
        None
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Whole blocks are compared by memcmp.
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROS.len())
        .all(|block| ZEROS.get(..block.len()) == Some(block))
}

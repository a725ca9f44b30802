//! A checkpoint: the heads of the chains that moved since the last one, in a frame; and one signed line about it, which is
//! what is kept elsewhere. Must never be believed without its signature.

use std::fmt::{self, Write};

use super::frame::{Chain, TenantNumber, array, hash};
use super::seal::SIGNATURE_BYTES;
use super::segment::JournalId;
use crate::units::Wall;

/// A place in the journal: which segment, and where in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The segment's number.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// One line of the file `checkpoints`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointLine {
    /// Whose.
    pub journal: JournalId,
    /// Counted from 1 on.
    pub number: u64,
    /// When.
    pub wall: Wall,
    /// Where its frame stands: everything before is covered.
    pub mark: Mark,
    /// The hash of that frame.
    pub frame: Chain,
    /// The hash of the line before.
    pub previous: Chain,
}

impl CheckpointLine {
    const WORD: &'static str = "outrigger-checkpoint/1";

    /// What is signed: the line up to its signature.
    pub fn signed(&self) -> String {
        let mut line = String::from(Self::WORD);
        line.push(' ');
        hex(&self.journal.0, &mut line);
        let Mark { segment, offset } = self.mark;
        _ = write!(line, " {} {} {segment} {offset} ", self.number, self.wall.0);
        hex(&self.frame.0, &mut line);
        line.push(' ');
        hex(&self.previous.0, &mut line);
        line
    }

    /// The whole line, without its end.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        let mut line = self.signed();
        line.push(' ');
        hex(signature, &mut line);
        line
    }

    /// Reads a line: what it says, what of it was signed, and the signature.
    pub fn parse(line: &str) -> Option<(Self, &str, [u8; SIGNATURE_BYTES])> {
        let (signed, signature) = line.rsplit_once(' ')?;
        let mut words = signed.split(' ');
        if words.next()? != Self::WORD {
            return None;
        }
        let journal = JournalId(unhex(words.next()?)?);
        let mut number = || words.next()?.parse::<u64>().ok();
        let parsed = Self {
            journal,
            number: number()?,
            wall: Wall(number()?),
            mark: Mark {
                segment: number()?,
                offset: number()?,
            },
            frame: Chain(unhex(words.next()?)?),
            previous: Chain(unhex(words.next()?)?),
        };
        // One way to write each: what was signed is what is compared.
        let canonical = words.next().is_none() && parsed.signed() == signed;
        canonical.then_some((parsed, signed, unhex(signature)?))
    }

    /// What the next line names as the one before.
    pub fn digest(line: &str) -> Chain {
        hash(line.as_bytes())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} at {}", self.segment, self.offset)
    }
}

/// The head of one chain, as a checkpoint's frame lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Whose.
    pub tenant: TenantNumber,
    /// The latest record.
    pub seq: u64,
    /// The chain behind it.
    pub chain: Chain,
}

impl ChainHead {
    const BYTES: usize = 48;

    /// The most of them one frame lists; more take several frames.
    pub const MOST: usize = 2_048;

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tenant.0.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.chain.0);
    }

    /// Those that a checkpoint's payload lists; `None` if it is no such list.
    pub fn list(payload: &[u8]) -> Option<impl Iterator<Item = Self>> {
        let (heads, []) = payload.as_chunks::<{ Self::BYTES }>() else {
            return None;
        };
        Some(heads.iter().map(|head| Self {
            tenant: TenantNumber(u64::from_le_bytes(array(head, 0))),
            seq: u64::from_le_bytes(array(head, 8)),
            chain: Chain(array(head, 16)),
        }))
    }
}

/// Appends bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        _ = write!(out, "{byte:02x}");
    }
}

/// Exactly so many bytes, from lower-case hexadecimal digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != N {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (place, [high, low]) in out.iter_mut().zip(pairs) {
        *place = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

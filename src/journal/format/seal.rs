//! What a finished segment came to, signed: the heads of its chains, what was settled by window, what was open at its end.
//! With it a start need not read the segment, and it stays when the segment is deleted. Must never hold a payload.

use super::frame::{Chain, TenantNumber, hash};
use super::window::{WINDOW_BYTES, read_window, write_window};
use crate::units::WindowId;
use crate::units::{NanoUsd, Wall};

/// What an open intent holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// As a whole.
    pub whole: NanoUsd,
    /// By window.
    pub windows: Vec<(WindowId, NanoUsd)>,
    /// Since when.
    pub wall: Wall,
}

/// What was settled and what was given back. Both only grow, so neither wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Settled, corrected upwards, or lost in a gap.
    pub taken: NanoUsd,
    /// Corrected downwards, topped up.
    pub given: NanoUsd,
}

impl Net {
    /// Both added.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken.plus(other.taken),
            given: self.given.plus(other.given),
        }
    }

    /// What is spent; never below nothing.
    pub const fn spent(self) -> NanoUsd {
        self.taken.minus(self.given)
    }
}

/// One tenant's part of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantSum {
    /// The first record's number; 0 while there is none.
    pub first_seq: u64,
    /// The last one's.
    pub last_seq: u64,
    /// The chain behind the last one.
    pub chain: Chain,
    /// How much room the records take.
    pub bytes: u64,
    /// How many there are.
    pub records: u64,
    /// Settled as a whole.
    pub whole: Net,
    /// Settled by window, sorted.
    pub windows: Vec<(WindowId, Net)>,
    /// Intents open at the end of the segment, by their numbers, also those begun before it.
    pub open: Vec<(u64, Held)>,
}

/// A finished segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Which.
    pub segment: u64,
    /// How long it is, the head included.
    pub length: u64,
    /// When its last record was written.
    pub newest: Wall,
    /// How far it was known to be synced if syncing it failed; otherwise 0.
    pub broken_at: u64,
    /// The hash of the seal before.
    pub previous: Chain,
    /// By tenant, sorted.
    pub tenants: Vec<(TenantNumber, TenantSum)>,
}

/// What an Ed25519 signature takes.
pub const SIGNATURE_BYTES: usize = 64;

impl Seal {
    const MAGIC: &'static [u8; 16] = b"outrigger-seal/1";

    /// What is signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Self::MAGIC.to_vec();
        for word in [self.segment, self.length, self.newest.0, self.broken_at] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.previous.0);
        count(self.tenants.len(), &mut out);
        for (number, sum) in &self.tenants {
            for word in [
                number.0,
                sum.first_seq,
                sum.last_seq,
                sum.bytes,
                sum.records,
                sum.whole.taken.0,
                sum.whole.given.0,
            ] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(&sum.chain.0);
            count(sum.windows.len(), &mut out);
            for (window, net) in &sum.windows {
                write_window(*window, net.taken, &mut out);
                out.extend_from_slice(&net.given.0.to_le_bytes());
            }
            count(sum.open.len(), &mut out);
            for (seq, held) in &sum.open {
                for word in [*seq, held.wall.0, held.whole.0] {
                    out.extend_from_slice(&word.to_le_bytes());
                }
                count(held.windows.len(), &mut out);
                for (window, amount) in &held.windows {
                    write_window(*window, *amount, &mut out);
                }
            }
        }
        out
    }

    /// Reads a seal with its signature behind it: the seal, what was signed, and the signature.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8], &[u8; SIGNATURE_BYTES])> {
        let (signed, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>()?;
        let mut rest = Cursor(signed.strip_prefix(Self::MAGIC)?);
        let mut seal = Self {
            segment: rest.word()?,
            length: rest.word()?,
            newest: Wall(rest.word()?),
            broken_at: rest.word()?,
            previous: Chain(rest.take()?),
            tenants: Vec::new(),
        };
        for _ in 0..rest.count()? {
            seal.tenants
                .push((TenantNumber(rest.word()?), rest.tenant()?));
        }
        rest.0.is_empty().then_some((seal, signed, signature))
    }

    /// What the next seal names as the one before.
    pub fn digest(bytes: &[u8]) -> Chain {
        hash(bytes)
    }
}

fn count(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Takes values off the front; whatever a count says, no more is kept than there are bytes.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn word(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn window(&mut self) -> Option<(WindowId, NanoUsd)> {
        let entry: [u8; WINDOW_BYTES] = self.take()?;
        Some(read_window(&entry))
    }

    fn tenant(&mut self) -> Option<TenantSum> {
        let mut sum = TenantSum {
            first_seq: self.word()?,
            last_seq: self.word()?,
            bytes: self.word()?,
            records: self.word()?,
            whole: Net {
                taken: NanoUsd(self.word()?),
                given: NanoUsd(self.word()?),
            },
            chain: Chain(self.take()?),
            ..TenantSum::default()
        };
        for _ in 0..self.count()? {
            let (window, taken) = self.window()?;
            let given = NanoUsd(self.word()?);
            sum.windows.push((window, Net { taken, given }));
        }
        for _ in 0..self.count()? {
            let seq = self.word()?;
            let mut held = Held {
                wall: Wall(self.word()?),
                whole: NanoUsd(self.word()?),
                windows: Vec::new(),
            };
            for _ in 0..self.count()? {
                held.windows.push(self.window()?);
            }
            sum.open.push((seq, held));
        }
        Some(sum)
    }
}

//! Finished segments: sealed one after the other, kept for their term, let go of in order. Must never let go of one that is
//! not sealed, or that still has to be copied elsewhere.

use std::collections::VecDeque;
use std::fs;
use std::ops::Range;

use super::error::JournalError;
use super::format::{Chain, Found, Scan, Seal, SegmentHead};
use super::keys::Keyring;
use super::places::Places;
use super::sums::Sums;
use crate::host::durable;
use crate::host::files::read_capped;
use crate::units::Wall;

/// The finished segments that are kept.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) kept: VecDeque<Kept>,
    /// What was open where the next segment to be sealed begins.
    pub(super) carry: Sums,
    /// The hash of the latest seal.
    pub(super) seal_digest: Chain,
}

/// One finished segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) length: u64,
    pub(super) newest: Wall,
    /// How far it was synced, if syncing it failed; otherwise 0.
    pub(super) broken_at: u64,
    pub(super) sealed: bool,
}

/// The largest segment that is read: a file that somebody put there must not fill the memory.
pub(super) const MOST_BYTES: u64 = 1 << 30;

impl Shelf {
    /// What all of them take.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.length).sum()
    }

    /// Whether a segment waits to be sealed.
    pub(super) fn has_work(&self) -> bool {
        self.kept.iter().any(|kept| !kept.sealed)
    }

    /// Seals the first that is not, if there is one, and says which. What cannot be sealed now is tried again.
    pub(super) fn seal_next(
        &mut self,
        places: &Places,
        keyring: &Keyring,
    ) -> Result<Option<u64>, JournalError> {
        let Some(kept) = self.kept.iter_mut().find(|kept| !kept.sealed) else {
            return Ok(None);
        };
        // Again, in case that was not possible when it was finished: a seal says how long the file is.
        let path = places.segment(kept.number);
        durable::cut(&path, kept.length)?;
        let bytes = read_capped(&path, MOST_BYTES)?;
        let mut sums = Sums::default();
        sums.carry(&self.carry);
        sum_segment(&bytes, &mut sums, |_, _| {});
        let newest = sums.newest;
        let seal = Seal {
            segment: kept.number,
            length: kept.length,
            newest,
            broken_at: kept.broken_at,
            previous: self.seal_digest,
            tenants: sums.finish(),
        };
        self.seal_digest = write_seal(places, keyring, &seal)?;
        self.carry = sums;
        kept.newest = newest;
        kept.sealed = true;
        Ok(Some(kept.number))
    }

    /// The first, if it is sealed and older than the term.
    pub(super) fn overdue(&self, before: Wall) -> Option<Kept> {
        let first = self.kept.front()?;
        (first.sealed && first.newest < before).then_some(*first)
    }

    /// Deletes the first one's records; its seal stays.
    pub(super) fn let_go(&mut self, places: &Places) {
        if let Some(kept) = self.kept.pop_front() {
            _ = fs::remove_file(places.segment(kept.number));
            _ = fs::remove_file(places.points(kept.number));
        }
    }
}

/// Writes a seal, and returns its hash.
pub(super) fn write_seal(
    places: &Places,
    keyring: &Keyring,
    seal: &Seal,
) -> Result<Chain, JournalError> {
    let mut bytes = seal.encode();
    let signature = keyring.sign(&bytes);
    bytes.extend_from_slice(&signature);
    durable::write_durable(&places.seal(seal.segment), &bytes)?;
    Ok(Seal::digest(&bytes))
}

/// Takes every frame of a segment into the sums, tells of every place that is none, and says where the next frame would
/// stand.
pub(super) fn sum_segment(
    bytes: &[u8],
    sums: &mut Sums,
    mut bad: impl FnMut(Range<usize>, &Found<'_>),
) -> usize {
    let mut scan = Scan::new(bytes, SegmentHead::BYTES);
    let mut until = scan.at();
    while let Some((range, found)) = scan.step() {
        match found {
            Found::Frame(frame) => {
                sums.take(&frame);
                until = range.end;
            }
            Found::Damage(_) | Found::Torn => bad(range, &found),
        }
    }
    until
}

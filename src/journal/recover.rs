//! What a start finds: sums of all records, a torn tail cut, damage told, what was signed compared with what is there. Must
//! never lose what was spent: a bad place hides nothing that stands behind it.

use std::collections::BTreeMap;
use std::fs;

use super::book::length;
use super::error::JournalError;
use super::format::seal::Net;
use super::format::{
    Chain, CheckpointLine, Fault, Found, Mark, Seal, SegmentHead, TenantNumber, WindowId,
};
use super::keys::{Keyring, is_signed};
use super::places::{POINTS, Places, SEAL, SEGMENT};
use super::shelf::{Kept, MOST_BYTES, Shelf, sum_segment, write_seal};
use super::sums::Sums;
use crate::host::Error;
use crate::host::durable;
use crate::host::files::read_capped;
use crate::units::{NanoUsd, TenantId, Wall};

/// What a start found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// There was no journal: whatever budgets had spent is not known.
    pub fresh: bool,
    /// Each tenant's part.
    pub tenants: Vec<Recovered>,
    /// Tails that a crash tore, and that were cut.
    pub torn: Vec<Torn>,
    /// What no crash of the process explains.
    pub alarms: Vec<Alarm>,
    /// Records that were read one by one; those of sealed segments are not.
    pub records: u64,
    /// The latest time that a record says.
    pub newest: Wall,
}

/// One tenant, as its records say.
#[derive(Debug)]
pub struct Recovered {
    /// Who; absent once the key has been forgotten or lost.
    pub tenant: Option<TenantId>,
    /// The number that stands for it.
    pub number: TenantNumber,
    /// The number of the next record.
    pub next_seq: u64,
    /// The head of its chain before this start wrote anything.
    pub chain: Chain,
    /// Settled as a whole, open intents at what they held included.
    pub whole: Net,
    /// The same by window.
    pub windows: Vec<(WindowId, Net)>,
    /// Intents that had no end, now settled at what they held.
    pub unknown: u64,
    /// What those held together.
    pub unknown_whole: NanoUsd,
}

/// A tail that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it began.
    pub mark: Mark,
    /// How many bytes it had.
    pub bytes: u64,
}

/// What no crash of the process explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The files end before what was signed: somebody put older ones in their place, or they were cut.
    RolledBack {
        /// What was signed.
        signed: Mark,
        /// Where the files end.
        found: Mark,
    },
    /// Bytes that are no record, with records behind them.
    Damaged {
        /// Where.
        mark: Mark,
        /// How many.
        bytes: u64,
        /// What is wrong with them.
        fault: Fault,
    },
    /// A segment that is not there, or not of this journal.
    Missing {
        /// Its number.
        segment: u64,
    },
    /// A seal that is not signed by this journal, or not about what is there.
    BadSeal {
        /// The segment's number.
        segment: u64,
    },
    /// There are records, and the keys are new: the old ones are lost, and with them the payloads.
    KeysLost,
}

/// What the parts of a journal go on from.
#[derive(Default)]
pub(super) struct Ground {
    pub(super) sums: Sums,
    pub(super) shelf: Shelf,
    pub(super) next_segment: u64,
    pub(super) point: u64,
    pub(super) point_digest: Chain,
}

/// Reads a journal that no process writes to: cuts what a crash tore, seals what was not sealed.
pub(super) fn recover(
    places: &Places,
    keyring: &Keyring,
    recovery: &mut Recovery,
) -> Result<Ground, JournalError> {
    let mut walk = Walk {
        places,
        keyring,
        recovery,
        ground: Ground {
            next_segment: 1,
            ..Ground::default()
        },
        ends: BTreeMap::new(),
        all_sealed: true,
    };
    let mut numbers = places.numbers(SEGMENT);
    numbers.extend(places.numbers(SEAL));
    numbers.sort_unstable();
    numbers.dedup();
    for (place, number) in numbers.iter().enumerate() {
        if place > 0 {
            (walk.ground.next_segment..*number).for_each(|segment| walk.miss(segment));
        }
        walk.ground.next_segment = number + 1;
        if !walk.sealed(*number) {
            walk.unsealed(*number)?;
        }
    }
    walk.compare_with_signed();
    Ok(walk.ground)
}

struct Walk<'a> {
    places: &'a Places,
    keyring: &'a Keyring,
    recovery: &'a mut Recovery,
    ground: Ground,
    /// Where the records of each segment end.
    ends: BTreeMap<u64, u64>,
    /// Seals are chained: behind one that could not be written, none can be.
    all_sealed: bool,
}

impl Walk<'_> {
    fn miss(&mut self, segment: u64) {
        // A lost range of any length is one alarm; the numbers are in it.
        let latest = self.recovery.alarms.last();
        if !matches!(latest, Some(Alarm::Missing { segment: before }) if segment == before + 1) {
            self.recovery.alarms.push(Alarm::Missing { segment });
        }
    }

    /// Takes a finished segment at its seal's word, if that is good.
    fn sealed(&mut self, number: u64) -> bool {
        let Ok(bytes) = read_capped(&self.places.seal(number), MOST_BYTES) else {
            return false;
        };
        let parsed = Seal::parse(&bytes).filter(|(seal, signed, signature)| {
            let follows = self.ground.shelf.seal_digest == Chain::default()
                || seal.previous == self.ground.shelf.seal_digest;
            follows && seal.segment == number && is_signed(&self.keyring.public, signed, signature)
        });
        let Some((seal, ..)) = parsed else {
            let segment = number;
            self.recovery.alarms.push(Alarm::BadSeal { segment });
            return false;
        };
        let found = fs::metadata(self.places.segment(number))
            .map(|facts| facts.len())
            .ok();
        if let Some(found) = found {
            if found != seal.length {
                let segment = number;
                self.recovery.alarms.push(Alarm::BadSeal { segment });
            }
            self.ground.shelf.kept.push_back(Kept {
                number,
                length: found,
                newest: seal.newest,
                broken_at: seal.broken_at,
                sealed: true,
            });
        }
        self.ends.insert(number, found.unwrap_or(seal.length));
        self.ground.sums.absorb(&seal);
        if found.is_none() {
            // Its records are gone as agreed, and take no room any more.
            for (tenant, sum) in &seal.tenants {
                if let Some(account) = self.ground.sums.tenants.get_mut(tenant) {
                    account.bytes = account.bytes.saturating_sub(sum.bytes);
                }
            }
        }
        self.ground.shelf.carry.absorb(&seal);
        // Only what is open is carried.
        self.ground.shelf.carry.finish();
        self.ground.shelf.seal_digest = Seal::digest(&bytes);
        true
    }

    /// Reads a segment record by record, cuts its torn tail and seals it.
    fn unsealed(&mut self, number: u64) -> Result<(), JournalError> {
        let path = self.places.segment(number);
        let Ok(bytes) = read_capped(&path, MOST_BYTES) else {
            self.miss(number);
            return Ok(());
        };
        match SegmentHead::parse(&bytes) {
            None if bytes.iter().all(|byte| *byte == 0) => {
                // The process ended while it began this file; the number is used again.
                self.ground.next_segment = number;
                return fs::remove_file(&path)
                    .map_err(|source| Error::new("remove", path.to_string_lossy(), source).into());
            }
            Some(head) if head.journal == self.keyring.journal && head.number == number => {}
            Some(_) | None => {
                self.miss(number);
                return Ok(());
            }
        }
        let mut sums = Sums::default();
        sums.carry(&self.ground.shelf.carry);
        let until = self.read(number, &bytes, &mut sums);
        self.recovery.records += sums
            .tenants
            .values()
            .map(|account| account.records)
            .sum::<u64>();
        self.ends.insert(number, until);
        let seal = read_capped(&self.places.seal(number), MOST_BYTES);
        if let Ok(seal) = seal {
            // A seal that is not good stays as it is, for whoever looks into it.
            self.ground.shelf.seal_digest = Seal::digest(&seal);
            self.keep(number, length(bytes.len()), sums, Sealing::Left);
            return Ok(());
        }
        durable::cut(&path, until)?;
        self.keep(number, until, sums, Sealing::Due);
        Ok(())
    }

    fn read(&mut self, segment: u64, bytes: &[u8], sums: &mut Sums) -> u64 {
        let recovery = &mut *self.recovery;
        let until = sum_segment(bytes, sums, |range, found| {
            let mark = Mark {
                segment,
                offset: length(range.start),
            };
            let bytes = length(range.len());
            match found {
                Found::Damage(fault) => recovery.alarms.push(Alarm::Damaged {
                    mark,
                    bytes,
                    fault: *fault,
                }),
                Found::Torn | Found::Frame(_) => recovery.torn.push(Torn { mark, bytes }),
            }
        });
        length(until)
    }

    fn keep(&mut self, number: u64, until: u64, mut sums: Sums, sealing: Sealing) {
        let newest = sums.newest;
        let tenants = sums.finish();
        self.ground.sums.add(&tenants, newest);
        let seal = Seal {
            segment: number,
            length: until,
            newest,
            broken_at: 0,
            previous: self.ground.shelf.seal_digest,
            tenants,
        };
        // What cannot be sealed now, for want of room, is sealed by the writer.
        let digest = match sealing {
            Sealing::Left => Some(seal.previous),
            Sealing::Due if self.all_sealed => write_seal(self.places, self.keyring, &seal).ok(),
            Sealing::Due => None,
        };
        if let Some(digest) = digest {
            self.ground.shelf.seal_digest = digest;
            self.ground.shelf.carry = sums;
        }
        self.all_sealed &= digest.is_some();
        self.ground.shelf.kept.push_back(Kept {
            number,
            length: until,
            newest,
            broken_at: 0,
            sealed: digest.is_some(),
        });
    }

    /// The latest checkpoint must stand where it says.
    fn compare_with_signed(&mut self) {
        let Some((line, digest)) = latest_line(self.places, &self.keyring.public) else {
            return;
        };
        self.ground.point = line.number;
        self.ground.point_digest = digest;
        let end = self.ends.get(&line.mark.segment).copied();
        if end.is_none_or(|end| end <= line.mark.offset) {
            let found = self.ends.last_key_value();
            let (segment, offset) = found.map_or((0, 0), |(segment, end)| (*segment, *end));
            self.recovery.alarms.push(Alarm::RolledBack {
                signed: line.mark,
                found: Mark { segment, offset },
            });
        }
        self.ground.next_segment = self.ground.next_segment.max(line.mark.segment + 1);
    }
}

/// Whether a segment that was read gets a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sealing {
    Due,
    /// It has one.
    Left,
}

/// The last whole line that is signed, and its hash.
fn latest_line(places: &Places, public: &[u8; 32]) -> Option<(CheckpointLine, Chain)> {
    places.numbers(POINTS).into_iter().rev().find_map(|number| {
        let bytes = read_capped(&places.points(number), MOST_BYTES).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.get(..=text.rfind('\n')?)?;
        whole.lines().rev().find_map(|text| {
            let (line, signed, signature) = CheckpointLine::parse(text)?;
            is_signed(public, signed.as_bytes(), &signature)
                .then(|| (line, CheckpointLine::digest(text)))
        })
    })
}

/// Each tenant's part of what was found, open intents settled at what they hold.
pub(super) fn recovered(sums: &Sums, names: &BTreeMap<TenantNumber, TenantId>) -> Vec<Recovered> {
    let accounts = sums.tenants.iter();
    let mut tenants: Vec<_> = accounts
        .filter(|(number, account)| **number != TenantNumber::JOURNAL && account.last_seq > 0)
        .map(|(number, account)| {
            let mut windows = account.windows.clone();
            let mut whole = account.whole;
            let mut unknown_whole = NanoUsd::ZERO;
            for held in account.open.values() {
                let taken = |taken| Net {
                    taken,
                    ..Net::default()
                };
                unknown_whole = unknown_whole.plus(held.whole);
                whole = whole.plus(taken(held.whole));
                for (window, amount) in &held.windows {
                    let entry = windows.entry(*window).or_default();
                    *entry = entry.plus(taken(*amount));
                }
            }
            Recovered {
                tenant: names.get(number).cloned(),
                number: *number,
                next_seq: account.last_seq + 1,
                chain: account.chain,
                whole,
                windows: windows.into_iter().collect(),
                unknown: length(account.open.len()),
                unknown_whole,
            }
        })
        .collect();
    tenants.sort_unstable_by_key(|tenant| tenant.number);
    tenants
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RolledBack { signed, found } => write!(
                f,
                "the journal ends at {found}, and {signed} was signed: it was cut, or older files were put in its place"
            ),
            Self::Damaged { mark, bytes, fault } => write!(
                f,
                "{bytes} bytes of {mark} are no record: {}",
                fault.as_str()
            ),
            Self::Missing { segment } => {
                write!(f, "segment {segment} is missing or not this journal's")
            }
            Self::BadSeal { segment } => write!(f, "the seal of segment {segment} is not valid"),
            Self::KeysLost => f.write_str("the keys of the records are lost"),
        }
    }
}

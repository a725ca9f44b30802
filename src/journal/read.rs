//! Reading a journal's files, also while a sidecar writes them: what is in the clear for everybody's records, payloads where
//! the key is there. Must never write, lock or wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use super::book::length;
use super::format::seal::Net;
use super::format::{
    BootId, Flags, Found, Frame, JournalId, Kind, Mark, Scan, SegmentHead, TenantNumber, WindowId,
};
use super::keys::{MonthKey, ReadKeys, Slot, month_of};
use super::live::{is_begun, read_live};
use super::places::{Places, SEGMENT};
use super::shelf::MOST_BYTES;
use crate::host::files::read_capped;
use crate::units::{TenantId, Wall};

/// A journal's directory as a reader sees it.
pub struct Reader {
    places: Places,
    keys: ReadKeys,
    names: BTreeMap<TenantNumber, TenantId>,
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whose records; `None` for everybody's.
    pub tenant: Option<TenantId>,
    /// From where on: what [`Reader::read`] answered before, to follow a journal that grows.
    pub from: Mark,
    /// Leaves out segments that end before this time.
    pub since: Wall,
    /// The last segment to read, if not all that there are.
    pub last: Option<u64>,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Where it stands.
    pub mark: Mark,
    /// Whose journal it is in.
    pub journal: JournalId,
    /// Whose it is, if its key is there.
    pub tenant: Option<&'a TenantId>,
    /// What it says in the clear.
    pub frame: &'a Frame<'a>,
    /// What it says behind the seal; `None` if that cannot be opened.
    pub payload: Option<&'a [u8]>,
}

impl Reader {
    /// Over the files of a directory. What cannot be unwrapped is read without payloads.
    pub fn open(directory: &Path) -> Self {
        let keys = ReadKeys::read(directory);
        Self {
            places: Places::new(directory),
            names: super::opening::names(&keys.slots),
            keys,
        }
    }

    /// Which journal it is, as its public key says; `None` without one.
    pub fn journal(&self) -> Option<JournalId> {
        let public = self.keys.public.as_ref();
        public.map(|public| JournalId::of(public))
    }

    /// The tenants that have a name.
    pub fn tenants(&self) -> impl Iterator<Item = (TenantNumber, &TenantId)> {
        self.names.iter().map(|(number, name)| (*number, name))
    }

    /// The numbers of the segments that are kept, in order.
    pub fn segments(&self) -> Vec<u64> {
        self.places.numbers(SEGMENT)
    }

    /// Goes through the records in the order of the files, until it is told to stop or nothing more is written. Answers
    /// where to go on from.
    pub fn read(
        &self,
        wanted: &Wanted,
        visit: &mut dyn FnMut(&Line<'_>) -> ControlFlow<()>,
    ) -> Mark {
        let numbers: BTreeSet<TenantNumber> = self
            .names
            .iter()
            .filter(|(_, name)| wanted.tenant.as_ref().is_none_or(|tenant| *name == tenant))
            .map(|(number, _)| *number)
            .collect();
        let mut at = wanted.from;
        let segments = self.places.numbers(SEGMENT);
        for (place, &number) in segments.iter().enumerate() {
            if number < wanted.from.segment || wanted.last.is_some_and(|last| number > last) {
                continue;
            }
            let path = self.places.segment(number);
            if is_older(&path, wanted.since) {
                continue;
            }
            // Asked before it is read: once a later one is begun, this one is whole.
            let mut later = segments.iter().skip(place + 1);
            let is_whole = later.any(|later| is_begun(&self.places.segment(*later)));
            let read = if is_whole {
                read_capped(&path, MOST_BYTES)
            } else {
                read_live(&path)
            };
            // It may be let go of at any moment.
            let Ok(bytes) = read else { continue };
            let Some(head) = SegmentHead::parse(&bytes) else {
                continue;
            };
            let from = if number == wanted.from.segment {
                usize::try_from(wanted.from.offset).unwrap_or(usize::MAX)
            } else {
                0
            };
            let mut opener = Opener::new(&self.keys, head.boot);
            let mut scan = Scan::new(&bytes, from.max(SegmentHead::BYTES));
            while let Some((range, found)) = scan.step() {
                let Found::Frame(frame) = found else { continue };
                at = Mark {
                    segment: number,
                    offset: length(range.end),
                };
                let mine = wanted.tenant.is_none() || numbers.contains(&frame.head.tenant);
                if !mine {
                    continue;
                }
                let opened = opener.open(&frame);
                let line = Line {
                    mark: Mark {
                        segment: number,
                        offset: length(range.start),
                    },
                    journal: head.journal,
                    tenant: self.names.get(&frame.head.tenant),
                    frame: &frame,
                    payload: opened.payload(),
                };
                if visit(&line).is_break() {
                    return at;
                }
            }
            if !is_whole {
                break;
            }
        }
        at
    }

    /// What every tenant's records that are kept settled, by window, open intents left out.
    pub fn totals(&self) -> BTreeMap<(TenantNumber, WindowId), Net> {
        let mut sums = super::sums::Sums::default();
        let wanted = Wanted::default();
        self.read(&wanted, &mut |line| {
            sums.take(line.frame);
            ControlFlow::Continue(())
        });
        let tenants = sums.tenants.into_iter();
        tenants
            .flat_map(|(number, account)| {
                let windows = account.windows.into_iter();
                windows.map(move |(window, net)| ((number, window), net))
            })
            .collect()
    }
}

/// Whether nothing was written to a file since then.
fn is_older(path: &Path, since: Wall) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(facts) = std::fs::metadata(path) else {
        return true;
    };
    let millis = facts.mtime().saturating_mul(1_000);
    u64::try_from(millis).is_ok_and(|millis| millis.saturating_add(2_000) < since.0)
}

/// Opens the payloads of one segment.
pub(super) struct Opener<'a> {
    keys: &'a ReadKeys,
    boot: BootId,
    /// By place in the table and month.
    made: HashMap<(u64, u32), Option<MonthKey>>,
    plain: Vec<u8>,
}

/// What came of opening a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened<'a> {
    /// It is not sealed.
    Clear(&'a [u8]),
    /// It was sealed by who had the key.
    Sealed(&'a [u8]),
    /// The key is forgotten, or was never to be had.
    NoKey,
    /// The key is there, and it is not what was sealed.
    Forged,
}

impl<'a> Opened<'a> {
    pub(super) const fn payload(self) -> Option<&'a [u8]> {
        match self {
            Self::Clear(payload) | Self::Sealed(payload) => Some(payload),
            Self::NoKey | Self::Forged => None,
        }
    }
}

impl<'a> Opener<'a> {
    pub(super) fn new(keys: &'a ReadKeys, boot: BootId) -> Self {
        Self {
            keys,
            boot,
            made: HashMap::new(),
            plain: Vec::new(),
        }
    }

    pub(super) fn open<'b>(&'b mut self, frame: &Frame<'b>) -> Opened<'b> {
        let head = &frame.head;
        let slot = self.keys.slot(head.tenant, head.seq);
        if head.flags.has(Flags::CLEAR) {
            // Only the journal's own records, and ends without a word for tenants whose key is gone.
            let own = head.tenant == TenantNumber::JOURNAL;
            let wordless = head.kind == Kind::End && frame.payload.is_empty();
            let keyless = slot.is_none_or(|slot| slot.known.is_none());
            return if own || (wordless && keyless) {
                Opened::Clear(frame.payload)
            } else {
                Opened::Forged
            };
        }
        let Some(slot) = slot.filter(|slot| slot.known.is_some()) else {
            return Opened::NoKey;
        };
        let boot = self.boot;
        let made = self
            .made
            .entry((slot.place, month_of(head.wall)))
            .or_insert_with(|| slot.month_key(head.wall, boot));
        let Some(key) = made else {
            return Opened::Forged;
        };
        self.plain.clear();
        self.plain.extend_from_slice(frame.payload);
        match key.open(head.seq, frame.associated(), &mut self.plain) {
            Some(opened) => Opened::Sealed(opened),
            None => Opened::Forged,
        }
    }
}

impl ReadKeys {
    /// The secret of a record: the latest that was made before it.
    pub(super) fn slot(&self, tenant: TenantNumber, seq: u64) -> Option<&Slot> {
        let slots = self.slots.iter();
        slots
            .filter(|slot| slot.number == tenant && slot.from_seq <= seq)
            .max_by_key(|slot| slot.from_seq)
    }
}

//! Whether a journal is what was written: every record against its chain, its seal and what was signed, and the whole against
//! a checkpoint that was kept elsewhere. Must never repair, nor stop at the first thing it finds.

mod fault;
mod points;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

pub use fault::{Invalid, Why};

use super::book::length;
use super::format::checkpoint::ChainHead;
use super::format::{
    Chain, Found, Frame, JournalId, Kind, Mark, Scan, Seal, SegmentHead, TenantNumber,
};
use super::keys::{ReadKeys, is_signed};
use super::live::read_live;
use super::places::{POINTS, Places, SEAL, SEGMENT};
use super::read::{Opened, Opener};
use super::shelf::MOST_BYTES;
use super::sums::Sums;
use crate::host::files::read_capped;
use crate::units::TenantId;
use points::Points;

/// What came of checking a journal.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Everything that is not as it was written; empty means valid.
    pub invalid: Vec<Invalid>,
    /// Each segment: its number, and how many records it has. `None`: its term is over, its seal stands for it.
    pub segments: Vec<(u64, Option<u64>)>,
    /// Each tenant: its number, its name where there is a key, and how many records were checked.
    pub tenants: BTreeMap<TenantNumber, (Option<TenantId>, u64)>,
    /// Records whose payload was opened, too.
    pub opened: u64,
    /// Checkpoints whose signature and place were checked.
    pub checkpoints: u64,
    /// Bytes at the end of the last segment that a crash tore, and that the next start will cut.
    pub torn: u64,
    /// Checkpoints from elsewhere that are older than everything that is kept, so that nothing can be said about them.
    pub too_old: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }
}

/// Checks the files of a directory. `elsewhere` are lines of checkpoints that were kept where nobody could change them:
/// without them, older files in the place of newer ones cannot be told. Whoever wants to be sure that the keys are the right
/// ones compares `public` with what he knows; otherwise it is read from the directory.
pub fn verify(directory: &Path, public: Option<[u8; 32]>, elsewhere: &str) -> Verdict {
    check(directory, public, elsewhere, &|| false).verdict
}

/// The same, until that says that nobody waits for it any more, which is asked for every segment and a thousand records: then
/// there is no verdict.
pub fn verify_until(
    directory: &Path,
    elsewhere: &str,
    is_over: &dyn Fn() -> bool,
) -> Option<Verdict> {
    let Checked {
        verdict,
        called_off,
    } = check(directory, None, elsewhere, is_over);
    (!called_off).then_some(verdict)
}

struct Checked {
    verdict: Verdict,
    called_off: bool,
}

/// It is asked once for so many records whether anybody waits.
const LOOK_UP: u64 = 1_024;

fn check(
    directory: &Path,
    public: Option<[u8; 32]>,
    elsewhere: &str,
    is_over: &dyn Fn() -> bool,
) -> Checked {
    let keys = ReadKeys::read(directory);
    let mut verdict = Verdict::default();
    let Some(public) = public.or(keys.public) else {
        verdict.invalid.push(Invalid::of(Why::NoPublicKey));
        return Checked {
            verdict,
            called_off: false,
        };
    };
    let places = Places::new(directory);
    let mut check = Check {
        places: &places,
        keys: &keys,
        public,
        journal: JournalId::of(&public),
        verdict,
        heads: HashMap::new(),
        points: Points::default(),
        carry: Sums::default(),
        seal_digest: Chain::default(),
        gone: Vec::new(),
        retired: 0,
        newest: None,
        scratch: Vec::new(),
        is_over,
        called_off: false,
    };
    check.keys();
    check.files();
    if !check.called_off {
        check.elsewhere(elsewhere);
        check.name_tenants();
    }
    Checked {
        verdict: check.verdict,
        called_off: check.called_off,
    }
}

/// The files of the newest segment, read in this order: a seal is of a whole segment, a line of points about a frame that is
/// there.
struct Newest {
    number: u64,
    seal: Option<Vec<u8>>,
    points: Option<Vec<u8>>,
    bytes: Option<Vec<u8>>,
}

impl Newest {
    fn read(places: &Places, number: u64) -> Self {
        let seal = read_capped(&places.seal(number), MOST_BYTES).ok();
        let points = read_capped(&places.points(number), MOST_BYTES).ok();
        let bytes = read_live(&places.segment(number)).ok();
        Self {
            number,
            seal,
            points,
            bytes,
        }
    }
}

pub(super) struct Check<'a> {
    pub(super) places: &'a Places,
    keys: &'a ReadKeys,
    pub(super) public: [u8; 32],
    pub(super) journal: JournalId,
    pub(super) verdict: Verdict,
    /// Where each chain stands.
    heads: HashMap<TenantNumber, (u64, Chain)>,
    pub(super) points: Points,
    carry: Sums,
    seal_digest: Chain,
    /// Segments that are not there.
    gone: Vec<u64>,
    /// Up to which segment they were deleted as agreed.
    retired: u64,
    newest: Option<Newest>,
    scratch: Vec<u8>,
    is_over: &'a dyn Fn() -> bool,
    /// Nobody waits for the verdict, so there is none.
    called_off: bool,
}

impl Check<'_> {
    /// Whether to go on.
    fn goes_on(&mut self) -> bool {
        self.called_off = self.called_off || (self.is_over)();
        !self.called_off
    }

    pub(super) fn find(&mut self, invalid: Invalid) {
        self.verdict.invalid.push(invalid);
    }

    /// Each secret must be wrapped for the place where it stands.
    fn keys(&mut self) {
        let keys = self.keys;
        if !keys.has_master {
            return;
        }
        for slot in &keys.slots {
            if slot.known.is_none() && !slot.forgotten {
                let invalid = Invalid::of(Why::Key).tenant(slot.number, slot.from_seq);
                self.find(invalid);
            }
        }
    }

    fn files(&mut self) {
        let mut numbers: BTreeSet<u64> = self.places.numbers(SEGMENT).into_iter().collect();
        numbers.extend(self.places.numbers(SEAL));
        numbers.extend(self.places.numbers(POINTS));
        if numbers.last().is_some_and(|last| self.is_blank(*last)) {
            numbers.pop_last();
        }
        let last = numbers.last().copied().unwrap_or_default();
        // First of all: what was written before that is complete in all others when they are read.
        self.newest = Some(Newest::read(self.places, last));
        for number in 1..=last {
            if !self.goes_on() {
                return;
            }
            if !numbers.contains(&number) {
                self.gone.push(number);
                continue;
            }
            self.segment(number, number == last);
        }
        // Those deleted as agreed are the oldest, and a record says so.
        for number in std::mem::take(&mut self.gone) {
            if number > self.retired {
                self.find(Invalid::of(Why::Missing).at(number, 0));
            }
        }
    }

    /// Whether a process ended while it began this segment: the next one will begin it again.
    fn is_blank(&self, number: u64) -> bool {
        let places = [self.places.seal(number), self.places.points(number)];
        let is_told_of = places.iter().any(|place| place.exists());
        let bytes = read_capped(&self.places.segment(number), MOST_BYTES);
        !is_told_of && bytes.is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }

    fn segment(&mut self, number: u64, is_last: bool) {
        let seal = self.seal(number);
        self.read_points(number);
        let Some(bytes) = self.bytes(number, seal.is_some()) else {
            self.gone.push(number);
            self.verdict.segments.push((number, None));
            if let Some((seal, _)) = seal {
                self.take_seal(&seal);
            }
            self.points.forget(number);
            return;
        };
        let head = SegmentHead::parse(&bytes);
        let is_good = |head: SegmentHead| {
            let is_ours = head.number == number && head.journal == self.journal;
            is_ours && bytes.starts_with(&head.encode())
        };
        if !head.is_some_and(is_good) {
            self.find(Invalid::of(Why::SegmentHead).at(number, 0));
        }
        let mut sums = Sums::default();
        sums.carry(&self.carry);
        let records = self.records(number, &bytes, head, &mut sums, seal.is_none() && is_last);
        self.verdict.segments.push((number, Some(records)));
        if let Some((seal, bytes_sealed)) = seal {
            let found = (length(bytes.len()), sums.newest, sums.finish());
            if found != (seal.length, seal.newest, seal.tenants) {
                self.find(Invalid::of(Why::Seal).at(number, bytes_sealed));
            }
        } else {
            sums.finish();
        }
        self.carry = sums;
        self.missing_points(number);
    }

    /// The lines that were written beside a segment.
    pub(super) fn lines(&mut self, number: u64) -> Option<Vec<u8>> {
        match &mut self.newest {
            Some(newest) if newest.number == number => newest.points.take(),
            _ => read_capped(&self.places.points(number), MOST_BYTES).ok(),
        }
    }

    fn bytes(&mut self, number: u64, is_sealed: bool) -> Option<Vec<u8>> {
        let path = self.places.segment(number);
        match &mut self.newest {
            Some(newest) if newest.number == number => newest.bytes.take(),
            _ if is_sealed => read_capped(&path, MOST_BYTES).ok(),
            _ => read_live(&path).ok(),
        }
    }

    /// The seal of a segment, if there is one that is signed and follows the one before; and how long the segment is.
    fn seal(&mut self, number: u64) -> Option<(Seal, u64)> {
        let bytes = match &mut self.newest {
            Some(newest) if newest.number == number => newest.seal.take(),
            _ => read_capped(&self.places.seal(number), MOST_BYTES).ok(),
        }?;
        let parsed = Seal::parse(&bytes).filter(|(seal, signed, signature)| {
            seal.segment == number
                && seal.previous == self.seal_digest
                && is_signed(&self.public, signed, signature)
        });
        self.seal_digest = Seal::digest(&bytes);
        let Some((seal, ..)) = parsed else {
            self.find(Invalid::of(Why::SealSignature).at(number, 0));
            return None;
        };
        let until = seal.length;
        Some((seal, until))
    }

    /// A segment whose term is over: its seal says where the chains go on.
    fn take_seal(&mut self, seal: &Seal) {
        for (tenant, sum) in &seal.tenants {
            if sum.last_seq > 0 {
                self.heads.insert(*tenant, (sum.last_seq, sum.chain));
            }
        }
        self.carry.absorb(seal);
        self.carry.finish();
    }

    fn records(
        &mut self,
        number: u64,
        bytes: &[u8],
        head: Option<SegmentHead>,
        sums: &mut Sums,
        may_be_torn: bool,
    ) -> u64 {
        let mut opener = Opener::new(self.keys, head.map(|head| head.boot).unwrap_or_default());
        let mut scan = Scan::new(bytes, SegmentHead::BYTES);
        let mut records = 0;
        while let Some((range, found)) = scan.step() {
            match found {
                Found::Frame(frame) => {
                    records += 1;
                    if records % LOOK_UP == 0 && !self.goes_on() {
                        break;
                    }
                    sums.take(&frame);
                    self.record(number, &range, &frame, &mut opener);
                }
                Found::Torn if may_be_torn => self.verdict.torn = length(range.len()),
                Found::Torn => {
                    let fault = super::format::Fault::Short;
                    self.find(Invalid::of(Why::Bytes(fault)).at(number, length(range.start)));
                }
                Found::Damage(fault) => {
                    self.find(Invalid::of(Why::Bytes(fault)).at(number, length(range.start)));
                }
            }
        }
        records
    }

    fn record(
        &mut self,
        segment: u64,
        range: &Range<usize>,
        frame: &Frame<'_>,
        opener: &mut Opener<'_>,
    ) {
        let head = &frame.head;
        let mark = Mark {
            segment,
            offset: length(range.start),
        };
        let here = |why| {
            Invalid::of(why)
                .at(mark.segment, mark.offset)
                .tenant(head.tenant, head.seq)
        };
        self.verdict.tenants.entry(head.tenant).or_default().1 += 1;
        if head.kind == Kind::Checkpoint {
            self.checkpoint(mark, frame);
        }
        let (seq, chain) = self
            .heads
            .get(&head.tenant)
            .copied()
            .unwrap_or_else(|| (0, self.journal.genesis(head.tenant)));
        if head.seq <= seq {
            self.find(here(Why::Repeated));
        } else if head.seq > seq + 1 {
            self.find(here(Why::Skipped { expected: seq + 1 }));
        } else if frame.chain_after(chain, &mut self.scratch) != frame.chain {
            self.find(here(Why::Chain));
        }
        match opener.open(frame) {
            Opened::Forged => self.find(here(Why::Sealing)),
            Opened::Sealed(_) => self.verdict.opened += 1,
            Opened::Clear(payload) if head.kind == Kind::Retire => {
                self.retired = self.retired.max(retired(payload).unwrap_or_default());
            }
            Opened::Clear(_) | Opened::NoKey => {}
        }
        // One thing is told once: what follows is compared with what stands here.
        self.heads.insert(head.tenant, (head.seq, frame.chain));
    }

    /// The heads that a checkpoint names are those that the records have come to.
    fn checkpoint(&mut self, mark: Mark, frame: &Frame<'_>) {
        let Some(named) = ChainHead::list(frame.payload) else {
            let invalid = Invalid::of(Why::Checkpoint).at(mark.segment, mark.offset);
            return self.find(invalid);
        };
        for named in named {
            let found = self.heads.get(&named.tenant);
            if found != Some(&(named.seq, named.chain)) {
                let invalid = Invalid::of(Why::Head)
                    .at(mark.segment, mark.offset)
                    .tenant(named.tenant, named.seq);
                self.find(invalid);
            }
        }
        self.reach_point(mark, frame);
    }

    fn name_tenants(&mut self) {
        let names = super::opening::names(&self.keys.slots);
        for (number, (name, _)) in &mut self.verdict.tenants {
            *name = names.get(number).cloned();
        }
    }
}

/// Up to which segment a record says that segments were deleted.
fn retired(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    text.strip_prefix("{\"until\":")?
        .strip_suffix('}')?
        .parse()
        .ok()
}

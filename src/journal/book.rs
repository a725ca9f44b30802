//! One tenant's book: its records get their numbers, are sealed and chained here, and wait here to be written. Its lock is
//! its own, so that no tenant waits for another. Must never do IO under that lock, nor take a number back.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::error::Refused;
use super::format::{
    BootId, Chain, Flags, Head, InTheClear, Kind, TAG_BYTES, TenantNumber, WindowId, compose,
    frame_bytes,
};
use super::health::{BookHealth, add};
use super::keys::{MonthKey, Slot};
use super::line::{Joins, Shared};
use super::open::OpenEntry;
use super::settings::{Mode, OnFailure, Terms};
use super::waiting::{Intent, Written};
use crate::units::{NanoUsd, TenantId, Wall};

/// A tenant's book. Made once per tenant, and kept with what else is the tenant's.
pub struct Book {
    pub(super) shared: Arc<Shared>,
    id: TenantId,
    pages: Mutex<Pages>,
}

/// What a record says, but for who and when.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The amount as a whole.
    pub whole: NanoUsd,
    /// The windows it counts in, and the amount in each.
    pub windows: &'a [(WindowId, NanoUsd)],
    /// What is sealed.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// A record without amounts.
    pub const fn of(payload: &[u8]) -> Record<'_> {
        Record {
            whole: NanoUsd::ZERO,
            windows: &[],
            payload,
        }
    }
}

/// What the lock holds.
pub(super) struct Pages {
    pub(super) number: TenantNumber,
    terms: Terms,
    slot: Option<Slot>,
    /// The key of the latest record's day; days begin with months.
    key: Option<(u64, MonthKey)>,
    seq: u64,
    chain: Chain,
    wall: Wall,
    /// Frames in order, the first `sent` bytes written already.
    queue: Vec<u8>,
    sent: usize,
    /// Whether it stands in the line of those who have something to write.
    in_line: bool,
    /// Whether the next checkpoint must name its head.
    pub(super) moved: bool,
    /// The latest record that the system has, and the one that the disk has.
    pub(super) written: u64,
    pub(super) written_chain: Chain,
    pub(super) synced: u64,
    /// The latest record that somebody wants to be synced.
    strict: u64,
    /// Up to which record a sync has failed.
    pub(super) unsynced: u64,
    waiters: Vec<Waiter>,
    gap: Gap,
    counts: BookHealth,
}

struct Waiter {
    seq: u64,
    mode: Mode,
    waker: Waker,
}

/// What could not be recorded since the last gap was.
#[derive(Default)]
struct Gap {
    count: u64,
    from: Wall,
    until: Wall,
    whole: NanoUsd,
    windows: BTreeMap<WindowId, NanoUsd>,
}

/// Why a record cannot be queued now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// There will be room in a moment: on the disk, or in the queue.
    Moment(Refused),
    /// Nothing that waiting for helps.
    Refused(Refused),
}

/// Where a book goes on.
pub(super) struct Bookmark {
    pub(super) number: TenantNumber,
    pub(super) seq: u64,
    pub(super) chain: Chain,
    pub(super) kept: u64,
    pub(super) wall: Wall,
}

impl Book {
    pub(super) fn new(
        shared: &Arc<Shared>,
        id: TenantId,
        terms: Terms,
        slot: Option<Slot>,
        mark: &Bookmark,
    ) -> Arc<Self> {
        let pages = Pages {
            number: mark.number,
            terms,
            slot,
            key: None,
            seq: mark.seq,
            chain: mark.chain,
            wall: mark.wall,
            queue: Vec::new(),
            sent: 0,
            in_line: false,
            moved: false,
            written: mark.seq,
            written_chain: mark.chain,
            synced: mark.seq,
            strict: 0,
            unsynced: 0,
            waiters: Vec::new(),
            gap: Gap::default(),
            counts: BookHealth {
                kept: mark.kept,
                ..BookHealth::default()
            },
        };
        Arc::new(Self {
            shared: Arc::clone(shared),
            id,
            pages: Mutex::new(pages),
        })
    }

    /// Whose it is.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The number that stands for the tenant in the clear.
    pub fn number(&self) -> TenantNumber {
        self.pages().number
    }

    /// Changes what the tenant has a right to, from the next record on.
    pub fn set_terms(&self, terms: Terms) {
        self.pages().terms = terms;
    }

    /// Its counters.
    pub fn health(&self) -> BookHealth {
        let pages = self.pages();
        let mut counts = pages.counts;
        counts.queued = length(pages.queue.len() - pages.sent);
        counts
    }

    /// Writes that something is about to leave, and holds its amounts. What may leave when the answer is there: the record
    /// has been written (`batch`) or synced (`strict`), or goes unrecorded where the terms say so.
    pub fn intent(self: &Arc<Self>, record: Record<'_>) -> Intent {
        Intent::begin(self, record)
    }

    /// Writes something that holds nothing: a refusal, an adjustment, a change of policy, an order. The answer need not be
    /// waited for.
    ///
    /// # Errors
    /// Why it was not taken. It is counted, and a gap tells of it.
    pub fn record(
        self: &Arc<Self>,
        kind: Kind,
        flags: Flags,
        record: Record<'_>,
    ) -> Result<Written, Refused> {
        let mut pages = self.pages();
        match self.enter(&mut pages, kind, flags, 0, record, 0) {
            Ok(seq) => {
                let (mode, joins) = (pages.terms.mode, pages.join());
                drop(pages);
                self.shared.queue(self, joins, mode);
                Ok(Written::new(self, seq, mode))
            }
            Err(Obstacle::Moment(why) | Obstacle::Refused(why)) => {
                let gives = flags.has(Flags::GIVES_BACK);
                pages.lose(self.shared.clock.wall(), record, gives);
                drop(pages);
                self.shared.miss();
                Err(why)
            }
        }
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a record its number, seals it and puts it into the queue. `about` is 0 but for what concerns an intent;
    /// `room` is kept on the disk for what must be written later.
    pub(super) fn enter(
        &self,
        pages: &mut Pages,
        kind: Kind,
        flags: Flags,
        about: u64,
        record: Record<'_>,
        room: u64,
    ) -> Result<u64, Obstacle> {
        let shared = &*self.shared;
        let (payload, flags) = pages.clip(record.payload, flags);
        let bytes = length(frame_bytes(record.windows.len(), payload.len() + TAG_BYTES));
        pages.admit(shared, kind, bytes)?;
        shared.promise(bytes + room)?;
        let record = Record { payload, ..record };
        let seq = pages.write(shared, kind, flags, about, record);
        Ok(seq)
    }

    /// Writes the end of an intent into the room that was kept for it.
    pub(super) fn end(self: &Arc<Self>, open: &OpenEntry, flags: Flags, record: Record<'_>) {
        let mut pages = self.pages();
        if open.seq == 0 {
            pages.gap_amounts(self.shared.clock.wall(), record);
            drop(pages);
            self.shared.miss();
            return;
        }
        let (mut payload, mut flags) = pages.clip(record.payload, flags);
        let needed = |payload: &[u8]| {
            let windows = record.windows.len().min(super::format::MOST_WINDOWS);
            length(frame_bytes(windows, payload.len() + TAG_BYTES))
        };
        if needed(payload) > open.room {
            (payload, flags) = (b"", flags.and(Flags::CLIPPED));
        }
        let spare = open.room.saturating_sub(needed(payload));
        let record = Record { payload, ..record };
        pages.write(&self.shared, Kind::End, flags, open.seq, record);
        let joins = pages.join();
        drop(pages);
        self.shared.give_back(spare);
        self.shared.queue_unhurried(self, joins);
    }

    /// Tries to tell of what was not recorded.
    pub(super) fn tell_gap(self: &Arc<Self>) {
        let mut pages = self.pages();
        if pages.gap.count == 0 {
            return;
        }
        let gap = std::mem::take(&mut pages.gap);
        let windows: Vec<_> = gap.windows.iter().map(|(id, net)| (*id, *net)).collect();
        let payload = format!(
            r#"{{"unrecorded":{},"from":{},"until":{}}}"#,
            gap.count, gap.from.0, gap.until.0
        );
        let record = Record {
            whole: gap.whole,
            windows: &windows,
            payload: payload.as_bytes(),
        };
        let entered = self.enter(
            &mut pages,
            Kind::Gap,
            Flags::default(),
            gap.count,
            record,
            0,
        );
        if entered.is_err() {
            pages.gap = gap;
            self.shared.gaps.store(true, Ordering::Release);
            return;
        }
        let joins = pages.join();
        drop(pages);
        self.shared.queue_unhurried(self, joins);
    }
}

impl Pages {
    pub(super) const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where the chain stands, written or not.
    pub(super) const fn last(&self) -> (u64, Chain) {
        (self.seq, self.chain)
    }

    fn clip<'a>(&mut self, payload: &'a [u8], flags: Flags) -> (&'a [u8], Flags) {
        if payload.len() <= self.terms.payload_bytes {
            return (payload, flags);
        }
        self.counts.clipped += 1;
        (b"", flags.and(Flags::CLIPPED))
    }

    /// Whether the tenant may have one more record.
    pub(super) fn admit(&self, shared: &Shared, kind: Kind, bytes: u64) -> Result<(), Obstacle> {
        let queued = length(self.queue.len() - self.sent);
        if shared.stuck() && self.terms.on_failure == OnFailure::Refuse {
            return Err(Obstacle::Refused(shared.refusal()));
        }
        if shared.closed() {
            return Err(Obstacle::Refused(Refused::Closed));
        }
        if self.terms.mode == Mode::Strict && shared.rolled_back() {
            return Err(Obstacle::Refused(Refused::RolledBack));
        }
        // What tells of the records that did not fit may stand there all the same, and so may what tells of an action that has
        // begun.
        let over = self.counts.kept.saturating_add(queued + bytes) > self.terms.quota_bytes;
        if over && !matches!(kind, Kind::Gap | Kind::Extend) {
            return Err(Obstacle::Refused(Refused::Quota));
        }
        if queued + bytes > self.terms.queue_bytes {
            return Err(Obstacle::Moment(Refused::Queue));
        }
        Ok(())
    }

    /// Composes the frame; there is room for it.
    pub(super) fn write(
        &mut self,
        shared: &Shared,
        kind: Kind,
        flags: Flags,
        about: u64,
        record: Record<'_>,
    ) -> u64 {
        let now = shared.clock.wall();
        let mut flags = flags;
        if now < self.wall {
            flags = flags.and(Flags::CLOCK_BACK);
            add(&shared.counters.clock_steps, 1);
        }
        self.wall = self.wall.max(now);
        self.seq += 1;
        if self.terms.mode == Mode::Strict && kind != Kind::End {
            flags = flags.and(Flags::STRICT);
            self.strict = self.seq;
        }
        self.compose(shared.boot, kind, flags, about, record);
        self.counts.records += 1;
        self.seq
    }

    fn compose(&mut self, boot: BootId, kind: Kind, flags: Flags, about: u64, record: Record<'_>) {
        self.renew_key(boot);
        let mut head = Head {
            kind,
            flags,
            tenant: self.number,
            seq: self.seq,
            about,
            wall: self.wall,
            whole: record.whole,
        };
        self.chain = if let Some((_, key)) = &self.key {
            compose(
                &mut self.queue,
                &head,
                record.windows,
                record.payload,
                key,
                self.chain,
            )
        } else {
            // The journal's own records. A tenant without a key has no payload to hide, for none is passed on.
            head.flags = flags.and(Flags::CLEAR);
            let payload = if self.number == TenantNumber::JOURNAL {
                record.payload
            } else {
                b""
            };
            compose(
                &mut self.queue,
                &head,
                record.windows,
                payload,
                &InTheClear,
                self.chain,
            )
        };
    }

    /// Days begin with months, so that a day's key is its month's.
    fn renew_key(&mut self, boot: BootId) {
        let day = self.wall.0 / 86_400_000;
        if self.key.as_ref().is_some_and(|(of, _)| *of == day) {
            return;
        }
        let slot = self.slot.as_ref();
        self.key = slot
            .and_then(|slot| slot.month_key(self.wall, boot))
            .map(|key| (day, key));
    }

    /// The secret of the records from now on.
    pub(super) fn set_slot(&mut self, slot: Option<Slot>) -> Option<Slot> {
        self.key = None;
        std::mem::replace(&mut self.slot, slot)
    }

    /// Whether it must be put into the line now.
    pub(super) fn join(&mut self) -> Joins {
        if std::mem::replace(&mut self.in_line, true) {
            Joins::No
        } else {
            Joins::Yes
        }
    }

    /// Copies whole frames, at most so many bytes but one at least; says how many bytes, and the last one's number and chain.
    pub(super) fn take(&self, most: usize, out: &mut Vec<u8>) -> Option<Taken> {
        let mut rest = self.queue.get(self.sent..)?;
        let mut taken = None;
        let mut bytes = 0;
        while let Ok(Some(frame)) = super::format::Frame::shape(rest) {
            if bytes > 0 && bytes + frame.bytes.len() > most {
                break;
            }
            bytes += frame.bytes.len();
            taken = Some(Taken {
                bytes,
                seq: frame.head.seq,
                chain: frame.chain,
            });
            rest = rest.get(frame.bytes.len()..)?;
        }
        out.extend_from_slice(self.queue.get(self.sent..self.sent + bytes)?);
        taken
    }

    /// What was taken is written. Says whether more waits.
    pub(super) fn has_written(&mut self, taken: &Taken, wakers: &mut Vec<Waker>) -> bool {
        self.sent += taken.bytes;
        self.written = taken.seq;
        self.written_chain = taken.chain;
        self.counts.kept = self.counts.kept.saturating_add(length(taken.bytes));
        if self.sent == self.queue.len() {
            self.queue.clear();
            self.queue.shrink_to(KEPT_QUEUE);
            self.sent = 0;
        } else if self.sent > self.queue.len() / 2 {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
        self.wake(wakers);
        self.in_line = self.sent < self.queue.len();
        self.in_line
    }

    /// Nothing of it waits.
    pub(super) fn leave(&mut self) {
        self.in_line = self.sent < self.queue.len();
    }

    /// Whether somebody waits until what is written has been synced.
    pub(super) const fn wants_sync(&self) -> bool {
        self.strict > self.synced
    }

    /// The disk has everything up to there.
    pub(super) fn has_synced(&mut self, seq: u64, wakers: &mut Vec<Waker>) {
        self.synced = self.synced.max(seq);
        self.wake(wakers);
    }

    /// The disk may have lost everything up to there.
    pub(super) fn has_not_synced(&mut self, seq: u64, wakers: &mut Vec<Waker>) {
        self.unsynced = seq;
        self.wake_all(wakers);
    }

    fn wake(&mut self, wakers: &mut Vec<Waker>) {
        if self.waiters.is_empty() {
            return;
        }
        let (written, synced) = (self.written, self.synced);
        let done = |waiter: &mut Waiter| match waiter.mode {
            Mode::Batch => waiter.seq <= written,
            Mode::Strict => waiter.seq <= synced,
        };
        wakers.extend(self.waiters.extract_if(.., done).map(|waiter| waiter.waker));
    }

    /// Wakes everybody: what they wait for will not come soon.
    pub(super) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.waiters.drain(..).map(|waiter| waiter.waker));
    }

    /// Whether a record is as safe as its mode asks for.
    pub(super) const fn is_safe(&self, seq: u64, mode: Mode) -> bool {
        match mode {
            Mode::Batch => seq <= self.written,
            Mode::Strict => seq <= self.synced,
        }
    }

    pub(super) fn wait(&mut self, seq: u64, mode: Mode, waker: &Waker) {
        let known = self.waiters.iter_mut().find(|waiter| waiter.seq == seq);
        if let Some(waiter) = known {
            waiter.waker.clone_from(waker);
        } else {
            self.waiters.push(Waiter {
                seq,
                mode,
                waker: waker.clone(),
            });
        }
    }

    pub(super) fn give_up(&mut self, seq: u64) {
        self.waiters.retain(|waiter| waiter.seq != seq);
    }

    pub(super) fn refuse(&mut self) {
        self.counts.refused += 1;
    }

    /// Counts an action that goes on without a record.
    pub(super) fn go_unrecorded(&mut self, now: Wall) {
        if self.gap.count == 0 {
            self.gap.from = now;
        }
        self.gap.until = now;
        self.gap.count += 1;
        self.counts.unrecorded += 1;
    }

    /// What an unrecorded action came to.
    fn gap_amounts(&mut self, now: Wall, record: Record<'_>) {
        if self.gap.count == 0 {
            // The gap was told while it ran; this is the rest of it.
            self.gap.count = 1;
            self.gap.from = now;
            self.gap.until = now;
        }
        self.gap.whole = self.gap.whole.plus(record.whole);
        for (window, amount) in record.windows {
            let fits = self.gap.windows.len() < super::format::MOST_WINDOWS;
            if fits || self.gap.windows.contains_key(window) {
                let entry = self.gap.windows.entry(*window).or_default();
                *entry = entry.plus(*amount);
            }
        }
    }

    /// A record is lost; what it would have taken is told with the gap, what it would have given back is not given.
    fn lose(&mut self, now: Wall, record: Record<'_>, gives_back: bool) {
        self.go_unrecorded(now);
        if !gives_back {
            self.gap_amounts(now, record);
        }
    }

    pub(super) fn retire(&mut self, bytes: u64) {
        self.counts.kept = self.counts.kept.saturating_sub(bytes);
    }
}

/// What was taken out of a queue to be written.
pub(super) struct Taken {
    pub(super) bytes: usize,
    pub(super) seq: u64,
    pub(super) chain: Chain,
}

/// What an idle book keeps of its queue.
const KEPT_QUEUE: usize = 2_048;

/// A length as the format counts.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

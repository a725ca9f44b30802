//! The writer's thread: writes what no caller does, syncs for those who wait for it and for the rest once a second, gives
//! the file room ahead of need, and tries again where the system failed. Must never hold the pen while it syncs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use super::book::Book;
use super::error::JournalError;
use super::health::{Condition, add};
use super::line::{Rest, Shared, Wish};
use super::own::Own;
use super::pen::Reach;
use super::places::Places;
use super::shelf::Shelf;
use crate::host::durable;
use crate::units::{Boot, Wall};

/// What the thread has for itself.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) places: Places,
    pub(super) own: Own,
    pub(super) shelf: Shelf,
    /// Whether the table of keys has lines that are not synced.
    table_moved: bool,
    synced_at: Boot,
    pub(super) point_at: Boot,
    retry_at: Boot,
    /// Both clocks when it began.
    pub(super) began: (Boot, Wall),
    /// Writes counted when it last looked, and since when they have not moved.
    writes: u64,
    still_since: Boot,
}

const RETRY: Duration = Duration::from_millis(250);

/// So long after the last write, more is expected.
const LIVELY: Duration = Duration::from_millis(20);

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>, places: Places, own: Own, shelf: Shelf) -> Self {
        let now = shared.clock.boot();
        Self {
            shared: Arc::clone(shared),
            places,
            own,
            shelf,
            table_moved: true,
            synced_at: now,
            point_at: now,
            retry_at: now,
            began: (now, shared.clock.wall()),
            writes: 0,
            still_since: now,
        }
    }

    /// Until the journal is closed.
    pub(super) fn run(mut self) {
        loop {
            let rest = self.how_long();
            let wish = self.shared.rest(rest);
            self.round(wish);
            if wish.has(Wish::CLOSE) {
                return self.finish();
            }
        }
    }

    /// Everything that is due, once.
    pub(super) fn round(&mut self, wish: Wish) {
        let now = self.shared.clock.boot();
        self.introduce();
        self.make_room();
        if self.shared.stuck() && now >= self.retry_at {
            self.retry_at = now.after(RETRY);
            self.try_anew();
        }
        self.tell_gaps();
        self.write();
        let due = now.since(self.synced_at) >= self.shared.settings.sync_every;
        if wish.has(Wish::SYNC) || due {
            self.sync();
        }
        if now.since(self.point_at) >= self.shared.settings.checkpoint_every {
            self.point_at = now;
            self.checkpoint();
        }
        if wish.has(Wish::TURN) || self.segment_is_done() {
            self.checkpoint();
            self.turn(false);
        }
        self.tidy();
    }

    fn how_long(&mut self) -> Rest {
        let now = self.shared.clock.boot();
        let writes = self.shared.counters.writes.load(Ordering::Relaxed);
        if writes != self.writes {
            self.writes = writes;
            self.still_since = now;
        }
        let gaps = self.shared.gaps.load(Ordering::Acquire);
        if gaps || self.shared.stuck() || self.shared.condition.now() != Condition::Fine {
            return Rest::Until(RETRY);
        }
        if now.since(self.still_since) < LIVELY {
            return Rest::Lively;
        }
        let pen = self.shared.pen();
        let settings = &self.shared.settings;
        let mut soonest = None;
        if pen.synced_to < pen.at {
            soonest = Some(
                settings
                    .sync_every
                    .saturating_sub(now.since(self.synced_at)),
            );
        }
        if !pen.moved.is_empty() {
            let point = settings
                .checkpoint_every
                .saturating_sub(now.since(self.point_at));
            soonest = Some(soonest.map_or(point, |sync| point.min(sync)));
        }
        match soonest {
            Some(span) => Rest::Until(span.max(Duration::from_millis(1))),
            None if self.shelf.has_work() => Rest::Until(RETRY),
            None => Rest::Idle,
        }
    }

    fn tell_gaps(&self) {
        let shared = &self.shared;
        let fine = !shared.stuck() && shared.condition.now() == Condition::Fine;
        if fine && shared.gaps.swap(false, Ordering::AcqRel) {
            shared.all_books().iter().for_each(Book::tell_gap);
        }
    }

    fn write(&mut self) {
        if !self.shared.stuck() {
            self.shared.pen().write_out(&self.shared, Reach::Writer);
        }
    }

    /// Puts new lines into the table of keys, before any record is written under them.
    fn introduce(&mut self) {
        if self.shared.newcomers().is_empty() {
            return;
        }
        // Under the keyring's lock: a key that is being forgotten must not come back from this list.
        let keyring = self.shared.keyring();
        let newcomers = self.shared.newcomers();
        match keyring.introduce(&newcomers) {
            Ok(()) => {
                self.table_moved = true;
                self.shared.introduced(newcomers.len());
            }
            Err(error) => self.shared.get_stuck(&error),
        }
    }

    /// Gives the file more room before it is needed.
    fn make_room(&mut self) {
        let shared = &self.shared;
        let was = shared.condition.now();
        while shared.spare() < shared.low_water() {
            if let Err(error) = self.grow() {
                shared.condition.set(Condition::of(&error));
                break;
            }
        }
        let enough = !shared.stuck() && shared.spare() >= shared.low_water();
        if enough && was != Condition::Fine {
            shared.condition.set(Condition::Fine);
        }
        // Always: another file may have brought room since they began to wait, and if there is none they learn why.
        shared.wake_room();
    }

    fn grow(&self) -> std::io::Result<()> {
        let shared = &self.shared;
        let step = shared.settings.step_bytes;
        self.may_take(step)?;
        let (file, from) = {
            let pen = shared.pen();
            (Arc::clone(&pen.file), pen.allocated)
        };
        durable::allocate(&file, from, step)?;
        shared.pen().allocated += step;
        shared.add_room(step);
        Ok(())
    }

    /// Whether the journal may take so much more of the disk.
    pub(super) fn may_take(&self, bytes: u64) -> std::io::Result<()> {
        let settings = &self.shared.settings;
        let taken = self.shelf.bytes() + self.shared.pen().allocated;
        if taken + bytes > settings.total_bytes {
            return Err(std::io::ErrorKind::QuotaExceeded.into());
        }
        let free = free(self.places.directory());
        if free < settings.reserve_bytes.saturating_add(bytes) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// A write failed: another file may do, or this one again.
    fn try_anew(&mut self) {
        let began = self.turn(true);
        if began {
            self.shared.get_going();
            self.write();
        }
    }

    /// Waits until the disk has what is written; whoever waits for that is told. Says whether it has.
    pub(super) fn sync(&mut self) -> bool {
        self.synced_at = self.shared.clock.boot();
        if self.table_moved {
            self.table_moved = self.shared.keyring().sync_table().is_err();
        }
        let (file, number, at, strict) = {
            let mut pen = self.shared.pen();
            let strict = std::mem::take(&mut pen.strict);
            (Arc::clone(&pen.file), pen.head.number, pen.at, strict)
        };
        let began = self.shared.clock.boot();
        let synced = if self.table_moved {
            Err(std::io::ErrorKind::Other.into())
        } else {
            file.sync_data()
        };
        let took = self.shared.clock.boot().since(began);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.shared.counters.sync_nanos, nanos);
        self.tell_of_sync(&synced, strict);
        if synced.is_err() {
            // What the system could not write it may have dropped: this file can never be trusted again.
            if self.turn(true) {
                self.shared.get_going();
            }
            return false;
        }
        let mut pen = self.shared.pen();
        if pen.head.number == number {
            pen.synced_to = at;
        }
        true
    }

    /// Whoever waited for a sync learns what came of it.
    pub(super) fn tell_of_sync(&self, synced: &std::io::Result<()>, strict: Vec<(Arc<Book>, u64)>) {
        let counters = &self.shared.counters;
        match synced {
            Ok(()) => add(&counters.syncs, 1),
            Err(error) => {
                add(&counters.sync_errors, 1);
                self.shared.condition.set(Condition::of(error));
            }
        }
        let mut wakers: Vec<Waker> = Vec::new();
        for (book, seq) in strict {
            if synced.is_ok() {
                book.pages().has_synced(seq, &mut wakers);
            } else {
                book.pages().has_not_synced(seq, &mut wakers);
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Signs where all chains stand, if any moved.
    pub(super) fn checkpoint(&mut self) {
        if self.shared.stuck() {
            return;
        }
        let pending = {
            let mut pen = self.shared.pen();
            pen.write_out(&self.shared, Reach::Writer);
            if pen.moved.is_empty() {
                return;
            }
            self.own.write_heads(&self.shared, &mut pen)
        };
        match pending {
            Ok(Some(pending)) => {
                if self.sync() && self.sign(&pending).is_ok() {
                    let counters = &self.shared.counters;
                    add(&counters.checkpoints, 1);
                    counters
                        .checkpoint_at
                        .store(self.own.wall.0, Ordering::Relaxed);
                }
            }
            Ok(None) => {}
            Err(error) => self.shared.get_stuck(&error),
        }
    }

    fn sign(&mut self, pending: &super::own::Pending) -> Result<(), JournalError> {
        self.own.sign(&self.shared, &self.places, pending)
    }

    /// Everything is written, signed and sealed.
    fn finish(mut self) {
        self.introduce();
        self.write();
        self.checkpoint();
        self.shared.condition.set(Condition::Closed);
        self.write();
        self.checkpoint();
        self.sync();
        self.end_segment();
        self.shared.wake_everybody();
    }
}

fn free(directory: &Path) -> u64 {
    // Where the system does not say, it will say so when it is full.
    durable::free_bytes(directory).unwrap_or(u64::MAX)
}

//! From one segment to the next: the new file is ready before the pen moves to it, the old one is cut to what is in it, sealed,
//! and let go of when its term is over. Must never leave the pen without a file.

use std::sync::atomic::Ordering;

use super::format::{Kind, Seal, SegmentHead};
use super::pen::Pen;
use super::shelf::Kept;
use super::writer::Writer;
use crate::host::files::read_capped;
use crate::units::Wall;

/// What the pen left behind.
struct Left {
    file: std::sync::Arc<std::fs::File>,
    number: u64,
    at: u64,
    synced_to: u64,
}

impl Writer {
    /// Whether the segment is as long or as old as one gets.
    pub(super) fn segment_is_done(&self) -> bool {
        let pen = self.shared.pen();
        let settings = &self.shared.settings;
        let is_empty = pen.at <= super::book::length(SegmentHead::BYTES);
        let age = self.shared.clock.boot().since(pen.opened);
        !is_empty && (pen.at >= settings.segment_bytes || age >= settings.segment_age)
    }

    /// Begins the next segment. `broken`: the system failed to write or sync the one before. Says whether it has begun.
    pub(super) fn turn(&mut self, broken: bool) -> bool {
        let Ok(left) = self.begin_next() else {
            return false;
        };
        self.put_down(&left, broken);
        true
    }

    fn begin_next(&self) -> Result<Left, super::JournalError> {
        let shared = &self.shared;
        let now = shared.clock.boot();
        // All that is promised, written or not, must find room in the new file.
        let room = u64::try_from(shared.left()).unwrap_or_default();
        let room = room.max(shared.owed()) + shared.settings.step_bytes;
        let refused = |source| crate::host::Error::new("begin", "segment", source);
        self.may_take(room).map_err(refused)?;
        let head = {
            let pen = shared.pen();
            SegmentHead {
                number: pen.head.number + 1,
                wall: shared.clock.wall(),
                ..pen.head
            }
        };
        let next = Pen::begin(&self.places.segment(head.number), head, room, now)?;
        let mut pen = shared.pen();
        let left = Left {
            file: std::mem::replace(&mut pen.file, next.file.clone()),
            number: pen.head.number,
            at: pen.at,
            synced_to: pen.synced_to,
        };
        shared.set_room(next.room());
        pen.head = next.head;
        pen.at = next.at;
        pen.allocated = next.allocated;
        pen.opened = next.opened;
        pen.synced_to = 0;
        drop(pen);
        shared
            .counters
            .segment
            .store(head.number, Ordering::Relaxed);
        Ok(left)
    }

    /// Cuts the old file to what is in it, and puts it on the shelf.
    fn put_down(&mut self, left: &Left, broken: bool) {
        // If this fails the zeros stay; they are no records.
        _ = left.file.set_len(left.at);
        let synced = left.file.sync_all();
        let broken = broken || synced.is_err();
        self.tell_of_sync(&synced, std::mem::take(&mut self.shared.pen().strict));
        self.shelf.kept.push_back(Kept {
            number: left.number,
            length: left.at,
            newest: Wall(0),
            broken_at: if broken { left.synced_to.max(1) } else { 0 },
            sealed: false,
        });
    }

    /// Seals, has copied and lets go of what is due.
    pub(super) fn tidy(&mut self) {
        if self.shelf.has_work() && self.seal_next() {
            self.retire();
        }
    }

    fn seal_next(&mut self) -> bool {
        let sealed = self.shelf.seal_next(&self.places, &self.shared.keyring());
        let Ok(Some(number)) = sealed else {
            return false;
        };
        if let Some(shipping) = &self.shared.shipping {
            shipping.add(number);
        }
        true
    }

    /// Lets go of segments whose term is over.
    fn retire(&mut self) {
        let Some(keep) = self.shared.settings.keep else {
            return;
        };
        let now = self.shared.clock.wall();
        if self.clock_leapt(now) {
            return;
        }
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let before = Wall(now.0.saturating_sub(keep));
        while let Some(kept) = self.shelf.overdue(before) {
            let shipping = self.shared.shipping.as_ref();
            if shipping.is_some_and(|shipping| !shipping.is_done(kept.number)) {
                return;
            }
            let told = {
                let payload = format!(r#"{{"until":{}}}"#, kept.number);
                let mut pen = self.shared.pen();
                self.own
                    .write(&self.shared, &mut pen, Kind::Retire, payload.as_bytes())
            };
            if told.is_err() {
                return;
            }
            self.forget_bytes(kept.number);
            self.shelf.let_go(&self.places);
        }
    }

    /// A wall clock that went forward by days while hours passed would delete everything.
    fn clock_leapt(&self, now: Wall) -> bool {
        const DAY: u64 = 86_400_000;
        let (boot, wall) = self.began;
        let passed = self.shared.clock.boot().since(boot);
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        now.0.saturating_sub(wall.0) > passed.saturating_add(DAY)
    }

    /// Tenants have so much of their quota back.
    fn forget_bytes(&self, number: u64) {
        let bytes = read_capped(&self.places.seal(number), super::shelf::MOST_BYTES);
        let Some((seal, ..)) = bytes.as_deref().ok().and_then(Seal::parse) else {
            return;
        };
        let books = self.shared.all_books();
        for book in books {
            let mut pages = book.pages();
            let mine = seal.tenants.iter().find(|(of, _)| *of == pages.number);
            if let Some((_, sum)) = mine {
                pages.retire(sum.bytes);
            }
        }
    }

    /// The last segment is cut and sealed.
    pub(super) fn end_segment(&mut self) {
        let left = {
            let pen = self.shared.pen();
            Left {
                file: std::sync::Arc::clone(&pen.file),
                number: pen.head.number,
                at: pen.at,
                synced_to: pen.synced_to,
            }
        };
        self.put_down(&left, false);
        while self.seal_next() {}
    }
}

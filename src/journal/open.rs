//! An action that has left, or may: its intent is written, its end is owed, and room for the end is kept. Must never be gone
//! without an end.

use std::sync::Arc;

use super::book::{Book, Obstacle, Record, length};
use super::error::Refused;
use super::format::{Flags, Kind, MOST_WINDOWS, TAG_BYTES, WindowId, frame_bytes};
use super::settings::OnFailure;
use super::waiting::Written;
use crate::units::NanoUsd;

/// An intent that is written. Dropped without an end, it ends as `unknown`, settled at what it held.
#[must_use = "dropping it settles everything that was held"]
pub struct OpenEntry {
    /// Taken out by the end.
    book: Option<Arc<Book>>,
    /// 0: it goes unrecorded.
    pub(super) seq: u64,
    pub(super) room: u64,
    whole: NanoUsd,
    windows: Box<[(WindowId, NanoUsd)]>,
}

/// Windows beyond those of the intent that an end may name: new ones may have begun.
const MORE_WINDOWS: usize = 8;

/// What an end may take. A payload of any length fits if it is left out.
pub(super) fn room_for(windows: usize, payload: usize) -> u64 {
    let windows = (windows * 2 + MORE_WINDOWS).min(MOST_WINDOWS);
    let most = frame_bytes(windows, payload + TAG_BYTES);
    length(most.max(frame_bytes(MOST_WINDOWS, TAG_BYTES)))
}

impl OpenEntry {
    pub(super) fn new(book: &Arc<Book>, seq: u64, room: u64, held: Record<'_>) -> Self {
        Self {
            book: Some(Arc::clone(book)),
            seq,
            room,
            whole: held.whole,
            windows: held.windows.into(),
        }
    }

    /// Of an action that goes on although nothing can be written.
    pub(super) fn unrecorded(book: &Arc<Book>) -> Self {
        Self::new(book, 0, 0, Record::of(b""))
    }

    /// The number of the intent; 0 if the action goes unrecorded.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// What is held as a whole.
    pub const fn held(&self) -> NanoUsd {
        self.whole
    }

    /// Holds more: `record` says all that is held from now on. More may be used when the answer is there, and is good.
    ///
    /// # Errors
    /// Why it could not be written, where the terms let the action go on all the same; what was held before still is.
    pub fn extend(&mut self, record: Record<'_>) -> Result<Written, Refused> {
        let book = self.book.as_ref().filter(|_| self.seq > 0);
        let Some(book) = book.map(Arc::clone) else {
            return Err(Refused::Failing);
        };
        let windows = record.windows.get(..MOST_WINDOWS);
        let record = Record {
            windows: windows.unwrap_or(record.windows),
            ..record
        };
        match book.extend(self, record) {
            Ok(written) => {
                self.whole = record.whole;
                self.windows = record.windows.into();
                Ok(written)
            }
            Err((why, OnFailure::Refuse)) => Ok(Written::refused(&book, why)),
            Err((why, OnFailure::Gap)) => Err(why),
        }
    }

    /// It is over: `record` says what is settled; the hold is gone. Nothing need be waited for, and nothing can fail.
    pub fn end(mut self, record: Record<'_>) {
        self.close(Flags::default(), record);
    }

    /// Nothing left after all: nothing is settled.
    pub fn void(mut self) {
        self.close(Flags::VOID, Record::of(b""));
    }

    fn close(&mut self, flags: Flags, record: Record<'_>) {
        let windows = record.windows.get(..MOST_WINDOWS);
        let record = Record {
            windows: windows.unwrap_or(record.windows),
            ..record
        };
        if let Some(book) = self.book.take() {
            book.end(self, flags, record);
        }
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        if self.book.is_none() {
            return;
        }
        let windows = std::mem::take(&mut self.windows);
        let record = Record {
            whole: self.whole,
            windows: &windows,
            payload: b"",
        };
        self.close(Flags::UNKNOWN, record);
    }
}

impl Book {
    /// Writes that more is held for an intent. Where there is no room left, some of what is kept for its end is used.
    fn extend(
        self: &Arc<Self>,
        open: &mut OpenEntry,
        record: Record<'_>,
    ) -> Result<Written, (Refused, OnFailure)> {
        let mut pages = self.pages();
        let bytes = length(frame_bytes(
            record.windows.len(),
            record.payload.len() + TAG_BYTES,
        ));
        let admitted = pages.admit(&self.shared, Kind::Extend, bytes);
        let taken = admitted.and_then(|()| {
            let lacking = self.shared.promise(bytes);
            lacking.or_else(|obstacle| open.lend(bytes, record.windows.len()).ok_or(obstacle))
        });
        if let Err(Obstacle::Moment(why) | Obstacle::Refused(why)) = taken {
            let terms = pages.terms().on_failure;
            if terms == OnFailure::Refuse {
                pages.refuse();
            }
            return Err((why, terms));
        }
        let flags = Flags::default();
        let seq = pages.write(&self.shared, Kind::Extend, flags, open.seq, record);
        let (mode, joins) = (pages.terms().mode, pages.join());
        drop(pages);
        self.shared.queue(self, joins, mode);
        Ok(Written::new(self, seq, mode))
    }
}

impl OpenEntry {
    /// Gives some of its room away, if enough is left for an end without words.
    fn lend(&mut self, bytes: u64, windows: usize) -> Option<()> {
        let left = self.room.checked_sub(bytes)?;
        (left >= room_for(windows, 0)).then(|| self.room = left)
    }
}

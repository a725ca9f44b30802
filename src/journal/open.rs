//! An action that has left, or may: its intent is written, its end is owed, and room for the end is kept. Must never be gone
//! without an end.

use std::sync::Arc;

use super::book::{Book, Record, length};
use super::error::Refused;
use super::format::{Flags, Kind, MOST_WINDOWS, TAG_BYTES, WindowId, frame_bytes};
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

    /// Holds more: `record` says all that is held from now on. More may be used when the answer is there.
    ///
    /// # Errors
    /// Why it could not be written; what was held before still is.
    pub fn extend(&mut self, record: Record<'_>) -> Result<Written, Refused> {
        let Some(book) = self.book.as_ref().filter(|_| self.seq > 0) else {
            return Err(Refused::Failing);
        };
        let windows = record.windows.get(..MOST_WINDOWS);
        let record = Record {
            windows: windows.unwrap_or(record.windows),
            ..record
        };
        let written = book.extend(self.seq, record)?;
        self.whole = record.whole;
        self.windows = record.windows.into();
        Ok(written)
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
    /// Writes that more is held for an intent.
    fn extend(self: &Arc<Self>, intent: u64, record: Record<'_>) -> Result<Written, Refused> {
        use super::book::Obstacle;
        let mut pages = self.pages();
        let entered = self.enter(
            &mut pages,
            Kind::Extend,
            Flags::default(),
            intent,
            record,
            0,
        );
        let seq = entered.map_err(|obstacle| match obstacle {
            Obstacle::Moment(why) | Obstacle::Refused(why) => why,
        })?;
        let (mode, joins) = (pages.terms().mode, pages.join());
        drop(pages);
        self.shared.queue(self, joins, mode);
        Ok(Written::new(self, seq, mode))
    }
}

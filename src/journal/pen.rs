//! The file that is written to, and the one way bytes get into it: each book's share in turn, in one write at a known place,
//! so that a write that failed half-way is written over. Must never write for longer than a caller may be held up.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

use super::book::{Book, Taken, length};
use super::error::JournalError;
use super::format::SegmentHead;
use super::health::add;
use super::line::Shared;
use crate::host::durable;
use crate::units::Boot;

/// Whoever holds it writes.
pub(super) struct Pen {
    pub(super) file: Arc<File>,
    pub(super) head: SegmentHead,
    /// Where the next byte goes.
    pub(super) at: u64,
    /// How long the file is; what is behind `at` reads as zeros.
    pub(super) allocated: u64,
    pub(super) opened: Boot,
    /// Up to where it is known to be synced.
    pub(super) synced_to: u64,
    batch: Vec<u8>,
    shares: Vec<(Arc<Book>, Taken)>,
    wakers: Vec<Waker>,
    /// Books in which somebody waits for a sync, and up to which record that would be.
    pub(super) strict: Vec<(Arc<Book>, u64)>,
    /// Books whose heads the next checkpoint names.
    pub(super) moved: Vec<Arc<Book>>,
}

/// How much is written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A caller's thread: little.
    Caller,
    /// The writer's: until nothing waits.
    Writer,
}

/// What one book may have written before the next has its turn.
const SHARE_BYTES: usize = 32 << 10;
const CALLER_BYTES: usize = 64 << 10;
const WRITER_BYTES: usize = 512 << 10;

impl Pen {
    /// A new file, with its head written and room for what comes.
    pub(super) fn begin(
        path: &Path,
        head: SegmentHead,
        room: u64,
        now: Boot,
    ) -> Result<Self, JournalError> {
        let file = durable::create_private(path)?;
        let allocated = length(SegmentHead::BYTES).saturating_add(room);
        let prepared = durable::allocate(&file, 0, allocated)
            .and_then(|()| file.write_all_at(&head.encode(), 0));
        if let Err(source) = prepared {
            // It holds nothing; a name without a head would only be puzzled over.
            _ = std::fs::remove_file(path);
            return Err(crate::host::Error::new("prepare", path.to_string_lossy(), source).into());
        }
        if let Some(directory) = path.parent() {
            durable::sync_directory(directory)?;
        }
        Ok(Self {
            file: Arc::new(file),
            head,
            at: length(SegmentHead::BYTES),
            allocated,
            opened: now,
            synced_to: 0,
            batch: Vec::new(),
            shares: Vec::new(),
            wakers: Vec::new(),
            strict: Vec::new(),
            moved: Vec::new(),
        })
    }

    /// Room behind what is written.
    pub(super) fn room(&self) -> i64 {
        i64::try_from(self.allocated.saturating_sub(self.at)).unwrap_or(i64::MAX)
    }

    /// Writes what waits; a caller writes one round at most, and others' waiting shares fall to the writer.
    pub(super) fn write_out(&mut self, shared: &Shared, reach: Reach) {
        let most = match reach {
            Reach::Caller => CALLER_BYTES,
            Reach::Writer => WRITER_BYTES,
        };
        loop {
            self.collect(shared, most);
            if self.batch.is_empty() {
                return;
            }
            let began = shared.clock.boot();
            let written = self.file.write_all_at(&self.batch, self.at);
            shared.took(began);
            match written {
                Ok(()) => self.written(shared),
                Err(error) => return self.failed(shared, &error),
            }
            if reach == Reach::Caller {
                return;
            }
        }
    }

    fn collect(&mut self, shared: &Shared, most: usize) {
        self.batch.clear();
        while self.batch.len() < most {
            let Some(book) = shared.next() else { return };
            let mut pages = book.pages();
            let taken = pages.take(SHARE_BYTES, &mut self.batch);
            if taken.is_none() {
                pages.leave();
            }
            drop(pages);
            self.shares.extend(taken.map(|taken| (book, taken)));
        }
    }

    fn written(&mut self, shared: &Shared) {
        let bytes = length(self.batch.len());
        self.at += bytes;
        shared.used(bytes);
        add(&shared.counters.writes, 1);
        add(&shared.counters.bytes, bytes);
        for (book, taken) in self.shares.drain(..) {
            let mut pages = book.pages();
            let more = pages.has_written(&taken, &mut self.wakers);
            let moved = std::mem::replace(&mut pages.moved, true);
            let wants_sync = pages.wants_sync();
            drop(pages);
            if !moved {
                self.moved.push(Arc::clone(&book));
            }
            if wants_sync {
                self.strict.push((Arc::clone(&book), taken.seq));
            }
            if more {
                shared.stand_again(book);
            }
        }
        self.batch.shrink_to(WRITER_BYTES);
        self.wakers.drain(..).for_each(Waker::wake);
    }

    /// Forgets all books: nothing is written any more.
    pub(super) fn let_go(&mut self) {
        self.strict.clear();
        self.moved.clear();
        self.shares.clear();
    }

    fn failed(&mut self, shared: &Shared, error: &std::io::Error) {
        for (book, _) in self.shares.drain(..) {
            shared.stand_again(book);
        }
        self.batch.clear();
        shared.get_stuck(error);
    }

    /// Writes a frame of the journal's own.
    pub(super) fn write_own(&mut self, shared: &Shared, frame: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(frame, self.at)?;
        let bytes = length(frame.len());
        self.at += bytes;
        shared.used_own(bytes);
        Ok(())
    }
}

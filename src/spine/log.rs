//! The way of a log line to standard error: lines are formatted where they happen, gathered in one bounded
//! buffer, and written by one thread in batches. A line per wake-up would cost a system call per request; so
//! the writer rests between batches, and what comes meanwhile goes out together.
//! Must never block a request: when the buffer is full the line is dropped, and counted for its tenant.

use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Spine;
use super::note::{Line, begin, end};
use crate::units::Boot;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// `name=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// The end of the queue that lines go into.
#[derive(Clone)]
pub struct LogQueue {
    shared: Arc<Shared>,
    /// Tells the writer when the last clone is gone.
    _open: Arc<Open>,
}

/// The end of the queue that the writer's thread reads.
pub struct LogWriter {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something to write, or the end.
    filled: Condvar,
    /// Something was written.
    emptied: Condvar,
    /// Lines that were taken out and could not be written, and whether the last batch was one of those.
    lost: AtomicU64,
    failing: AtomicBool,
    most: usize,
    format: LogFormat,
    /// Whether request lines are not worth a line now.
    hushed: AtomicBool,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    lines: usize,
    /// Whether the writer waits for a line; only then must it be woken.
    waits: bool,
    closed: bool,
    /// How many batches were taken out, and how many of these are written.
    taken: u64,
    written: u64,
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.filled.notify_one();
    }
}

/// A queue for at most `lines` lines.
pub fn log(lines: usize, format: LogFormat) -> (LogQueue, LogWriter) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        filled: Condvar::new(),
        emptied: Condvar::new(),
        lost: AtomicU64::new(0),
        failing: AtomicBool::new(false),
        most: lines,
        format,
        hushed: AtomicBool::new(false),
    });
    let queue = LogQueue {
        _open: Arc::new(Open(Arc::clone(&shared))),
        shared: Arc::clone(&shared),
    };
    (queue, LogWriter { shared })
}

thread_local! {
    /// Where a thread formats its lines, kept for its capacity.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl LogQueue {
    /// Writes the line of a request that ends at `now`; or drops it, and counts it for its tenant.
    pub fn note(&self, spine: &Spine, now: Boot, facts: impl FnOnce(&mut Line<'_>)) {
        if self.shared.hushed.load(Ordering::Relaxed) {
            return;
        }
        let format = self.shared.format;
        let compose = |out: &mut Vec<u8>| {
            out.clear();
            facts(&mut begin(spine, format, out));
            end(spine, now, format, out);
            self.shared.add(out)
        };
        let taken = SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => compose(&mut scratch),
            Err(_) => compose(&mut Vec::new()),
        });
        if !taken {
            spine.meters().log_dropped();
        }
    }

    /// From now on there are no request lines; or there are again.
    pub fn hush(&self, hushed: bool) {
        self.shared.hushed.store(hushed, Ordering::Relaxed);
    }

    /// Takes a line of the process plane, formatted already; waits a little for room, since there are few of them.
    pub fn line(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.lines >= self.shared.most {
            let full = |state: &mut State| state.lines >= self.shared.most;
            let waited = self
                .shared
                .emptied
                .wait_timeout_while(state, PATIENCE, full);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.shared.put(state, line);
    }

    /// How many lines could not be written since the start, because whatever they are written to is full or gone.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Whether the last lines could not be written.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// Waits until everything queued so far is written.
    pub fn flush(&self) {
        let state = self.shared.lock();
        let due = state.taken + u64::from(state.lines > 0);
        let unwritten = |state: &mut State| state.written < due;
        let _ = self
            .shared
            .emptied
            .wait_timeout_while(state, PATIENCE, unwritten);
    }
}

/// How long the process itself waits for its log.
const PATIENCE: Duration = Duration::from_secs(2);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line if there is room.
    fn add(&self, line: &[u8]) -> bool {
        let state = self.lock();
        let room = state.lines < self.most;
        if room {
            self.put(state, line);
        }
        room
    }

    fn put(&self, mut state: MutexGuard<'_, State>, line: &[u8]) {
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        let wake = std::mem::take(&mut state.waits);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }
}

/// How long the writer rests between two batches.
const REST: Duration = Duration::from_millis(10);

/// The capacity of a buffer that is kept.
const KEPT: usize = 256 * 1024;

impl LogWriter {
    /// Writes until every queue is gone. The body of the writer's thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer has a thread of its own, and rests on purpose"
    )]
    pub fn run(self, mut out: impl Write) {
        let mut batch = Vec::new();
        while let Some(lines) = self.take(&mut batch) {
            // A broken log must not stop the sidecar; the lines are lost, and counted.
            let failed = out.write_all(&batch).and_then(|()| out.flush()).is_err();
            if failed {
                self.shared.lost.fetch_add(lines as u64, Ordering::Relaxed);
            }
            self.shared.failing.store(failed, Ordering::Relaxed);
            batch.clear();
            batch.shrink_to(KEPT);
            let mut state = self.shared.lock();
            state.written += 1;
            let last = state.closed && state.lines == 0;
            drop(state);
            self.shared.emptied.notify_all();
            if last {
                return;
            }
            std::thread::sleep(REST);
        }
    }

    /// Waits for lines and takes all there are; says how many, or that it is the end.
    fn take(&self, batch: &mut Vec<u8>) -> Option<usize> {
        let mut state = self.shared.lock();
        while state.lines == 0 {
            if state.closed {
                return None;
            }
            state.waits = true;
            state = self
                .shared
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(batch, &mut state.buffer);
        state.taken += 1;
        Some(std::mem::take(&mut state.lines))
    }
}

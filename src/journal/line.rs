//! What all books share: the line of those who have something to write, the room on the disk and what is promised of it,
//! and who writes. A caller writes itself while the disk is quick, so that a record costs one system call and no change
//! of threads; otherwise the writer's thread does. Must never hold the line's lock, or a book's, while it writes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::time::Duration;

use super::book::{Book, Obstacle};
use super::error::Refused;
use super::format::BootId;
use super::health::{Condition, Counters, Health, SharedCondition, add};
use super::keys::{Keyring, SLOT_BYTES};
use super::pen::{Pen, Reach};
use super::settings::{Mode, Settings};
use super::ship::Shipping;
use crate::units::{Boot, Clock, Map, TenantId};

/// What all books, the writer and the journal's owner share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) boot: BootId,
    pub(super) keyring: Mutex<Keyring>,
    pub(super) books: Mutex<Map<TenantId, Arc<Book>>>,
    line: Mutex<Line>,
    bell: Condvar,
    pub(super) pen: Mutex<Pen>,
    pub(super) condition: SharedCondition,
    pub(super) counters: Counters,
    pub(super) shipping: Option<Shipping>,
    /// A write failed: only the writer tries again.
    stuck: AtomicBool,
    pub(super) rolled_back: AtomicBool,
    /// Something went unrecorded that no gap tells of yet.
    pub(super) gaps: AtomicBool,
    /// How many writes on end were slow.
    slow_on_end: AtomicU64,
    /// Until when callers leave writing to the writer.
    slow_until: AtomicU64,
    /// Room on the disk behind what is written, and what of it is promised to records.
    left: AtomicI64,
    promised: AtomicI64,
}

/// Who has something to write, and what the writer is to do.
#[derive(Default)]
struct Line {
    ready: VecDeque<Arc<Book>>,
    /// New lines of the table of keys, which are written before any record under them.
    newcomers: Vec<(u64, [u8; SLOT_BYTES])>,
    /// Who waits for room.
    room: Vec<Waker>,
    wish: Wish,
    /// The writer sleeps until the bell rings, or longer than an end may wait.
    parked: bool,
    /// It sleeps and has nothing to come back to.
    idle: bool,
}

/// Whether a book must be put into the line, or stands there already. Decided under the book's lock; the line's is taken
/// behind it, never around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joins {
    Yes,
    No,
}

/// What the writer is asked for, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish(u8);

impl Wish {
    /// Something must be written now.
    pub(super) const WRITE: Self = Self(1);
    /// What is written must be synced.
    pub(super) const SYNC: Self = Self(1 << 1);
    /// A finished segment and a checkpoint.
    pub(super) const TURN: Self = Self(1 << 2);
    /// The end.
    pub(super) const CLOSE: Self = Self(1 << 3);

    /// Whether it is among what is asked for.
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// How long the writer may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Something came lately, so more will: it looks again soon, and nobody has to wake it.
    Lively,
    /// Something is due then.
    Until(Duration),
    /// Nothing is.
    Idle,
}

/// Room that is kept for the journal's own records.
pub(super) const OWN_ROOM: u64 = 256 << 10;

/// Writes that take longer hold up a worker: after so many of them on end, or after one that takes very long, callers leave
/// it to the writer for a while. One alone says little: on a busy machine it is mostly the thread that had to wait.
const SLOW: Duration = Duration::from_millis(2);
const SLOW_ON_END: u64 = 5;
const VERY_SLOW: Duration = Duration::from_millis(50);
const SLOW_FOR: Duration = Duration::from_secs(1);

/// How often somebody looks whether the pen is free: a few microseconds, about what a write takes.
const SPINS: u32 = 100;

/// How long an end may wait for somebody's intent to take it along.
const LINGER: Duration = Duration::from_millis(2);

impl Shared {
    pub(super) fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        boot: BootId,
        keyring: Keyring,
        pen: Pen,
        shipping: Option<Shipping>,
    ) -> Self {
        let left = pen.room();
        let counters = Counters::default();
        counters.segment.store(pen.head.number, Ordering::Relaxed);
        Self {
            settings,
            clock,
            boot,
            keyring: Mutex::new(keyring),
            books: Mutex::default(),
            line: Mutex::default(),
            bell: Condvar::new(),
            pen: Mutex::new(pen),
            condition: SharedCondition::default(),
            counters,
            shipping,
            stuck: AtomicBool::new(false),
            rolled_back: AtomicBool::new(false),
            gaps: AtomicBool::new(false),
            slow_on_end: AtomicU64::new(0),
            slow_until: AtomicU64::new(0),
            left: AtomicI64::new(left),
            promised: AtomicI64::new(0),
        }
    }

    /// How the journal is.
    pub(super) fn health(&self) -> Health {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            condition: self.condition.now(),
            stuck: self.stuck(),
            slow: self.slow(),
            rolled_back: self.rolled_back(),
            writes: read(&counters.writes),
            bytes: read(&counters.bytes),
            syncs: read(&counters.syncs),
            sync_nanos: read(&counters.sync_nanos),
            write_errors: read(&counters.write_errors),
            sync_errors: read(&counters.sync_errors),
            slow_writes: read(&counters.slow_writes),
            checkpoints: read(&counters.checkpoints),
            checkpoint_at: read(&counters.checkpoint_at),
            segment: read(&counters.segment),
            room: u64::try_from(self.spare()).unwrap_or_default(),
            unshipped: self.shipping.as_ref().map_or(0, Shipping::waiting),
            ship_errors: self
                .shipping
                .as_ref()
                .map_or(0, |shipping| read(&shipping.errors)),
            clock_steps: read(&counters.clock_steps),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keyring(&self) -> MutexGuard<'_, Keyring> {
        self.keyring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room on the disk for a record that is about to be queued.
    pub(super) fn promise(&self, bytes: u64) -> Result<(), Obstacle> {
        let bytes = signed(bytes);
        let promised = self.promised.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let spare = self.left.load(Ordering::Acquire) - promised - signed(OWN_ROOM);
        if spare < self.low_water() {
            self.ring_if_parked();
        }
        if spare >= 0 {
            return Ok(());
        }
        self.promised.fetch_sub(bytes, Ordering::AcqRel);
        Err(match self.condition.now().refusal() {
            Some(why) => Obstacle::Refused(why),
            None => Obstacle::Moment(Refused::Slow),
        })
    }

    /// Room that was promised and is not needed.
    pub(super) fn give_back(&self, bytes: u64) {
        self.promised.fetch_sub(signed(bytes), Ordering::AcqRel);
    }

    /// Promised room was written into.
    pub(super) fn used(&self, bytes: u64) {
        // In this order: for a moment more seems to be promised than is.
        self.left.fetch_sub(signed(bytes), Ordering::AcqRel);
        self.promised.fetch_sub(signed(bytes), Ordering::AcqRel);
    }

    /// The journal's own record took room that nobody was promised.
    pub(super) fn used_own(&self, bytes: u64) {
        self.left.fetch_sub(signed(bytes), Ordering::AcqRel);
    }

    /// The file has more room now.
    pub(super) fn add_room(&self, bytes: u64) {
        self.left.fetch_add(signed(bytes), Ordering::AcqRel);
    }

    /// Another file has this room.
    pub(super) fn set_room(&self, bytes: i64) {
        self.left.store(bytes, Ordering::Release);
    }

    /// Room that nothing has been promised of.
    pub(super) fn spare(&self) -> i64 {
        self.left.load(Ordering::Acquire) - self.promised.load(Ordering::Acquire) - signed(OWN_ROOM)
    }

    /// Room in the file behind what is written.
    pub(super) fn left(&self) -> i64 {
        self.left.load(Ordering::Acquire)
    }

    /// What a file must have room for, beside what comes.
    pub(super) fn owed(&self) -> u64 {
        let owed = self.promised.load(Ordering::Acquire) + signed(OWN_ROOM);
        u64::try_from(owed).unwrap_or_default()
    }

    /// Below it, the file is given more room.
    pub(super) fn low_water(&self) -> i64 {
        signed(self.settings.step_bytes / 2)
    }

    pub(super) fn stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    pub(super) fn closed(&self) -> bool {
        self.condition.now() == Condition::Closed
    }

    pub(super) fn rolled_back(&self) -> bool {
        self.rolled_back.load(Ordering::Acquire)
    }

    pub(super) fn slow(&self) -> bool {
        let until = self.slow_until.load(Ordering::Relaxed);
        until > 0 && self.clock.boot() < Boot(until)
    }

    /// Something went unrecorded: a gap is to tell of it.
    pub(super) fn miss(&self) {
        self.gaps.store(true, Ordering::Release);
        self.wish(Wish::WRITE);
    }

    /// Why nothing is taken while writes fail.
    pub(super) fn refusal(&self) -> Refused {
        self.condition.now().refusal().unwrap_or(Refused::Failing)
    }

    /// A write took so long.
    pub(super) fn took(&self, began: Boot) {
        let now = self.clock.boot();
        let span = now.since(began);
        if span <= SLOW {
            self.slow_on_end.store(0, Ordering::Relaxed);
            return;
        }
        add(&self.counters.slow_writes, 1);
        // Only who has the pen counts.
        let on_end = self.slow_on_end.load(Ordering::Relaxed) + 1;
        self.slow_on_end.store(on_end, Ordering::Relaxed);
        if on_end >= SLOW_ON_END || span > VERY_SLOW {
            self.slow_until
                .store(now.after(SLOW_FOR).0, Ordering::Relaxed);
        }
    }

    /// A book has a record that somebody waits for: it is written now if that is quick.
    pub(super) fn queue(&self, book: &Arc<Book>, joins: Joins, mode: Mode) {
        let mut line = self.line();
        if joins == Joins::Yes {
            line.ready.push_back(Arc::clone(book));
        }
        if mode == Mode::Batch && !self.slow() && !self.stuck() {
            if line.idle {
                self.ring(line);
            } else {
                drop(line);
            }
            return self.write_here();
        }
        line.wish.add(Wish::WRITE);
        if mode == Mode::Strict {
            line.wish.add(Wish::SYNC);
        }
        self.ring(line);
    }

    /// A book has a record that nobody waits for: whoever writes next takes it along.
    pub(super) fn queue_unhurried(&self, book: &Arc<Book>, joins: Joins) {
        if joins == Joins::No {
            return;
        }
        let mut line = self.line();
        line.ready.push_back(Arc::clone(book));
        if line.parked {
            self.ring(line);
        }
    }

    /// Puts a book back of which more is to be written.
    pub(super) fn stand_again(&self, book: Arc<Book>) {
        self.line().ready.push_back(book);
    }

    /// Who is next.
    pub(super) fn next(&self) -> Option<Arc<Book>> {
        self.line().ready.pop_front()
    }

    /// Writes on the caller's thread, unless somebody else does at this moment.
    fn write_here(&self) {
        loop {
            {
                // Whoever has the pen looks at the line once more behind us.
                let Some(mut pen) = self.pen_soon() else {
                    return;
                };
                if !self.line().newcomers.is_empty() {
                    drop(pen);
                    return self.wish(Wish::WRITE);
                }
                pen.write_out(self, Reach::Caller);
            }
            let line = self.line();
            if line.ready.is_empty() {
                return;
            }
            if self.stuck() || self.slow() || line.ready.len() > 64 {
                drop(line);
                return self.wish(Wish::WRITE);
            }
        }
    }

    /// The pen, if nobody writes for longer than a quick write takes. To wait for that costs less than to be woken behind it.
    fn pen_soon(&self) -> Option<MutexGuard<'_, Pen>> {
        for _ in 0..SPINS {
            match self.pen.try_lock() {
                Ok(pen) => return Some(pen),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }

    /// A new line for the table of keys.
    pub(super) fn introduce(&self, place: u64, bytes: [u8; SLOT_BYTES]) {
        self.line().newcomers.push((place, bytes));
    }

    pub(super) fn newcomers(&self) -> Vec<(u64, [u8; SLOT_BYTES])> {
        self.line().newcomers.clone()
    }

    /// So many of them are in the table.
    pub(super) fn introduced(&self, count: usize) {
        self.line().newcomers.drain(..count);
    }

    /// Who waits for room is woken when there may be some.
    pub(super) fn await_room(&self, waker: &Waker) {
        let mut line = self.line();
        if !line.room.iter().any(|other| other.will_wake(waker)) {
            line.room.push(waker.clone());
        }
        // A wish, not only the bell: the writer may be past making room, and not yet asleep.
        line.wish.add(Wish::WRITE);
        self.ring(line);
    }

    pub(super) fn wake_room(&self) {
        let waiting = std::mem::take(&mut self.line().room);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Asks something of the writer.
    pub(super) fn wish(&self, wish: Wish) {
        let mut line = self.line();
        line.wish.add(wish);
        self.ring(line);
    }

    fn ring(&self, mut line: MutexGuard<'_, Line>) {
        line.parked = false;
        line.idle = false;
        drop(line);
        self.bell.notify_one();
    }

    fn ring_if_parked(&self) {
        let line = self.line();
        if line.parked {
            self.ring(line);
        }
    }

    /// The writer rests: until something is wished, or for so long; a short rest if something waits or came lately.
    pub(super) fn rest(&self, rest: Rest) -> Wish {
        let mut line = self.line();
        if line.wish == Wish::default() {
            let lively = rest == Rest::Lively || !line.ready.is_empty();
            line.parked = !lively;
            line.idle = rest == Rest::Idle && !lively;
            let span = match rest {
                _ if lively => LINGER,
                Rest::Until(span) => span,
                Rest::Lively | Rest::Idle => Duration::from_mins(1),
            };
            line = match self.bell.wait_timeout(line, span) {
                Ok((line, _)) => line,
                Err(poisoned) => poisoned.into_inner().0,
            };
            line.parked = false;
            line.idle = false;
        }
        std::mem::take(&mut line.wish)
    }

    /// A write failed.
    pub(super) fn get_stuck(&self, error: &std::io::Error) {
        add(&self.counters.write_errors, 1);
        self.condition.set(Condition::of(error));
        self.stuck.store(true, Ordering::Release);
        self.wake_everybody();
    }

    /// Writes go through again.
    pub(super) fn get_going(&self) {
        self.stuck.store(false, Ordering::Release);
        self.condition.set(Condition::Fine);
        self.wake_room();
    }

    /// Whoever waits looks again at what has become of it.
    pub(super) fn wake_everybody(&self) {
        let mut wakers = Vec::new();
        for book in self.all_books() {
            book.pages().wake_all(&mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
        self.wake_room();
    }

    pub(super) fn all_books(&self) -> Vec<Arc<Book>> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.values().map(Arc::clone).collect()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

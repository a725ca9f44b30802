//! Places for connections: how many there may be, and how many are taken. When few are left, idle connections are asked to
//! leave. Must never wait for one to be free.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many places.
pub(super) struct Places {
    most: usize,
    taken: AtomicUsize,
    /// When nobody could be made to leave, asking again at once is no use, and costs a look at everybody.
    again: Mutex<Option<Instant>>,
}

const REST: Duration = Duration::from_millis(10);

impl Places {
    /// All free.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            again: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes one, if one is free. When few are, so many connections as it is given are asked to leave by `evict`, which
    /// says how many do.
    pub(super) fn take(&self, evict: impl FnOnce(usize) -> usize) -> bool {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        // Where nobody is, nobody can leave.
        if before > 0 && before + self.headroom() >= self.most {
            self.make_room(evict);
        }
        let is_free = before < self.most;
        if !is_free {
            self.give_back();
        }
        is_free
    }

    /// One that was taken is free again.
    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Asks as many connections to leave as places are kept free.
    pub(super) fn make_room(&self, evict: impl FnOnce(usize) -> usize) {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if again.is_some_and(|again| now < again) {
            return;
        }
        let made = evict(self.headroom());
        *again = (made == 0).then(|| now + REST);
    }

    /// So many are kept free as long as somebody is idle.
    fn headroom(&self) -> usize {
        (self.most / 32).max(1)
    }
}

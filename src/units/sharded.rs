//! One value per thread, for what every request of every thread changes: a line of memory that two cores write in
//! turns costs each of them more than the change. Must never be asked for one true value while threads change it.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many values as threads are likely to be; with more threads, some share.
#[derive(Debug, Default)]
pub struct Sharded<T>([Apart<T>; SHARDS]);

const SHARDS: usize = 8;

/// On lines of its own: processors fetch lines of 64 bytes in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl<T> Sharded<T> {
    /// Makes each value.
    pub fn new(mut make: impl FnMut() -> T) -> Self {
        Self(std::array::from_fn(|_| Apart(make())))
    }

    /// This thread's.
    #[inline]
    pub fn mine(&self) -> &T {
        &self.0[mine() % SHARDS].0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(value)| value)
    }
}

/// Threads are numbered as they come.
#[inline]
fn mine() -> usize {
    // A thread that is coming to its end has no number any more, and any will do.
    MINE.try_with(|mine| match mine.get() {
        usize::MAX => number(mine),
        known => known,
    })
    .unwrap_or_default()
}

#[cold]
fn number(mine: &Cell<usize>) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    mine.set(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
    mine.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_one_and_all_are_counted() {
        let counts = Sharded::new(|| AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 * SHARDS {
                scope.spawn(|| {
                    let before: *const AtomicUsize = counts.mine();
                    counts.mine().fetch_add(1, Ordering::Relaxed);
                    assert_eq!(before, std::ptr::from_ref(counts.mine()));
                });
            }
        });
        let total: usize = counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum();
        assert_eq!(total, 3 * SHARDS);
    }
}

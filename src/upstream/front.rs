//! The idle connections that each thread used last: its next request of the same tenant finds one there without writing
//! what other threads write, and mostly has the other end of it in its own cache. Must never keep a connection from a
//! thread that would dial otherwise, nor from whoever closes idle ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shelf::Idle;
use crate::spine::PoolKey;
use crate::units::{Boot, Sharded};

/// A few idle connections for each thread, in front of the shelf.
pub(super) struct Front {
    places: Sharded<Mutex<Vec<(PoolKey, Idle)>>>,
    /// How many a thread keeps.
    most: usize,
}

/// They are looked through one by one.
const MOST: usize = 32;

impl Front {
    /// Keeps at most a quarter of the `cap` connections that may be idle.
    pub(super) fn new(cap: usize) -> Self {
        let places = Sharded::<Mutex<Vec<_>>>::default();
        let most = (cap / 4 / places.iter().count()).min(MOST);
        Self { places, most }
    }

    /// How many all threads keep at most.
    pub(super) fn room(&self) -> usize {
        self.most * self.places.iter().count()
    }

    /// The connection of that key which this thread used last. Keys of an older snapshot are passed over.
    pub(super) fn take(&self, key: &PoolKey) -> Option<(PoolKey, Idle)> {
        if self.most == 0 {
            return None;
        }
        loop {
            let mut place = lock(self.places.mine());
            let at = place.iter().rposition(|(kept, _)| kept.is_same(key))?;
            let found = place.remove(at);
            drop(place);
            // One that is closed is dropped here, outside the lock.
            if !found.1.sender.is_closed() {
                return Some(found);
            }
        }
    }

    /// Keeps a connection for this thread; what has no room comes back, the one that has been there longest.
    pub(super) fn put(&self, key: PoolKey, idle: Idle) -> Option<(PoolKey, Idle)> {
        if self.most == 0 {
            return Some((key, idle));
        }
        let mut place = lock(self.places.mine());
        let oldest = (place.len() >= self.most).then(|| place.remove(0));
        place.push((key, idle));
        oldest
    }

    /// A connection of that key from any thread, before somebody dials.
    pub(super) fn steal(&self, key: &PoolKey) -> Option<(PoolKey, Idle)> {
        self.places.iter().find_map(|place| {
            let mut closed = Vec::new();
            let mut place = lock(place);
            let found = loop {
                let Some(at) = place.iter().rposition(|(kept, _)| kept == key) else {
                    break None;
                };
                let found = place.remove(at);
                if !found.1.sender.is_closed() {
                    break Some(found);
                }
                closed.push(found);
            };
            drop(place);
            drop(closed);
            found
        })
    }

    /// Takes what has been idle for too long, and what the other side closed.
    pub(super) fn expire(&self, now: Boot) -> Vec<(PoolKey, Idle)> {
        let mut gone = Vec::new();
        for place in self.places.iter() {
            let over = |(_, idle): &mut (PoolKey, Idle)| idle.is_over(now);
            gone.extend(lock(place).extract_if(.., over));
        }
        gone
    }

    /// How many are idle here.
    pub(super) fn count(&self) -> usize {
        self.places.iter().map(|place| lock(place).len()).sum()
    }
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

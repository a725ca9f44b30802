//! The holder of the current snapshot. A reload swaps it whole or not at all; what runs, and why the last
//! attempt was rejected, can always be seen. Must never hand out a guard that lives across an await.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Compiled, Snapshot};
use crate::units::{Boot, Sharded, Wall};

/// The current snapshot, and the story of the last reload.
pub struct Live {
    /// The same snapshot in every place.
    current: Sharded<ArcSwap<Arc<Snapshot>>>,
    generation: AtomicU64,
    rejected: Mutex<Option<Rejected>>,
    published: Mutex<Published>,
}

/// A hold on a snapshot. Cloning it counts on a line of this thread's, not on the snapshot's own, which every request
/// of every thread would write.
#[derive(Clone, Debug)]
pub struct Held(Arc<Arc<Snapshot>>);

impl Held {
    /// Without a [`Live`], as in tests.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Arc::new(snapshot))
    }

    /// The snapshot, to keep beyond a request.
    pub fn to_owner(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0)
    }
}

impl std::ops::Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// When the running snapshot was published.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// When, on the wall.
    pub at: Wall,
}

/// A configuration that was not taken.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// When, on the wall.
    pub at: Wall,
    /// All problems, rendered.
    pub problems: String,
}

impl Live {
    /// Starts with a first snapshot.
    pub fn new(first: Compiled, now: Boot, wall: Wall) -> Arc<Self> {
        let snapshot = first.adopt(now);
        Arc::new(Self {
            generation: AtomicU64::new(snapshot.generation),
            current: Sharded::new(|| ArcSwap::from_pointee(Arc::clone(&snapshot))),
            rejected: Mutex::new(None),
            published: Mutex::new(Published { at: wall }),
        })
    }

    /// The snapshot of one request: taken once, kept to its end.
    pub fn take(&self) -> Held {
        Held(self.current.mine().load_full())
    }

    /// The generation the next snapshot gets.
    pub fn next_generation(&self) -> u64 {
        self.generation
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// Makes a compiled snapshot the current one. Limits change size in place; nothing spent is forgotten.
    pub fn publish(&self, compiled: Compiled, now: Boot, wall: Wall) -> Arc<Snapshot> {
        let snapshot = compiled.adopt(now);
        for place in self.current.iter() {
            place.store(Arc::new(Arc::clone(&snapshot)));
        }
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Published { at: wall };
        snapshot
    }

    /// Notes that a configuration was rejected. What runs goes on running.
    pub fn reject(&self, problems: String, wall: Wall) {
        let rejected = Some(Rejected { at: wall, problems });
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = rejected;
    }

    /// The last rejected configuration, if nothing was published since.
    pub fn rejected(&self) -> Option<Rejected> {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When the running snapshot was published.
    pub fn published(&self) -> Published {
        *self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

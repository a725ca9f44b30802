//! The holder of the current snapshot. A reload swaps it whole or not at all; what runs, and why the last
//! attempt was rejected, can always be seen. Must never hand out a guard that lives across an await.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Compiled, Snapshot};
use crate::units::{Boot, Wall};

/// The current snapshot, and the story of the last reload.
pub struct Live {
    current: ArcSwap<Snapshot>,
    generation: AtomicU64,
    rejected: Mutex<Option<Rejected>>,
    published: Mutex<Published>,
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
            current: ArcSwap::from(snapshot),
            rejected: Mutex::new(None),
            published: Mutex::new(Published { at: wall }),
        })
    }

    /// The snapshot of one request: taken once, kept to its end.
    pub fn take(&self) -> Arc<Snapshot> {
        self.current.load_full()
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
        self.current.store(Arc::clone(&snapshot));
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

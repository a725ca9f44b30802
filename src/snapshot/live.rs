//! The holder of the current snapshot. A reload swaps it whole or not at all; what runs, and why the last
//! attempt was rejected, can always be seen. Must never hand out a guard that lives across an await.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Compiled, Snapshot};
use crate::config::values::OnRevoke;
use crate::units::{Boot, Sharded, Wall};

/// The current snapshot, and the story of the last reload.
pub struct Live {
    /// The same snapshot in every place.
    current: Sharded<ArcSwap<Arc<Snapshot>>>,
    generation: AtomicU64,
    rejected: Mutex<Option<Rejected>>,
    published: Mutex<Published>,
    /// What some trip may still be using. Kept here, so that the last trip to end does not free a whole generation
    /// on the thread that serves the others; there are never more than trips open.
    retired: Mutex<Vec<Arc<Snapshot>>>,
    /// Something under way was ordered to end.
    cuts: AtomicBool,
    watch: Mutex<WatchState>,
}

/// A hold on a snapshot. Cloning it counts on a line of this thread's, not on the snapshot's own, which every request
/// of every thread would write.
#[derive(Clone, Debug)]
#[expect(
    clippy::redundant_allocation,
    reason = "the outer count is what it is for"
)]
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

/// Whether the kernel tells when a file of the configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WatchState {
    /// It is not asked to.
    #[default]
    Off,
    /// It does.
    On,
    /// It was asked and cannot, for that reason.
    Failed(String),
}

/// When the running snapshot was published, and what of its configuration does not hold yet.
#[derive(Clone, Debug)]
pub struct Published {
    /// When, on the wall.
    pub at: Wall,
    /// Keys that are read at start only, and that say something else now.
    pub restart: Vec<&'static str>,
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
            published: Mutex::new(Published {
                at: wall,
                restart: Vec::new(),
            }),
            retired: Mutex::default(),
            cuts: AtomicBool::new(false),
            watch: Mutex::default(),
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

    /// Makes a compiled snapshot the current one. Limits change size in place; nothing spent is forgotten. `restart`
    /// are the keys of which it holds a value that waits for a restart.
    pub fn publish(
        &self,
        compiled: Compiled,
        restart: Vec<&'static str>,
        now: Boot,
        wall: Wall,
    ) -> Arc<Snapshot> {
        let snapshot = compiled.adopt(now);
        let old = self.take().to_owner();
        for place in self.current.iter() {
            place.store(Arc::new(Arc::clone(&snapshot)));
        }
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Published { at: wall, restart };
        if revoke(&old, &snapshot) > 0 {
            self.cuts.store(true, Ordering::Release);
        }
        self.retired
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(old);
        self.sweep();
        snapshot
    }

    /// Whether something under way was ordered to end since this was last asked: then its connections want to be woken.
    pub fn take_cuts(&self) -> bool {
        self.cuts.swap(false, Ordering::AcqRel)
    }

    /// Frees the generations that no trip uses any more, on the caller's thread. Returns how many are left.
    pub fn sweep(&self) -> usize {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can take one that is not current any more, so a count of one stays one.
        let unused = retired.extract_if(.., |old| Arc::strong_count(old) == 1);
        let unused: Vec<_> = unused.collect();
        let left = retired.len();
        drop(retired);
        drop(unused);
        left
    }

    /// Notes that a configuration was rejected. What runs goes on running.
    pub fn reject(&self, problems: String, wall: Wall) {
        let rejected = Some(Rejected { at: wall, problems });
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = rejected;
    }

    /// Notes that the files say again what runs.
    pub fn accept(&self) {
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes whether changes are told.
    pub fn set_watch(&self, state: WatchState) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether changes are told.
    pub fn watch(&self) -> WatchState {
        self.watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Orders the end of what those have under way who were taken out, if their policy wants it. How many there were.
fn revoke(old: &Snapshot, new: &Snapshot) -> usize {
    let revoked = old.tenants().filter(|tenant| {
        tenant.policy().on_revoke == OnRevoke::Cut && new.tenant(tenant.id()).is_none()
    });
    revoked.map(|tenant| tenant.account().cut()).count()
}

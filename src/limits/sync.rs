//! The lock, as the platform has it or as loom models it. `Arc` stays the standard one: loom's cannot be a receiver
//! (`self: &Arc<Self>`), and reference counts are not what the models check.

use std::sync::PoisonError;

#[cfg(all(test, loom))]
use loom::sync::{Mutex as Inner, MutexGuard};
#[cfg(not(all(test, loom)))]
use std::sync::{Mutex as Inner, MutexGuard};

/// A lock that outlives a panic of its holder: the ledger's steps keep it whole between any two of them, so a
/// poisoned lock holds usable numbers, and one tenant's crashed request must not refuse all the others.
#[derive(Debug)]
pub(super) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

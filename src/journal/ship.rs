//! Copies of finished segments in another directory, made by a thread of their own, so that a slow one holds up nobody. At
//! least once, below the journal's own name, the seal last. Must never count a copy before it has been synced.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::JournalError;
use super::format::JournalId;
use super::format::checkpoint::hex;
use super::places::{POINTS, Places, SEAL, SEGMENT};
use super::shelf::MOST_BYTES;
use crate::host::durable;
use crate::host::files::{private_dir, read_capped};

/// What is to be copied, and what has been.
pub(super) struct Shipping {
    from: Places,
    to: PathBuf,
    state: Mutex<State>,
    bell: Condvar,
    pub(super) errors: AtomicU64,
}

#[derive(Default)]
struct State {
    /// In order; one leaves when its copy is synced.
    due: VecDeque<u64>,
    closing: bool,
}

/// After a copy failed.
const RETRY: Duration = Duration::from_secs(5);

impl Shipping {
    /// Below `target`, each journal has a directory of its own.
    pub(super) fn new(from: &Places, target: &std::path::Path, journal: JournalId) -> Self {
        let mut name = String::new();
        hex(&journal.0, &mut name);
        Self {
            from: from.clone(),
            to: target.join(name),
            state: Mutex::default(),
            bell: Condvar::new(),
            errors: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment is sealed. One that was copied before is not copied again.
    pub(super) fn add(&self, number: u64) {
        if !self.to.join(format!("{number:016x}.{SEAL}")).exists() {
            self.state().due.push_back(number);
            self.bell.notify_one();
        }
    }

    /// Whether a segment has been copied.
    pub(super) fn is_done(&self, number: u64) -> bool {
        !self.state().due.contains(&number)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        super::book::length(self.state().due.len())
    }

    /// What waits is tried once more, then the thread ends.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.bell.notify_one();
    }

    /// The thread's work.
    pub(super) fn run(&self) {
        loop {
            let (next, closing) = {
                let mut state = self.state();
                while state.due.is_empty() && !state.closing {
                    state = self
                        .bell
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                (state.due.front().copied(), state.closing)
            };
            let Some(number) = next else { return };
            if self.copy(number).is_ok() {
                self.state().due.pop_front();
                continue;
            }
            self.errors.fetch_add(1, Ordering::Relaxed);
            if closing {
                return;
            }
            let state = self.state();
            drop(self.bell.wait_timeout(state, RETRY));
        }
    }

    fn copy(&self, number: u64) -> Result<(), JournalError> {
        private_dir(&self.to)?;
        // The seal is the last: who finds it finds the rest.
        for kind in [SEGMENT, POINTS, SEAL] {
            let name = format!("{number:016x}.{kind}");
            let source = self.from.segments().join(&name);
            if kind == POINTS && !source.exists() {
                continue;
            }
            let bytes = read_capped(&source, MOST_BYTES)?;
            durable::write_durable(&self.to.join(name), &bytes)?;
        }
        Ok(())
    }
}

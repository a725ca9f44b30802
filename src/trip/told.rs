//! What the journal tells of itself: to whoever asks whether the sidecar is ready, and to the page of metrics. Must never
//! be needed to decide about a call.

use std::time::Duration;

use super::Recorder;
use crate::journal::{Condition, OnFailure};
use crate::meters::{BookStock, JournalStock};
use crate::units::TenantId;

/// Whether calls can be recorded as they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// They can.
    Fine,
    /// They cannot, and go on all the same.
    Gaps(&'static str),
    /// They cannot, and are refused.
    Refusing(&'static str),
}

impl Recorder {
    /// Whether calls can be recorded now.
    pub fn recording(&self) -> Recording {
        let health = self.journal().health();
        let what = match health.condition {
            Condition::Fine if health.stuck => "stuck",
            Condition::Fine => return Recording::Fine,
            condition => condition.as_str(),
        };
        match self.terms().on_failure {
            OnFailure::Refuse => Recording::Refusing(what),
            OnFailure::Gap => Recording::Gaps(what),
        }
    }

    /// All of it for the page of metrics, and the parts of those tenants that are to be shown.
    pub(super) fn stock(&self, shown: impl Fn(&TenantId) -> bool) -> JournalStock {
        let health = self.journal().health();
        let condition = |one: Condition| (one.as_str(), one == health.condition);
        let books = self.journal().books(shown).into_iter();
        JournalStock {
            conditions: Condition::ALL.into_iter().map(condition).collect(),
            lost: self.is_lost(),
            writes: health.writes,
            bytes: health.bytes,
            syncs: health.syncs,
            syncing: Duration::from_nanos(health.sync_nanos),
            troubles: vec![
                ("write-failed", health.write_errors),
                ("sync-failed", health.sync_errors),
                ("write-slow", health.slow_writes),
                ("copy-failed", health.ship_errors),
                ("clock-back", health.clock_steps),
            ],
            checkpoint_at: health.checkpoint_at / 1_000,
            room: health.room,
            unshipped: health.unshipped,
            books: books
                .map(|(tenant, book)| {
                    let stock = BookStock {
                        records: book.records,
                        queued: book.queued,
                        kept: book.kept,
                        refused: book.refused,
                        unrecorded: book.unrecorded,
                        clipped: book.clipped,
                    };
                    (tenant, stock)
                })
                .collect(),
        }
    }
}

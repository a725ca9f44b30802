//! The two records of a trip in the journal: the intent, before anything leaves, and the end, when it is over; or one that
//! says that it was refused. Part of FORWARD and RECORD. Must never let anything leave whose intent is not as safe as the
//! configuration asks for, and never hold what was said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Refusal;
use super::record::Run;
use crate::config::values::{JournalMode, OnJournalFailure};
use crate::journal::{
    Book, Flags, Journal, JournalError, Kind, Mode, OnFailure, OpenEntry, Record, Refused, Terms,
    Written,
};
use crate::limits::Held;
use crate::snapshot::{JournalRules, Tenant};
use crate::units::{Code, NanoUsd, TenantId, WindowId};

/// The journal, and what every tenant's records have a right to.
pub struct Recorder {
    journal: Journal,
    terms: Terms,
    /// Whether part of what was recorded before is lost, and nobody has acknowledged that.
    lost: AtomicBool,
}

impl Recorder {
    /// Over an open journal.
    pub const fn new(journal: Journal, terms: Terms) -> Self {
        Self {
            journal,
            terms,
            lost: AtomicBool::new(false),
        }
    }

    /// Part of what was recorded before is lost; or somebody has acknowledged that.
    pub fn set_lost(&self, lost: bool) {
        self.lost.store(lost, Ordering::Relaxed);
        if lost {
            return;
        }
        self.journal.acknowledge();
    }

    /// Whether part of what was recorded before is lost, and nobody has acknowledged that.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The journal itself.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What becomes of an action that cannot be recorded, among others.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What a tenant's records have a right to, by the rules of its policy; `None` if nothing of it is recorded.
    fn terms_of(&self, rules: JournalRules) -> Option<Terms> {
        let mode = match rules.mode {
            None => self.terms.mode,
            Some(JournalMode::Batch) => Mode::Batch,
            Some(JournalMode::Strict) => Mode::Strict,
            Some(JournalMode::Off) => return None,
        };
        let on_failure = match rules.on_failure {
            None => self.terms.on_failure,
            Some(OnJournalFailure::Refuse) => OnFailure::Refuse,
            Some(OnJournalFailure::Gap) => OnFailure::Gap,
        };
        Some(Terms {
            mode,
            on_failure,
            ..self.terms
        })
    }

    /// A tenant's book; `None` if nothing of it is recorded.
    ///
    /// # Errors
    /// The journal knows as many tenants as it may, or there is no key for another.
    pub fn book(
        &self,
        tenant: &TenantId,
        rules: JournalRules,
    ) -> Result<Option<Arc<Book>>, Refused> {
        let Some(terms) = self.terms_of(rules) else {
            return Ok(None);
        };
        self.journal
            .book(tenant, terms)
            .map(Some)
            .map_err(|why| match why {
                JournalError::Tenants => Refused::Tenants,
                _ => Refused::Failing,
            })
    }

    /// Writes that somebody with authority did something about a tenant, and what it changes of its budgets, if anything.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn order(
        &self,
        (tenant, rules): (&TenantId, JournalRules),
        change: Option<Change>,
        payload: &[u8],
    ) -> Result<Option<Written>, Refused> {
        let Some(book) = self.book(tenant, rules)? else {
            return Ok(None);
        };
        let Some(Change { held, gives }) = change else {
            return book
                .record(Kind::Admin, Flags::default(), Record::of(payload))
                .map(Some);
        };
        let record = Record {
            windows: &[pair(held)],
            ..Record::of(payload)
        };
        book.record(Kind::Adjust, Flags::giving(gives), record)
            .map(Some)
    }

    /// Writes that a call cost so much more, or less, than was settled; `None` if there is no such record.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn correct(
        &self,
        (tenant, rules): (&TenantId, JournalRules),
        (about, amount, gives): (u64, NanoUsd, bool),
        payload: &[u8],
    ) -> Result<Option<Written>, Refused> {
        let Some(book) = self.book(tenant, rules)? else {
            return Ok(None);
        };
        let record = Record {
            whole: amount,
            ..Record::of(payload)
        };
        book.correct(about, Flags::giving(gives), record)
    }
}

/// What an order changes of a budget.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// By how much.
    pub held: Held,
    /// Whether there is more of it then.
    pub gives: bool,
}

/// Writes what is about to leave; nothing may before this is done. None where nothing is recorded.
pub(super) async fn intent(run: &Run) -> Result<Option<OpenEntry>, Refusal> {
    let Some(recorder) = &run.ground().journal else {
        return Ok(None);
    };
    let book = recorder.book(run.tenant().id(), run.policy().journal);
    let Some(book) = book.map_err(|why| unavailable(&why.to_string()))? else {
        return Ok(None);
    };
    let windows: Vec<_> = run.holdings().map(pair).collect();
    let payload = run.question_document();
    let written = book.intent(Record {
        whole: run.held(),
        windows: &windows,
        payload: &payload,
    });
    let entry = written
        .await
        .map_err(|why: Refused| unavailable(&why.to_string()))?;
    Ok(Some(entry))
}

fn unavailable(why: &str) -> Refusal {
    let text = format!("what this call does cannot be recorded, so it does not leave: {why}");
    Refusal::new(Code::JournalUnavailable, text)
}

/// Writes that a trip is over whose intent was written.
pub(super) fn end(entry: OpenEntry, cost: NanoUsd, settled: &[Held], payload: &[u8]) {
    let windows: Vec<_> = settled.iter().copied().map(pair).collect();
    entry.end(Record {
        whole: cost,
        windows: &windows,
        payload,
    });
}

/// Writes that a trip is over of which nothing ever left.
pub(super) fn refused(recorder: &Recorder, tenant: &Tenant, payload: &[u8]) {
    if let Ok(Some(book)) = recorder.book(tenant.id(), tenant.policy().journal) {
        // What cannot be written is counted, and a gap tells of it.
        let _ = book.record(Kind::Refusal, Flags::default(), Record::of(payload));
    }
}

pub(super) fn pair(held: Held) -> (WindowId, NanoUsd) {
    (held.window, held.amount)
}

//! The two records of a trip in the journal: the intent, before anything leaves, and the end, when it is over; or one that
//! says that it was refused. Part of FORWARD and RECORD. Must never let anything leave whose intent is not as safe as the
//! configuration asks for, and never hold what was said.

use std::sync::Arc;

use super::Refusal;
use super::record::Run;
use crate::journal::{Book, Flags, Journal, Kind, OpenEntry, Record, Refused, Terms};
use crate::limits::Held;
use crate::units::{Code, NanoUsd, TenantId, WindowId};

/// The journal, and what every tenant's records have a right to.
pub struct Recorder {
    journal: Journal,
    terms: Terms,
}

impl Recorder {
    /// Over an open journal.
    pub const fn new(journal: Journal, terms: Terms) -> Self {
        Self { journal, terms }
    }

    /// The journal itself.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What becomes of an action that cannot be recorded, among others.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// A tenant's book; none if the journal knows as many tenants as it may.
    pub fn book(&self, tenant: &TenantId) -> Option<Arc<Book>> {
        self.journal.book(tenant, self.terms).ok()
    }
}

/// Writes what is about to leave; nothing may before this is done. None where nothing is recorded.
pub(super) async fn intent(run: &Run) -> Result<Option<OpenEntry>, Refusal> {
    let Some(recorder) = &run.ground().journal else {
        return Ok(None);
    };
    let book = recorder.book(run.tenant().id());
    let book = book.ok_or_else(|| unavailable("it knows as many tenants as it may"))?;
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
pub(super) fn refused(recorder: &Recorder, tenant: &TenantId, payload: &[u8]) {
    if let Some(book) = recorder.book(tenant) {
        // What cannot be written is counted, and a gap tells of it.
        let _ = book.record(Kind::Refusal, Flags::default(), Record::of(payload));
    }
}

pub(super) fn pair(held: Held) -> (WindowId, NanoUsd) {
    (held.window, held.amount)
}

//! How the journal is, as the page shows it: read when it is asked for. Must never show a tenant that has no label of its own.

use std::time::Duration;

use super::births::Family;
use super::text::Page;
use crate::units::TenantId;

/// The journal at one moment; counters are of this process.
#[derive(Clone, Debug, Default)]
pub struct JournalStock {
    /// What keeps new records from being taken: every word there is, and whether it is so.
    pub conditions: Vec<(&'static str, bool)>,
    /// Whether part of what was recorded before is lost, and nobody has acknowledged that.
    pub lost: bool,
    /// Writes to the file.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs of the file.
    pub syncs: u64,
    /// How long they took together.
    pub syncing: Duration,
    /// Writes and syncs that failed, copies that failed, writes that took too long, times the clock went back.
    pub troubles: Vec<(&'static str, u64)>,
    /// When the latest checkpoint was signed, in whole seconds of the Unix epoch; 0 if none was.
    pub checkpoint_at: u64,
    /// Bytes of room that nothing has been promised of.
    pub room: u64,
    /// Finished segments that are not yet copied to where they are shipped.
    pub unshipped: u64,
    /// Each tenant's part.
    pub books: Vec<(TenantId, BookStock)>,
}

/// One tenant's part.
#[derive(Clone, Copy, Debug, Default)]
pub struct BookStock {
    /// Records taken.
    pub records: u64,
    /// Bytes that wait to be written.
    pub queued: u64,
    /// Bytes on the disk.
    pub kept: u64,
    /// Actions refused because they could not be recorded.
    pub refused: u64,
    /// Actions that went on unrecorded.
    pub unrecorded: u64,
    /// Payloads that were too large.
    pub clipped: u64,
}

type Number = fn(&BookStock) -> u64;

pub(super) fn render(page: &mut Page, stock: &JournalStock) {
    page.family(&CONDITION);
    for (word, is_so) in &stock.conditions {
        page.sample(&[("condition", word)], u8::from(*is_so));
    }
    let numbers: [(&Family, u64); 7] = [
        (&LOST, u64::from(stock.lost)),
        (&WRITES, stock.writes),
        (&BYTES, stock.bytes),
        (&SYNCS, stock.syncs),
        (&CHECKPOINT, stock.checkpoint_at),
        (&ROOM, stock.room),
        (&UNSHIPPED, stock.unshipped),
    ];
    for (family, number) in numbers {
        page.family(family);
        page.sample(&[], number);
    }
    page.family(&SYNCING);
    page.seconds(&[], stock.syncing);
    page.family(&TROUBLES);
    for (what, count) in &stock.troubles {
        page.sample(&[("what", what)], count);
    }
    let books: [(&Family, Number); 6] = [
        (&RECORDS, |book| book.records),
        (&QUEUED, |book| book.queued),
        (&KEPT, |book| book.kept),
        (&REFUSED, |book| book.refused),
        (&UNRECORDED, |book| book.unrecorded),
        (&CLIPPED, |book| book.clipped),
    ];
    for (family, number) in books {
        page.family(family);
        for (tenant, book) in &stock.books {
            page.sample(&[("tenant", tenant.as_str())], number(book));
        }
    }
}

const CONDITION: Family = Family::gauge(
    "outrigger_journal_condition",
    "Whether the journal takes records (`fine`), or what keeps it from that; one of them is 1.",
);
const LOST: Family = Family::gauge(
    "outrigger_journal_lost",
    "1 while part of the record is lost and no operator has acknowledged that.",
);
const WRITES: Family = Family::counter("outrigger_journal_writes_total", "Writes to the journal.");
const BYTES: Family = Family::counter(
    "outrigger_journal_bytes_total",
    "Bytes written to the journal.",
);
const SYNCS: Family = Family::counter(
    "outrigger_journal_syncs_total",
    "Syncs of the journal to the disk.",
);
const SYNCING: Family = Family::counter(
    "outrigger_journal_sync_seconds_total",
    "How long syncs of the journal took together.",
);
const TROUBLES: Family = Family::counter(
    "outrigger_journal_troubles_total",
    "What went wrong with the journal: writes, syncs and copies that failed, slow writes, steps back of the clock.",
);
const CHECKPOINT: Family = Family::gauge(
    "outrigger_journal_checkpoint_timestamp_seconds",
    "When the latest checkpoint of the journal was signed.",
);
const ROOM: Family = Family::gauge(
    "outrigger_journal_room_bytes",
    "Room for records that nothing has been promised of.",
);
const UNSHIPPED: Family = Family::gauge(
    "outrigger_journal_unshipped_segments",
    "Finished segments that are not yet copied to where they are shipped.",
);
const RECORDS: Family =
    Family::counter("outrigger_journal_records_total", "Records of the tenant.");
const QUEUED: Family = Family::gauge(
    "outrigger_journal_queued_bytes",
    "Bytes of the tenant's records that wait to be written.",
);
const KEPT: Family = Family::gauge(
    "outrigger_journal_kept_bytes",
    "What the tenant's records take on the disk.",
);
const REFUSED: Family = Family::counter(
    "outrigger_journal_refused_total",
    "Actions of the tenant that were refused because they could not be recorded.",
);
const UNRECORDED: Family = Family::counter(
    "outrigger_journal_unrecorded_total",
    "Actions of the tenant that went on although they could not be recorded.",
);
const CLIPPED: Family = Family::counter(
    "outrigger_journal_clipped_total",
    "Records of the tenant that were too large, and have nothing but their amounts.",
);

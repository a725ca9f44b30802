//! The rows about the record of what was done.
//! Must never hold a value that is not in `defaults`, nor a sentence the reference should not print.

use super::{GIB, HOUR, KIB, MIB, is, key};
use crate::config::defaults as d;
use crate::config::keys::{Fallback, Grammar, Key, Kind, Value};
use crate::config::values::{JournalMode, OnJournalFailure};

pub(super) const JOURNAL: &[Key] = &[
    key(
        "journal.mode",
        Kind::Word(JournalMode::WORDS),
        Fallback::Varies(
            Value::Text(d::JOURNAL_MODE.as_str()),
            "where this section is written; without it `off`",
        ),
        "",
        "when an action counts as recorded: `batch`, `strict`, or `off`",
        "Before a call leaves, what it holds of the budgets is on record, so that spending is known after any crash. `batch` has given it to the system, which survives the process being killed; `strict` has it on the disk, which survives the power failing and costs a wait for the disk. The record lies in `journal` in the state directory.",
    ),
    key(
        "journal.on_failure",
        Kind::Word(OnJournalFailure::WORDS),
        is(Value::Text(d::ON_JOURNAL_FAILURE.as_str())),
        "",
        "what becomes of a call that cannot be recorded: `refuse`, or `gap`",
        "When the disk is full, read-only or too slow. `refuse` answers `journal-unavailable`, which SDKs repeat. `gap` lets it pass, and the record says how many are missing and what they cost.",
    ),
    key(
        "journal.keep",
        Kind::DurationOrOff(HOUR, LONGEST),
        is(Value::Duration(d::JOURNAL_KEEP)),
        "",
        "how long finished parts of the record are kept; `off` keeps them for ever",
        "2160h are 90 days. The digests of what is deleted stay, so that the rest can be verified.",
    ),
    key(
        "journal.size",
        Kind::Size(64 * MIB, 1024 * 1024 * GIB),
        is(Value::Size(d::JOURNAL_SIZE)),
        "",
        "what all of it may take on the disk",
        "Past it the disk counts as full; see `on_failure`.",
    ),
    key(
        "journal.tenant_size",
        Kind::Size(MIB, 1024 * 1024 * GIB),
        Fallback::Unset("no bound but `size`"),
        "1GiB",
        "what one tenant's part may take",
        "So that one tenant cannot fill the disk for all.",
    ),
    key(
        "journal.payload",
        Kind::Size(KIB, 48 * KIB),
        is(Value::Size(d::JOURNAL_PAYLOAD)),
        "",
        "the largest record; what does not fit is left out of it, but for its amounts",
        "A record holds names and numbers, never what was said, so it is seldom larger than 1KiB.",
    ),
    key(
        "journal.ship",
        Kind::Text(Grammar::Path),
        Fallback::Unset("nowhere"),
        "/var/lib/outrigger-shipped",
        "a directory that finished parts are copied to before they may be deleted",
        "Such as a mounted volume that outlives the machine. Each part arrives at least once, and never changes afterwards.",
    ),
];

/// Ten years.
const LONGEST: std::time::Duration = std::time::Duration::from_hours(24 * 3653);

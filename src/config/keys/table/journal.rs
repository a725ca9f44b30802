//! The rows about the record of what was done.
//! Must never hold a value that is not in `defaults`, nor a sentence the reference should not print.

use super::{GIB, HOUR, KIB, MIB, is, key};
use crate::config::defaults as d;
use crate::config::keys::{Fallback, Grammar, Key, Kind, Value};
use crate::config::values::{JournalMode, OnJournalFailure, OnLostState};

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
        "When the disk is full, read-only or too slow. `refuse` answers `journal-unavailable`, which SDKs repeat, and cuts a stream whose further cost cannot be recorded. `gap` lets it pass, and the record says how many are missing and what they cost.",
    ),
    key(
        "journal.on_lost",
        Kind::Word(OnLostState::WORDS),
        is(Value::Text(d::ON_LOST_STATE.as_str())),
        "",
        "what there is of budgets when the record of what was spent is lost: `full`, `fraction`, or `refuse`",
        "It is lost when there is none at a start, when files of it are missing or damaged, and when older ones stand in their place. `full` goes on from what is known. `fraction` leaves of each window as much as of its time is left, and nothing of budgets without one. `refuse` lets nothing be spent until `outrigger ctl acknowledge`. The first start of all has no record either: with `refuse`, acknowledge it once.",
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

/// Where the tenants of a policy differ.
pub(super) const OF_POLICIES: &[Key] = &[
    key(
        "policies.*.journal.mode",
        Kind::Word(JournalMode::WORDS),
        Fallback::Varies(
            Value::Text(d::JOURNAL_MODE.as_str()),
            "unless `journal.mode` says otherwise",
        ),
        "",
        "when an action of its tenants counts as recorded",
        "Needs `[journal]`. With `off` nothing they do is recorded, and what they spend is forgotten by a restart.",
    ),
    key(
        "policies.*.journal.on_failure",
        Kind::Word(OnJournalFailure::WORDS),
        Fallback::Varies(
            Value::Text(d::ON_JOURNAL_FAILURE.as_str()),
            "unless `journal.on_failure` says otherwise",
        ),
        "",
        "what becomes of their calls that cannot be recorded",
        "Needs `[journal]`.",
    ),
    key(
        "policies.*.journal.on_lost",
        Kind::Word(OnLostState::WORDS),
        Fallback::Varies(
            Value::Text(d::ON_LOST_STATE.as_str()),
            "unless `journal.on_lost` says otherwise",
        ),
        "",
        "what there is of their budgets when the record of what was spent is lost",
        "Needs `[journal]`.",
    ),
];

/// Ten years.
const LONGEST: std::time::Duration = std::time::Duration::from_hours(24 * 3653);

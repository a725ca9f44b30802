//! How the journal is: what readiness and metrics show. Must never be needed to decide: what decides reads its own word.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::error::Refused;

/// What keeps new intents from being taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    /// Nothing.
    #[default]
    Fine = 0,
    /// No room on the disk, or none left of what the journal may take.
    Full = 1,
    /// The file system is read-only.
    ReadOnly = 2,
    /// The system fails writes or syncs for another reason.
    Failing = 3,
    /// The journal is closed.
    Closed = 4,
}

impl Condition {
    /// What it says to who wants to write; `None` while all is well.
    pub const fn refusal(self) -> Option<Refused> {
        match self {
            Self::Fine => None,
            Self::Full => Some(Refused::Full),
            Self::ReadOnly => Some(Refused::ReadOnly),
            Self::Failing => Some(Refused::Failing),
            Self::Closed => Some(Refused::Closed),
        }
    }

    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Fine,
        Self::Full,
        Self::ReadOnly,
        Self::Failing,
        Self::Closed,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Failing => "failing",
            Self::Closed => "closed",
        }
    }

    /// What an error of the system means.
    pub(super) fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full
            }
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Failing,
        }
    }
}

/// A condition that threads share.
#[derive(Debug, Default)]
pub(super) struct SharedCondition(AtomicU8);

impl SharedCondition {
    pub(super) fn now(&self) -> Condition {
        match self.0.load(Ordering::Acquire) {
            0 => Condition::Fine,
            1 => Condition::Full,
            2 => Condition::ReadOnly,
            4 => Condition::Closed,
            _ => Condition::Failing,
        }
    }

    /// Changes it; what is closed stays closed.
    pub(super) fn set(&self, condition: Condition) {
        _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now != Condition::Closed as u8).then_some(condition as u8)
            });
    }
}

/// What happened, counted since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) writes: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_nanos: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) sync_errors: AtomicU64,
    pub(super) slow_writes: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) checkpoint_at: AtomicU64,
    pub(super) segment: AtomicU64,
    pub(super) clock_steps: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// How the journal is, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What keeps new intents from being taken.
    pub condition: Condition,
    /// Whether what is queued cannot be written either.
    pub stuck: bool,
    /// Whether the disk was slow within the last second.
    pub slow: bool,
    /// Whether the files were older than what was signed, and nobody has acknowledged that.
    pub rolled_back: bool,
    /// Writes, and the bytes in them.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs, and how long they took together, in nanoseconds.
    pub syncs: u64,
    /// Nanoseconds spent syncing.
    pub sync_nanos: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed: the file is finished then.
    pub sync_errors: u64,
    /// Writes that took longer than a caller may be held up.
    pub slow_writes: u64,
    /// Checkpoints made since the start.
    pub checkpoints: u64,
    /// When the latest was made, in milliseconds since the Unix epoch; 0 if none was.
    pub checkpoint_at: u64,
    /// The number of the segment that is written to.
    pub segment: u64,
    /// Bytes of room on the disk that nothing has been promised of.
    pub room: u64,
    /// Finished segments that are not yet copied to where they are shipped.
    pub unshipped: u64,
    /// Copies that failed.
    pub ship_errors: u64,
    /// Times the clock said less than before.
    pub clock_steps: u64,
}

/// One tenant's part, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookHealth {
    /// Records taken.
    pub records: u64,
    /// Bytes that wait to be written.
    pub queued: u64,
    /// Bytes on the disk, in all segments that are kept.
    pub kept: u64,
    /// Actions refused because their intent could not be written.
    pub refused: u64,
    /// Actions that went on unrecorded, to be told by a gap.
    pub unrecorded: u64,
    /// Payloads that were too large.
    pub clipped: u64,
}

//! What the operator may choose about the journal, and what a tenant's policy may. Must never read a configuration.

use std::path::PathBuf;
use std::time::Duration;

/// The journal of one sidecar.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A segment that is this long is finished. It is read whole to be sealed, so this is also what that takes of memory.
    pub segment_bytes: u64,
    /// So is one that is this old.
    pub segment_age: Duration,
    /// Room is given to the file in steps of this size, ahead of need.
    pub step_bytes: u64,
    /// How often the heads of the chains are signed, when they moved.
    pub checkpoint_every: Duration,
    /// What has been written reaches the disk at least this often, also where nobody waits for it.
    pub sync_every: Duration,
    /// How long an intent waits for room or a slow disk before it is refused or goes unrecorded.
    pub patience: Duration,
    /// The most that all files together may take; past it the disk counts as full.
    pub total_bytes: u64,
    /// What is left free on the file system for others; below it the disk counts as full.
    pub reserve_bytes: u64,
    /// How long finished segments are kept; `None` keeps them.
    pub keep: Option<Duration>,
    /// Where finished segments are copied to; they are kept until that has been done.
    pub ship: Option<PathBuf>,
    /// The most tenants one journal knows.
    pub tenants: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_age: Duration::from_hours(1),
            step_bytes: 4 << 20,
            checkpoint_every: Duration::from_secs(5),
            sync_every: Duration::from_secs(1),
            patience: Duration::from_secs(2),
            total_bytes: 10 << 30,
            reserve_bytes: 64 << 20,
            keep: Some(Duration::from_hours(90 * 24)),
            ship: None,
            tenants: 100_000,
        }
    }
}

/// What a tenant's records have a right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When a record counts as written.
    pub mode: Mode,
    /// What happens when it cannot be.
    pub on_failure: OnFailure,
    /// The most bytes that may wait to be written, those that open entries may still need included.
    pub queue_bytes: u64,
    /// The most bytes that the tenant's records may take on the disk, in all segments that are kept.
    pub quota_bytes: u64,
    /// The most bytes of one record's payload; a larger one is left out, and its record says so.
    pub payload_bytes: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            mode: Mode::Batch,
            on_failure: OnFailure::Refuse,
            queue_bytes: 8 << 20,
            quota_bytes: u64::MAX,
            payload_bytes: 3_072,
        }
    }
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The system has it: it survives the process.
    #[default]
    Batch,
    /// The disk has it: it survives the machine's power.
    Strict,
}

/// What happens to an action whose intent cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes on, and a gap is recorded as soon as something can be.
    Gap,
}

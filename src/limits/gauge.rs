//! One dimension of an account, whatever its kind: how long until so much fits, take it, give it back, settle it.
//! Must never decide alone: the ledger asks every gauge before any of them takes.

use super::bucket::{Bucket, NEVER};
use super::refusal::Denied;
use super::spec::{Limit, Rate};
use crate::units::Boot;
use std::time::Duration;

/// The state of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gauge {
    /// Not limited, and never was.
    Open,
    /// So much per period.
    Rate { rate: Rate, bucket: Bucket },
    /// Not limited any more. The bucket is kept: taking a limit away and bringing it back must not refill it.
    Paused(Bucket),
    /// So many at once. Counted even without a limit: this is how the drain knows who is still there.
    Slots { max: Option<u32>, used: u32 },
}

/// How long until it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Exactly this many nanoseconds ([`NEVER`] included), if nobody else takes it.
    Nanos(u64),
    /// Until somebody leaves.
    Someone,
}

impl Wait {
    /// What to tell the caller.
    pub(super) fn retry_after(self) -> Duration {
        match self {
            Self::Nanos(NEVER) => Duration::MAX,
            Self::Nanos(nanos) => Duration::from_nanos(nanos),
            Self::Someone => Denied::SLOT_RETRY,
        }
    }
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The limit itself.
    pub limit: Limit,
    /// What could be taken now; zero when in debt.
    pub remaining: u64,
    /// How long until all of it is there again, if nothing more is taken; [`Duration::MAX`] if never. Zero for slots.
    pub reset: Duration,
}

impl Gauge {
    /// `None` when `need` fits now, else how long it will not. Looks, and takes nothing.
    pub(super) fn lacks(&mut self, now: Boot, need: u64) -> Option<Wait> {
        match self {
            Self::Open | Self::Paused(_) => None,
            Self::Rate { bucket, .. } => {
                bucket.refill(now);
                let target = bucket.need(need);
                // What needs nothing passes even a bucket in debt.
                (target > 0 && bucket.level() < target)
                    .then(|| Wait::Nanos(bucket.nanos_until(target, now)))
            }
            Self::Slots { max, used } => max
                .is_some_and(|max| u64::from(*used).saturating_add(need) > u64::from(max))
                .then_some(Wait::Someone),
        }
    }

    /// Takes `need`, or all there can be of it; says how much that was. Only after `lacks` said `None`.
    pub(super) fn take(&mut self, need: u64) -> u64 {
        match self {
            Self::Open | Self::Paused(_) => 0,
            Self::Rate { bucket, .. } => {
                let units = u64::try_from(bucket.need(need)).unwrap_or(0);
                bucket.take(units);
                units
            }
            Self::Slots { used, .. } => {
                *used = used.saturating_add(u32::try_from(need).unwrap_or(u32::MAX));
                need
            }
        }
    }

    /// Gives back what was taken. Needs no time: a refund commutes with the refill.
    pub(super) fn put_back(&mut self, held: u64) {
        match self {
            Self::Open => {}
            Self::Rate { bucket, .. } | Self::Paused(bucket) => bucket.put_back(held),
            Self::Slots { used, .. } => {
                *used = used.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
            }
        }
    }

    /// Replaces what was taken by what was used. A shortfall becomes debt, after the refill (which stops at the brim,
    /// so the order matters); none while the limit is paused, or bringing it back would punish what was allowed.
    pub(super) fn settle(&mut self, now: Boot, held: u64, used: u64) {
        if let Self::Rate { bucket, .. } = self {
            bucket.refill(now);
            bucket.take(used.saturating_sub(held));
        }
        self.put_back(held.saturating_sub(used));
    }

    /// Takes over a new limit; what is spent stays spent.
    pub(super) fn resize(&mut self, limit: Option<Limit>, now: Boot) {
        *self = match (*self, limit) {
            (Self::Open, Some(Limit::Rate(rate))) => Self::Rate {
                rate,
                bucket: Bucket::full(&rate, now),
            },
            (Self::Rate { mut bucket, .. } | Self::Paused(mut bucket), Some(Limit::Rate(rate))) => {
                bucket.resize(&rate, now);
                Self::Rate { rate, bucket }
            }
            (Self::Rate { bucket, .. }, None) => Self::Paused(bucket),
            (Self::Slots { used, .. }, limit) => Self::Slots {
                max: slots(limit),
                used,
            },
            (Self::Open, Some(Limit::Slots(max))) => Self::Slots {
                max: Some(max),
                used: 0,
            },
            (unchanged, _) => unchanged,
        };
    }

    /// The limit, if there is one.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self {
            Self::Open | Self::Paused(_) => None,
            Self::Rate { rate, .. } => Some(Limit::Rate(*rate)),
            Self::Slots { max, .. } => max.map(Limit::Slots),
        }
    }

    /// What is left of the limit, if there is one.
    pub(super) fn level(&mut self, now: Boot) -> Option<Level> {
        let limit = self.limit()?;
        let (remaining, reset) = match self {
            Self::Open | Self::Paused(_) => return None,
            Self::Rate { bucket, .. } => {
                bucket.refill(now);
                let reset = Wait::Nanos(bucket.nanos_until_full(now)).retry_after();
                (u64::try_from(bucket.level()).unwrap_or(0), reset)
            }
            Self::Slots { used, .. } => (
                limit.most().saturating_sub(u64::from(*used)),
                Duration::ZERO,
            ),
        };
        Some(Level {
            limit,
            remaining,
            reset,
        })
    }

    /// How many slots are taken.
    pub(super) fn used(&self) -> u32 {
        match self {
            Self::Open | Self::Rate { .. } | Self::Paused(_) => 0,
            Self::Slots { used, .. } => *used,
        }
    }
}

fn slots(limit: Option<Limit>) -> Option<u32> {
    match limit {
        Some(Limit::Slots(max)) => Some(max),
        Some(Limit::Rate(_)) | None => None,
    }
}

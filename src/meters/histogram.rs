//! One fixed-bucket histogram of durations. Must never keep a sample: memory is the same after any load.
//!
//! Ours and not the recorder's: that one keeps every sample, 16 bytes each, until an upkeep or a scrape folds it
//! into buckets. Measured, two million requests without one took 64 MiB; whoever sends requests would decide how
//! much memory we use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts per bucket and the sum, from 5 ms to 10 minutes: a refusal is quicker than the first bucket, an answer of a
/// reasoning model is seldom longer than the last.
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_nanos: AtomicU64::new(0),
        }
    }

    /// Adds one sample: two atomic additions.
    pub(super) fn record(&self, sample: Duration) {
        let nanos = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        // Prometheus' `le` is inclusive, so a bound belongs to its own bucket.
        let at = BOUNDS.partition_point(|bound| bound.nanos < nanos);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The cumulative counts by `le`, ending in `+Inf`, and the sum. The total is the last count, so the two never
    /// disagree on a page even while samples arrive.
    pub(super) fn read(&self) -> (Vec<(&'static str, u64)>, Duration) {
        let mut total = 0_u64;
        let names = BOUNDS
            .iter()
            .map(|bound| bound.le)
            .chain(std::iter::once("+Inf"));
        let counts = names
            .zip(&self.buckets)
            .map(|(le, bucket)| {
                total = total.saturating_add(bucket.load(Ordering::Relaxed));
                (le, total)
            })
            .collect();
        (
            counts,
            Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)),
        )
    }
}

struct Bound {
    nanos: u64,
    le: &'static str,
}

const BUCKETS: usize = BOUNDS.len() + 1;

const BOUNDS: [Bound; 16] = [
    bound(5, "0.005"),
    bound(10, "0.01"),
    bound(25, "0.025"),
    bound(50, "0.05"),
    bound(100, "0.1"),
    bound(250, "0.25"),
    bound(500, "0.5"),
    bound(1_000, "1"),
    bound(2_500, "2.5"),
    bound(5_000, "5"),
    bound(10_000, "10"),
    bound(30_000, "30"),
    bound(60_000, "60"),
    bound(120_000, "120"),
    bound(300_000, "300"),
    bound(600_000, "600"),
];

const fn bound(millis: u64, le: &'static str) -> Bound {
    Bound {
        nanos: millis * 1_000_000,
        le,
    }
}

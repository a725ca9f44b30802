//! Latencies in fixed buckets: 128 per power of two, so a percentile is off by less than one percent.
//!
//! It must never allocate while counting.

/// Nanoseconds, counted.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets per power of two.
const FINE: usize = 128;
/// The last shift a 64-bit value can need.
const SHIFTS: usize = 57;

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; FINE * (SHIFTS + 1)],
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, nanos: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket += 1;
            self.count += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// The value below which `permille` of a thousand lie; zero when nothing was counted.
    pub(crate) fn percentile(&self, permille: u64) -> u64 {
        let rank = (self.count * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_of(index);
            }
        }
        0
    }
}

fn bucket_of(nanos: u64) -> usize {
    let shift = shift_of(nanos);
    let fine = usize::try_from(nanos >> shift).unwrap_or(0);
    shift * FINE + fine
}

/// How far a value is shifted to lie below 256.
fn shift_of(nanos: u64) -> usize {
    let bits = u64::BITS - nanos.leading_zeros();
    usize::try_from(bits.saturating_sub(8)).unwrap_or(0)
}

fn middle_of(bucket: usize) -> u64 {
    let shift = (bucket / FINE).saturating_sub(1);
    let fine = u64::try_from(bucket - shift * FINE).unwrap_or(0);
    (fine << shift) + ((1_u64 << shift) >> 1)
}

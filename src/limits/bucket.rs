//! The token bucket: an integer level that refills with time, takes refunds, and may go into debt.
//! Must never use a float, lose a fraction of a unit, or count one twice.

use super::spec::Rate;
use crate::units::Boot;
use std::time::Duration;

/// What `nanos_until` says when the bucket will never hold that much.
pub(super) const NEVER: u64 = u64::MAX;

/// `level + carry / den` units at time `last`, growing by `num / den` units per nanosecond up to `cap`.
///
/// Invariants: `level <= cap`, `carry < den`, and `carry == 0` when the bucket is full, so the exact content is
/// never more than `cap`. Over any span of time the units taken (net of those put back) are therefore at most
/// `cap + rate × span`, exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    cap: i64,
    level: i64,
    num: u64,
    den: u64,
    carry: u64,
    last: Boot,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn full(rate: &Rate, now: Boot) -> Self {
        let cap = signed(rate.capacity());
        let (num, den) = per_nanosecond(rate);
        Self {
            cap,
            level: cap,
            num,
            den,
            carry: 0,
            last: now,
        }
    }

    /// What can be taken now, at most: negative in debt.
    pub(super) fn level(&self) -> i64 {
        self.level
    }

    /// What a request for `ask` units takes: all of them, or the whole bucket where it is smaller. The rest of such
    /// a request is settled into debt. At least 1, so that an empty bucket of size zero lets nothing pass.
    pub(super) fn need(&self, ask: u64) -> i64 {
        if ask == 0 {
            0
        } else {
            signed(ask).min(self.cap).max(1)
        }
    }

    /// Adds what has come in since the last time. A clock that stands still or goes back adds nothing, and the time
    /// it repeats is not counted again.
    pub(super) fn refill(&mut self, now: Boot) {
        let elapsed = now.0.saturating_sub(self.last.0);
        if elapsed == 0 {
            return;
        }
        self.last = now;
        if self.level >= self.cap {
            return;
        }
        let (units, rest) = self.earned(elapsed);
        self.raise(i128::from(units));
        // A bucket that has just become full keeps no fraction: it would lie above the brim.
        self.carry = if self.level >= self.cap { 0 } else { rest };
    }

    /// Removes units, into debt if need be.
    pub(super) fn take(&mut self, units: u64) {
        self.level = self.level.saturating_sub(signed(units));
    }

    /// Puts units back that were taken too many. What would not fit is lost, as if it had never been taken.
    pub(super) fn put_back(&mut self, units: u64) {
        self.raise(i128::from(units));
        if self.level >= self.cap {
            self.carry = 0;
        }
    }

    /// Nanoseconds after `now` (of the last refill, or before it) until `target` units are there; [`NEVER`] if the
    /// rate is zero or it takes longer than a `u64` can say.
    pub(super) fn nanos_until(&self, target: i64, now: Boot) -> u64 {
        let missing = i128::from(target).saturating_sub(i128::from(self.level));
        let Ok(missing @ 1..) = u128::try_from(missing) else {
            return 0;
        };
        if self.num == 0 {
            return NEVER;
        }
        // missing < 2^64 and den < 2^64, so the product is below 2^128; carry < den <= product, so nothing is
        // negative. Rounded up: one nanosecond less, and the last unit would not be whole yet.
        let parts = missing
            .saturating_mul(u128::from(self.den))
            .saturating_sub(u128::from(self.carry));
        let nanos = match u64::try_from(parts) {
            Ok(parts) => parts.div_ceil(self.num),
            Err(_) => u64::try_from(parts.div_ceil(u128::from(self.num))).unwrap_or(NEVER),
        };
        nanos.saturating_add(self.last.0.saturating_sub(now.0))
    }

    /// Nanoseconds after `now` until the bucket is full.
    pub(super) fn nanos_until_full(&self, now: Boot) -> u64 {
        self.nanos_until(self.cap, now)
    }

    /// Takes over another rate. The level is cut to a smaller bucket and never raised to a bigger one; the fraction
    /// is carried over, rounded down.
    pub(super) fn resize(&mut self, rate: &Rate, now: Boot) {
        self.refill(now);
        let (num, den) = per_nanosecond(rate);
        // carry < old den, so the quotient is below the new den; both factors are below 2^64, the product below 2^128.
        let carry = u128::from(self.carry)
            .saturating_mul(u128::from(den))
            .checked_div(u128::from(self.den));
        self.carry = carry
            .and_then(|carry| u64::try_from(carry).ok())
            .unwrap_or(0);
        self.cap = signed(rate.capacity());
        (self.num, self.den) = (num, den);
        if self.level >= self.cap {
            self.level = self.cap;
            self.carry = 0;
        }
    }

    /// The whole units that `elapsed` nanoseconds bring, and the rest in parts of `den`.
    fn earned(&self, elapsed: u64) -> (u64, u64) {
        // Nearly always it fits in 64 bits, where a division costs a fraction of the wide one.
        if let Some(parts) = elapsed
            .checked_mul(self.num)
            .and_then(|parts| parts.checked_add(self.carry))
        {
            return (
                parts.checked_div(self.den).unwrap_or(0),
                parts.checked_rem(self.den).unwrap_or(0),
            );
        }
        // elapsed and num are at most 2^64 - 1 and carry is less: (2^64 - 1)^2 + 2^64 - 1 < 2^128, so nothing here
        // saturates. The quotient may pass 2^64 only where the bucket (at most 2^63, from a debt of at most 2^63)
        // is full anyway.
        let den = u128::from(self.den);
        let parts = u128::from(elapsed)
            .saturating_mul(u128::from(self.num))
            .saturating_add(u128::from(self.carry));
        let units = parts
            .checked_div(den)
            .and_then(|units| u64::try_from(units).ok())
            .unwrap_or(u64::MAX);
        let rest = parts
            .checked_rem(den)
            .and_then(|rest| u64::try_from(rest).ok())
            .unwrap_or(0);
        (units, rest)
    }

    fn raise(&mut self, units: i128) {
        let level = i128::from(self.level)
            .saturating_add(units)
            .min(i128::from(self.cap));
        self.level = i64::try_from(level).unwrap_or(self.cap);
    }
}

/// The rate in units per nanosecond, as a fraction in lowest terms: small factors keep the arithmetic in 64 bits.
/// The denominator is never zero. A period above 2^64 ns (584 years) is read as that.
fn per_nanosecond(rate: &Rate) -> (u64, u64) {
    let per = nanos(rate.per).max(1);
    let common = gcd(rate.amount, per).max(1);
    let lowest = |value: u64| value.checked_div(common).unwrap_or(value);
    (lowest(rate.amount), lowest(per))
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Amounts beyond `i64::MAX` are read as that: no bucket is larger.
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

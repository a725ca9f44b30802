//! What an operator has ordered about a tenant, whatever its limits say: no new requests, and an end of those under way.
//! Lives in the account, so it outlives reloads, and ends with the process. Must never be waited for: a trip looks at
//! it when it is polled anyway, and whoever orders a cut wakes the connections.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// The orders about one tenant, as one word: whether it is suspended, and how often its requests were cut.
#[derive(Default)]
pub(super) struct Orders(AtomicU32);

/// The orders at one moment. A trip takes them when it begins, and compares later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order(u32);

const SUSPENDED: u32 = 1;
const ONE_CUT: u32 = 2;

impl Order {
    /// As one word, for whoever keeps it where an atomic is needed.
    pub const fn word(self) -> u32 {
        self.0
    }

    /// What this word stood for.
    pub const fn of(word: u32) -> Self {
        Self(word)
    }

    /// Whether new requests are refused.
    pub const fn is_suspended(self) -> bool {
        self.0 & SUSPENDED == SUSPENDED
    }

    /// Whether what began under these orders must end under those of now.
    pub const fn is_cut_by(self, now: Self) -> bool {
        self.0 / ONE_CUT != now.0 / ONE_CUT
    }
}

impl Orders {
    /// As they stand. Relaxed: nothing else is published with them, and a trip that reads late is a trip that came early.
    pub(super) fn now(&self) -> Order {
        Order(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn suspend(&self) {
        self.0.fetch_or(SUSPENDED, Ordering::Relaxed);
    }

    pub(super) fn resume(&self) {
        self.0.fetch_and(!SUSPENDED, Ordering::Relaxed);
    }

    /// Counts up, wrapping: a trip would have to live through two thousand million cuts to miss them.
    pub(super) fn cut(&self) {
        self.0.fetch_add(ONE_CUT, Ordering::Relaxed);
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Orders;

    #[test]
    fn a_cut_meets_what_began_before_it_and_nothing_that_begins_after() {
        let orders = Orders::default();
        let before = orders.now();
        orders.suspend();
        assert!(orders.now().is_suspended() && !before.is_suspended());
        assert!(!before.is_cut_by(orders.now()), "a suspension cuts nothing");
        orders.cut();
        assert!(before.is_cut_by(orders.now()));
        assert!(orders.now().is_suspended(), "a cut resumes nothing");
        orders.resume();
        assert!(
            before.is_cut_by(orders.now()),
            "nor does resuming spare anybody"
        );
        let after = orders.now();
        assert!(!after.is_cut_by(orders.now()) && !after.is_suspended());
    }
}

//! How many trips of a connection are under way, and whether it was made to leave in between: one word, so that a trip
//! that begins and whoever makes room cannot both have it.

use std::sync::atomic::{AtomicU32, Ordering};

/// The word. Relaxed throughout: it is alone, and nothing is published with it.
#[derive(Debug, Default)]
pub(super) struct Busy(AtomicU32);

/// The connection is being closed, and takes no request any more.
const LEAVING: u32 = 1 << 31;

impl Busy {
    pub(super) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a trip is under way, or none will be.
    pub(super) fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Makes it leave if no trip is under way; false if one is, or it leaves already.
    pub(super) fn make_leave(&self) -> bool {
        self.0
            .compare_exchange(0, LEAVING, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether it was made to leave. Once a trip has entered, the answer stays.
    pub(super) fn is_leaving(&self) -> bool {
        self.0.load(Ordering::Relaxed) & LEAVING != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Busy;

    #[test]
    fn a_connection_leaves_only_between_two_trips_and_takes_none_afterwards() {
        let busy = Busy::default();
        busy.enter();
        assert!(
            !busy.make_leave() && !busy.is_leaving(),
            "a trip is under way"
        );
        busy.leave();
        assert!(busy.make_leave());
        assert!(!busy.make_leave(), "once");
        busy.enter();
        assert!(busy.is_leaving(), "the trip that came too late sees it");
        busy.leave();
        assert!(busy.is_leaving());
    }
}

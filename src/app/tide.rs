//! Memory that a crowd has left behind, given back to the system when the crowd is gone: the allocator keeps it for the
//! next one, and a sidecar shares its memory with the agent. Must never work while there is a crowd.

use std::sync::Arc;
use std::time::Duration;

use crate::edge::Doorway;
use crate::host::{self, memory};
use crate::limits::Buffers;

/// How often the tide is looked at. A look reads one small file, on a thread that may wait.
const EVERY: Duration = Duration::from_secs(10);

/// Less is not worth the walk through the heap: the allocator's locks are held meanwhile.
const WORTH: u64 = 16 << 20;

/// What an awake connection takes (the HTTP library's two buffers, the room of a trip), and what a trip does besides
/// (the same towards the upstream). Rounded up.
const CONNECTION: u64 = 24 << 10;
const TRIP: u64 = 32 << 10;

/// How much the process took when it was last known to hold nothing in vain.
#[derive(Clone, Copy, Debug)]
struct Tide {
    low: u64,
}

impl Tide {
    /// Whether the process holds much more than its load needs, beyond what it held after the last ebb.
    fn has_turned(&mut self, resident: u64, load: u64) -> bool {
        self.low = self.low.min(resident);
        let above = resident - self.low;
        above >= WORTH && above / 2 > load
    }
}

/// Watches until the process ends.
pub(super) async fn watch(doorway: Arc<Doorway>, buffers: Arc<Buffers>) {
    let mut tide: Option<Tide> = None;
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(resident) = look(memory::resident).await else {
            continue;
        };
        let tide = tide.get_or_insert(Tide { low: resident });
        if !tide.has_turned(resident, load(&doorway, &buffers)) {
            continue;
        }
        let after = look(|| {
            memory::give_back();
            memory::resident()
        });
        // What is left is in use, or lies between what is.
        tide.low = after.await.unwrap_or(resident);
    }
}

async fn look(work: fn() -> Option<u64>) -> Option<u64> {
    host::blocking("memory-keeper", work).await.ok()?
}

/// What should be in use, in bytes.
fn load(doorway: &Doorway, buffers: &Buffers) -> u64 {
    let of = |count: usize, each: u64| {
        u64::try_from(count)
            .unwrap_or(u64::MAX)
            .saturating_mul(each)
    };
    let connections = of(doorway.awake(), CONNECTION);
    let trips = of(doorway.ground.shutdown.open(), TRIP);
    connections
        .saturating_add(trips)
        .saturating_add(buffers.held())
}

#[cfg(test)]
mod tests {
    use super::Tide;

    const MIB: u64 = 1 << 20;

    #[test]
    fn only_what_a_crowd_has_left_is_given_back() {
        let mut tide = Tide { low: 10 * MIB };
        assert!(!tide.has_turned(20 * MIB, 0), "not worth it");
        assert!(!tide.has_turned(400 * MIB, 390 * MIB), "it is needed");
        assert!(!tide.has_turned(400 * MIB, 200 * MIB), "half of it is");
        assert!(tide.has_turned(400 * MIB, MIB));
        // What could not be given back is not tried for again.
        let mut tide = Tide { low: 100 * MIB };
        assert!(!tide.has_turned(100 * MIB, 0));
        assert!(tide.has_turned(120 * MIB, 0));
        assert!(!tide.has_turned(8 * MIB, 0), "an ebb of its own");
        assert!(tide.has_turned(30 * MIB, 0), "is the new low");
    }
}

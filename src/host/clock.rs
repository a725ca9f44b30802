//! The real clock. Must never be read by what decides: that takes the time as a value.

use nix::time::{ClockId, clock_gettime};

use crate::units::{Boot, Clock, Wall};

/// The system's clocks. A reading is answered by the kernel's shared page, without a system call.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn boot(&self) -> Boot {
        Boot(read(ClockId::CLOCK_BOOTTIME, NANOS_PER_SECOND))
    }

    fn wall(&self) -> Wall {
        Wall(read(ClockId::CLOCK_REALTIME, MILLIS_PER_SECOND))
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const MILLIS_PER_SECOND: u64 = 1_000;

/// Reads a clock in parts of a second. Both clocks exist on every Linux this runs on, so an error is not expected; it
/// would read as zero, which stops rates from refilling and so grants nothing.
fn read(clock: ClockId, parts: u64) -> u64 {
    let Ok(now) = clock_gettime(clock) else {
        return 0;
    };
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
    seconds
        .saturating_mul(parts)
        .saturating_add(nanos / (NANOS_PER_SECOND / parts))
}

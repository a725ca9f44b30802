//! The ways an account says no. Values only: which status and which words the caller gets is decided above.
//! Must never say more than the numbers: other tenants do not exist here.

use super::budget::Broke;
use super::spec::{Dimension, Limit};
use std::time::Duration;

/// It does not fit now. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The dimension that takes longest to have room.
    pub dimension: Dimension,
    /// The limit that was met.
    pub limit: Limit,
    /// For rates: exactly how long until it would fit if nobody else takes the room; [`Duration::MAX`] if never.
    /// For slots nobody can know: [`Denied::SLOT_RETRY`].
    pub retry_after: Duration,
}

impl Denied {
    /// When to try again for a slot: streams end at their own time, so this is a pace, not a promise.
    pub const SLOT_RETRY: Duration = Duration::from_secs(1);
}

/// A request that got nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may wait; what they wait for is inside.
    QueueFull(Denied),
    /// It does not fit, and waiting is off, or would take longer than one may wait.
    Denied(Denied),
    /// It waited as long as it may; what it still lacked is inside.
    TimedOut(Denied),
    /// A budget has too little left. No wait helps, but for the budget's own next window.
    Broke(Box<Broke>),
}

impl Refused {
    /// The limit that was met, if it was one.
    pub const fn denied(&self) -> Option<&Denied> {
        match self {
            Self::QueueFull(denied) | Self::Denied(denied) | Self::TimedOut(denied) => Some(denied),
            Self::Broke(_) => None,
        }
    }
}

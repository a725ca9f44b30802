//! Floor 2, what one tenant may use: rates, stream slots and the wait for them. One [`Account`] per tenant, one lock
//! per account, every dimension decided together or not at all. Buffers alone are shared by all tenants ([`Buffers`]).
//! Must never do IO, read a clock (the time is passed in) or know who the tenant is.
//!
//! The life of a reservation:
//! ```text
//! glance ─▶ reserve ─▶ Hold ─▶ settle ─▶ drop
//!              │         ▲
//!              ▼         │ poll
//!           enqueue ─▶ Ticket
//! ```
//! `reserve` takes the estimate of every dimension or nothing. The [`Hold`] lives in the answer's body: `settle`
//! replaces the estimate by the truth (a surplus goes back, a shortfall becomes debt), dropping it frees the slot.

mod account;
mod bucket;
mod budget;
mod buffers;
mod calendar;
mod gauge;
mod habit;
mod hold;
mod ledger;
mod order;
mod queue;
mod refusal;
mod seat;
mod spec;
mod sync;
mod tail;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use account::Account;
pub use budget::{
    Broke, BudgetSpec, BudgetState, Claim, Crossing, Held, OnLost, Scope, Settled, THRESHOLDS, Who,
};
pub use buffers::{Buffers, Full, Lease};
pub use calendar::{Period, Window, window};
pub use gauge::Level;
pub use hold::Hold;
pub use ledger::{Ask, Levels, Want};
pub use order::Order;
pub use queue::Ticket;
pub use refusal::{Denied, Refused};
pub use seat::Seat;
pub use spec::{Dimension, Limit, LimitSpec, Rate};
pub use tail::{Tail, Tails};

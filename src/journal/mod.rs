//! The journal: one durable record of every action, an intent before anything leaves and an end when it is over. From it come
//! the audit, the costs and, after a crash, the budgets. `FORMAT.md` beside this file draws the files.
//!
//! A [`Book`] is one tenant's; [`Book::intent`] gives an [`OpenEntry`] once the intent is as safe as the tenant's mode asks
//! for, and [`OpenEntry::end`] settles it. Records are sealed with the tenant's key and chained by tenant, so that erasing a
//! tenant is forgetting a key, and everybody else's chain stays as it was.
//!
//! Must never let one tenant's flood or one slow disk hold up another's trip, nor lose the end of something that was sent.

mod book;
mod correct;
mod error;
pub mod format;
mod health;
mod keys;
mod line;
mod live;
mod open;
mod opening;
mod own;
mod pen;
mod places;
mod read;
mod recover;
mod settings;
mod shelf;
mod ship;
mod sums;
mod turn;
mod verify;
mod waiting;
mod writer;

#[cfg(test)]
mod tests;

pub use book::{Book, Record};
pub use error::{JournalError, Refused};
pub use format::seal::Net;
pub use format::{Flags, Kind, Mark, TenantNumber, WindowId};
pub use health::{BookHealth, Condition, Health};
pub use open::OpenEntry;
pub use opening::Journal;
pub use read::{Line, Reader, Wanted};
pub use recover::{Alarm, Recovered, Recovery, Torn};
pub use settings::{Mode, OnFailure, Settings, Terms};
pub use verify::{Invalid, Verdict, Why, verify, verify_until};
pub use waiting::{Intent, Written};

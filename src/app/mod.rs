//! Floor 8, assembly: from a configuration to a running sidecar, its reloads and its end; and the verbs that
//! only look. Must never handle a request: that is the trip's.

mod boot;
mod call;
mod child;
mod control;
mod doors;
mod erase;
mod error;
mod explain;
mod herald;
mod level;
mod logfmt;
mod logging;
mod look;
mod lost;
mod operate;
mod orders;
mod record;
mod reload;
mod reloads;
mod sidecar;
mod simulate;
mod tide;
mod vital;
mod who;

pub use boot::{Boot, KnownSocket, Source, find, log_format, state_directory};
pub use call::{Answer, Door, admin_socket, call};
pub use child::{Wrapped, child_environment, run_child};
pub use control::control;
pub use erase::{Erased, erase};
pub use error::Error;
pub use explain::{Question, explain};
pub use level::{A_WHILE, LevelKeeper};
pub use logging::{Logging, Verbosity};
pub use look::{problems, random_bytes};
pub use lost::Lost;
pub use record::JournalBoot;
pub use reload::{Outcome, Reloader, Settings};
pub use sidecar::{Options, Prepared, Sidecar, write_ready_file};
pub use simulate::{simulator, simulator_rules};
pub use vital::Vitals;
pub use who::{Caller, who};

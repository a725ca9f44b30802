//! Floor 0, values: the closed vocabularies and the newtypes everything else is written in.
//! Must never do IO, read a clock, or know a tenant's policy.

pub mod admin;
pub mod clock;
pub mod code;
pub mod digits;
pub mod endpoint;
pub mod hours;
pub mod ids;
pub mod map;
pub mod money;
pub mod price;
pub mod secret;
pub mod sharded;
pub mod tokens;
pub mod words;

pub use admin::{AdminOutcome, AdminVerb};
pub use clock::{Boot, Clock, Wall};
pub use code::{Blame, Code};
pub use endpoint::{Endpoint, Opening};
pub use hours::Hours;
pub use ids::{IdError, IdSource, RequestId, TenantId, UpstreamName};
pub use map::Map;
pub use money::{AmountFault, NanoUsd, PicoSum, PicoUsd, WindowId};
pub use price::{Line, PriceUnit, Speed, Tier};
pub use secret::Secret;
pub use sharded::Sharded;
pub use tokens::{Counted, Pass, Tokens, Usage, UsageDetail};
pub use words::{Dialect, Ending, HungUp, Phase};

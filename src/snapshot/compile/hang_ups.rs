//! What a policy says about callers that hang up. Must never let a bound pass in silence that bounds nothing.

use super::Bench;
use crate::config::values::HangUp;
use crate::config::{OutCode, Problem, defaults, raw};
use crate::snapshot::Drain;

/// Where nothing is written.
pub(super) const UNWRITTEN: Drain = Drain {
    time: defaults::DRAIN_FOR,
    bytes: defaults::DRAIN_BYTES,
    calls: defaults::DRAIN_CALLS,
};

impl Bench<'_> {
    /// How far answers are read whose callers have hung up.
    pub(super) fn drain(&mut self, raw: &raw::Policy) -> Drain {
        let written = [
            raw.drain_for.as_ref().map(|time| time.site),
            raw.drain_bytes.as_ref().map(|bytes| bytes.site),
            raw.drain_calls.as_ref().map(|calls| calls.site),
        ];
        if raw.hang_up() != HangUp::Drain
            && let Some(site) = written.into_iter().flatten().next()
        {
            let message = "no answer of this policy is read when its caller has hung up";
            let problem = Problem::warning(OutCode::Ineffective, site, message);
            self.problem(problem.hint("set `hang_up = \"drain\"`"));
        }
        Drain {
            time: raw.drain_for(),
            bytes: raw.drain_bytes(),
            calls: raw.drain_calls(),
        }
    }
}

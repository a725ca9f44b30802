//! What the record of a policy's tenants is held to, and whether there is one where something needs it.
//! Must never let a rule about the record stand where there is none.

use super::Bench;
use crate::config::raw::{self, Raw};
use crate::config::values::{JournalMode, OnLostState};
use crate::config::{OutCode, Problem, Site};
use crate::limits::OnLost;

/// What there is of the budgets of a policy's tenants when their state is lost.
pub(super) fn on_lost(raw: &Raw, policy: Option<&raw::Policy>) -> OnLost {
    let own = policy.and_then(|policy| policy.journal.on_lost.as_ref());
    let everybody = || raw.journal.as_ref().map(raw::Journal::on_lost);
    match own.map(|word| word.value).or_else(everybody) {
        None | Some(OnLostState::Full) => OnLost::Full,
        Some(OnLostState::Fraction) => OnLost::Fraction,
        Some(OnLostState::Refuse) => OnLost::Refuse,
    }
}

impl Bench<'_> {
    /// Rules about a record that there is not, and budgets that nothing remembers.
    pub(super) fn check_journal(&mut self, raw: &Raw) {
        let is_on = raw
            .journal
            .as_ref()
            .is_some_and(|journal| journal.mode() != JournalMode::Off);
        if is_on {
            return;
        }
        for policy in &raw.policies {
            let rules = &policy.journal;
            let mode = rules.mode.as_ref();
            let asks = mode.filter(|mode| mode.value != JournalMode::Off);
            let sites: [Option<Site>; 3] = [
                asks.map(|mode| mode.site),
                rules.on_failure.as_ref().map(|word| word.site),
                rules.on_lost.as_ref().map(|word| word.site),
            ];
            for site in sites.into_iter().flatten() {
                let message = "this is about a journal, and none is kept";
                let hint = "write `[journal]`, without `mode = \"off\"`, or take this out";
                self.error(OutCode::Conflict, site, message.to_owned(), hint);
            }
        }
        let of_policies = raw.policies.iter().flat_map(|policy| &policy.budgets);
        let of_tenants = raw.tenants.iter().flat_map(|tenant| &tenant.budgets);
        let Some(budget) = of_policies.chain(of_tenants).next() else {
            return;
        };
        let message = "budgets begin anew whenever the sidecar starts, since no journal is kept";
        let hint = "write `[journal]`: then what was spent is known after any restart";
        let warning = Problem::warning(OutCode::Ineffective, budget.name.site, message.to_owned());
        self.problem(warning.hint(hint));
    }
}

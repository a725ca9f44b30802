//! What the budgets of tenants are at, as the page shows it: read from the accounts when it is asked for, so it is never
//! older than the page. Must never show a tenant that has no label of its own: sums over several budgets mean nothing.

use super::births::Family;
use super::text::Page;
use crate::units::{NanoUsd, TenantId};

/// A budget of a tenant, as it stands. Those of single agents, sessions or users are not shown: callers choose their names.
#[derive(Clone, Debug)]
pub struct BudgetStock<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// Its name.
    pub budget: &'a str,
    /// How much there is in the window of now.
    pub limit: NanoUsd,
    /// What was spent of it.
    pub spent: NanoUsd,
    /// What requests under way hold.
    pub held: NanoUsd,
}

type Amount = fn(&BudgetStock<'_>) -> NanoUsd;

pub(super) fn render(page: &mut Page, budgets: &[BudgetStock<'_>]) {
    if budgets.is_empty() {
        return;
    }
    let families: [(&Family, Amount); 3] = [
        (&LIMIT, |budget| budget.limit),
        (&SPENT, |budget| budget.spent),
        (&HELD, |budget| budget.held),
    ];
    for (family, amount) in families {
        page.family(family);
        for budget in budgets {
            let labels = [
                ("tenant", budget.tenant.as_str()),
                ("budget", budget.budget),
            ];
            page.amount(&labels, amount(budget));
        }
    }
}

const LIMIT: Family = Family::gauge(
    "outrigger_budget_limit_usd",
    "What the budget has in its window of now, in US dollars, top-ups included.",
);
const SPENT: Family = Family::gauge(
    "outrigger_budget_spent_usd",
    "What was spent of the budget in its window of now, in US dollars.",
);
const HELD: Family = Family::gauge(
    "outrigger_budget_held_usd",
    "What requests under way hold of the budget, in US dollars.",
);

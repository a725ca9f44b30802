//! `budgets.*` of policies and tenants to what an account holds money by.
//! Must never let a zone that nobody knows stand for another one.

use jiff::tz::TimeZone;

use super::Bench;
use crate::config::money::BudgetWindow;
use crate::config::values::BudgetScope;
use crate::config::{OutCode, defaults, raw};
use crate::limits::{BudgetSpec, OnLost, Period, Scope};

impl Bench<'_> {
    /// Budgets as written in one place.
    pub(super) fn budgets(&mut self, written: &[raw::Budget]) -> Vec<BudgetSpec> {
        let budgets = written.iter().map(|budget| BudgetSpec {
            name: budget.name.value.as_str().into(),
            amount: budget.amount.value,
            period: period(budget),
            zone: self.zone(budget),
            scope: scope(budget),
            on_lost: OnLost::default(),
        });
        budgets.collect()
    }

    fn zone(&mut self, budget: &raw::Budget) -> TimeZone {
        let Some(named) = &budget.zone else {
            return TimeZone::UTC;
        };
        TimeZone::get(named.value.as_str()).unwrap_or_else(|_| {
            let message = format!("there is no time zone `{}`", named.value.as_str());
            let hint = "write it as the time zone database does: `Europe/Berlin`, `America/New_York`, `UTC`";
            self.error(OutCode::UnknownReference, named.site, message, hint);
            TimeZone::UTC
        })
    }
}

/// A tenant's budgets: its policy's, and its own in place of those of the same name.
pub(super) fn merged(
    own: Vec<BudgetSpec>,
    policy: &[BudgetSpec],
    on_lost: OnLost,
) -> Vec<BudgetSpec> {
    let inherited = policy
        .iter()
        .filter(|one| own.iter().all(|mine| mine.name != one.name));
    let mut budgets: Vec<_> = inherited.cloned().collect();
    budgets.extend(own);
    for budget in &mut budgets {
        budget.on_lost = on_lost;
    }
    budgets
}

fn period(budget: &raw::Budget) -> Period {
    match budget.per.value {
        BudgetWindow::Hour => Period::Hour,
        BudgetWindow::Day => Period::Day,
        BudgetWindow::Week => Period::Week,
        BudgetWindow::Month => {
            let day = budget
                .month_day
                .as_ref()
                .map_or(defaults::BUDGET_MONTH_DAY, |day| day.value);
            Period::Month(i8::try_from(day).unwrap_or(i8::MAX))
        }
        BudgetWindow::Total => Period::Total,
        BudgetWindow::Rolling(span) => Period::Rolling(span),
    }
}

fn scope(budget: &raw::Budget) -> Scope {
    match budget
        .scope
        .as_ref()
        .map_or(defaults::BUDGET_SCOPE, |scope| scope.value)
    {
        BudgetScope::Tenant => Scope::Tenant,
        BudgetScope::Agent => Scope::Agent,
        BudgetScope::Session => Scope::Session,
        BudgetScope::User => Scope::User,
    }
}

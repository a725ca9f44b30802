//! What budgets know of the time before this process: what was spent, as the record of it says, and what must be presumed
//! where that is lost. Must never let less count than was spent in a window that is not over.

use std::collections::HashMap;
use std::time::Duration;

use super::super::calendar::{Period, Window, seconds, window};
use super::purse::{Purse, whole};
use super::{BudgetSpec, OnLost};
use crate::units::{NanoUsd, Wall, WindowId};

/// What was spent, and what was added, by budget and window, until somebody asks for it; and whether more was that nobody
/// knows.
#[derive(Debug, Default)]
pub(super) struct Past {
    known: HashMap<u64, Vec<Known>>,
    /// Up to when what was spent is not known.
    lost: Option<Wall>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    start: i64,
    spent: NanoUsd,
    added: NanoUsd,
}

impl Past {
    pub(super) fn remember(&mut self, window: WindowId, spent: NanoUsd, added: NanoUsd) {
        let known = self.known.entry(window.budget).or_default();
        let start = window.start;
        known.push(Known {
            start,
            spent,
            added,
        });
    }

    /// What was spent until then is not known; or it is known again that nothing is to be presumed.
    pub(super) fn lose(&mut self, until: Option<Wall>) {
        self.lost = until;
    }

    /// Whether nothing may be spent of such a budget until somebody says what became of it.
    pub(super) fn forbids(&self, spec: &BudgetSpec) -> bool {
        self.lost.is_some() && spec.on_lost == OnLost::Refuse
    }

    /// Whether the record says that a budget was frozen and not thawed since.
    pub(super) fn is_frozen(&self, budget: &str) -> bool {
        let known = self.known.get(&freezes(budget).budget);
        let orders = known.into_iter().flatten();
        let (frozen, thawed) = orders.fold(Default::default(), |sums: (NanoUsd, NanoUsd), one| {
            (sums.0.plus(one.spent), sums.1.plus(one.added))
        });
        frozen > thawed
    }

    /// When the latest window began that the record knows: if the clock was set back since, it still runs.
    pub(super) fn latest(&self, spec: &BudgetSpec, of: &str) -> Wall {
        let known = self.known.get(&spec.window(of, 0).budget);
        let starts = known.into_iter().flatten().map(|known| known.start);
        let latest = starts.max().unwrap_or(0);
        Wall(u64::try_from(latest).unwrap_or(0).saturating_mul(1_000))
    }

    /// Lets a purse that is new begin where it was left.
    pub(super) fn recall(&mut self, spec: &BudgetSpec, purse: &mut Purse) {
        if let Some(until) = self.lost.filter(|_| spec.on_lost == OnLost::Fraction) {
            presume(spec, purse, until);
        }
        let known = self.known.remove(&spec.window(&purse.of, 0).budget);
        for Known {
            start,
            spent,
            added,
        } in known.into_iter().flatten()
        {
            if let Some(start) = counted(spec, purse, start) {
                purse.spend(start, spent);
                purse.add_to(start, added);
            }
        }
        purse.crossed(spec);
    }
}

/// What stands for the freezes of a budget in the record: an amount of one each time, given back by each thaw.
pub(in crate::limits) fn freezes(budget: &str) -> WindowId {
    WindowId::of(budget, "freeze", "", 0)
}

/// In which of a purse's windows an earlier one counts, if it is not over. The calendar may have been another then, of
/// another zone or period: such a window counts whole as long as it can be from within the window of now.
fn counted(spec: &BudgetSpec, purse: &Purse, start: i64) -> Option<i64> {
    if purse.counts(spec.period, start) {
        return Some(start);
    }
    let now = purse.window;
    let at = Wall(u64::try_from(start).ok()?.saturating_mul(1_000));
    let is_ours = window(spec.period, &spec.zone, at).start == start;
    let length = now.end.saturating_sub(now.start);
    (!is_ours && start > now.start.saturating_sub(length) && start < now.end).then_some(now.start)
}

/// Spends what must be presumed spent: of a calendar's window as much as of its time was over, all of what never begins anew,
/// and of a rolling one all, which comes back as it would have if it had been spent evenly.
fn presume(spec: &BudgetSpec, purse: &mut Purse, until: Wall) {
    let lost = seconds(until);
    match spec.period {
        Period::Total => purse.spend(purse.window.start, spec.amount),
        Period::Rolling(span) => presume_rolling(spec.amount, span, purse, lost),
        Period::Hour | Period::Day | Period::Week | Period::Month(_) => {
            let Window { start, end } = purse.window;
            if (start..end).contains(&lost) {
                let part = share(spec.amount, lost - start, end - start);
                purse.spend(start, part);
            }
        }
    }
    purse.crossed(spec);
}

fn presume_rolling(amount: NanoUsd, span: Duration, purse: &mut Purse, lost: i64) {
    let width = purse.window.end.saturating_sub(purse.window.start).max(1);
    let count = (whole(span) / width).max(1);
    let last = lost - lost.rem_euclid(width);
    for nth in 0..count {
        let start = last.saturating_sub(nth.saturating_mul(width));
        if purse.counts(Period::Rolling(span), start) {
            let part = share(amount, nth + 1, count).minus(share(amount, nth, count));
            purse.spend(start, part);
        }
    }
}

/// So much of an amount as `part` is of `all`, rounded up: what is not known is not given away.
fn share(amount: NanoUsd, part: i64, all: i64) -> NanoUsd {
    let (part, all) = (part.unsigned_abs(), all.unsigned_abs().max(1));
    let exact = (u128::from(amount.0) * u128::from(part)).div_ceil(u128::from(all));
    NanoUsd(u64::try_from(exact).unwrap_or(u64::MAX))
}

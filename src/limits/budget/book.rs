//! All budgets of one tenant, behind the lock of its account. Must never let part of a claim be taken: the ledger asks
//! all of them, and every rate, before any of them takes.

use std::sync::Arc;

use super::super::calendar::Period;
use super::past::Past;
use super::purse::Purse;
use super::purses::Purses;
use super::{Broke, BudgetSpec, BudgetState, Claim, Crossing, Held, Scope, Settled, Who};
use crate::units::{NanoUsd, Wall, WindowId};

#[derive(Debug, Default)]
pub(in crate::limits) struct Budgets {
    all: Vec<Budget>,
    /// Whether the configuration has any of them.
    any: bool,
    past: Past,
}

#[derive(Debug)]
struct Budget {
    spec: BudgetSpec,
    /// Whether the configuration has it. What was spent of one that was taken out is kept for its return.
    current: bool,
    frozen: bool,
    /// By agent, session or user; by nothing for the tenant's.
    purses: Purses,
}

/// What one request holds of one budget.
#[derive(Clone, Debug)]
pub(in crate::limits) struct Share {
    budget: Arc<str>,
    scope: Scope,
    of: Box<str>,
    pub(in crate::limits) held: Held,
}

/// How many budgets that the configuration no longer has are remembered.
const RETIRED: usize = 64;

impl Budgets {
    /// Takes over what the configuration says. What was spent stays spent; a window that has begun ends when it would
    /// have; another amount counts at once.
    pub(in crate::limits) fn resize(&mut self, specs: &[BudgetSpec]) {
        for budget in &mut self.all {
            budget.current = false;
        }
        for spec in specs {
            let mut known = self.all.iter_mut();
            if let Some(known) = known.find(|known| known.is(&spec.name, spec.scope)) {
                (known.spec, known.current) = (spec.clone(), true);
            } else {
                let frozen = self.past.is_frozen(&spec.name);
                self.all.push(Budget::new(spec, frozen));
            }
        }
        self.any = !specs.is_empty();
        let retired = self.all.iter().filter(|known| !known.current).count();
        let mut surplus = retired.saturating_sub(RETIRED);
        self.all.retain(|known| {
            let goes = surplus > 0
                && !known.current
                && known.purses.all().all(|p| p.held == NanoUsd::ZERO);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Whether there is none.
    pub(in crate::limits) fn is_empty(&self) -> bool {
        !self.any
    }

    /// The one with the least left of those that have less than the claim. Takes nothing.
    pub(in crate::limits) fn lacks(&mut self, claim: &Claim<'_>) -> Option<Broke> {
        let least = claim.amount.max(NanoUsd(1));
        let standing = self.each(claim.at, claim.who, |terms, purse| {
            (terms.left(purse) < least).then(|| terms.stands(purse))
        });
        standing.flatten().min_by_key(Broke::left)
    }

    /// The least that is left of any; `None` where there is no budget.
    pub(in crate::limits) fn left(&mut self, at: Wall, who: Who<'_>) -> Option<NanoUsd> {
        self.each(at, who, |terms, purse| terms.left(purse)).min()
    }

    /// Takes the claim of every budget. Only after `lacks` said `None`.
    pub(in crate::limits) fn take(&mut self, claim: &Claim<'_>) -> Vec<Share> {
        self.each(claim.at, claim.who, |terms, purse| {
            purse.held = purse.held.plus(claim.amount);
            let of = &*purse.of;
            Share {
                budget: Arc::clone(&terms.spec.name),
                scope: terms.spec.scope,
                of: of.into(),
                held: Held {
                    window: terms.spec.window(of, purse.window.start),
                    amount: claim.amount,
                },
            }
        })
        .collect()
    }

    /// Takes more for a request under way, of all budgets it holds something of; or says which has too little. Where the
    /// window it began in has ended, what it takes now is of the window of now.
    pub(in crate::limits) fn extend(
        &mut self,
        shares: &mut Vec<Share>,
        more: NanoUsd,
        at: Wall,
    ) -> Result<(), Broke> {
        let latest: Vec<usize> = (0..shares.len())
            .filter(|&i| is_latest(shares, i))
            .collect();
        for &index in &latest {
            if let Some((terms, purse)) = self.purse_of(&shares[index], at)
                && terms.left(purse) < more
            {
                return Err(terms.stands(purse));
            }
        }
        for index in latest {
            let share = &mut shares[index];
            let Some((terms, purse)) = self.purse_of(share, at) else {
                share.held.amount = share.held.amount.plus(more);
                continue;
            };
            purse.held = purse.held.plus(more);
            if purse.counts(terms.spec.period, share.held.window.start) {
                share.held.amount = share.held.amount.plus(more);
                continue;
            }
            let window = terms.spec.window(&share.of, purse.window.start);
            let held = Held {
                window,
                amount: more,
            };
            let next = Share {
                held,
                ..share.clone()
            };
            shares.push(next);
        }
        Ok(())
    }

    /// What was held comes back, and nothing was spent.
    pub(in crate::limits) fn release(&mut self, shares: &[Share]) {
        for share in shares {
            if let Some((_, purse)) = self.holding(share) {
                purse.held = purse.held.minus(share.held.amount);
            }
        }
    }

    /// The request is over: what it held comes back, what it cost is spent, in the windows in which it was held. If one
    /// has ended, the hold went with it.
    pub(in crate::limits) fn settle(&mut self, shares: &[Share], cost: NanoUsd) -> Settled {
        let mut settled = Settled::default();
        for (index, share) in shares.iter().enumerate() {
            let cost = part(shares, index, cost);
            settled.windows.push(Held {
                window: share.held.window,
                amount: cost,
            });
            let Some((terms, purse)) = self.holding(share) else {
                continue;
            };
            purse.held = purse.held.minus(share.held.amount);
            if !purse.counts(terms.spec.period, share.held.window.start) {
                continue;
            }
            purse.spend(share.held.window.start, cost);
            if let Some(percent) = purse.crossed(terms.spec) {
                settled.crossings.push(Crossing {
                    budget: Arc::clone(&share.budget),
                    scope: share.scope,
                    of: share.of.clone(),
                    percent,
                    spent: purse.spent(),
                    limit: purse.limit(terms.spec),
                });
            }
        }
        settled
    }

    /// The window of now of a budget, which a top-up would be for.
    pub(in crate::limits) fn window(&mut self, name: &str, of: &str, at: Wall) -> Option<WindowId> {
        let (terms, purse) = self.open(name, of, at)?;
        Some(terms.spec.window(&purse.of, purse.window.start))
    }

    /// Adds to what there is in the window of now. False if there is no such budget.
    pub(in crate::limits) fn top_up(
        &mut self,
        name: &str,
        of: &str,
        amount: NanoUsd,
        at: Wall,
    ) -> bool {
        let opened = self.open(name, of, at);
        opened.map(|(_, purse)| purse.add(amount)).is_some()
    }

    fn open(&mut self, name: &str, of: &str, at: Wall) -> Option<(Terms<'_>, &mut Purse)> {
        let past = &mut self.past;
        let mut current = self.all.iter_mut().filter(|budget| budget.current);
        let budget = current.find(|budget| &*budget.spec.name == name)?;
        Some(budget.purse(of, at, past))
    }

    /// From now on nothing more can be held of it, or again. Whether it was so before; `None` if there is no such budget.
    pub(in crate::limits) fn freeze(&mut self, name: &str, frozen: bool) -> Option<bool> {
        let mut current = self.all.iter_mut().filter(|budget| budget.current);
        let budget = current.find(|budget| &*budget.spec.name == name)?;
        Some(std::mem::replace(&mut budget.frozen, frozen))
    }

    /// What was spent before this process, by the record. It counts from when somebody asks for that window.
    pub(in crate::limits) fn remember(&mut self, window: WindowId, spent: NanoUsd, added: NanoUsd) {
        self.past.remember(window, spent, added);
        let past = &self.past;
        let mut all = self.all.iter_mut();
        if let Some(budget) = all.find(|budget| super::freezes(&budget.spec.name) == window) {
            budget.frozen = past.is_frozen(&budget.spec.name);
        }
    }

    /// What was spent until then is not known; `None` if it no longer matters.
    pub(in crate::limits) fn lose(&mut self, until: Option<Wall>) {
        self.past.lose(until);
    }

    /// All of them as they stand.
    pub(in crate::limits) fn states(&mut self, at: Wall) -> Vec<BudgetState> {
        let mut states = Vec::new();
        for budget in self.all.iter_mut().filter(|budget| budget.current) {
            if budget.spec.scope == Scope::Tenant {
                budget.purse("", at, &mut self.past);
            }
            let (spec, frozen) = (&budget.spec, budget.frozen);
            let lost = self.past.forbids(spec);
            states.extend(budget.purses.all_mut().map(|purse| {
                purse.roll(spec, at);
                BudgetState {
                    budget: Arc::clone(&spec.name),
                    scope: spec.scope,
                    of: purse.of.clone(),
                    period: spec.period,
                    limit: purse.limit(spec),
                    spent: purse.spent(),
                    held: purse.held,
                    resets: purse.resets(spec),
                    frozen,
                    lost,
                }
            }));
        }
        states
    }

    /// Something for each budget and the purse it has for `who`, rolled on to `at`.
    fn each<T>(
        &mut self,
        at: Wall,
        who: Who<'_>,
        mut of: impl FnMut(&Terms<'_>, &mut Purse) -> T,
    ) -> impl Iterator<Item = T> {
        let past = &mut self.past;
        let current = self.all.iter_mut().filter(|budget| budget.current);
        current.map(move |budget| {
            let part = who.part(budget.spec.scope);
            let (terms, purse) = budget.purse(part, at, past);
            of(&terms, purse)
        })
    }

    /// The purse a share was taken of, as it is at `at`.
    fn purse_of(&mut self, share: &Share, at: Wall) -> Option<(Terms<'_>, &mut Purse)> {
        let mut all = self.all.iter_mut();
        let budget = all.find(|known| known.is(&share.budget, share.scope))?;
        let purse = budget.purses.get(&share.of)?;
        purse.roll(&budget.spec, at);
        let terms = Terms {
            spec: &budget.spec,
            frozen: budget.frozen,
            lost: self.past.forbids(&budget.spec),
        };
        Some((terms, purse))
    }

    /// The same as it was last, if what the share took is still held of it: where a window has ended, that went with it; but
    /// a rolling one has no end.
    fn holding(&mut self, share: &Share) -> Option<(Terms<'_>, &mut Purse)> {
        let found = self.purse_of(share, Wall(0));
        found.filter(|(terms, purse)| {
            let period = terms.spec.period;
            matches!(period, Period::Rolling(_)) || purse.counts(period, share.held.window.start)
        })
    }
}

/// Whether no later share is of the same budget.
fn is_latest(shares: &[Share], index: usize) -> bool {
    shares[index + 1..]
        .iter()
        .all(|later| !later.is_of(&shares[index]))
}

/// How much of a cost falls to one share: as much as it holds, and what is left to the last of its budget.
fn part(shares: &[Share], index: usize, cost: NanoUsd) -> NanoUsd {
    let share = &shares[index];
    let before = shares[..index]
        .iter()
        .filter(|earlier| earlier.is_of(share));
    let left = before.fold(cost, |left, earlier| left.minus(earlier.held.amount));
    if is_latest(shares, index) {
        left
    } else {
        left.min(share.held.amount)
    }
}

impl Share {
    fn is_of(&self, other: &Self) -> bool {
        self.budget == other.budget && self.scope == other.scope && self.of == other.of
    }
}

impl Budget {
    fn new(spec: &BudgetSpec, frozen: bool) -> Self {
        Self {
            spec: spec.clone(),
            current: true,
            frozen,
            purses: Purses::default(),
        }
    }

    fn is(&self, name: &str, scope: Scope) -> bool {
        *self.spec.name == *name && self.spec.scope == scope
    }

    /// The purse of a part, opened if it is new; past the bound, that of all others.
    fn purse(&mut self, part: &str, at: Wall, past: &mut Past) -> (Terms<'_>, &mut Purse) {
        let terms = Terms {
            spec: &self.spec,
            frozen: self.frozen,
            lost: past.forbids(&self.spec),
        };
        let purse = self.purses.get_or((part, &self.spec, at), |part| {
            let begins = at.max(past.latest(&self.spec, part));
            let mut purse = Purse::new(&self.spec, part, begins);
            past.recall(&self.spec, &mut purse);
            purse
        });
        purse.roll(&self.spec, at);
        (terms, purse)
    }
}

/// A budget, without its purses.
struct Terms<'a> {
    spec: &'a BudgetSpec,
    frozen: bool,
    lost: bool,
}

impl Terms<'_> {
    fn left(&self, purse: &Purse) -> NanoUsd {
        if self.frozen || self.lost {
            return NanoUsd::ZERO;
        }
        let limit = purse.limit(self.spec);
        limit.minus(purse.spent()).minus(purse.held)
    }

    fn stands(&self, purse: &Purse) -> Broke {
        Broke {
            budget: Arc::clone(&self.spec.name),
            scope: self.spec.scope,
            limit: purse.limit(self.spec),
            spent: purse.spent(),
            held: purse.held,
            resets: if self.frozen || self.lost {
                None
            } else {
                purse.resets(self.spec)
            },
            frozen: self.frozen,
            lost: self.lost,
        }
    }
}

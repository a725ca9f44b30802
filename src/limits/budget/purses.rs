//! The purses of one budget: that of nobody in particular, which is the tenant's where the budget is, and those of agents,
//! sessions or users. Must never grow with the names that callers choose.

use std::collections::HashMap;

use super::purse::Purse;
use super::{BudgetSpec, OTHERS, PARTS};
use crate::units::Wall;

#[derive(Debug, Default)]
pub(super) struct Purses {
    /// Most budgets have no other, and it is found without a look at a name.
    nameless: Option<Purse>,
    named: HashMap<Box<str>, Purse>,
}

impl Purses {
    /// The purse of a part, if it is open.
    pub(super) fn get(&mut self, part: &str) -> Option<&mut Purse> {
        if part.is_empty() {
            self.nameless.as_mut()
        } else {
            self.named.get_mut(part)
        }
    }

    /// The purse of a part, made by `open` if it is new; past the bound, that of all others.
    pub(super) fn get_or(
        &mut self,
        (part, spec, at): (&str, &BudgetSpec, Wall),
        open: impl FnOnce(&str) -> Purse,
    ) -> &mut Purse {
        if part.is_empty() {
            return self.nameless.get_or_insert_with(|| open(part));
        }
        let part = if self.named.contains_key(part) || self.has_room(spec, at) {
            part
        } else {
            OTHERS
        };
        self.named.entry(part.into()).or_insert_with(|| open(part))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Purse> {
        self.nameless.iter().chain(self.named.values())
    }

    /// All of them, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Purse> {
        self.nameless.iter_mut().chain(self.named.values_mut())
    }

    fn has_room(&mut self, spec: &BudgetSpec, at: Wall) -> bool {
        if self.named.len() >= PARTS {
            self.named.retain(|_, purse| {
                purse.roll(spec, at);
                !purse.is_blank()
            });
        }
        self.named.len() < PARTS
    }
}

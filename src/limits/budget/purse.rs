//! What was spent and is held of one budget in its window of now. Must never begin a window twice, nor spend the same
//! amount in two.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::calendar::{Period, Window, seconds, window};
use super::{BudgetSpec, THRESHOLDS};
use crate::units::{NanoUsd, Wall};

#[derive(Debug)]
pub(super) struct Purse {
    /// The agent, session or user it is for.
    pub(super) of: Box<str>,
    pub(super) window: Window,
    pub(super) held: NanoUsd,
    /// What was spent and added, by the window it fell into: one of a calendar's, up to sixty-one of a rolling one.
    slices: VecDeque<Slice>,
    /// How many thresholds were told.
    told: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    start: i64,
    spent: NanoUsd,
    added: NanoUsd,
}

impl Purse {
    pub(super) fn new(spec: &BudgetSpec, of: &str, at: Wall) -> Self {
        Self {
            of: of.into(),
            window: window(spec.period, &spec.zone, at),
            held: NanoUsd::ZERO,
            slices: VecDeque::new(),
            told: 0,
        }
    }

    /// Lets what is over be over. Time that goes back changes nothing.
    pub(super) fn roll(&mut self, spec: &BudgetSpec, at: Wall) {
        let now = seconds(at);
        if now < self.window.end {
            return;
        }
        self.window = window(spec.period, &spec.zone, at);
        if let Period::Rolling(span) = spec.period {
            let span = whole(span);
            // What is partly within the span still counts whole.
            let width = self.window.end.saturating_sub(self.window.start);
            let oldest = now.saturating_sub(span).saturating_sub(width);
            self.slices.retain(|slice| slice.start > oldest);
        } else {
            // What requests still hold belongs to the window they began in, and goes with it.
            self.slices.clear();
            self.held = NanoUsd::ZERO;
        }
        self.told = self.thresholds(self.limit(spec));
    }

    /// Spent in the window of now.
    pub(super) fn spent(&self) -> NanoUsd {
        let spent = self.slices.iter().map(|slice| slice.spent);
        spent.fold(NanoUsd::ZERO, NanoUsd::plus)
    }

    /// What there is in the window of now, with what was added.
    pub(super) fn limit(&self, spec: &BudgetSpec) -> NanoUsd {
        let added = self.slices.iter().map(|slice| slice.added);
        added.fold(spec.amount, NanoUsd::plus)
    }

    /// When something comes back, if ever.
    pub(super) fn resets(&self, spec: &BudgetSpec) -> Option<Wall> {
        let Period::Rolling(span) = spec.period else {
            return self.window.resets();
        };
        let first = self.slices.front()?;
        let width = self.window.end.saturating_sub(self.window.start);
        let end = first
            .start
            .saturating_add(width)
            .saturating_add(whole(span));
        Window { end, ..self.window }.resets()
    }

    /// Whether a request that began in the window that began then still counts.
    pub(super) fn counts(&self, period: Period, start: i64) -> bool {
        match period {
            Period::Rolling(span) => start > self.window.start.saturating_sub(whole(span)),
            _ => start == self.window.start,
        }
    }

    pub(super) fn spend(&mut self, start: i64, amount: NanoUsd) {
        let slice = self.slice(start);
        slice.spent = slice.spent.plus(amount);
    }

    pub(super) fn add(&mut self, amount: NanoUsd) {
        self.add_to(self.window.start, amount);
    }

    pub(super) fn add_to(&mut self, start: i64, amount: NanoUsd) {
        let slice = self.slice(start);
        slice.added = slice.added.plus(amount);
    }

    /// Whether nobody would miss it.
    pub(super) fn is_blank(&self) -> bool {
        self.held == NanoUsd::ZERO
            && self
                .slices
                .iter()
                .all(|slice| slice.spent == NanoUsd::ZERO && slice.added == NanoUsd::ZERO)
    }

    /// The highest threshold that was passed since this was last asked.
    pub(super) fn crossed(&mut self, spec: &BudgetSpec) -> Option<u8> {
        let passed = self.thresholds(self.limit(spec));
        let before = std::mem::replace(&mut self.told, passed);
        (passed > before).then(|| THRESHOLDS[passed - 1])
    }

    fn thresholds(&self, limit: NanoUsd) -> usize {
        let (spent, limit) = (u128::from(self.spent().0), u128::from(limit.0));
        let passed = |percent: &&u8| spent > 0 && spent * 100 >= limit * u128::from(**percent);
        THRESHOLDS.iter().take_while(passed).count()
    }

    fn slice(&mut self, start: i64) -> &mut Slice {
        let at = match self
            .slices
            .binary_search_by_key(&start, |slice| slice.start)
        {
            Ok(at) => at,
            Err(at) => {
                let new = Slice {
                    start,
                    spent: NanoUsd::ZERO,
                    added: NanoUsd::ZERO,
                };
                self.slices.insert(at, new);
                at
            }
        };
        &mut self.slices[at]
    }
}

pub(super) fn whole(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

//! The money of a trip: what it holds of the budgets while its answer comes, and what becomes of that at the end.
//! Must never give anything back twice.

use super::{Run, words};
use crate::journal::{Record, Written};
use crate::limits::{Ask, Held, Hold, Settled};
use crate::trip::entry;
use crate::trip::price::{Charge, Quote};
use crate::units::{Boot, Counted, Ending, NanoUsd, Usage};
use crate::wire::dialect::tally::Meter;

/// Whether an answer may go on.
pub(in crate::trip) enum Affords {
    /// It may.
    Yes,
    /// It may when this is written.
    Once(Written),
    /// There is no money left.
    No,
}

impl Run {
    /// Holds more of the budgets, if the answer has outgrown what is held.
    pub(in crate::trip) fn affords(&mut self) -> Affords {
        let Some(mut quote) = self.quote.take() else {
            return Affords::Yes;
        };
        let output = self.answer.meter.as_ref().map_or(0, Meter::output_so_far);
        let grows = quote
            .outgrown(output)
            .map(|wanted| self.holds_more(&quote, output, wanted));
        if let Some(Some(to)) = grows {
            quote.grown(to);
        }
        self.quote = Some(quote);
        match grows {
            None => Affords::Yes,
            Some(None) => Affords::No,
            Some(Some(_)) => self.records_more(),
        }
    }

    /// Holds for so much output, or for as much as there is money for.
    fn holds_more(&mut self, quote: &Quote, output: u64, wanted: u64) -> Option<u64> {
        let wall = self.ground().clock.wall();
        let more = quote.more(self, wanted);
        let Some(Err(broke)) = self.hold.as_mut().map(|hold| hold.extend(more, wall)) else {
            return Some(wanted);
        };
        let most = quote.as_far_as(self, (output, wanted), broke.left())?;
        let more = quote.more(self, most);
        // Another call may have taken it since.
        let held = self.hold.as_mut().map(|hold| hold.extend(more, wall));
        (!matches!(held, Some(Err(_)))).then_some(most)
    }

    /// Writes into the journal that more is held.
    fn records_more(&mut self) -> Affords {
        let whole = self.held();
        let windows: Vec<_> = self.holdings().map(entry::pair).collect();
        let Some(entry) = &mut self.entry else {
            return Affords::Yes;
        };
        let more = Record {
            whole,
            windows: &windows,
            payload: b"",
        };
        match entry.extend(more) {
            Ok(written) => Affords::Once(written),
            // What goes on unrecorded is told by a gap; the journal's terms have let it.
            Err(_) => Affords::Yes,
        }
    }

    /// What it holds of the budgets.
    pub(in crate::trip) fn holdings(&self) -> impl Iterator<Item = Held> {
        self.hold.iter().flat_map(Hold::held)
    }

    /// What it holds of the budget it holds most of.
    pub(in crate::trip) fn held(&self) -> NanoUsd {
        let held = self.hold.iter().flat_map(Hold::held);
        held.map(|held| held.amount).max().unwrap_or_default()
    }

    /// Gives back what was held beyond what was used and what that cost; which thresholds of budgets that has passed.
    pub(super) fn settle(
        &mut self,
        now: Boot,
        usage: Option<Counted<Usage>>,
        cost: Option<&Charge>,
    ) -> Settled {
        let Some(hold) = &mut self.hold else {
            return Settled::default();
        };
        let used = usage.map(Counted::value).unwrap_or_default();
        let cost = cost.map_or(NanoUsd::ZERO, Charge::amount);
        let settled = hold.settle(now, used.input, used.output, cost);
        if let (Some(Counted::Reported(used)), Some(_)) = (usage, &self.quote) {
            let model = self.question.sent_model().unwrap_or_default();
            let used = Ask {
                input: used.input,
                output: used.output,
            };
            self.account()
                .learn(model, self.question.input_estimate, used);
        }
        settled
    }

    /// Writes the end of the trip into the journal, or that it was refused.
    pub(super) fn write_down(
        &mut self,
        now: Boot,
        (ending, usage): (Ending, Option<Counted<Usage>>),
        (cost, settled): (Option<&Charge>, &Settled),
    ) {
        let entry = self.entry.take();
        let Some(recorder) = &self.ground().journal else {
            return;
        };
        let document = self.spine.document(Some(now), |line| {
            self.identity(line);
            self.facts(line, ending, usage);
            words::money(line, cost, &settled.crossings);
            words::bill(line, cost);
        });
        match entry {
            Some(entry) => {
                let cost = cost.map_or(NanoUsd::ZERO, Charge::amount);
                entry::end(entry, cost, &settled.windows, &document);
            }
            None => entry::refused(recorder, self.tenant(), &document),
        }
    }

    /// What is known before anything leaves.
    pub(in crate::trip) fn question_document(&self) -> Vec<u8> {
        self.spine.document(None, |line| {
            self.identity(line);
            self.aim_facts(line);
        })
    }
}

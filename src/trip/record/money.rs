//! The money of a trip: what it holds of the budgets while its answer comes, and what becomes of that at the end.
//! Must never give anything back twice.

use super::Run;
use crate::limits::{Ask, Crossing, Hold};
use crate::trip::price::Charge;
use crate::units::{Boot, Counted, NanoUsd, Usage};
use crate::wire::dialect::tally::Meter;

impl Run {
    /// Holds more of the budgets, if the answer has outgrown what is held; false if there is no more.
    pub(in crate::trip) fn affords(&mut self) -> bool {
        let Some(mut quote) = self.quote.take() else {
            return true;
        };
        let output = self.answer.meter.as_ref().map_or(0, Meter::output_so_far);
        let affords = quote.outgrown(self, output).is_none_or(|more| {
            let wall = self.ground().clock.wall();
            let hold = self.hold.as_mut();
            hold.is_none_or(|hold| hold.extend(more, wall).is_ok())
        });
        self.quote = Some(quote);
        affords
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
    ) -> Vec<Crossing> {
        let Some(hold) = &mut self.hold else {
            return Vec::new();
        };
        let used = usage.map(Counted::value).unwrap_or_default();
        let cost = cost.map_or(NanoUsd::ZERO, Charge::amount);
        let crossings = hold.settle(now, used.input, used.output, cost);
        if let (Some(Counted::Reported(used)), Some(_)) = (usage, &self.quote) {
            let model = self.question.model_sent.as_deref().unwrap_or_default();
            let used = Ask {
                input: used.input,
                output: used.output,
            };
            self.account()
                .learn(model, self.question.input_estimate, used);
        }
        crossings
    }
}

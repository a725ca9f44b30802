//! A trip whose caller hangs up: what becomes of it, and what it is charged then. Must never charge nothing for what a
//! provider may bill, nor say that an estimate is a report.

use std::sync::Arc;

use super::Run;
use crate::config::values::HangUp;
use crate::limits::Ask;
use crate::trip::Door;
use crate::trip::forward::is_metered;
use crate::trip::price::Quote;
use crate::units::{Counted, Ending, HungUp, Usage};
use crate::wire::dialect::tally::Meter;

impl Run {
    /// What its caller pays for at least who hangs up, where the policy says so.
    pub(in crate::trip) fn expects(&mut self, ask: Ask) {
        self.question.output_estimate = ask.output;
    }

    /// Its caller has hung up, and this has become of it so far.
    pub(in crate::trip) fn hangs_up(&mut self, so_far: HungUp) {
        self.ends(Ending::CallerGone);
        self.hung_up = Some(so_far);
    }

    /// It ends again: first its caller had gone.
    pub(super) fn was_heard_out(&mut self, ending: Ending) {
        if ending == Ending::Complete && self.hung_up.is_some() {
            self.hung_up = Some(HungUp::Drained);
        }
    }

    /// Leaves the door it came through for one of its own.
    pub(in crate::trip) fn moves_out(&mut self) -> &Arc<Door> {
        let own = Arc::new(Door::nowhere(self.ground()));
        own.enter(self.order);
        std::mem::replace(&mut self.door, own).leave();
        &self.door
    }

    /// Whether its caller did not wait for its end, which says nothing about how long callers wait.
    pub(super) fn went_on_alone(&self) -> bool {
        self.hung_up.is_some_and(|how| match how {
            HungUp::Drained | HungUp::TimedOut | HungUp::TooLarge | HungUp::CutShort => true,
            HungUp::Cancelled | HungUp::Estimated | HungUp::Crowded => false,
        })
    }

    /// Bytes of its answer that nobody heard.
    pub(in crate::trip) fn unheard(&self) -> u64 {
        self.answer.unheard
    }

    /// What has become of it that ends because its caller is gone. Of what never left, nothing.
    #[cold]
    pub(super) fn parts(&mut self) {
        if self.hung_up.is_some() || (self.sent.bytes() == 0 && self.answer.head_at.is_none()) {
            return;
        }
        let at_once = match self.policy().hang_up {
            HangUp::Cancel | HangUp::Drain => HungUp::Cancelled,
            HangUp::Estimate => HungUp::Estimated,
        };
        self.hung_up = Some(self.door.parted().unwrap_or(at_once));
    }

    /// Whether it is charged all that was held for it.
    pub(in crate::trip) fn pays_its_hold(&self) -> bool {
        self.hung_up == Some(HungUp::Estimated)
    }

    /// What was used of which not everything was heard.
    #[cold]
    pub(super) fn not_heard_out(&self, how: HungUp) -> Option<Counted<Usage>> {
        let counted = self.counted();
        let facts = self.answer.meter.as_ref().map(Meter::facts);
        // Nothing is used by a call that was refused, whoever heard that.
        let failed = facts.map_or_else(|| self.answer.head_at.is_some(), |facts| facts.error);
        if !is_metered(self.endpoint) || failed {
            return counted;
        }
        let mut usage = match counted {
            Some(Counted::Estimated(usage)) => usage,
            Some(Counted::Reported(_)) => return counted,
            None => Usage::default(),
        };
        // It was read, and no prompt has no token.
        usage.input = usage.input.max(1);
        if how == HungUp::Estimated {
            let held = self.quote.as_deref().map_or(0, Quote::output);
            let likely = if held > 0 {
                held
            } else {
                self.question.output_estimate
            };
            usage.output = usage.output.max(likely);
        }
        Some(Counted::Estimated(usage))
    }
}

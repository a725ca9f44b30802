//! The request line of a trip: which members it has, and how numbers and names are put into it. Must never let a name in unbounded.

use std::time::Duration;

use super::Run;
use crate::limits::Crossing;
use crate::spine::{Line, name};
use crate::trip::price::Charge;
use crate::units::{Counted, Ending, Usage};
use crate::wire::dialect::tally::Meter;

impl Run {
    /// The members of the request line.
    pub(super) fn facts(&self, line: &mut Line<'_>, ending: Ending, usage: Option<Counted<Usage>>) {
        self.aim_facts(line);
        line.word(name!("ending"), ending.as_str());
        line.word(name!("ended_in"), self.phase.as_str());
        if let Some(hung_up) = self.hung_up {
            line.word(name!("hang_up"), hung_up.as_str());
        }
        if let Some(status) = self.answer.status {
            line.number(name!("status"), u64::from(status.as_u16()));
        }
        if let Some(code) = self.code {
            line.word(name!("code"), code.as_str());
        }
        if let Some(cause) = self.cause {
            line.word(name!("cause"), cause.as_str());
        }
        if let Some(rule) = self.refused_by() {
            line.shown(name!("rule"), rule);
        }
        self.answer_facts(line);
        if let Some(usage) = usage {
            usage_facts(line, usage);
        }
    }

    /// What is known of a trip before anything leaves.
    pub(super) fn aim_facts(&self, line: &mut Line<'_>) {
        line.word(name!("endpoint"), self.endpoint.as_str());
        if let Some(upstream) = &self.upstream {
            line.text(name!("upstream"), upstream.name.as_str());
            if let Some(region) = &upstream.region {
                line.text(name!("region"), region);
            }
        }
        self.question_facts(line);
    }

    /// What only the journal says.
    pub(super) fn identity(&self, line: &mut Line<'_>) {
        if let Some(by) = self.question.by {
            line.word(name!("identity"), by.as_str());
        }
        self.decision(line);
    }

    fn question_facts(&self, line: &mut Line<'_>) {
        let question = &self.question;
        if let Some(voucher) = &question.voucher {
            line.text(name!("voucher"), voucher.as_str());
        }
        let who = question.attribution.who();
        let named = [
            (name!("agent"), who.agent),
            (name!("session"), who.session),
            (name!("user"), who.user),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                line.text(name, value);
            }
        }
        if let Some(model) = &question.model {
            line.text(name!("model"), model);
        }
        if let Some(sent) = &question.model_sent {
            line.text(name!("model_sent"), sent);
        }
        if question.stream {
            line.word(name!("stream"), "yes");
        }
        if let Some(retry) = question.retry.filter(|retry| *retry > 0) {
            line.number(name!("retry"), retry);
        }
        if let Some(waited) = self.queue_wait {
            line.number(name!("queue_wait_us"), micros(waited));
        }
        if let Some(source) = question.key_source {
            line.word(name!("key_source"), source.as_str());
        }
    }

    fn answer_facts(&self, line: &mut Line<'_>) {
        let answer = &self.answer;
        line.number(name!("request_bytes"), self.sent.bytes());
        line.number(name!("response_bytes"), answer.bytes);
        if answer.unheard > 0 {
            line.number(name!("unheard_bytes"), answer.unheard);
        }
        let facts = answer.meter.as_ref().map(Meter::facts).unwrap_or_default();
        if facts.error {
            line.word(name!("provider_error"), "yes");
        }
        if let Some(model) = facts.model
            && Some(model) != self.question.sent_model()
        {
            line.text(name!("model_answered"), clipped(model));
        }
        if let Some(tier) = facts.service_tier
            && !matches!(tier, "default" | "standard")
        {
            line.text(name!("service_tier"), clipped(tier));
        }
        answer.place.tell(line);
        let connecting = self.sent.connecting();
        if connecting > 0 {
            line.number(name!("connect_us"), u64::from(connecting));
        }
        for (name, at) in [
            (name!("left_us"), answer.left_at),
            (name!("head_us"), answer.head_at),
            (name!("first_us"), answer.first_at),
        ] {
            if let Some(at) = at {
                line.number(name, micros(at.since(self.spine.started())));
            }
        }
    }
}

fn usage_facts(line: &mut Line<'_>, counted: Counted<Usage>) {
    let usage = counted.value();
    line.number(name!("input_tokens"), usage.input);
    line.number(name!("output_tokens"), usage.output);
    for (name, value) in [
        (name!("cache_read_tokens"), usage.cache_read),
        (name!("cache_write_tokens"), usage.cache_write),
        (name!("reasoning_tokens"), usage.reasoning),
    ] {
        if value > 0 {
            line.number(name, value);
        }
    }
    line.word(name!("usage"), counted.source());
}

/// What the call cost, and which budgets that has brought near their end.
pub(super) fn money(line: &mut Line<'_>, cost: Option<&Charge>, crossings: &[Crossing]) {
    if let Some(charge) = cost {
        line.number(name!("cost_nano_usd"), charge.amount().0);
        if charge.bill.cost.unpriced {
            line.word(name!("unpriced"), "yes");
        }
        if charge.bill.cost.inconsistent {
            line.word(name!("usage_inconsistent"), "yes");
        }
    }
    for crossing in crossings {
        line.text(name!("budget"), &crossing.budget);
        line.number(name!("budget_percent"), u64::from(crossing.percent));
    }
}

/// The lines of the bill, in pico-dollars.
pub(super) fn bill(line: &mut Line<'_>, cost: Option<&Charge>) {
    if let Some(charge) = cost {
        let lines = charge.bill.cost.lines();
        line.amounts(
            name!("cost_lines"),
            lines.map(|(line, sum)| (line.as_str(), sum.0)),
        );
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A name from outside, bounded for the record.
pub(super) fn clip(text: &str) -> Box<str> {
    clipped(text).into()
}

pub(super) fn clipped(text: &str) -> &str {
    if text.len() <= 128 {
        return text;
    }
    text.char_indices()
        .nth(128)
        .map_or(text, |(end, _)| &text[..end])
}

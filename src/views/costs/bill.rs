//! The sums of one row. Must never add what is certain to what is not: each has a sum of its own.

use std::collections::BTreeMap;

use crate::journal::Flags;
use crate::units::NanoUsd;
use crate::views::Entry;

/// Words for what a call is billed for, at most: there are a dozen, and what wrote the journal may be newer than this.
const MOST_LINES: usize = 64;

/// What some calls came to. Amounts are nano-dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Calls that are over and had left.
    pub calls: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls of which nobody knows how they ended.
    pub unknown_calls: u64,
    /// Calls whose price was not known.
    pub unpriced_calls: u64,
    /// Calls whose usage was estimated, because the provider did not say it.
    pub estimated_calls: u64,
    /// Records that could not be written.
    pub lost: u64,
    /// Calls of which nothing but the amount can be read.
    pub sealed: u64,
    /// Tokens that were read, those of caches included.
    pub input: u64,
    /// Tokens that were written, those of reasoning included.
    pub output: u64,
    /// Tokens that were read from a cache.
    pub cache_read: u64,
    /// Tokens that were written to a cache.
    pub cache_write: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// What is certain, with its corrections.
    pub cost: i128,
    /// What was settled without a price.
    pub unpriced: i128,
    /// What was settled without an end: at its hold.
    pub unknown: i128,
    /// What is held by calls that are under way; no part of the total.
    pub held: i128,
    /// What it is for, in pico-dollars by the word of the bill's line: what was settled is the sum of a call's lines, rounded.
    pub lines: BTreeMap<String, u128>,
}

/// The columns: their names in documents and in spreadsheets.
pub(super) const COLUMNS: [(&str, &str); 16] = [
    ("calls", "calls"),
    ("refused", "refused"),
    ("unknown_calls", "unknown_calls"),
    ("unpriced_calls", "unpriced_calls"),
    ("estimated_calls", "estimated_calls"),
    ("lost_records", "lost_records"),
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cache_read_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("reasoning_tokens", "reasoning_tokens"),
    ("cost_nano_usd", "cost_usd"),
    ("unpriced_nano_usd", "unpriced_usd"),
    ("unknown_nano_usd", "unknown_usd"),
    ("total_nano_usd", "total_usd"),
    ("held_nano_usd", "held_usd"),
];

/// How many of the columns are counts; the others are money.
const COUNTS: usize = 11;

impl Bill {
    /// Everything that was settled.
    pub const fn total(&self) -> i128 {
        self.cost + self.unpriced + self.unknown
    }

    pub(super) fn held(amount: NanoUsd) -> Self {
        Self {
            held: i128::from(amount.0),
            ..Self::default()
        }
    }

    pub(super) fn refused() -> Self {
        Self {
            refused: 1,
            ..Self::default()
        }
    }

    pub(super) fn of_end(entry: &Entry) -> Self {
        let count = |name| entry.number(name).unwrap_or_default();
        let mut bill = Self {
            calls: 1,
            estimated_calls: u64::from(entry.text("usage") == Some("estimated")),
            input: count("input_tokens"),
            output: count("output_tokens"),
            cache_read: count("cache_read_tokens"),
            cache_write: count("cache_write_tokens"),
            reasoning: count("reasoning_tokens"),
            sealed: u64::from(entry.facts.is_none()),
            lines: entry.lines().collect(),
            ..Self::default()
        };
        let amount = signed(entry);
        if entry.flags.has(Flags::UNKNOWN) {
            (bill.unknown_calls, bill.unknown) = (1, amount);
        } else if entry.says("unpriced") {
            (bill.unpriced_calls, bill.unpriced) = (1, amount);
        } else {
            bill.cost = amount;
        }
        bill
    }

    pub(super) fn of_gap(entry: &Entry) -> Self {
        Self {
            lost: entry.about,
            unknown: signed(entry),
            ..Self::default()
        }
    }

    pub(super) fn of_correction(entry: &Entry) -> Self {
        Self {
            cost: signed(entry),
            ..Self::default()
        }
    }

    /// Numbers of records and tokens saturate; amounts are of 64 bits, and no journal has 2⁶³ of them.
    pub(super) fn add(&mut self, other: &Self) {
        let counts = [
            (&mut self.calls, other.calls),
            (&mut self.refused, other.refused),
            (&mut self.unknown_calls, other.unknown_calls),
            (&mut self.unpriced_calls, other.unpriced_calls),
            (&mut self.estimated_calls, other.estimated_calls),
            (&mut self.lost, other.lost),
            (&mut self.sealed, other.sealed),
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.reasoning, other.reasoning),
        ];
        for (sum, more) in counts {
            *sum = sum.saturating_add(more);
        }
        self.cost += other.cost;
        self.unpriced += other.unpriced;
        self.unknown += other.unknown;
        self.held += other.held;
        for (word, amount) in &other.lines {
            if let Some(sum) = self.lines.get_mut(word) {
                *sum = sum.saturating_add(*amount);
            } else if self.lines.len() < MOST_LINES {
                self.lines.insert(word.clone(), *amount);
            }
        }
    }

    /// In the order of [`COLUMNS`].
    pub(super) fn numbers(&self) -> [i128; COLUMNS.len()] {
        let counts = [
            self.calls,
            self.refused,
            self.unknown_calls,
            self.unpriced_calls,
            self.estimated_calls,
            self.lost,
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            self.reasoning,
        ];
        let money = [
            self.cost,
            self.unpriced,
            self.unknown,
            self.total(),
            self.held,
        ];
        let mut numbers = [0; COLUMNS.len()];
        let all = counts.into_iter().map(i128::from).chain(money);
        for (place, number) in numbers.iter_mut().zip(all) {
            *place = number;
        }
        numbers
    }

    /// In the order of [`COLUMNS`], amounts in dollars.
    pub(super) fn cells(&self) -> impl Iterator<Item = String> {
        let numbers = self.numbers().into_iter().enumerate();
        numbers.map(|(place, number)| {
            if place < COUNTS {
                number.to_string()
            } else {
                usd(number)
            }
        })
    }

    pub(super) fn heading() -> String {
        format!(
            "{:>9} {:>9} {:>12} {:>12} {:>15} {:>15} {:>15} {:>15}",
            "CALLS",
            "REFUSED",
            "INPUT",
            "OUTPUT",
            "COST USD",
            "UNPRICED USD",
            "UNKNOWN USD",
            "TOTAL USD"
        )
    }

    pub(super) fn columns(&self) -> String {
        format!(
            "{:>9} {:>9} {:>12} {:>12} {:>15} {:>15} {:>15} {:>15}",
            self.calls,
            self.refused,
            self.input,
            self.output,
            usd(self.cost),
            usd(self.unpriced),
            usd(self.unknown),
            usd(self.total()),
        )
    }
}

fn signed(entry: &Entry) -> i128 {
    let amount = i128::from(entry.whole.0);
    if entry.flags.has(Flags::GIVES_BACK) {
        -amount
    } else {
        amount
    }
}

/// Dollars, exact.
pub(in crate::views) fn usd(amount: i128) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let amount = NanoUsd(u64::try_from(amount.unsigned_abs()).unwrap_or(u64::MAX));
    format!("{sign}{amount}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_and_signed() {
        for (amount, shown) in [
            (0, "0.00"),
            (1, "0.000000001"),
            (-1_500_000_000, "-1.50"),
            (i128::from(u64::MAX), "18446744073.709551615"),
        ] {
            assert_eq!(usd(amount), shown);
        }
    }
}

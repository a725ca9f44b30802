//! What calls cost, by whatever they are told apart: sums of what was settled, in whole nano-dollars. What a crash left open was
//! settled at its hold, and what had no price at a guess; both are kept apart. Must never count an amount twice, nor use a float.

mod bill;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

pub use bill::Bill;
pub(super) use bill::usd;

use super::cell::{csv, plain};
use super::entry::Entry;
use super::instances::{Instances, Query};
use crate::journal::{Flags, Kind, TenantNumber};
use crate::units::{NanoUsd, Wall};
use bill::COLUMNS;

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Whose they are.
    Tenant,
    /// Which model was asked of the provider.
    Model,
    /// Which upstream.
    Upstream,
    /// Which agent, as callers say.
    Agent,
    /// Which session, as callers say.
    Session,
    /// Which user, as callers say.
    User,
    /// The day on which they ended, in UTC.
    Day,
}

impl By {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Model => "model",
            Self::Upstream => "upstream",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::User => "user",
            Self::Day => "day",
        }
    }

    fn of(self, entry: &Entry) -> String {
        let fact = match self {
            Self::Tenant => return entry.whose(),
            Self::Day => return day(entry.wall),
            Self::Model => entry.model(),
            Self::Upstream | Self::Agent | Self::Session | Self::User => entry.text(self.as_str()),
        };
        let missing = if entry.facts.is_none() { SEALED } else { NONE };
        fact.unwrap_or(missing).to_owned()
    }
}

/// Where a fact is behind a seal that cannot be opened.
const SEALED: &str = "(sealed)";
/// Where nobody said so.
const NONE: &str = "(none)";
/// Where there are more than [`MOST_ROWS`].
const OTHERS: &str = "(others)";

/// Callers choose the names of sessions; a sum is not larger than this whatever they choose.
const MOST_ROWS: usize = 100_000;

/// A call may have begun this long before the time from which on ends are counted, and is still known by what its intent says.
const LONGEST_CALL_MS: u64 = 24 * 3_600 * 1_000;

/// The sums.
#[derive(Debug)]
pub struct Costs {
    by: Vec<By>,
    rows: BTreeMap<Vec<String>, Bill>,
    total: Bill,
    /// What is held, and for whom, until its end is met. No more than sidecars had under way at once.
    open: HashMap<Call, Held>,
}

/// An intent: in which journal, whose, which.
type Call = ([u8; 16], TenantNumber, u64);

#[derive(Debug)]
struct Held {
    key: Vec<String>,
    amount: NanoUsd,
}

impl Costs {
    /// Sums what ended in the time that is asked for.
    pub fn sum(instances: &mut Instances, query: &Query, by: &[By]) -> Self {
        let mut costs = Self {
            by: by.to_vec(),
            rows: BTreeMap::new(),
            total: Bill::default(),
            open: HashMap::new(),
        };
        let longer = Query {
            since: Wall(query.since.0.saturating_sub(LONGEST_CALL_MS)),
            ..query.clone()
        };
        instances.each(&longer, &mut |entry| {
            costs.take(entry, entry.wall >= query.since);
            ControlFlow::Continue(())
        });
        for (_, held) in std::mem::take(&mut costs.open) {
            costs.add(held.key, &Bill::held(held.amount));
        }
        costs
    }

    fn take(&mut self, entry: &Entry, counts: bool) {
        let call = (entry.journal, entry.number, entry.about);
        match entry.kind {
            Kind::Intent => {
                let held = Held {
                    key: self.key(entry),
                    amount: entry.whole,
                };
                self.open
                    .insert((entry.journal, entry.number, entry.seq), held);
            }
            Kind::Extend => {
                if let Some(held) = self.open.get_mut(&call) {
                    held.amount = entry.whole;
                }
            }
            Kind::End => {
                let intent = self.open.remove(&call);
                if counts && !entry.flags.has(Flags::VOID) {
                    let key = self.key_of_end(entry, intent);
                    self.add(key, &Bill::of_end(entry));
                }
            }
            Kind::Refusal if counts => self.add(self.key(entry), &Bill::refused()),
            Kind::Gap if counts => self.add(self.key(entry), &Bill::of_gap(entry)),
            // Those about no call change a budget, and cost nothing.
            Kind::Adjust if counts && entry.about > 0 => {
                self.add(self.key(entry), &Bill::of_correction(entry));
            }
            _ => {}
        }
    }

    fn key(&self, entry: &Entry) -> Vec<String> {
        self.by.iter().map(|by| by.of(entry)).collect()
    }

    /// An end repeats what its intent says, but for one that a crash or a long payload has left without words.
    fn key_of_end(&self, end: &Entry, intent: Option<Held>) -> Vec<String> {
        let says_nothing = end.facts.as_ref().is_none_or(|facts| facts.0.is_empty());
        let Some(mut intent) = intent.filter(|_| says_nothing) else {
            return self.key(end);
        };
        for (by, part) in self.by.iter().zip(&mut intent.key) {
            if *by == By::Day {
                *part = day(end.wall);
            }
        }
        intent.key
    }

    fn add(&mut self, key: Vec<String>, bill: &Bill) {
        self.total.add(bill);
        let key = if self.rows.len() < MOST_ROWS || self.rows.contains_key(&key) {
            key
        } else {
            vec![OTHERS.to_owned(); key.len()]
        };
        self.rows.entry(key).or_default().add(bill);
    }

    /// Each row: what it is about, in the order that was asked for, and its sums.
    pub fn rows(&self) -> impl Iterator<Item = (&[String], &Bill)> {
        self.rows.iter().map(|(key, bill)| (&**key, bill))
    }

    /// The sums of all rows.
    pub const fn total(&self) -> &Bill {
        &self.total
    }

    /// For people: a table, its total below.
    pub fn table(&self) -> Vec<String> {
        let names: Vec<String> = self
            .by
            .iter()
            .map(|by| by.as_str().to_uppercase())
            .collect();
        let total = vec!["total".to_owned(); self.by.len().min(1)];
        let mut lines = vec![format!(
            "{}{}",
            columns(&names, self.by.len()),
            Bill::heading()
        )];
        for (key, bill) in self.rows() {
            let key: Vec<String> = key.iter().map(|part| plain(part)).collect();
            lines.push(format!(
                "{}{}",
                columns(&key, self.by.len()),
                bill.columns()
            ));
        }
        lines.push(format!(
            "{}{}",
            columns(&total, self.by.len()),
            self.total.columns()
        ));
        lines
    }

    /// For scripts: a document for each row; amounts are whole nano-dollars, those of the bill's lines pico-dollars as texts.
    pub fn documents(&self) -> Vec<String> {
        let rows = self.rows().map(|(key, bill)| {
            let names = self.by.iter().map(|by| by.as_str().to_owned());
            let values = key.iter().cloned().map(Value::String);
            let mut document: Map<String, Value> = names.zip(values).collect();
            let numbers = COLUMNS.iter().zip(bill.numbers());
            for ((name, _), number) in numbers {
                // Whatever is larger than this is larger than all the money there is.
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                document.insert((*name).to_owned(), Value::from(number));
            }
            let lines = bill.lines.iter();
            let lines = lines.map(|(word, amount)| (word.clone(), Value::from(amount.to_string())));
            document.insert("cost_lines".to_owned(), Value::Object(lines.collect()));
            Value::Object(document).to_string()
        });
        rows.collect()
    }

    /// For spreadsheets, as RFC 4180 has it; amounts are dollars.
    pub fn csv(&self) -> Vec<String> {
        let names = self.by.iter().map(|by| by.as_str().to_owned());
        let columns = COLUMNS.iter().map(|(_, column)| (*column).to_owned());
        let mut lines = vec![names.chain(columns).collect::<Vec<_>>().join(",")];
        for (key, bill) in self.rows() {
            let key = key.iter().map(|part| csv(part));
            lines.push(key.chain(bill.cells()).collect::<Vec<_>>().join(","));
        }
        lines
    }

    /// What people should know of the sums that no number says.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Bill { lost, held, .. } = &self.total;
        if *lost > 0 {
            notes.push(format!(
                "{lost} records could not be written; what they settled counts as unknown"
            ));
        }
        if *held > 0 {
            notes.push(format!(
                "{} USD are held by calls under way",
                bill::usd(*held)
            ));
        }
        notes
    }
}

/// The columns that say what a row is about.
fn columns(parts: &[String], count: usize) -> String {
    let none = String::new();
    let mut out = String::new();
    for part in parts.iter().chain(std::iter::repeat(&none)).take(count) {
        let _ = write!(out, "{part:<24} ");
    }
    out
}

fn day(at: Wall) -> String {
    let mut time = super::audit::time(at);
    time.truncate(10);
    time
}

//! What calls cost, by whatever they are told apart: sums of what was settled, in whole nano-dollars. What a crash left open was
//! settled at its hold, and what had no price at a guess; both are kept apart. Must never count an amount twice, nor use a float.

mod bill;

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};
use std::ops::ControlFlow;

use serde_json::{Map, Value};

pub use bill::Bill;
pub(super) use bill::usd;

use super::cell::{csv, plain};
use super::entry::Entry;
use super::instances::{Instances, Query};
use super::margin::{Margin, Revenues};
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

    /// What a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    const ALL: [Self; 7] = [
        Self::Tenant,
        Self::Model,
        Self::Upstream,
        Self::Agent,
        Self::Session,
        Self::User,
        Self::Day,
    ];

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

/// What is said of margins: over a table, and over the columns of a spreadsheet.
const HEADING: [&str; 3] = ["REVENUE USD", "MARGIN USD", "MARGIN"];
const MARGIN_COLUMNS: [&str; 3] = ["revenue_usd", "margin_usd", "margin"];

/// Callers choose the names of sessions; a sum is not larger than this whatever they choose.
const MOST_ROWS: usize = 100_000;

/// A call may have begun this long before the time from which on ends are counted, and is still known by what its intent says.
const LONGEST_CALL_MS: u64 = 24 * 3_600 * 1_000;

/// The sums.
#[derive(Debug)]
pub struct Costs {
    by: Vec<By>,
    most_rows: usize,
    rows: BTreeMap<Vec<String>, Bill>,
    total: Bill,
    /// When the first of them was.
    first: Option<Wall>,
    /// By the tenants' names, if anybody asked.
    margins: Option<BTreeMap<String, Margin>>,
    /// What is held, and for whom, until its end is met. No more than sidecars had under way at once.
    open: HashMap<Call, Held>,
    /// Corrections, until it is known what the calls were that they are about. No more than rows.
    corrections: Vec<(Call, Vec<String>, Bill)>,
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
        Self::sum_within(instances, query, by, MOST_ROWS)
    }

    /// The same with a bound on the rows; what is beyond is one more.
    pub fn sum_within(
        instances: &mut Instances,
        query: &Query,
        by: &[By],
        most_rows: usize,
    ) -> Self {
        let mut costs = Self {
            by: by.to_vec(),
            most_rows,
            rows: BTreeMap::new(),
            total: Bill::default(),
            first: None,
            margins: None,
            open: HashMap::new(),
            corrections: Vec::new(),
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
        costs.correct(instances, query);
        costs
    }

    /// Corrections stand where their calls do, of whatever time those are, as far as the journal still has them.
    fn correct(&mut self, instances: &mut Instances, query: &Query) {
        let corrections = std::mem::take(&mut self.corrections);
        let mut calls: HashMap<Call, Option<Held>> =
            corrections.iter().map(|(call, ..)| (*call, None)).collect();
        if calls.is_empty() {
            return;
        }
        let ever = Query {
            since: Wall(0),
            ..query.clone()
        };
        instances.once_more(&ever, &mut |entry| {
            for seq in [entry.seq, entry.about] {
                if matches!(entry.kind, Kind::Intent | Kind::End | Kind::Refusal)
                    && let Some(call) = calls.get_mut(&(entry.journal, entry.number, seq))
                {
                    let key = self.key_of_end(entry, call.take());
                    *call = Some(Held {
                        key,
                        amount: entry.whole,
                    });
                }
            }
            ControlFlow::Continue(())
        });
        for (call, unknown, bill) in corrections {
            let known = calls.get(&call).and_then(Option::as_ref);
            let key = known.map_or(unknown, |call| call.key.clone());
            self.add(key, &bill);
        }
    }

    /// Sets what tenants bring in against what they cost, from the time that was asked for to `now` at the latest. Without
    /// a time to begin with, that is the first record's. Those that cost nothing are among them.
    pub fn compare(&mut self, revenues: &Revenues, query: &Query, now: Wall) {
        let until = query.until.min(now);
        let first = self.first.unwrap_or(until);
        let since = if query.since == Wall(0) {
            first
        } else {
            query.since
        };
        let mut margins = BTreeMap::new();
        for (tenant, revenue) in revenues {
            if query.tenant.as_ref().is_some_and(|only| only != tenant) {
                continue;
            }
            let bill = self.rows.entry(vec![tenant.to_string()]).or_default();
            let margin = Margin::of(*revenue, (since, until), bill);
            margins.insert(tenant.to_string(), margin);
        }
        self.margins = Some(margins);
    }

    fn take(&mut self, entry: &Entry, counts: bool) {
        if counts {
            let first = self.first.get_or_insert(entry.wall);
            *first = entry.wall.min(*first);
        }
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
                let (key, bill) = (self.key(entry), Bill::of_correction(entry));
                let same = self.by.iter().all(|by| *by == By::Tenant);
                if same || self.corrections.len() >= self.most_rows {
                    self.add(key, &bill);
                } else {
                    self.corrections.push((call, key, bill));
                }
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
        let key = if self.rows.len() < self.most_rows || self.rows.contains_key(&key) {
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

    fn margin(&self, key: &[String]) -> Option<&Margin> {
        self.margins.as_ref()?.get(key.first()?)
    }

    /// What all whose revenue is known brought in, and what is left of it when all is paid.
    fn margin_of_all(&self, margins: &BTreeMap<String, Margin>) -> [String; 3] {
        let revenue: i128 = margins.values().map(|margin| margin.revenue).sum();
        let left = revenue - self.total.total();
        [bill::usd(revenue), bill::usd(left), String::new()]
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
        let heading = self.margins.is_some().then_some(HEADING);
        let mut lines = vec![self.row(&names, &Bill::heading(), heading)];
        for (key, bill) in self.rows() {
            let shown: Vec<String> = key.iter().map(|part| plain(part)).collect();
            let margin = self.margins.is_some();
            let margin = margin.then(|| Margin::cells(self.margin(key)));
            lines.push(self.row(&shown, &bill.columns(), margin));
        }
        let total = vec!["total".to_owned(); self.by.len().min(1)];
        let margin = self.margins.as_ref();
        let margin = margin.map(|margins| self.margin_of_all(margins));
        lines.push(self.row(&total, &self.total.columns(), margin));
        lines
    }

    fn row<T: Display>(&self, key: &[String], columns: &str, margin: Option<[T; 3]>) -> String {
        let key = self::columns(key, self.by.len());
        let margin =
            margin.map(|[revenue, left, word]| format!(" {revenue:>15} {left:>15} {word}"));
        format!("{key}{columns}{}", margin.unwrap_or_default())
            .trim_end()
            .to_owned()
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
            if let Some(margin) = self.margin(key) {
                let number = |amount: i128| Value::from(i64::try_from(amount).unwrap_or(i64::MAX));
                document.insert("revenue_nano_usd".to_owned(), number(margin.revenue));
                document.insert("margin_nano_usd".to_owned(), number(margin.left));
                document.insert("margin".to_owned(), Value::from(margin.verdict.as_str()));
            }
            Value::Object(document).to_string()
        });
        rows.collect()
    }

    /// For spreadsheets, as RFC 4180 has it; amounts are dollars.
    pub fn csv(&self) -> Vec<String> {
        let names = self.by.iter().map(|by| by.as_str().to_owned());
        let columns = COLUMNS.iter().map(|(_, column)| (*column).to_owned());
        let more = self.margins.iter().flat_map(|_| MARGIN_COLUMNS);
        let more = more.map(str::to_owned);
        let mut lines = vec![
            names
                .chain(columns)
                .chain(more)
                .collect::<Vec<_>>()
                .join(","),
        ];
        for (key, bill) in self.rows() {
            let margin = self.margins.iter();
            let margin = margin.flat_map(|_| Margin::cells(self.margin(key)));
            let key = key.iter().map(|part| csv(part));
            lines.push(
                key.chain(bill.cells())
                    .chain(margin)
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
        lines
    }

    /// What people should know of the sums that no number says.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Bill {
            lost, held, sealed, ..
        } = &self.total;
        if *sealed > 0 {
            notes.push(format!(
                "{sealed} calls are sealed; whether their prices were known cannot be read"
            ));
        }
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

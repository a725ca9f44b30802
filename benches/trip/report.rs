//! The table and the JSON: medians, ratios within a round, and how both stand to what is promised.
//!
//! It must never judge by a number of one round alone, nor in a smoke run at all.

mod json;
mod metrics;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::metrics::{METRICS, Metric};
pub(crate) use self::verdict::Purpose;
use crate::phases::{Counted, Round, Settled, Shape, Starts};
use crate::subject::{Books, Kind};

/// Everything measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    purpose: Purpose,
    shape: Shape,
    /// The columns of the table.
    kinds: Vec<Kind>,
    /// Those that were asked for and cannot be had, with the reason.
    skipped: Vec<(Kind, &'static str)>,
    /// How busy the machine was when the run began.
    busy: String,
    starts: BTreeMap<Kind, Starts>,
    rounds: BTreeMap<Kind, Vec<Round>>,
    syscalls: BTreeMap<Kind, Counted>,
    instructions: BTreeMap<Kind, Counted>,
    settled: BTreeMap<Kind, Settled>,
}

impl Report {
    pub(crate) fn new(purpose: Purpose, shape: &Shape, kinds: &[Kind]) -> Self {
        Self {
            purpose,
            shape: *shape,
            kinds: kinds.to_vec(),
            skipped: Vec::new(),
            busy: load_average(),
            starts: BTreeMap::new(),
            rounds: BTreeMap::new(),
            syscalls: BTreeMap::new(),
            instructions: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    pub(crate) fn skipped(&mut self, kind: Kind, why: &'static str) {
        self.skipped.push((kind, why));
    }

    pub(crate) fn start(&mut self, kind: Kind, starts: Starts) {
        self.starts.insert(kind, starts);
    }

    pub(crate) fn round(&mut self, kind: Kind, round: Round) {
        self.rounds.entry(kind).or_default().push(round);
    }

    pub(crate) fn syscalls(&mut self, kind: Kind, counted: Counted) {
        self.syscalls.insert(kind, counted);
    }

    pub(crate) fn instructions(&mut self, kind: Kind, counted: Counted) {
        self.instructions.insert(kind, counted);
    }

    pub(crate) fn settled(&mut self, kind: Kind, settled: Settled) {
        self.settled.insert(kind, settled);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = self.heading();
        self.rows_of_rounds(&mut text);
        self.rows_of_starts(&mut text);
        self.rows_of_counts(&mut text);
        self.rows_of_settled(&mut text);
        self.times(&mut text);
        self.verdicts(&mut text);
        text
    }

    fn heading(&self) -> String {
        let Shape {
            rounds,
            phase,
            connections,
            streams,
            rate,
            wires,
            ..
        } = self.shape;
        let load = rate.map_or_else(
            || "closed loop".to_owned(),
            |rate| format!("{rate} requests/s"),
        );
        let mut text = format!(
            "{}\n{rounds} interleaved rounds of {phase:?}; plain: {connections} at once, {load}; \
             stream: {streams} at once, lock-step\nmedians; ratio outrigger/bare within a round: \
             median [lowest .. highest]\nload average of the machine: {} before, {} after\n",
            wires.in_words(),
            self.busy,
            load_average(),
        );
        for (kind, why) in &self.skipped {
            let _ = writeln!(text, "{} skipped: {why}", kind.name());
        }
        let _ = write!(text, "\n{:<26}", "");
        for kind in &self.kinds {
            let _ = write!(text, "{:>12}", kind.name());
        }
        let _ = writeln!(text, "   outrigger/bare");
        text
    }

    fn rows_of_rounds(&self, text: &mut String) {
        for metric in METRICS {
            let ratio = self
                .ratios(metric, Kind::Outrigger, Kind::Bare)
                .map(in_words);
            let cell = |kind| median(&self.values(metric, kind));
            self.row(text, metric.name, cell, ratio.unwrap_or_default());
        }
    }

    /// How the others stand to the bare proxy, and books to Outrigger without; nothing without others.
    fn times(&self, text: &mut String) {
        let is_other = |kind: &Kind| matches!(kind, Kind::Nginx | Kind::Haproxy);
        self.times_base(text, Kind::Bare, is_other);
        let keeps_books = |kind: &Kind| kind.books().is_some_and(|books| books != Books::None);
        self.times_base(text, Kind::Outrigger, keeps_books);
    }

    fn times_base(&self, text: &mut String, base: Kind, is_shown: impl Fn(&Kind) -> bool) {
        let others: Vec<Kind> = self.kinds.iter().copied().filter(is_shown).collect();
        if others.is_empty() || !self.kinds.contains(&base) {
            return;
        }
        let _ = write!(text, "\n{:<26}", format!("times {}", base.name()));
        for kind in &others {
            let _ = write!(text, "   {:<22}", kind.name());
        }
        text.push('\n');
        for metric in METRICS {
            let _ = write!(text, "{:<26}", metric.name);
            for kind in &others {
                let ratio = self.ratios(metric, *kind, base).map(in_words);
                let _ = write!(text, "   {:<22}", ratio.unwrap_or_default());
            }
            text.push('\n');
        }
    }

    /// A line of the table with a cell for each subject.
    fn row(
        &self,
        text: &mut String,
        name: &str,
        cell: impl Fn(Kind) -> Option<f64>,
        ratio: impl Into<Option<String>>,
    ) {
        let _ = write!(text, "{name:<26}");
        for kind in &self.kinds {
            let cell = cell(*kind).map_or_else(
                || "-".to_owned(),
                |value| {
                    let digits = if value < 100.0 { 2 } else { 0 };
                    format!("{value:.digits$}")
                },
            );
            let _ = write!(text, "{cell:>12}");
        }
        let ratio =
            ratio
                .into()
                .unwrap_or_else(|| match (cell(Kind::Bare), cell(Kind::Outrigger)) {
                    (Some(bare), Some(ours)) if bare > 0.0 => format!("{:.2}", ours / bare),
                    _ => String::new(),
                });
        let _ = writeln!(text, "   {ratio}");
    }

    fn rows_of_starts(&self, text: &mut String) {
        let first = |kind| median(&self.first_answers(kind));
        self.row(text, "first answer, ms", first, None);
        let idle = |kind| median(&self.idle(kind));
        self.row(text, "memory idle, MiB", idle, None);
    }

    fn rows_of_counts(&self, text: &mut String) {
        for (what, counts) in [
            ("calls", &self.syscalls),
            ("instructions", &self.instructions),
        ] {
            for (unit, index) in [("request", 0), ("chunk", 1)] {
                let cell = |kind| Some(per(counts.get(&kind)?)?[index]);
                if self.kinds.iter().any(|kind| cell(*kind).is_some()) {
                    self.row(text, &format!("{what}/{unit}"), cell, None);
                }
            }
            for (kind, counted) in counts {
                match counted {
                    Counted::Absent { why } => {
                        let _ = writeln!(text, "  {what} of {} skipped: {why}", kind.name());
                    }
                    Counted::Calls {
                        plain,
                        requests,
                        stream,
                        chunks,
                    } => {
                        calls(text, *kind, "request", plain, *requests);
                        calls(text, *kind, "chunk", stream, *chunks);
                    }
                    Counted::Nothing | Counted::Instructions { .. } => {}
                }
            }
        }
    }

    fn rows_of_settled(&self, text: &mut String) {
        let memory = |kind, of: fn(&Settled) -> Option<u64>| {
            Some(of(self.settled.get(&kind)?)? as f64 / 1024.0)
        };
        let after = |kind| memory(kind, |settled| settled.after_kib);
        self.row(text, "memory after, MiB", after, None);
        let peak = |kind| memory(kind, |settled| settled.peak_kib);
        self.row(text, "memory peak, MiB", peak, None);
        for (kind, settled) in &self.settled {
            if let Some(lines) = settled.logged {
                let _ = writeln!(
                    text,
                    "  request log of {}: {lines} lines for {} requests",
                    kind.name(),
                    settled.requests
                );
            }
            if let (Some(handshakes), true) = (settled.handshakes, *kind != Kind::Direct) {
                let _ = writeln!(
                    text,
                    "  TLS handshakes of {}: {handshakes} for {} requests",
                    kind.name(),
                    settled.requests
                );
            }
            if let Some(bytes) = settled.metrics_bytes {
                let _ = writeln!(text, "  metrics of {}: {bytes} bytes", kind.name());
            }
        }
    }

    fn values(&self, metric: &Metric, kind: Kind) -> Vec<f64> {
        let rounds = self.rounds.get(&kind).map_or(&[][..], Vec::as_slice);
        rounds.iter().filter_map(metric.of).collect()
    }

    /// Lowest, median and highest ratio of a subject to bare within a round.
    fn ratios(&self, metric: &Metric, kind: Kind, base: Kind) -> Option<[f64; 3]> {
        let ours = self.values(metric, kind);
        let base = self.values(metric, base);
        let ratios = sorted(ours.iter().zip(&base).map(|(ours, base)| ours / base));
        Some([*ratios.first()?, median(&ratios)?, *ratios.last()?])
    }

    fn first_answers(&self, kind: Kind) -> Vec<f64> {
        let starts = self
            .starts
            .get(&kind)
            .map_or(&[][..], |starts| &starts.first_answer);
        starts.iter().map(|time| time.as_secs_f64() * 1e3).collect()
    }

    fn idle(&self, kind: Kind) -> Vec<f64> {
        let starts = self
            .starts
            .get(&kind)
            .map_or(&[][..], |starts| &starts.idle_kib);
        starts.iter().map(|kib| *kib as f64 / 1024.0).collect()
    }
}

/// The most frequent calls, per request or chunk; what happens less than once in 200 is left to the JSON.
fn calls(text: &mut String, kind: Kind, unit: &str, by_name: &BTreeMap<String, u64>, of: u64) {
    let mut ordered: Vec<(&str, u64)> = by_name
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    ordered.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named: Vec<String> = ordered
        .iter()
        .take(6)
        .filter(|(_, count)| count * 200 >= of)
        .map(|(name, count)| format!("{name} {:.3}", *count as f64 / of as f64))
        .collect();
    let _ = writeln!(
        text,
        "  {} calls per {unit}: {}",
        kind.name(),
        named.join(", ")
    );
}

/// Per request and per chunk.
fn per(counted: &Counted) -> Option<[f64; 2]> {
    match counted {
        Counted::Nothing | Counted::Absent { .. } => None,
        Counted::Calls {
            plain,
            requests,
            stream,
            chunks,
        } => Some([
            plain.values().sum::<u64>() as f64 / *requests as f64,
            stream.values().sum::<u64>() as f64 / *chunks as f64,
        ]),
        Counted::Instructions { request, chunk } => Some([*request, *chunk]),
    }
}

fn in_words([low, middle, high]: [f64; 3]) -> String {
    format!("{middle:.2} [{low:.2} .. {high:.2}]")
}

/// Of the last minute; a reader must know what company the numbers had.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_once(' ')
        .map_or("unknown", |(minute, _)| minute)
        .to_owned()
}

fn median(values: &[f64]) -> Option<f64> {
    let values = sorted(values.iter().copied());
    values.get(values.len() / 2).copied()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

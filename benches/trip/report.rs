//! The table and the JSON: medians, ratios within a round, and how both stand to what is promised.
//!
//! It must never judge by a number of one round alone, nor in a smoke run at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::phases::{Counted, Round, Settled, Shape, Starts};
use crate::subject::Kind;

/// What the run is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To say whether the promises are kept.
    Judge,
    /// To see that the harness works.
    Smoke,
    /// To see what the harness can tell apart: two bare proxies.
    Twin,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Judge => "judge",
            Self::Smoke => "smoke",
            Self::Twin => "twin",
        }
    }

    /// Why there is no verdict.
    fn no_verdict(self) -> Option<&'static str> {
        match self {
            Self::Judge => None,
            Self::Smoke => Some("smoke run: it works; the numbers mean nothing"),
            Self::Twin => {
                Some("twin run: `outrigger` was a second bare proxy; ratios show the noise")
            }
        }
    }
}

/// Everything measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    purpose: Purpose,
    shape: Shape,
    starts: BTreeMap<Kind, Starts>,
    rounds: BTreeMap<Kind, Vec<Round>>,
    syscalls: BTreeMap<Kind, Counted>,
    instructions: BTreeMap<Kind, Counted>,
    settled: BTreeMap<Kind, Settled>,
}

impl Report {
    pub(crate) fn new(purpose: Purpose, shape: &Shape) -> Self {
        Self {
            purpose,
            shape: *shape,
            starts: BTreeMap::new(),
            rounds: BTreeMap::new(),
            syscalls: BTreeMap::new(),
            instructions: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
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
        self.verdicts(&mut text);
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let rounds: BTreeMap<&str, Value> = METRICS
            .iter()
            .map(|metric| (metric.name, self.metric_json(metric)))
            .collect();
        let per_kind = |of: &dyn Fn(Kind) -> Value| {
            let pairs = Kind::ALL
                .iter()
                .map(|kind| (kind.name().to_owned(), of(*kind)));
            Value::Object(pairs.collect())
        };
        json!({
            "purpose": self.purpose.name(),
            "rounds": self.shape.rounds,
            "phase_ms": millis(self.shape.phase),
            "connections": self.shape.connections,
            "streams": self.shape.streams,
            "rate": self.shape.rate,
            "measured": rounds,
            "first_answer_ms": per_kind(&|kind| json!(self.first_answers(kind))),
            "idle_mib": per_kind(&|kind| json!(self.idle(kind))),
            "syscalls": per_kind(&|kind| json!(self.syscalls.get(&kind).map(counted_json))),
            "instructions": per_kind(&|kind| json!(self.instructions.get(&kind).map(counted_json))),
            "settled": per_kind(&|kind| json!(self.settled.get(&kind).map(settled_json))),
        })
    }

    fn heading(&self) -> String {
        let Shape {
            rounds,
            phase,
            connections,
            streams,
            rate,
            ..
        } = self.shape;
        let load = rate.map_or_else(
            || "closed loop".to_owned(),
            |rate| format!("{rate} requests/s"),
        );
        format!(
            "{rounds} interleaved rounds of {phase:?}; plain: {connections} connections, {load}; \
             stream: {streams} at once, lock-step\nmedians; ratio outrigger/bare within a round: \
             median [lowest .. highest]\n\n{:<26}{:>12}{:>12}{:>12}   {}\n",
            "", "direct", "bare", "outrigger", "outrigger/bare"
        )
    }

    fn rows_of_rounds(&self, text: &mut String) {
        for metric in METRICS {
            let cells = Kind::ALL.map(|kind| median(&self.values(metric, kind)));
            let ratio = self
                .ratios(metric)
                .map_or(String::new(), |[low, middle, high]| {
                    format!("{middle:.2} [{low:.2} .. {high:.2}]")
                });
            row(text, metric.name, cells, &ratio);
        }
    }

    fn rows_of_starts(&self, text: &mut String) {
        let first = Kind::ALL.map(|kind| median(&self.first_answers(kind)));
        row(text, "first answer, ms", first, &ratio_of(first));
        let idle = Kind::ALL.map(|kind| median(&self.idle(kind)));
        row(text, "memory idle, MiB", idle, &ratio_of(idle));
    }

    fn rows_of_counts(&self, text: &mut String) {
        for (what, counts) in [
            ("calls", &self.syscalls),
            ("instructions", &self.instructions),
        ] {
            for (unit, index) in [("request", 0), ("chunk", 1)] {
                let cells = Kind::ALL.map(|kind| Some(per(counts.get(&kind)?)?[index]));
                if cells.iter().any(Option::is_some) {
                    row(text, &format!("{what}/{unit}"), cells, &ratio_of(cells));
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
        let memory = |of: fn(&Settled) -> Option<u64>| {
            Kind::ALL.map(|kind| Some(of(self.settled.get(&kind)?)? as f64 / 1024.0))
        };
        let after = memory(|settled| settled.after_kib);
        row(text, "memory after, MiB", after, &ratio_of(after));
        let peak = memory(|settled| settled.peak_kib);
        row(text, "memory peak, MiB", peak, &ratio_of(peak));
        for (kind, settled) in &self.settled {
            if let Some(lines) = settled.logged {
                let _ = writeln!(
                    text,
                    "  request log of {}: {lines} lines for {} requests",
                    kind.name(),
                    settled.requests
                );
            }
            if let Some(bytes) = settled.metrics_bytes {
                let _ = writeln!(text, "  metrics of {}: {bytes} bytes", kind.name());
            }
        }
    }

    fn verdicts(&self, text: &mut String) {
        if let Some(why) = self.purpose.no_verdict() {
            let _ = writeln!(text, "\n{why}");
            return;
        }
        let ratio = |name: &str| {
            let metric = METRICS.iter().find(|metric| metric.name == name)?;
            self.ratios(metric).map(|[_, middle, _]| middle)
        };
        let ours = Kind::Outrigger;
        let calls = self
            .syscalls
            .get(&ours)
            .and_then(per)
            .map(|[request, _]| request);
        text.push('\n');
        for (what, measured, aim, line) in [
            (
                "processor time per request, times bare",
                ratio(CPU_PER_REQUEST),
                1.3,
                1.4,
            ),
            (
                "processor time per chunk, times bare",
                ratio(CPU_PER_CHUNK),
                1.3,
                1.4,
            ),
            ("system calls per request", calls, 4.3, 4.3),
            (
                "first answer, ms",
                median(&self.first_answers(ours)),
                30.0,
                30.0,
            ),
            ("memory idle, MiB", median(&self.idle(ours)), 15.0, 15.0),
        ] {
            if let Some(measured) = measured {
                let verdict = verdict(measured, aim, line);
                let _ = writeln!(text, "{what}: {measured:.2}, aim {aim}: {verdict}");
            }
        }
    }

    fn values(&self, metric: &Metric, kind: Kind) -> Vec<f64> {
        let rounds = self.rounds.get(&kind).map_or(&[][..], Vec::as_slice);
        rounds.iter().filter_map(metric.of).collect()
    }

    /// Lowest, median and highest ratio of Outrigger to bare within a round.
    fn ratios(&self, metric: &Metric) -> Option<[f64; 3]> {
        let ours = self.values(metric, Kind::Outrigger);
        let bare = self.values(metric, Kind::Bare);
        let ratios = sorted(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare));
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

    fn metric_json(&self, metric: &Metric) -> Value {
        let values: BTreeMap<&str, Vec<f64>> = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), self.values(metric, *kind)))
            .collect();
        let ratio = self
            .ratios(metric)
            .map(|[low, middle, high]| json!({"lowest": low, "median": middle, "highest": high}));
        json!({"by_round": values, "outrigger_to_bare": ratio})
    }
}

/// One line of the table that is measured in every round.
struct Metric {
    name: &'static str,
    of: fn(&Round) -> Option<f64>,
}

const CPU_PER_REQUEST: &str = "cpu/request, µs";
const CPU_PER_CHUNK: &str = "cpu/chunk, µs";

const METRICS: &[Metric] = &[
    Metric {
        name: CPU_PER_REQUEST,
        of: |round| Some(micros(round.plain.cpu?) / round.plain.tally.requests as f64),
    },
    Metric {
        name: CPU_PER_CHUNK,
        of: |round| Some(micros(round.stream.cpu?) / round.stream.tally.chunks as f64),
    },
    Metric {
        name: "cpu/request alone, µs",
        of: |round| Some(micros(round.solo.cpu?) / round.solo.tally.requests as f64),
    },
    Metric {
        name: "requests/s",
        of: |round| Some(round.plain.tally.requests as f64 / round.plain.elapsed.as_secs_f64()),
    },
    Metric {
        name: "chunks/s",
        of: |round| Some(round.stream.tally.chunks as f64 / round.stream.elapsed.as_secs_f64()),
    },
    Metric {
        name: "p50, µs",
        of: |round| Some(round.plain.tally.whole.percentile(500) as f64 / 1e3),
    },
    Metric {
        name: "p99, µs",
        of: |round| Some(round.plain.tally.whole.percentile(990) as f64 / 1e3),
    },
    Metric {
        name: "p50 alone, µs",
        of: |round| Some(round.solo.tally.whole.percentile(500) as f64 / 1e3),
    },
    Metric {
        name: "p99 alone, µs",
        of: |round| Some(round.solo.tally.whole.percentile(990) as f64 / 1e3),
    },
    Metric {
        name: "first byte of stream, µs",
        of: |round| Some(round.stream.tally.first.percentile(500) as f64 / 1e3),
    },
    Metric {
        name: "client reads/chunk",
        of: |round| Some(round.stream.tally.reads as f64 / round.stream.tally.chunks as f64),
    },
];

fn row(text: &mut String, name: &str, cells: [Option<f64>; 3], ratio: &str) {
    let _ = write!(text, "{name:<26}");
    for cell in cells {
        let cell = cell.map_or_else(
            || "-".to_owned(),
            |value| {
                let digits = if value < 100.0 { 2 } else { 0 };
                format!("{value:.digits$}")
            },
        );
        let _ = write!(text, "{cell:>12}");
    }
    let _ = writeln!(text, "   {ratio}");
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

fn verdict(measured: f64, aim: f64, line: f64) -> &'static str {
    if measured <= aim {
        "met"
    } else if measured <= line {
        "missed, within the line"
    } else {
        "MISSED"
    }
}

fn counted_json(counted: &Counted) -> Value {
    match counted {
        Counted::Nothing => Value::Null,
        Counted::Absent { why } => json!({"skipped": why}),
        Counted::Calls {
            plain,
            requests,
            stream,
            chunks,
        } => json!({
            "plain": plain, "requests": requests, "stream": stream, "chunks": chunks,
            "per": per(counted),
        }),
        Counted::Instructions { request, chunk } => json!({"request": request, "chunk": chunk}),
    }
}

fn settled_json(settled: &Settled) -> Value {
    json!({
        "after_kib": settled.after_kib,
        "peak_kib": settled.peak_kib,
        "log_lines": settled.logged,
        "requests": settled.requests,
        "metrics_bytes": settled.metrics_bytes,
    })
}

fn ratio_of([_, bare, ours]: [Option<f64>; 3]) -> String {
    match (bare, ours) {
        (Some(bare), Some(ours)) if bare > 0.0 => format!("{:.2}", ours / bare),
        _ => String::new(),
    }
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

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

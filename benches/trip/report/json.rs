//! Everything measured, round by round, for programs. It must never leave out what the table shows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::metrics::{METRICS, Metric};
use super::{Report, per};
use crate::phases::{Counted, Settled};
use crate::subject::Kind;

impl Report {
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
            "wires": self.shape.wires.in_words(),
            "load_average_before": self.busy,
            "skipped": self.skipped.iter().map(|(kind, why)| (kind.name(), *why)).collect::<BTreeMap<_, _>>(),
            "measured": rounds,
            "first_answer_ms": per_kind(&|kind| json!(self.first_answers(kind))),
            "idle_mib": per_kind(&|kind| json!(self.idle(kind))),
            "syscalls": per_kind(&|kind| json!(self.syscalls.get(&kind).map(counted_json))),
            "instructions": per_kind(&|kind| json!(self.instructions.get(&kind).map(counted_json))),
            "settled": per_kind(&|kind| json!(self.settled.get(&kind).map(settled_json))),
        })
    }

    fn metric_json(&self, metric: &Metric) -> Value {
        let values: BTreeMap<&str, Vec<f64>> = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), self.values(metric, *kind)))
            .collect();
        let ratios: BTreeMap<&str, Value> = Kind::ALL
            .iter()
            .filter_map(|kind| {
                let [low, middle, high] = self.ratios(metric, *kind, Kind::Bare)?;
                let ratio = json!({"lowest": low, "median": middle, "highest": high});
                Some((kind.name(), ratio))
            })
            .collect();
        json!({"by_round": values, "to_bare": ratios})
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
        "handshakes": settled.handshakes,
        "metrics_bytes": settled.metrics_bytes,
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

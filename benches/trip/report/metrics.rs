//! What is read off every round. It must never read a window that held nothing.

use std::time::Duration;

use crate::phases::Round;

/// One line of the table that is measured in every round.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) of: fn(&Round) -> Option<f64>,
}

pub(super) const CPU_PER_REQUEST: &str = "cpu/request, µs";
pub(super) const CPU_PER_CHUNK: &str = "cpu/chunk, µs";

pub(super) const METRICS: &[Metric] = &[
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

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

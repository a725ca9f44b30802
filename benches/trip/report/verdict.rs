//! Whether what is promised is kept. It must never judge a run that was not made to be judged.

use std::fmt::Write as _;

use super::metrics::{CPU_PER_CHUNK, CPU_PER_REQUEST, METRICS};
use super::{Report, median, per};
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
    pub(super) fn name(self) -> &'static str {
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

impl Report {
    pub(super) fn verdicts(&self, text: &mut String) {
        if let Some(why) = self.purpose.no_verdict() {
            let _ = writeln!(text, "\n{why}");
            return;
        }
        if !self.shape.wires.are_plain() {
            let _ = writeln!(
                text,
                "\nno verdict: the aims are for HTTP/1.1 in clear text"
            );
            return;
        }
        let ratio = |name: &str| {
            let metric = METRICS.iter().find(|metric| metric.name == name)?;
            self.ratios(metric, Kind::Outrigger, Kind::Bare)
                .map(|[_, middle, _]| middle)
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

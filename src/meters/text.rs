//! Prometheus' text format 0.0.4, for the families that the recorder does not keep. Must never use a float: durations
//! are printed as decimal text.

use std::fmt::{Display, Write};
use std::time::Duration;

use super::births::{Family, Kind};
use crate::units::NanoUsd;

/// A page in the making.
pub(super) struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// Goes on behind the text of other families.
    pub(super) fn after(text: String) -> Self {
        Self { text, name: "" }
    }

    /// Begins a family; the samples that follow belong to it.
    pub(super) fn family(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Family { name, help, .. } = family;
        self.name = name;
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One line of the family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// One line whose value is a time in seconds.
    pub(super) fn seconds(&mut self, labels: &[(&str, &str)], value: Duration) {
        self.line("", labels, Seconds(value));
    }

    /// One line whose value is an amount of dollars.
    pub(super) fn amount(&mut self, labels: &[(&str, &str)], value: NanoUsd) {
        self.line("", labels, value);
    }

    /// The lines of one histogram; the last of `counts` is `+Inf`.
    pub(super) fn histogram(&mut self, tenant: &str, counts: &[(&str, u64)], sum: Duration) {
        for (le, count) in counts {
            self.line("_bucket", &[("tenant", tenant), ("le", le)], count);
        }
        self.line("_sum", &[("tenant", tenant)], Seconds(sum));
        self.line(
            "_count",
            &[("tenant", tenant)],
            counts.last().map_or(0, |(_, count)| *count),
        );
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escape(value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    fn escape(&mut self, value: &str) {
        for letter in value.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                plain => self.text.push(plain),
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

/// Seconds as decimal text, without trailing zeros.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.subsec_nanos();
        if nanos == 0 {
            return write!(f, "{}", self.0.as_secs());
        }
        let digits = format!("{nanos:09}");
        write!(f, "{}.{}", self.0.as_secs(), digits.trim_end_matches('0'))
    }
}

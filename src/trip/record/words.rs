//! How numbers and names of a trip are put into its record. Must never let a name in unbounded.

use std::time::Duration;

use crate::spine::Line;
use crate::units::{Counted, Usage};

pub(super) fn usage_facts(line: &mut Line<'_>, counted: Counted<Usage>) {
    let usage = counted.value();
    line.number("input_tokens", usage.input);
    line.number("output_tokens", usage.output);
    for (name, value) in [
        ("cache_read_tokens", usage.cache_read),
        ("cache_write_tokens", usage.cache_write),
        ("reasoning_tokens", usage.reasoning),
    ] {
        if value > 0 {
            line.number(name, value);
        }
    }
    line.word("usage", counted.source());
}

pub(super) fn micros(span: Duration) -> u64 {
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

//! The fields that the sidecar adds to every answer: who answered, and the tenant's own limits, in the headers of the
//! dialect. Their names are known beforehand and their values stand one behind the other in one allocation. Must never
//! hold more than is added.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::{Dimension, Level, Levels};
use crate::units::digits::decimal;
use crate::units::{RequestId, Wall};

/// Fields of the sidecar's own.
pub(in crate::trip) struct OwnFields {
    text: Bytes,
    /// The names, and where each one's value ends.
    fields: [Option<(&'static HeaderName, usize)>; MOST],
}

/// The request's id, and three fields for each of the four rates.
const MOST: usize = 13;

static REQUEST_ID: HeaderName = HeaderName::from_static("outrigger-request-id");

macro_rules! triple {
    ($prefix:literal, middle, $name:literal) => {
        [
            HeaderName::from_static(concat!($prefix, "limit-", $name)),
            HeaderName::from_static(concat!($prefix, "remaining-", $name)),
            HeaderName::from_static(concat!($prefix, "reset-", $name)),
        ]
    };
    ($prefix:literal, last, $name:literal) => {
        [
            HeaderName::from_static(concat!($prefix, $name, "-limit")),
            HeaderName::from_static(concat!($prefix, $name, "-remaining")),
            HeaderName::from_static(concat!($prefix, $name, "-reset")),
        ]
    };
}
impl OwnFields {
    /// The fields for an OpenAI client, and for whoever reads none of these.
    pub(super) fn openai(id: RequestId, levels: &Levels) -> Self {
        static REQUESTS: [HeaderName; 3] = triple!("x-ratelimit-", middle, "requests");
        static TOKENS: [HeaderName; 3] = triple!("x-ratelimit-", middle, "tokens");
        let mut values = Values::of(id);
        let tokens = [
            Dimension::Tokens,
            Dimension::InputTokens,
            Dimension::OutputTokens,
        ];
        let tokens = tokens
            .into_iter()
            .find_map(|dimension| levels.of(dimension));
        for (level, names) in [
            (levels.of(Dimension::Requests), &REQUESTS),
            (tokens, &TOKENS),
        ] {
            if let Some(level) = level {
                values.put(names, &level, |out| go_duration(level.reset, out));
            }
        }
        values.done()
    }

    /// The fields for an Anthropic client.
    pub(super) fn anthropic(id: RequestId, levels: &Levels, now: Wall) -> Self {
        static REQUESTS: [HeaderName; 3] = triple!("anthropic-ratelimit-", last, "requests");
        static TOKENS: [HeaderName; 3] = triple!("anthropic-ratelimit-", last, "tokens");
        static INPUT: [HeaderName; 3] = triple!("anthropic-ratelimit-", last, "input-tokens");
        static OUTPUT: [HeaderName; 3] = triple!("anthropic-ratelimit-", last, "output-tokens");
        let mut values = Values::of(id);
        for (dimension, names) in [
            (Dimension::Requests, &REQUESTS),
            (Dimension::Tokens, &TOKENS),
            (Dimension::InputTokens, &INPUT),
            (Dimension::OutputTokens, &OUTPUT),
        ] {
            if let Some(level) = levels.of(dimension) {
                let millis = u64::try_from(level.reset.as_millis()).unwrap_or(u64::MAX);
                // Whole seconds, rounded up, as the provider writes them.
                let seconds = now.0.saturating_add(millis).div_ceil(1000);
                let at = Wall(seconds.saturating_mul(1000));
                values.put(names, &level, |out| at.write_seconds(out));
            }
        }
        values.done()
    }

    /// Which one has this name.
    pub(in crate::trip) fn find(&self, name: &HeaderName) -> Option<usize> {
        let mut names = self.fields.iter().map_while(|field| field.as_ref());
        names.position(|(own, _)| *own == name)
    }

    /// The value of one.
    pub(in crate::trip) fn value(&self, at: usize) -> Option<HeaderValue> {
        let (_, end) = (*self.fields.get(at)?)?;
        let before = at.checked_sub(1).and_then(|at| self.fields.get(at));
        let start = before.copied().flatten().map_or(0, |(_, end)| end);
        // Digits, letters and punctuation only: always a valid value.
        HeaderValue::from_maybe_shared(self.text.slice(start..end)).ok()
    }

    /// Adds those that `wanted` picks, in place of what has their names.
    pub(in crate::trip) fn add_to(
        &self,
        headers: &mut HeaderMap,
        wanted: impl Fn(usize, &HeaderName) -> bool,
    ) {
        for (at, (name, _)) in self.fields.iter().flatten().enumerate() {
            if wanted(at, name)
                && let Some(value) = self.value(at)
            {
                headers.insert(*name, value);
            }
        }
    }
}

/// Fields as they are written.
struct Values {
    text: Vec<u8>,
    fields: [Option<(&'static HeaderName, usize)>; MOST],
    count: usize,
}

impl Values {
    fn of(id: RequestId) -> Self {
        let mut values = Self {
            text: Vec::with_capacity(128),
            fields: [None; MOST],
            count: 0,
        };
        values.text.extend_from_slice(&id.encode());
        values.end(&REQUEST_ID);
        values
    }

    /// What was written last is the value of this field.
    fn end(&mut self, name: &'static HeaderName) {
        if let Some(field) = self.fields.get_mut(self.count) {
            *field = Some((name, self.text.len()));
            self.count += 1;
        }
    }

    fn put(
        &mut self,
        names: &'static [HeaderName; 3],
        level: &Level,
        reset: impl FnOnce(&mut Vec<u8>),
    ) {
        let [limit, remaining, resets] = names;
        decimal(level.limit.most(), &mut self.text);
        self.end(limit);
        decimal(level.remaining, &mut self.text);
        self.end(remaining);
        reset(&mut self.text);
        self.end(resets);
    }

    fn done(self) -> OwnFields {
        OwnFields {
            text: Bytes::from(self.text),
            fields: self.fields,
        }
    }
}

/// A span as OpenAI writes resets: `12ms`, `1s`, `6m0s`.
fn go_duration(span: Duration, out: &mut Vec<u8>) {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if millis < 1000 {
        decimal(millis, out);
        out.extend_from_slice(b"ms");
        return;
    }
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        decimal(hours, out);
        out.push(b'h');
    }
    if seconds >= 60 {
        decimal(minutes, out);
        out.push(b'm');
    }
    decimal(seconds % 60, out);
    out.push(b's');
}

#[cfg(test)]
mod tests {
    use super::{Duration, go_duration};

    #[test]
    fn spans_are_written_as_providers_do() {
        for (millis, expected) in [
            (0, "0ms"),
            (12, "12ms"),
            (1000, "1s"),
            (1001, "2s"),
            (360_000, "6m0s"),
            (3_661_000, "1h1m1s"),
        ] {
            let mut out = Vec::new();
            go_duration(Duration::from_millis(millis), &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}

//! Process events as `name=value` pairs, for log systems that read those. The request lines look alike, and are made where
//! they happen (`spine/`). Must never put a line break into a line.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format.
pub(super) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str("timestamp=")?;
        SystemTime.format_time(&mut out)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(out, " level={level}")?;
        let mut pairs = Pairs(out, Ok(()));
        event.record(&mut pairs);
        let Pairs(mut out, outcome) = pairs;
        outcome?;
        writeln!(out)
    }
}

struct Pairs<'w>(Writer<'w>, fmt::Result);

impl Pairs<'_> {
    fn pair(&mut self, field: &Field, value: &str) {
        if self.1.is_ok() {
            self.1 =
                write!(self.0, " {}=", field.name()).and_then(|()| write_value(&mut self.0, value));
        }
    }
}

impl Visit for Pairs<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, &format!("{value:?}"));
    }
}

/// Bare where nobody could misread it, else quoted as in JSON.
fn write_value(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    let bare = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"=".contains(&byte));
    if bare {
        return out.write_str(value);
    }
    let quoted = serde_json::to_string(value).map_err(|_| fmt::Error)?;
    out.write_str(&quoted)
}

#[cfg(test)]
mod tests {
    use super::write_value;

    #[test]
    fn a_value_is_one_word_or_quoted() {
        for (value, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("line\nbreak \"q\"", r#""line\nbreak \"q\"""#),
        ] {
            let mut out = String::new();
            write_value(&mut out, value).unwrap();
            assert_eq!(out, shown);
        }
    }
}

//! The request log: one line per trip. The time, the tenant, the id and the generation come from the spine and
//! cannot be left out; the trip adds its facts. Must never hold a prompt, an answer or a credential.

use serde_json::ser::{CompactFormatter, Formatter};

use super::{LogFormat, Spine};
use crate::units::Boot;

/// A request line as it is written.
pub struct Line<'b> {
    out: &'b mut Vec<u8>,
    format: LogFormat,
}

/// Opens a line with whose it is.
pub(super) fn begin<'b>(spine: &Spine, format: LogFormat, out: &'b mut Vec<u8>) -> Line<'b> {
    match format {
        LogFormat::Json => {
            out.extend_from_slice(b"{\"timestamp\":\"");
            spine.started_wall().rfc3339(out);
            out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"tenant\":");
            quoted(spine.tenant().id().as_str(), out);
            out.extend_from_slice(b",\"request_id\":\"");
            out.extend_from_slice(&spine.id().encode());
            out.extend_from_slice(b"\",\"generation\":");
            decimal(spine.snapshot().generation(), out);
        }
        LogFormat::Text => {
            spine.started_wall().rfc3339(out);
            out.extend_from_slice(b" request tenant=");
            out.extend_from_slice(spine.tenant().id().as_str().as_bytes());
        }
    }
    Line { out, format }
}

/// Closes a line with how long it took.
pub(super) fn end(spine: &Spine, now: Boot, format: LogFormat, out: &mut Vec<u8>) {
    let took = u64::try_from(now.since(spine.started()).as_micros()).unwrap_or(u64::MAX);
    let mut line = Line { out, format };
    line.number("took_us", took);
    match format {
        LogFormat::Json => out.extend_from_slice(b"}\n"),
        LogFormat::Text => {
            out.extend_from_slice(b" request_id=");
            out.extend_from_slice(&spine.id().encode());
            out.push(b'\n');
        }
    }
}

impl Line<'_> {
    /// A word of a closed vocabulary.
    pub fn word(&mut self, name: &'static str, word: &'static str) {
        self.name(name);
        match self.format {
            LogFormat::Json => {
                self.out.push(b'"');
                self.out.extend_from_slice(word.as_bytes());
                self.out.push(b'"');
            }
            LogFormat::Text => self.out.extend_from_slice(word.as_bytes()),
        }
    }

    /// A number, with its unit in the name.
    pub fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        decimal(value, self.out);
    }

    /// A short text of the caller or the configuration, escaped.
    pub fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        if self.format == LogFormat::Text && plain(value) {
            self.out.extend_from_slice(value.as_bytes());
        } else {
            quoted(value, self.out);
        }
    }

    fn name(&mut self, name: &'static str) {
        match self.format {
            LogFormat::Json => {
                self.out.extend_from_slice(b",\"");
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            LogFormat::Text => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
            }
        }
    }
}

fn plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

fn decimal(value: u64, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = CompactFormatter.write_u64(out, value);
}

fn quoted(value: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

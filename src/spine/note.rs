//! The request log: one line per trip, its members a closed list. The tenant, the id and the generation
//! come from the spine and cannot be left out. Must never hold a prompt, an answer or a credential.

use std::sync::Arc;

use serde_json::ser::{CompactFormatter, Formatter};

use super::Spine;
use crate::snapshot::Tenant;
use crate::units::{Boot, RequestId, Wall};

/// A member of a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A word of a closed vocabulary.
    Word(&'static str),
    /// A number, with its unit in the name.
    Number(u64),
    /// A short text of the caller or the configuration; escaped when written.
    Text(Box<str>),
}

/// One request line, not yet formatted.
pub struct Note {
    at: Wall,
    tenant: Arc<Tenant>,
    id: RequestId,
    generation: u64,
    took_us: u64,
    facts: Vec<(&'static str, Fact)>,
}

impl Note {
    /// A line for the request of that spine, at its end.
    pub fn of(spine: &Spine, now: Boot, facts: Vec<(&'static str, Fact)>) -> Self {
        Self {
            at: spine.started_wall(),
            tenant: Arc::clone(spine.tenant()),
            id: spine.id(),
            generation: spine.snapshot().generation(),
            took_us: u64::try_from(now.since(spine.started()).as_micros()).unwrap_or(u64::MAX),
            facts,
        }
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Writes the line as one JSON object and a line feed.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.at.rfc3339(out);
        out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"tenant\":");
        text(self.tenant.id().as_str(), out);
        out.extend_from_slice(b",\"request_id\":\"");
        out.extend_from_slice(&self.id.encode());
        out.extend_from_slice(b"\",\"generation\":");
        number(self.generation, out);
        for (name, fact) in &self.facts {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            match fact {
                Fact::Word(word) => {
                    out.push(b'"');
                    out.extend_from_slice(word.as_bytes());
                    out.push(b'"');
                }
                Fact::Number(value) => number(*value, out),
                Fact::Text(value) => text(value, out),
            }
        }
        out.extend_from_slice(b",\"took_us\":");
        number(self.took_us, out);
        out.extend_from_slice(b"}\n");
    }

    /// Writes the line for people: the time, the tenant, then `name=value` pairs.
    pub(super) fn human(&self, out: &mut Vec<u8>) {
        self.at.rfc3339(out);
        out.extend_from_slice(b" request tenant=");
        out.extend_from_slice(self.tenant.id().as_str().as_bytes());
        for (name, fact) in &self.facts {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            match fact {
                Fact::Word(word) => out.extend_from_slice(word.as_bytes()),
                Fact::Number(value) => number(*value, out),
                Fact::Text(value) if plain(value) => out.extend_from_slice(value.as_bytes()),
                Fact::Text(value) => text(value, out),
            }
        }
        out.extend_from_slice(b" took_us=");
        number(self.took_us, out);
        out.extend_from_slice(b" request_id=");
        out.extend_from_slice(&self.id.encode());
        out.push(b'\n');
    }
}

fn plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

fn number(value: u64, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = CompactFormatter.write_u64(out, value);
}

fn text(value: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

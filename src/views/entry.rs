//! One record as the views see it: what stands in the clear, and the facts behind the seal where the key is there. Must never
//! fail for a fact that is missing: what wrote the record may be older or newer than what reads it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::journal::{Flags, Kind, Line, TenantNumber, WindowId};
use crate::units::{NanoUsd, TenantId, Wall};

/// A record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose journal it is in: the beginning of the hash of the key that signs it.
    pub journal: [u8; 16],
    /// Whose it is; `None` where the key is gone or not ours to read, and for the journal's own.
    pub tenant: Option<TenantId>,
    /// The number that stands for the tenant in that journal.
    pub number: TenantNumber,
    /// Which of the tenant's records.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    /// What else is true.
    pub flags: Flags,
    /// The intent it is about, or 0; in a gap, how many records are missing.
    pub about: u64,
    /// When.
    pub wall: Wall,
    /// The amount.
    pub whole: NanoUsd,
    /// The windows it counts in.
    pub windows: Vec<(WindowId, NanoUsd)>,
    /// What was sealed; `None` if it could not be opened.
    pub facts: Option<Facts>,
}

/// What a payload says.
#[derive(Clone, Debug, Default)]
pub struct Facts(pub Map<String, Value>);

impl Entry {
    pub(super) fn of(line: &Line<'_>) -> Self {
        let head = &line.frame.head;
        Self {
            journal: line.journal.0,
            tenant: line.tenant.cloned(),
            number: head.tenant,
            seq: head.seq,
            kind: head.kind,
            flags: head.flags,
            about: head.about,
            wall: head.wall,
            whole: head.whole,
            windows: line.frame.windows.iter().collect(),
            facts: line.payload.and_then(Facts::read),
        }
    }

    /// The tenant's name, or its number where the name cannot be known; the journal's own are `-`.
    pub fn whose(&self) -> String {
        match &self.tenant {
            Some(tenant) => tenant.to_string(),
            None if self.number == TenantNumber::JOURNAL => "-".to_owned(),
            None => number(self.number),
        }
    }

    /// The journal's id as hexadecimal digits.
    pub fn journal_id(&self) -> String {
        let mut out = String::with_capacity(32);
        for byte in self.journal {
            let _ = write!(out, "{byte:02x}");
        }
        out
    }

    /// A text of the payload.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.facts.as_ref()?.0.get(name)?.as_str()
    }

    /// A number of the payload.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.facts.as_ref()?.0.get(name)?.as_u64()
    }

    /// Whether the payload says `yes`.
    pub fn says(&self, name: &str) -> bool {
        let value = self.facts.as_ref().and_then(|facts| facts.0.get(name));
        value.is_some_and(|value| *value == Value::Bool(true) || *value == "yes")
    }

    /// The lines of the bill: what for, and how many pico-dollars.
    pub fn lines(&self) -> impl Iterator<Item = (String, u128)> {
        let facts = self.facts.iter();
        let lines = facts.filter_map(|facts| facts.0.get("cost_lines")?.as_object());
        lines
            .flatten()
            .filter_map(|(word, amount)| Some((word.clone(), amount.as_str()?.parse().ok()?)))
    }

    /// The model that was asked of the provider: what was sent, where that is another than what the agent asked for.
    pub fn model(&self) -> Option<&str> {
        self.text("model_sent").or_else(|| self.text("model"))
    }
}

impl Facts {
    /// A payload without a word has no facts, which is known; one that is no object is as if it could not be opened.
    fn read(payload: &[u8]) -> Option<Self> {
        if payload.is_empty() {
            return Some(Self::default());
        }
        serde_json::from_slice(payload).ok().map(Self)
    }
}

/// A tenant without a name.
pub(super) fn number(tenant: TenantNumber) -> String {
    format!("#{:016x}", tenant.0)
}

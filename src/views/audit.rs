//! One record as a line: for people, or as a document for scripts. Must never show a payload that was not opened, nor leave a
//! record out because it could not be.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::cell::plain;
use super::entry::Entry;
use crate::journal::{Flags, Kind};
use crate::units::Wall;

/// The record for people: when, whose, which, what, and what of it matters.
pub fn line(entry: &Entry) -> String {
    let mut parts: Vec<String> = Vec::new();
    for name in ["action", "endpoint", "upstream"] {
        parts.extend(entry.text(name).map(plain));
    }
    parts.extend(entry.model().map(|model| format!("model {}", plain(model))));
    for name in ["budget", "agent", "session", "user", "by", "why"] {
        let value = entry.text(name);
        parts.extend(value.map(|value| format!("{name} {}", plain(value))));
    }
    let allowed = entry.text("decision") == Some("allowed");
    let rule = entry.text("rule").map(plain);
    parts.extend(
        rule.as_ref()
            .filter(|_| allowed)
            .map(|rule| format!("allowed by {rule}")),
    );
    parts.extend(entry.text("ending").map(plain));
    parts.extend(
        entry
            .number("status")
            .map(|status| format!("status {status}")),
    );
    for name in ["code", "cause"] {
        let value = entry.text(name);
        parts.extend(value.map(|value| format!("{name} {}", plain(value))));
    }
    let refused_by = rule.filter(|_| !allowed);
    parts.extend(refused_by.map(|rule| format!("rule {rule}")));
    if let (Some(input), Some(output)) =
        (entry.number("input_tokens"), entry.number("output_tokens"))
    {
        let source = if entry.text("usage") == Some("estimated") {
            ", estimated"
        } else {
            ""
        };
        parts.push(format!("{input} tokens in, {output} out{source}"));
    }
    parts.extend(amount(entry));
    parts.extend(words(entry).into_iter().map(str::to_owned));
    parts.extend(times(entry));
    let request = entry.text("request_id").map(plain).unwrap_or_default();
    let about = if entry.about > 0 && entry.kind != Kind::Gap {
        format!(" of {}", entry.about)
    } else {
        String::new()
    };
    let mut out = format!(
        "{} {} {} {}{about}: {}",
        time(entry.wall),
        entry.whose(),
        entry.seq,
        entry.kind.as_str(),
        parts.join(", "),
    );
    if !request.is_empty() {
        let _ = write!(out, " ({request})");
    }
    out.trim_end_matches([':', ' ']).to_owned()
}

/// How long it took, and what of that.
fn times(entry: &Entry) -> Option<String> {
    let took = millis(entry.number("took_us")?);
    let of_that: Vec<String> = [
        ("queued", "queue_wait_us"),
        ("connecting", "connect_us"),
        ("first piece after", "first_us"),
    ]
    .into_iter()
    .filter_map(|(what, name)| Some(format!("{what} {}", millis(entry.number(name)?))))
    .collect();
    if of_that.is_empty() {
        return Some(format!("took {took}"));
    }
    Some(format!("took {took}: {}", of_that.join(", ")))
}

/// Microseconds for people.
fn millis(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000, micros % 1_000);
    if rest == 0 {
        return format!("{whole} ms");
    }
    let rest = format!("{rest:03}");
    format!("{whole}.{} ms", rest.trim_end_matches('0'))
}

fn amount(entry: &Entry) -> Option<String> {
    let amount = entry.whole;
    match entry.kind {
        Kind::Intent | Kind::Extend => Some(format!("holds {amount} USD")),
        Kind::End if !entry.flags.has(Flags::VOID) => Some(format!("{amount} USD")),
        Kind::Adjust | Kind::Gap if entry.flags.has(Flags::GIVES_BACK) => {
            Some(format!("{amount} USD given back"))
        }
        Kind::Adjust => Some(format!("{amount} USD")),
        Kind::Gap => Some(format!("{} records missing, {amount} USD", entry.about)),
        _ => None,
    }
}

/// What else is to be known, in words.
fn words(entry: &Entry) -> Vec<&'static str> {
    let mut words = Vec::new();
    if entry.says("unpriced") {
        words.push("unpriced");
    }
    for (flag, word) in FLAGS {
        if entry.flags.has(flag) {
            words.push(word);
        }
    }
    if entry.facts.is_none() {
        words.push("sealed");
    }
    words
}

const FLAGS: [(Flags, &str); 4] = [
    (Flags::UNKNOWN, "unknown"),
    (Flags::VOID, "void"),
    (Flags::CLIPPED, "clipped"),
    (Flags::CLOCK_BACK, "clock-back"),
];

/// The record as a document: what stands in the clear, and under `entry` what was sealed, `null` if it cannot be opened.
pub fn json(entry: &Entry) -> Value {
    let flags: Vec<&str> = FLAGS
        .into_iter()
        .chain([(Flags::STRICT, "strict"), (Flags::GIVES_BACK, "gives-back")])
        .filter(|(flag, _)| entry.flags.has(*flag))
        .map(|(_, word)| word)
        .collect();
    let windows: Vec<Value> = entry
        .windows
        .iter()
        .map(|(window, amount)| {
            json!({
                "budget": format!("{:016x}", window.budget),
                "start": window.start,
                "amount_nano_usd": amount.0,
            })
        })
        .collect();
    json!({
        "journal": entry.journal_id(),
        "tenant": entry.tenant.as_ref().map(ToString::to_string),
        "tenant_number": format!("{:016x}", entry.number.0),
        "seq": entry.seq,
        "kind": entry.kind.as_str(),
        "about": entry.about,
        "at": time(entry.wall),
        "amount_nano_usd": entry.whole.0,
        "flags": flags,
        "windows": windows,
        "entry": entry.facts.as_ref().map(|facts| Value::Object(facts.0.clone())),
    })
}

pub(super) fn time(at: Wall) -> String {
    let mut out = Vec::with_capacity(24);
    at.rfc3339(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

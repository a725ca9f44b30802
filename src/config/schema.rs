//! The key table as a JSON Schema (draft 7, which every TOML editor plugin reads): `config/outrigger.schema.json`.
//! Must never refuse what the loader takes; what it cannot say (references, name lookups) it lets pass.

use serde_json::{Map, Value, json};

use super::keys::{self, Beside, Fallback, Grammar, Key, Kind};
use crate::units::{Line, PriceUnit};

/// The whole of `config/outrigger.schema.json`.
pub fn schema() -> String {
    let mut root = object();
    for key in keys::all() {
        let path: Vec<&str> = key.path.split('.').collect();
        // Every node on the way is an object of this function's making.
        let _ = insert(&mut root, &path, key);
    }
    if let Value::Object(fields) = &mut root {
        fields.insert(
            "$schema".into(),
            json!("http://json-schema.org/draft-07/schema#"),
        );
        fields.insert("title".into(), json!("Outrigger configuration"));
        fields.insert("definitions".into(), definitions());
    }
    format!("{root:#}\n")
}

fn object() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

/// Puts a key into the schema at its path; `*` becomes the schema of every other name.
fn insert(node: &mut Value, path: &[&str], key: &Key) -> Option<()> {
    let fields = node.as_object_mut()?;
    match path {
        [] => None,
        ["*", rest @ ..] => {
            let inner = fields.entry("additionalProperties").or_insert(Value::Null);
            if !inner.is_object() {
                *inner = object();
            }
            insert(inner, rest, key)
        }
        [name] => {
            if matches!(key.default, Fallback::Required) {
                let required = fields.entry("required").or_insert_with(|| json!([]));
                required.as_array_mut()?.push(json!(name));
            }
            properties(fields)?.insert((*name).to_owned(), described(key));
            Some(())
        }
        [name, rest @ ..] => {
            let inner = properties(fields)?.entry(*name).or_insert_with(object);
            insert(inner, rest, key)
        }
    }
}

fn properties(fields: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    fields
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut()
}

fn described(key: &Key) -> Value {
    let mut schema = kind(key.kind);
    if let Value::Object(fields) = &mut schema {
        fields.insert(
            "description".into(),
            json!(format!("{}. {}", key.doc, key.why)),
        );
        if let Some(default) = default(key) {
            fields.insert("default".into(), default);
        }
    }
    schema
}

/// The default as JSON: the TOML of every default but the empty table is JSON too.
fn default(key: &Key) -> Option<Value> {
    serde_json::from_str(&key.default_toml()?).ok()
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Addresses => {
            let one = text(r"^(.+:\d+(\?connections=\d+)?|unix:.+|fd:.+)$");
            json!({ "anyOf": [one, list(&one)] })
        }
        Kind::AddressOrOff => text(r"^(off|.+:\d+)$"),
        Kind::AdminAddresses => {
            json!({ "anyOf": [text(r"^(off|unix:.+|.+:\d+)$"), list(&text(r"^(unix:.+|.+:\d+)$"))] })
        }
        Kind::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Counts(least, most) => {
            list(&json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Kind::Size(..) => text(r"^[0-9][0-9_]*\s*(B|KiB|MiB|GiB)$"),
        Kind::Duration(..) => text(r"^[0-9][0-9_]*\s*(ms|s|m|min|h)$"),
        Kind::DurationOrOff(..) => text(r"^(off|[0-9][0-9_]*\s*(ms|s|m|min|h))$"),
        Kind::Rate => text(
            r"^\s*[0-9][0-9_]*\s*[kM]?\s*/\s*(s|min|h|hour)\s*( burst \s*[0-9][0-9_]*\s*[kM]?\s*)?$",
        ),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Word(words) => word(words),
        Kind::Words(words) => list(&word(words)),
        Kind::WordsOrAll(words) => list(&word(&[&["*"], words].concat())),
        Kind::Url => text("^[hH][tT][tT][pP][sS]?://"),
        Kind::Secret => json!({ "type": "string", "minLength": 1 }),
        Kind::Text(grammar) => self::grammar(grammar),
        Kind::Texts(grammar) => list(&self::grammar(grammar)),
        Kind::Usd(unit) => defined(usd(unit)),
        Kind::Prices(beside) => defined(beside_name(beside)),
        Kind::Factors => {
            let factor = defined(usd(PriceUnit::Million));
            closed(["us", "fast", "regional"].map(|name| (name, factor.clone())))
        }
        Kind::Rewrites | Kind::Secrets => {
            json!({ "type": "object", "additionalProperties": { "type": "string", "minLength": 1 } })
        }
    }
}

/// What many keys take, written once.
fn definitions() -> Value {
    let mut all = Map::new();
    for unit in [PriceUnit::Million, PriceUnit::Each] {
        all.insert(usd(unit).to_owned(), price(unit));
    }
    for beside in [Beside::Nothing, Beside::Threshold, Beside::Hours] {
        all.insert(beside_name(beside).to_owned(), prices(beside));
    }
    Value::Object(all)
}

/// What is defined under that name. In draft 7 nothing may stand beside a bare `$ref`.
fn defined(name: &str) -> Value {
    json!({ "allOf": [{ "$ref": format!("#/definitions/{name}") }] })
}

const fn usd(unit: PriceUnit) -> &'static str {
    match unit {
        PriceUnit::Million => "usd_per_million",
        PriceUnit::Each => "usd",
    }
}

const fn beside_name(beside: Beside) -> &'static str {
    match beside {
        Beside::Nothing => "prices",
        Beside::Threshold => "prices_of_long_contexts",
        Beside::Hours => "prices_of_hours",
    }
}

/// A decimal number, as one or as a text.
fn price(unit: PriceUnit) -> Value {
    let places = match unit {
        PriceUnit::Million => 6,
        PriceUnit::Each => 12,
    };
    let digits = text(&format!(r"^[0-9]+(\.[0-9]{{1,{places}}}0*)?$"));
    json!({ "anyOf": [digits, { "type": "number", "minimum": 0 }] })
}

/// A table of prices, and what stands beside them.
fn prices(beside: Beside) -> Value {
    let lines = Line::ALL.map(|line| (line.as_str(), defined(usd(line.unit()))));
    let count = json!({ "type": "integer", "minimum": 0 });
    let more = match beside {
        Beside::Nothing => Vec::new(),
        Beside::Threshold => vec![("above", count.clone()), ("from", count)],
        Beside::Hours => vec![("hours", list(&json!({ "type": "string" })))],
    };
    closed(lines.into_iter().chain(more))
}

/// An object of these members and no others.
fn closed(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let members = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let properties: Map<String, Value> = members.collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn grammar(grammar: Grammar) -> Value {
    match grammar {
        Grammar::Glob | Grammar::Host | Grammar::Model | Grammar::Note => {
            json!({ "type": "string", "minLength": 1 })
        }
        Grammar::Amount => text(r"^[0-9]+(\.[0-9]+)?\s*USD$"),
        Grammar::Revenue => text(r"^[0-9]+(\.[0-9]+)?\s*USD\s*/\s*(call|day|month|year)$"),
        Grammar::Window => text(r"^(hour|day|week|month|total|[0-9][0-9_]*\s*(s|m|min|h))$"),
        Grammar::Zone => text("^[A-Za-z0-9/_+-]{1,64}$"),
        Grammar::Path => text("^/"),
        Grammar::Caller => text("^[ug]id:[0-9]+$"),
        Grammar::Header => text("^[xX]-[A-Za-z0-9-]+$"),
        Grammar::KeyHash => text("^sha256:[0-9a-fA-F]{64}$"),
        Grammar::Origin => text("^.+://.+$"),
        Grammar::Pem => text("-----BEGIN CERTIFICATE-----"),
        Grammar::Date => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        Grammar::Policy | Grammar::Provider | Grammar::Upstream => {
            text("^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
        }
        Grammar::Region => text("^[a-z0-9-]{1,64}$"),
        Grammar::Tenant => text("^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"),
    }
}

/// A text of a pattern, or with a reference in it.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!(r"{pattern}|\$\{{") })
}

fn word(words: &[&str]) -> Value {
    json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": r"\$\{" }] })
}

fn list(element: &Value) -> Value {
    json!({ "type": "array", "items": element })
}

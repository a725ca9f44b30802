//! A value that fits a JSON Schema, for tool arguments and structured answers. It must never loop or recurse without
//! bound, whatever the schema says.

use serde_json::{Map, Value};

/// How deep a sample goes; below, a schema is answered with null.
const DEEPEST: usize = 12;
/// How many members a sampled object has at most.
const WIDEST: usize = 64;

/// The smallest plain value that `schema` describes; `{}` for what is no schema.
pub(super) fn sample(schema: &Value) -> Value {
    let sample = at(schema, schema, "value", DEEPEST);
    if sample.is_null() {
        Value::Object(Map::new())
    } else {
        sample
    }
}

fn at(root: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    for fixed in ["const", "default"] {
        if let Some(value) = schema.get(fixed) {
            return value.clone();
        }
    }
    if let Some(first) = first_of(schema, "enum").or_else(|| first_of(schema, "examples")) {
        return first.clone();
    }
    if let Some(target) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| root.pointer(path.trim_start_matches('#')))
    {
        return at(root, target, name, depth);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = first_of(schema, choice) {
            return at(root, first, name, depth);
        }
    }
    match kind(schema) {
        "string" => Value::from(format!("sample {name}")),
        "integer" | "number" => schema
            .get("minimum")
            .cloned()
            .unwrap_or_else(|| Value::from(1)),
        "boolean" => Value::from(true),
        "array" => Value::Array(
            schema
                .get("items")
                .map(|items| at(root, items, name, depth))
                .into_iter()
                .collect(),
        ),
        "object" => Value::Object(members(root, schema, depth)),
        _ => Value::Null,
    }
}

fn members(root: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Map::new();
    };
    properties
        .iter()
        .take(WIDEST)
        .map(|(name, schema)| (name.clone(), at(root, schema, name, depth)))
        .collect()
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "null",
    }
}

fn first_of<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get(key)?.as_array()?.first()
}

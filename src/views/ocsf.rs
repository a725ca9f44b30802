//! A record as an event of the Open Cybersecurity Schema Framework 1.6: API Activity (6003). What the schema has no place for
//! stands in `unmapped`. Must never say more than the record does.

use serde_json::{Map, Value, json};

use super::audit;
use super::entry::Entry;
use crate::journal::{Flags, Kind};
use crate::units::Ending;

/// The event; `None` for records that are no action by themselves: an intent is told by its end.
pub fn event(entry: &Entry, version: &str) -> Option<Value> {
    let (activity, name) = activity(entry)?;
    let (status, status_name) = status(entry);
    let tenant = entry.whose();
    let severity = if entry.kind == Kind::Refusal {
        (2, "Low")
    } else {
        (1, "Informational")
    };
    let mut event = json!({
        "activity_id": activity,
        "activity_name": name,
        "category_name": "Application Activity",
        "category_uid": 6,
        "class_name": "API Activity",
        "class_uid": 6003,
        "type_uid": 600_300 + activity,
        "severity_id": severity.0,
        "severity": severity.1,
        "status_id": status,
        "status": status_name,
        "time": entry.wall.0,
        "metadata": {
            "version": "1.6.0",
            "product": {"name": "Outrigger", "vendor_name": "Outrigger", "version": version},
            "tenant_uid": tenant,
            "uid": format!("{}/{:016x}/{}", entry.journal_id(), entry.number.0, entry.seq),
            "sequence": entry.seq,
            "log_name": "journal",
        },
        "actor": actor(entry),
        "api": api(entry, name),
        "src_endpoint": {"name": entry.text("agent").unwrap_or("agent")},
        "unmapped": audit::json(entry),
    });
    if let Value::Object(event) = &mut event {
        optional(entry, event);
    }
    Some(event)
}

/// What was done, by the schema's number and our word.
fn activity(entry: &Entry) -> Option<(u32, &str)> {
    match entry.kind {
        Kind::End | Kind::Refusal => Some((99, entry.text("endpoint").unwrap_or("call"))),
        Kind::Gap => Some((0, "Unknown")),
        Kind::Adjust | Kind::Policy => Some((3, "Update")),
        Kind::Admin => Some((99, "admin")),
        Kind::Erase => Some((4, "Delete")),
        Kind::Intent | Kind::Extend | Kind::Boot | Kind::Checkpoint | Kind::Retire => None,
    }
}

fn status(entry: &Entry) -> (u32, &'static str) {
    match entry.kind {
        Kind::Refusal => (2, "Failure"),
        Kind::Gap => (0, "Unknown"),
        Kind::End if entry.flags.has(Flags::UNKNOWN) || entry.facts.is_none() => (0, "Unknown"),
        Kind::End if entry.flags.has(Flags::VOID) => (2, "Failure"),
        Kind::End => match (entry.text("ending"), entry.number("status")) {
            (_, Some(400..)) => (2, "Failure"),
            (Some(word), _) if word != Ending::Complete.as_str() => (2, "Failure"),
            _ => (1, "Success"),
        },
        _ => (1, "Success"),
    }
}

fn actor(entry: &Entry) -> Value {
    let mut actor = Map::new();
    if let Some(user) = entry.text("user") {
        actor.insert("user".to_owned(), json!({"uid": user}));
    }
    if let Some(session) = entry.text("session") {
        actor.insert("session".to_owned(), json!({"uid": session}));
    }
    // The schema wants one of them at least; the application is always there.
    let agent = entry.text("agent").unwrap_or("agent");
    actor.insert("app_name".to_owned(), json!(agent));
    Value::Object(actor)
}

fn api(entry: &Entry, name: &str) -> Value {
    let mut api = Map::new();
    api.insert("operation".to_owned(), json!(name));
    if let Some(upstream) = entry.text("upstream") {
        api.insert("service".to_owned(), json!({"name": upstream}));
    }
    if let Some(id) = entry.text("request_id") {
        api.insert("request".to_owned(), json!({"uid": id}));
    }
    let mut response = Map::new();
    if let Some(status) = entry.number("status") {
        response.insert("code".to_owned(), json!(status));
    }
    if let Some(code) = entry.text("code") {
        response.insert("error".to_owned(), json!(code));
    }
    if !response.is_empty() {
        api.insert("response".to_owned(), Value::Object(response));
    }
    Value::Object(api)
}

/// What is there only if the record says it.
fn optional(entry: &Entry, event: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            event.insert(name.to_owned(), value);
        }
    };
    put(
        "status_code",
        entry
            .number("status")
            .map(|status| json!(status.to_string())),
    );
    let detail = entry.text("code").or_else(|| entry.text("ending"));
    put("status_detail", detail.map(Value::from));
    let took = entry.number("took_us").map(|micros| micros / 1_000);
    put("duration", took.map(Value::from));
    put(
        "start_time",
        took.map(|took| json!(entry.wall.0.saturating_sub(took))),
    );
    put("end_time", took.map(|_| json!(entry.wall.0)));
    let upstream = entry.text("upstream");
    put(
        "dst_endpoint",
        upstream.map(|upstream| json!({"svc_name": upstream})),
    );
}

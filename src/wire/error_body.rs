//! The bodies of Outrigger's own refusals, in the shape that the caller's SDK turns into its own exception,
//! and the events that end a stream in the middle. Must never fake a happy ending, nor carry a secret:
//! what is passed in is shown to the agent.

use serde_json::{Map, Value, json};

use crate::units::{Code, Dialect, Endpoint, NanoUsd, RequestId, Wall};

/// What a refusal can say beyond its code; all of it is shown to the agent in the member `outrigger`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalDetail<'a> {
    /// The tenant the request was counted under.
    pub tenant: Option<&'a str>,
    /// The rule that decided, as `explain` names it.
    pub rule: Option<&'a str>,
    /// The limit that was hit, by its config name (`requests`, `tokens`, …).
    pub limit: Option<&'a str>,
    /// The JSON path the refusal is about; also OpenAI's `param`.
    pub param: Option<&'a str>,
    /// When trying again makes sense, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
    /// When the limit is whole again, in milliseconds from now.
    pub reset_ms: Option<u64>,
    /// The budget that was met.
    pub budget: Option<BudgetDetail<'a>>,
}

/// A budget that has too little left. Amounts are decimal numbers of US dollars, as texts: JSON's numbers are floats to
/// most who read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetDetail<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whose it is: `tenant`, `agent`, `session`, `user`.
    pub scope: &'a str,
    /// How much there is in a window.
    pub limit: NanoUsd,
    /// What was spent.
    pub spent: NanoUsd,
    /// What requests under way hold.
    pub held: NanoUsd,
    /// When it begins anew; `None` if never.
    pub resets_at: Option<Wall>,
    /// Whether an operator has frozen it.
    pub frozen: bool,
    /// Whether what was spent of it is not known.
    pub lost: bool,
}

/// The JSON body of a refusal. Without a dialect it has OpenAI's shape, which also reads well to a human.
pub fn refusal(
    dialect: Option<Dialect>,
    code: Code,
    message: &str,
    request_id: RequestId,
    detail: &RefusalDetail<'_>,
) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("outrigger".to_owned(), ours(code, request_id, detail));
    match dialect.unwrap_or(Dialect::OpenAi) {
        Dialect::OpenAi => {
            body.insert("error".to_owned(), openai_error(code, message, detail));
        }
        Dialect::Anthropic => anthropic_error(&mut body, code, message, request_id),
    }
    Value::Object(body).to_string().into_bytes()
}

/// The event that ends a running stream of `endpoint`: complete, blank line included. It starts with a line
/// feed of its own, so that it also ends a line the upstream left unfinished. `sequence` is the number
/// of events before it, which a Responses stream counts.
pub fn cut(
    dialect: Dialect,
    endpoint: Endpoint,
    code: Code,
    message: &str,
    request_id: RequestId,
    sequence: u64,
) -> Vec<u8> {
    let detail = RefusalDetail::default();
    let mut body = Map::new();
    body.insert("outrigger".to_owned(), ours(code, request_id, &detail));
    let named = dialect == Dialect::Anthropic
        || matches!(endpoint, Endpoint::Responses | Endpoint::ResponseState);
    match dialect {
        Dialect::Anthropic => anthropic_error(&mut body, code, message, request_id),
        Dialect::OpenAi => {
            if named {
                // The event's own members, beside the `error` object that makes the SDKs raise.
                body.insert("type".to_owned(), json!("error"));
                body.insert("code".to_owned(), json!(native(Dialect::OpenAi, code).1));
                body.insert("message".to_owned(), json!(message));
                body.insert("param".to_owned(), Value::Null);
                body.insert("sequence_number".to_owned(), json!(sequence));
            }
            body.insert("error".to_owned(), openai_error(code, message, &detail));
        }
    }
    let event = if named { "event: error\n" } else { "" };
    format!("\n\n{event}data: {}\n\n", Value::Object(body)).into_bytes()
}

fn ours(code: Code, request_id: RequestId, detail: &RefusalDetail<'_>) -> Value {
    let mut ours = Map::new();
    ours.insert("code".to_owned(), json!(code.as_str()));
    ours.insert("request_id".to_owned(), json!(request_id.to_string()));
    ours.insert("retryable".to_owned(), json!(code.retryable()));
    let texts = [
        ("tenant", detail.tenant),
        ("rule", detail.rule),
        ("limit", detail.limit),
        ("param", detail.param),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            ours.insert(name.to_owned(), json!(value));
        }
    }
    for (name, value) in [
        ("retry_after_ms", detail.retry_after_ms),
        ("reset_ms", detail.reset_ms),
    ] {
        if let Some(value) = value {
            ours.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(budget) = &detail.budget {
        ours.insert("budget".to_owned(), budget.json());
    }
    Value::Object(ours)
}

impl BudgetDetail<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "scope": self.scope,
            "limit_usd": self.limit.to_string(),
            "spent_usd": self.spent.to_string(),
            "held_usd": self.held.to_string(),
            "resets_at": self.resets_at.map(Wall::rfc3339_seconds),
            "frozen": self.frozen,
            "state_lost": self.lost,
        })
    }
}

fn openai_error(code: Code, message: &str, detail: &RefusalDetail<'_>) -> Value {
    let (kind, word) = native(Dialect::OpenAi, code);
    json!({ "message": message, "type": kind, "param": detail.param, "code": word })
}

fn anthropic_error(
    body: &mut Map<String, Value>,
    code: Code,
    message: &str,
    request_id: RequestId,
) {
    let (kind, _) = native(Dialect::Anthropic, code);
    let error_code = format!("outrigger_{}", code.as_str().replace('-', "_"));
    body.insert("type".to_owned(), json!("error"));
    body.insert("request_id".to_owned(), json!(request_id.to_string()));
    body.insert(
        "error".to_owned(),
        json!({ "type": kind, "message": message, "details": { "error_code": error_code } }),
    );
}

/// The provider's own words for a status: `type`, and `code` where the dialect has one.
const fn native(dialect: Dialect, code: Code) -> (&'static str, &'static str) {
    match (code.status(), dialect) {
        (503, Dialect::OpenAi) if matches!(code, Code::Cut) => ("server_error", "server_error"),
        (401, _) => ("authentication_error", "invalid_api_key"),
        (402, Dialect::OpenAi) => ("insufficient_quota", "insufficient_quota"),
        (402, Dialect::Anthropic) => ("billing_error", ""),
        (403, _) => ("permission_error", "permission_denied"),
        (404, Dialect::OpenAi) if matches!(code, Code::ModelUnknown) => {
            ("invalid_request_error", "model_not_found")
        }
        (404, _) => ("not_found_error", "not_found"),
        (408 | 504, _) => ("timeout_error", "timeout"),
        (413, Dialect::OpenAi) => ("invalid_request_error", "request_too_large"),
        (413, Dialect::Anthropic) => ("request_too_large", ""),
        (429, _) => ("rate_limit_error", "rate_limit_exceeded"),
        (400..=499 | 501 | 505, _) => ("invalid_request_error", "invalid_request"),
        (503, Dialect::OpenAi) => ("server_error", "overloaded"),
        (503, Dialect::Anthropic) => ("overloaded_error", ""),
        (_, Dialect::OpenAi) => ("server_error", "server_error"),
        (_, Dialect::Anthropic) => ("api_error", ""),
    }
}

#[cfg(test)]
mod tests;

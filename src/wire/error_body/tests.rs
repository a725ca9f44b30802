//! The shapes, read back as a client would.

use serde_json::{Value, json};

use super::{RefusalDetail, cut, refusal};
use crate::units::{Code, Dialect, Endpoint, RequestId, Wall};

fn id() -> RequestId {
    RequestId::v7(Wall(1_700_000_000_000), 42)
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("json")
}

#[test]
fn openai_shape() {
    let detail = RefusalDetail {
        tenant: Some("acme"),
        rule: Some("policies.standard.models.allow"),
        param: Some("model"),
        ..RefusalDetail::default()
    };
    let body = read(&refusal(
        Some(Dialect::OpenAi),
        Code::ModelDenied,
        "no \"x\"",
        id(),
        &detail,
    ));
    assert_eq!(
        body["error"],
        json!({"message": "no \"x\"", "type": "permission_error", "param": "model", "code": "permission_denied"})
    );
    assert_eq!(
        body["outrigger"],
        json!({"code": "model-denied", "request_id": id().to_string(), "retryable": false,
               "tenant": "acme", "rule": "policies.standard.models.allow", "param": "model"})
    );
    let unknown = refusal(None, Code::ModelDenied, "no \"x\"", id(), &detail);
    assert_eq!(read(&unknown), body);
}

#[test]
fn anthropic_shape() {
    let detail = RefusalDetail {
        limit: Some("requests"),
        retry_after_ms: Some(250),
        ..RefusalDetail::default()
    };
    let body = read(&refusal(
        Some(Dialect::Anthropic),
        Code::RateLimited,
        "slow",
        id(),
        &detail,
    ));
    assert_eq!(body["type"], "error");
    assert_eq!(body["request_id"], id().to_string());
    assert_eq!(
        body["error"],
        json!({"type": "rate_limit_error", "message": "slow", "details": {"error_code": "outrigger_rate_limited"}})
    );
    assert_eq!(body["outrigger"]["retry_after_ms"], 250);
}

#[test]
fn every_code_has_native_words_for_its_status() {
    for &code in Code::ALL {
        let openai = read(&refusal(
            Some(Dialect::OpenAi),
            code,
            "m",
            id(),
            &RefusalDetail::default(),
        ));
        assert!(
            !openai["error"]["code"].as_str().expect("a word").is_empty(),
            "{code}"
        );
        let is_server_error = openai["error"]["type"] == "server_error";
        let expected = matches!(code.status(), 500 | 502 | 503);
        assert_eq!(is_server_error, expected, "{code}");
        let anthropic = read(&refusal(
            Some(Dialect::Anthropic),
            code,
            "m",
            id(),
            &RefusalDetail::default(),
        ));
        let expected = match code.status() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            408 | 504 => "timeout_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            500 | 502 => "api_error",
            503 => "overloaded_error",
            _ => "invalid_request_error",
        };
        assert_eq!(anthropic["error"]["type"], expected, "{code}");
    }
}

#[test]
fn a_cut_is_the_dialects_own_error_event() {
    let chat = cut(
        Dialect::OpenAi,
        Endpoint::ChatCompletions,
        Code::Cut,
        "over",
        id(),
        0,
    );
    let data = chat
        .strip_prefix(b"\n\ndata: ")
        .and_then(|rest| rest.strip_suffix(b"\n\n"))
        .expect("one event");
    assert_eq!(read(data)["error"]["message"], "over");
    assert_eq!(read(data)["error"]["type"], "server_error");
    assert_eq!(read(data)["error"]["code"], "server_error");

    for (dialect, endpoint) in [
        (Dialect::OpenAi, Endpoint::Responses),
        (Dialect::Anthropic, Endpoint::Messages),
    ] {
        let event = cut(dialect, endpoint, Code::Cut, "over\n", id(), 7);
        let data = event
            .strip_prefix(b"\n\nevent: error\ndata: ")
            .and_then(|rest| rest.strip_suffix(b"\n\n"))
            .expect("one event");
        assert!(!data.contains(&b'\n'));
        let body = read(data);
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["message"], "over\n");
        assert_eq!(body["outrigger"]["code"], "cut");
        let sequence = (dialect == Dialect::OpenAi).then_some(7);
        assert_eq!(body["sequence_number"].as_u64(), sequence);
    }
}

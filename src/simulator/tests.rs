//! The simulator through its front door: raw bytes over an in-memory connection, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, timeout};

use super::*;

mod wire;

/// Sends requests on one connection, and everything that came back until it closed.
async fn exchange(simulator: &Arc<Simulator>, requests: &str) -> String {
    let (mut client, server) = duplex(1 << 20);
    let talk = async {
        client.write_all(requests.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _cut = client.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let served = serve_connection(TokioIo::new(server), Arc::clone(simulator));
    let (answer, ()) = tokio::join!(talk, async { drop(served.await) });
    answer
}

fn post(path: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const KEY: &str = "authorization: Bearer k\r\n";
const CLAUDE: &str = "x-api-key: k\r\nanthropic-version: 2026-10-21\r\n";

struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The `data:` payloads, and the names of the events that have one.
    fn events(&self) -> (Vec<String>, Vec<Value>) {
        let mut names = Vec::new();
        let mut data = Vec::new();
        for line in self.body.lines() {
            if let Some(name) = line.strip_prefix("event: ") {
                names.push(name.to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                data.push(if text == "[DONE]" {
                    json!("[DONE]")
                } else {
                    serde_json::from_str(text).unwrap()
                });
            }
        }
        (names, data)
    }
}

async fn ask(simulator: &Arc<Simulator>, path: &str, headers: &str, body: &Value) -> Got {
    got(&exchange(simulator, &post(path, headers, body)).await)
}

fn got(answer: &str) -> Got {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        body.to_owned()
    };
    Got {
        status,
        head: head.to_owned(),
        body,
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&after[..size.min(after.len())]);
        rest = after.get(size + 2..).unwrap_or("");
    }
    body
}

fn simulator() -> Arc<Simulator> {
    Arc::new(Simulator::new(Script::default()))
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello there"}]})
}

fn streamed(mut request: Value) -> Value {
    request["stream"] = json!(true);
    request
}

fn message(model: &str) -> Value {
    json!({"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": "Hello there"}]})
}

#[tokio::test]
async fn equal_requests_get_equal_bytes() {
    let request = post("/v1/chat/completions", KEY, &streamed(chat("gpt-sim")));
    let one = simulator();
    let first = exchange(&one, &request).await;
    assert_eq!(
        first,
        exchange(&one, &request).await,
        "from the same simulator, which remembers it"
    );
    assert_eq!(
        first,
        exchange(&simulator(), &request).await,
        "from another one"
    );
    let other = exchange(
        &one,
        &post("/v1/chat/completions", KEY, &streamed(chat("gpt-other"))),
    )
    .await;
    assert_ne!(first, other);
}

#[tokio::test]
async fn chat_has_text_usage_and_the_provider_s_headers() {
    let got = ask(&simulator(), "/v1/chat/completions", KEY, &chat("gpt-sim")).await;
    assert_eq!(got.status, 200);
    let body = got.json();
    assert_eq!(
        body["choices"][0]["message"]["content"],
        "This is a simulated answer to: Hello there"
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        body["usage"]["prompt_tokens"], 4,
        "`user` and `Hello there` are 15 bytes"
    );
    assert_eq!(body["usage"]["completion_tokens"], 11);
    assert_eq!(body["usage"]["total_tokens"], 15);
    assert!(got.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(got.header("x-ratelimit-limit-requests"), Some("10000"));
    assert_eq!(
        got.header("content-length"),
        Some(got.body.len().to_string().as_str())
    );
}

#[tokio::test]
async fn a_chat_stream_has_usage_only_when_asked() {
    let plain = ask(
        &simulator(),
        "/v1/chat/completions",
        KEY,
        &streamed(chat("gpt-sim")),
    )
    .await;
    let (names, data) = plain.events();
    assert!(names.is_empty() && !plain.body.contains("usage"));
    assert_eq!(data.last(), Some(&json!("[DONE]")));
    assert!(data.iter().all(|chunk| chunk["choices"] != json!([])));

    let mut request = streamed(chat("gpt-sim"));
    request["stream_options"] = json!({"include_usage": true, "include_obfuscation": false});
    let counted = ask(&simulator(), "/v1/chat/completions", KEY, &request).await;
    let (_, data) = counted.events();
    let (done, chunks) = data.split_last().unwrap();
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 15);
    assert!(
        others
            .iter()
            .all(|chunk| chunk.get("usage") == Some(&Value::Null))
    );
    assert!(!counted.body.contains("obfuscation"));
    let text: String = others
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "This is a simulated answer to: Hello there");
}

#[tokio::test]
async fn chat_honours_n_and_the_cap() {
    let mut request = chat("gpt-sim");
    request["n"] = json!(128);
    request["model"] = json!("sim-bytes-9000000");
    assert_eq!(
        ask(&simulator(), "/v1/chat/completions", KEY, &request)
            .await
            .status,
        400,
        "1 GB"
    );
    request["model"] = json!("gpt-sim");
    request["n"] = json!(3);
    request["max_tokens"] = json!(2);
    let body = ask(&simulator(), "/v1/chat/completions", KEY, &request)
        .await
        .json();
    assert_eq!(body["choices"].as_array().unwrap().len(), 3);
    assert_eq!(body["choices"][2]["message"]["content"], "This is ");
    assert_eq!(body["choices"][2]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 6);
    for bad in [json!(0), json!(129), json!("1")] {
        request["n"] = bad;
        assert_eq!(
            ask(&simulator(), "/v1/chat/completions", KEY, &request)
                .await
                .status,
            400
        );
    }
}

fn weather() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}, "unit": {"enum": ["C", "F"]}}})
}

#[tokio::test]
async fn chat_calls_a_tool_and_then_answers() {
    let tools =
        json!([{"type": "function", "function": {"name": "get_weather", "parameters": weather()}}]);
    let mut request = chat("gpt-sim");
    request["tools"] = tools;
    let unnamed = ask(&simulator(), "/v1/chat/completions", KEY, &request)
        .await
        .json();
    assert_eq!(
        unnamed["choices"][0]["finish_reason"], "stop",
        "nobody named the tool"
    );

    request["messages"][0]["content"] = json!("Use get_weather please");
    let called = ask(&simulator(), "/v1/chat/completions", KEY, &request)
        .await
        .json();
    let message = &called["choices"][0]["message"];
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    let arguments: Value = serde_json::from_str(
        message["tool_calls"][0]["function"]["arguments"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        arguments,
        json!({"city": "sample city", "days": 2, "unit": "C"})
    );

    let stream = ask(
        &simulator(),
        "/v1/chat/completions",
        KEY,
        &streamed(request.clone()),
    )
    .await;
    let pieces: String = stream
        .events()
        .1
        .iter()
        .filter_map(|chunk| {
            chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
        })
        .collect();
    assert_eq!(serde_json::from_str::<Value>(&pieces).unwrap(), arguments);

    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    messages.push(
        json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}),
    );
    let answered = ask(&simulator(), "/v1/chat/completions", KEY, &request)
        .await
        .json();
    assert_eq!(
        answered["choices"][0]["message"]["content"],
        "The tool answered: sunny"
    );

    request["messages"] = json!([{"role": "user", "content": "hi"}]);
    for (choice, finish) in [
        (json!("required"), "tool_calls"),
        (
            json!({"type": "function", "function": {"name": "get_weather"}}),
            "tool_calls",
        ),
        (json!("none"), "stop"),
    ] {
        request["tool_choice"] = choice;
        assert_eq!(
            ask(&simulator(), "/v1/chat/completions", KEY, &request)
                .await
                .json()["choices"][0]["finish_reason"],
            finish
        );
    }
}

#[tokio::test]
async fn responses_stream_in_the_provider_s_order() {
    let request = json!({"model": "gpt-sim+sim-chunks-2", "input": "Hello", "stream": true});
    let (names, data) = ask(&simulator(), "/v1/responses", KEY, &request)
        .await
        .events();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, (name, event)) in names.iter().zip(&data).enumerate() {
        assert_eq!(event["type"], name.as_str());
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(data[0]["response"]["usage"], Value::Null);
    let plain = json!({"model": "gpt-sim+sim-chunks-2", "input": "Hello"});
    let plain = ask(&simulator(), "/v1/responses", KEY, &plain).await.json();
    assert_eq!(data[9]["response"]["usage"], plain["usage"]);
    assert_eq!(
        data[9]["response"]["output"][0]["content"],
        plain["output"][0]["content"]
    );
    assert_eq!(plain["usage"]["input_tokens"], 2);
}

#[tokio::test]
async fn responses_end_incomplete_or_in_a_call() {
    let capped =
        json!({"model": "gpt-sim", "input": "Hello", "stream": true, "max_output_tokens": 1});
    let (names, data) = ask(&simulator(), "/v1/responses", KEY, &capped)
        .await
        .events();
    assert_eq!(names.last().unwrap(), "response.incomplete");
    assert_eq!(
        data.last().unwrap()["response"]["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    assert_eq!(
        data.last().unwrap()["response"]["usage"]["output_tokens"],
        1
    );

    let mut request = json!({
        "model": "gpt-sim", "stream": true, "input": [{"role": "user", "content": "get_weather"}],
        "tools": [{"type": "function", "name": "get_weather", "parameters": weather()}, {"type": "web_search"}],
    });
    let (names, data) = ask(&simulator(), "/v1/responses", KEY, &request)
        .await
        .events();
    assert!(names.contains(&String::from("response.function_call_arguments.done")));
    let call = &data.last().unwrap()["response"]["output"][0];
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("get_weather"))
    );
    let output =
        json!({"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"});
    request["input"].as_array_mut().unwrap().push(output);
    request["stream"] = json!(false);
    let answered = ask(&simulator(), "/v1/responses", KEY, &request)
        .await
        .json();
    assert_eq!(
        answered["output"][0]["content"][0]["text"],
        "The tool answered: sunny"
    );
}

#[tokio::test]
async fn messages_stream_in_the_provider_s_order() {
    let request = streamed(message("claude-sim+sim-chunks-2+sim-cached-3"));
    let got = ask(&simulator(), "/v1/messages?beta=true", CLAUDE, &request).await;
    let (names, data) = got.events();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let usage = &data[0]["message"]["usage"];
    assert_eq!(
        (
            usage["input_tokens"].as_u64(),
            usage["cache_read_input_tokens"].as_u64()
        ),
        (Some(1), Some(3))
    );
    assert_eq!(usage["output_tokens"], 1);
    assert_eq!(data[6]["usage"]["output_tokens"], 11, "cumulative");
    assert_eq!(data[6]["delta"]["stop_reason"], "end_turn");
    assert!(got.header("request-id").is_some() && got.header("x-request-id").is_none());
    assert_eq!(
        got.header("anthropic-ratelimit-requests-limit"),
        Some("4000")
    );
}

#[tokio::test]
async fn messages_call_a_tool_and_then_answer() {
    let mut request = message("claude-sim");
    request["tools"] = json!([{"name": "get_weather", "input_schema": weather()}, {"type": "web_search_20260318", "name": "web_search"}]);
    request["messages"][0]["content"] =
        json!([{"type": "text", "text": "get_weather and web_search"}]);
    let called = ask(&simulator(), "/v1/messages", CLAUDE, &request)
        .await
        .json();
    assert_eq!(called["stop_reason"], "tool_use");
    assert_eq!(
        called["content"].as_array().unwrap().len(),
        1,
        "the hosted tool is not the caller's"
    );
    assert_eq!(called["content"][0]["input"]["city"], "sample city");
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": called["content"]}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": called["content"][0]["id"], "content": [{"type": "text", "text": "sunny"}]}]}));
    let answered = ask(&simulator(), "/v1/messages", CLAUDE, &request)
        .await
        .json();
    assert_eq!(answered["content"][0]["text"], "The tool answered: sunny");
    assert_eq!(answered["stop_reason"], "end_turn");
}

#[tokio::test]
async fn messages_follow_the_version_s_rules() {
    for (headers, field, status) in [
        ("x-api-key: k\r\n", None, 400),
        (CLAUDE, Some("temperature"), 400),
        (
            "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
            Some("temperature"),
            200,
        ),
        (CLAUDE, None, 200),
    ] {
        let mut request = message("claude-sim");
        if let Some(field) = field {
            request[field] = json!(1);
        }
        assert_eq!(
            ask(&simulator(), "/v1/messages", headers, &request)
                .await
                .status,
            status,
            "{headers}{field:?}"
        );
    }
    let counted = ask(
        &simulator(),
        "/v1/messages/count_tokens",
        CLAUDE,
        &message("claude-sim"),
    )
    .await;
    assert_eq!(counted.json(), json!({"input_tokens": 4}));
}

#[tokio::test]
async fn small_endpoints_answer() {
    let request = json!({"model": "text-embedding-sim", "input": ["a", "b", "a"], "dimensions": 8});
    let embeddings = ask(&simulator(), "/v1/embeddings", KEY, &request)
        .await
        .json();
    assert_eq!(
        embeddings["data"][0]["embedding"],
        embeddings["data"][2]["embedding"]
    );
    assert_ne!(
        embeddings["data"][0]["embedding"],
        embeddings["data"][1]["embedding"]
    );
    assert_eq!(
        embeddings["data"][2]["embedding"].as_array().unwrap().len(),
        8
    );
    let mut coded = request.clone();
    coded["encoding_format"] = json!("base64");
    let coded = ask(&simulator(), "/v1/embeddings", KEY, &coded)
        .await
        .json();
    assert_eq!(
        coded["data"][0]["embedding"].as_str().unwrap().len(),
        44,
        "32 bytes"
    );
    let moderated = ask(
        &simulator(),
        "/v1/moderations",
        KEY,
        &json!({"model": "m", "input": "sim-flagged"}),
    )
    .await
    .json();
    assert_eq!(moderated["results"][0]["flagged"], true);
    let completed = ask(
        &simulator(),
        "/v1/completions",
        KEY,
        &json!({"model": "m", "prompt": "hi", "max_tokens": 1}),
    )
    .await
    .json();
    assert_eq!(
        (
            &completed["choices"][0]["text"],
            &completed["choices"][0]["finish_reason"]
        ),
        (&json!("This"), &json!("length"))
    );
}

#[tokio::test]
async fn models_are_listed_in_the_dialect_of_the_caller() {
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}\r\n")
    };
    let openai = got(&exchange(&simulator(), &get("/v1/models", KEY)).await).json();
    assert_eq!(openai["object"], "list");
    let anthropic = got(&exchange(&simulator(), &get("/v1/models", CLAUDE)).await).json();
    assert_eq!(
        (&anthropic["has_more"], &anthropic["first_id"]),
        (&json!(false), &json!("claude-sim"))
    );
    let one =
        got(&exchange(&simulator(), &get("/v1/models/ft%3Agpt-sim%3Aacme", KEY)).await).json();
    assert_eq!(one["id"], "ft:gpt-sim:acme");
    assert_eq!(
        got(&exchange(&simulator(), &get("/v1/models/no-such-model", KEY)).await).status,
        404
    );
}

/// Path, headers, body; then the status and the error's type.
type Complained = (&'static str, &'static str, Value, u16, Value);

fn openai_complaints() -> Vec<Complained> {
    vec![
        (
            "/v1/chat/completions",
            "",
            chat("gpt-sim"),
            401,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            "authorization: Bearer sim-invalid\r\n",
            chat("gpt-sim"),
            401,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            "x-api-key: k\r\n",
            chat("gpt-sim"),
            401,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            KEY,
            chat("no-such-model"),
            404,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            KEY,
            json!([]),
            400,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            KEY,
            json!({"model": "gpt-sim"}),
            400,
            json!("invalid_request_error"),
        ),
        (
            "/v1/chat/completions",
            KEY,
            chat("sim-fault-429"),
            429,
            json!("requests"),
        ),
        (
            "/v1/nothing",
            KEY,
            json!({}),
            404,
            json!("invalid_request_error"),
        ),
    ]
}

fn anthropic_complaints() -> Vec<Complained> {
    vec![
        (
            "/v1/messages",
            "anthropic-version: 2026-10-21\r\n",
            message("claude-sim"),
            401,
            json!("authentication_error"),
        ),
        (
            "/v1/messages",
            CLAUDE,
            message("no-such-model"),
            404,
            json!("not_found_error"),
        ),
        (
            "/v1/messages",
            CLAUDE,
            message("sim-fault-529"),
            529,
            json!("overloaded_error"),
        ),
        (
            "/v1/messages",
            CLAUDE,
            message("sim-fault-500"),
            500,
            json!("api_error"),
        ),
        (
            "/v1/messages",
            CLAUDE,
            json!({"model": "claude-sim", "messages": [1]}),
            400,
            json!("invalid_request_error"),
        ),
        (
            "/v1/messages",
            "authorization: Bearer a\r\nx-api-key: b\r\nanthropic-version: 2026-10-21\r\n",
            message("claude-sim"),
            400,
            json!("invalid_request_error"),
        ),
    ]
}

#[tokio::test]
async fn errors_are_in_the_provider_s_own_shape() {
    for (path, headers, body, status, kind) in openai_complaints()
        .into_iter()
        .chain(anthropic_complaints())
    {
        let got = ask(&simulator(), path, headers, &body).await;
        assert_eq!(
            (got.status, &got.json()["error"]["type"]),
            (status, &kind),
            "{path} {headers} {body}"
        );
        assert_eq!(got.json()["type"] == "error", path == "/v1/messages");
        assert_eq!(
            got.header("retry-after").is_some(),
            matches!(status, 429 | 529)
        );
    }
    let broken = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\nauthorization: Bearer k\r\ncontent-length: 1\r\n\r\n{";
    assert_eq!(got(&exchange(&simulator(), broken).await).status, 400);
    let get = "GET /v1/messages HTTP/1.1\r\nhost: sim\r\nconnection: close\r\nx-api-key: k\r\n\r\n";
    assert_eq!(got(&exchange(&simulator(), get).await).status, 405);
}

#[tokio::test]
async fn a_flaky_model_answers_the_retry() {
    let simulator = simulator();
    for (headers, status) in [
        ("", 500),
        ("x-stainless-retry-count: 0\r\n", 500),
        ("x-stainless-retry-count: 1\r\n", 200),
    ] {
        let got = ask(
            &simulator,
            "/v1/chat/completions",
            &format!("{KEY}{headers}"),
            &chat("gpt-sim+sim-flaky-500"),
        )
        .await;
        assert_eq!(got.status, status);
    }
}

#[tokio::test]
async fn a_cut_ends_the_connection_half_way() {
    for request in [chat("sim-fault-cut"), streamed(chat("sim-fault-cut"))] {
        let answer = exchange(&simulator(), &post("/v1/chat/completions", KEY, &request)).await;
        let got = got(&answer);
        assert_eq!(got.status, 200);
        assert!(
            !got.body.is_empty() && !got.body.contains("[DONE]") && !answer.ends_with("0\r\n\r\n")
        );
        if let Some(promised) = got.header("content-length") {
            assert!(got.body.len() < promised.parse().unwrap());
        }
    }
}

#[tokio::test]
async fn a_stream_can_end_in_the_provider_s_error_event() {
    let (_, data) = ask(
        &simulator(),
        "/v1/chat/completions",
        KEY,
        &streamed(chat("sim-fault-event")),
    )
    .await
    .events();
    assert_eq!(data.last().unwrap()["error"]["type"], "server_error");
    let (names, data) = ask(
        &simulator(),
        "/v1/messages",
        CLAUDE,
        &streamed(message("sim-fault-event")),
    )
    .await
    .events();
    assert_eq!(
        (
            names.last().unwrap().as_str(),
            &data.last().unwrap()["error"]["type"]
        ),
        ("error", &json!("overloaded_error"))
    );
    let request = json!({"model": "sim-fault-event", "input": "hi", "stream": true});
    let (names, data) = ask(&simulator(), "/v1/responses", KEY, &request)
        .await
        .events();
    assert_eq!(
        (
            names.last().unwrap().as_str(),
            &data.last().unwrap()["code"]
        ),
        ("error", &json!("server_error"))
    );
    assert_eq!(
        data.last().unwrap()["sequence_number"],
        data.len() - 1,
        "numbered on"
    );
    assert_eq!(
        ask(
            &simulator(),
            "/v1/messages",
            CLAUDE,
            &message("sim-fault-event")
        )
        .await
        .status,
        500,
        "not a stream"
    );
}

#[tokio::test(start_paused = true)]
async fn waits_are_as_long_as_asked() {
    let spent = async |model: &str, request: fn(&str) -> Value| {
        let before = Instant::now();
        ask(&simulator(), "/v1/chat/completions", KEY, &request(model)).await;
        before.elapsed()
    };
    assert_eq!(spent("gpt-sim", chat).await, Duration::ZERO);
    assert_eq!(
        spent("sim-slow-20ms", chat).await,
        Duration::from_millis(20)
    );
    let stream: fn(&str) -> Value = |model| streamed(chat(model));
    assert_eq!(spent("sim-first-3s", stream).await, Duration::from_secs(3));
    // Role, two deltas, the finish and `[DONE]`: four pauses between five frames.
    assert_eq!(
        spent("sim-pace-10ms+sim-chunks-2", stream).await,
        Duration::from_millis(40)
    );
    assert_eq!(
        spent("sim-pace-yield+sim-chunks-2", stream).await,
        Duration::ZERO
    );
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_silence_and_a_hang_has_no_head() {
    for (model, heard) in [("sim-fault-stall", true), ("sim-fault-hang", false)] {
        let (mut client, server) = duplex(1 << 20);
        client
            .write_all(post("/v1/chat/completions", KEY, &streamed(chat(model))).as_bytes())
            .await
            .unwrap();
        let simulator = simulator();
        let talk = async {
            let mut heard = Vec::new();
            let silent = timeout(Duration::from_mins(1), async {
                while client.read_buf(&mut heard).await.unwrap() > 0 {}
            })
            .await;
            assert!(silent.is_err(), "nothing ended it");
            drop(client);
            heard
        };
        let served = serve_connection(TokioIo::new(server), Arc::clone(&simulator));
        let (bytes, ()) = tokio::join!(talk, async { drop(served.await) });
        assert_eq!(!bytes.is_empty(), heard, "{model}");
        assert!(!String::from_utf8_lossy(&bytes).contains("[DONE]"));
        let seen: Value = serde_json::from_str(&simulator.seen.list()).unwrap();
        assert_eq!(seen["requests"][0]["answer"], "dropped");
    }
}

#[tokio::test]
async fn sizes_and_chunks_are_as_asked() {
    for (path, headers) in [
        ("/v1/chat/completions", KEY),
        ("/v1/messages", CLAUDE),
        ("/v1/completions", KEY),
    ] {
        let request = json!({"model": "sim-bytes-4096", "max_tokens": 4096, "prompt": "hi", "messages": [{"role": "user", "content": "hi"}]});
        let got = ask(&simulator(), path, headers, &request).await;
        assert!(
            (4050..=4140).contains(&got.body.len()),
            "{path}: {}",
            got.body.len()
        );
    }
    let got = ask(
        &simulator(),
        "/v1/chat/completions",
        KEY,
        &streamed(chat("sim-chunks-50")),
    )
    .await;
    let deltas = got
        .events()
        .1
        .iter()
        .filter(|chunk| {
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        })
        .count();
    assert_eq!(deltas, 50);
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_accept_it() {
    let accepting = format!("{KEY}accept-encoding: br, gzip\r\n");
    for request in [chat("sim-coding-gzip"), streamed(chat("sim-coding-gzip"))] {
        let plain = ask(&simulator(), "/v1/chat/completions", KEY, &request).await;
        assert_eq!(plain.header("content-encoding"), None);
        let (head, ()) = Request::post("/v1/chat/completions")
            .header("authorization", "Bearer k")
            .header("accept-encoding", "br, gzip")
            .body(())
            .unwrap()
            .into_parts();
        let act = answer::decide(
            &simulator(),
            Script::default(),
            &head,
            &Bytes::from(request.to_string()),
        );
        let mut body = act
            .answer
            .into_response(&act.script, Mark::default())
            .into_body();
        let coded = body::take(&mut body).await.unwrap();
        assert_eq!(unstored(&coded), plain.body);
    }
    let got = exchange(&simulator(), &post("/v1/nothing", &accepting, &json!({}))).await;
    assert!(got.contains("404 Not Found"));
}

/// The text of a gzip member of stored blocks, its length and checksum looked at.
fn unstored(mut rest: &[u8]) -> String {
    assert_eq!(rest[..3], [0x1f, 0x8b, 8]);
    let mut text = Vec::new();
    rest = &rest[10..];
    loop {
        let (last, length) = (rest[0], u16::from_le_bytes([rest[1], rest[2]]));
        assert_eq!(u16::from_le_bytes([rest[3], rest[4]]), !length);
        let end = 5 + usize::from(length);
        text.extend_from_slice(&rest[5..end]);
        rest = &rest[end..];
        if last == 1 {
            break;
        }
    }
    assert_eq!(rest.len(), 8);
    assert_eq!(
        usize::try_from(u32::from_le_bytes(rest[4..].try_into().unwrap())).unwrap(),
        text.len()
    );
    String::from_utf8(text).unwrap()
}

#[test]
fn the_checksum_is_gzip_s_own() {
    let member = gzip::wrapped(&[Bytes::from("123456789")]).concat();
    // The check value that every catalogue gives for this checksum.
    assert_eq!(
        member[member.len() - 8..member.len() - 4],
        0xcbf4_3926_u32.to_le_bytes()
    );
}

#[tokio::test]
async fn headers_steer_as_the_model_name_does() {
    let headers = format!("{KEY}x-sim-fault: 503\r\n");
    assert_eq!(
        ask(
            &simulator(),
            "/v1/chat/completions",
            &headers,
            &chat("gpt-sim")
        )
        .await
        .status,
        503
    );
    let asked = format!("{KEY}x-sim-reasoning: 7\r\n");
    let simulator = simulator();
    ask(&simulator, "/v1/chat/completions", KEY, &chat("gpt-sim")).await;
    let body = ask(&simulator, "/v1/chat/completions", &asked, &chat("gpt-sim"))
        .await
        .json();
    assert_eq!(
        body["usage"]["completion_tokens_details"]["reasoning_tokens"], 7,
        "not the one it remembers"
    );
}

#[tokio::test]
async fn what_was_seen_can_be_read_and_cleared() {
    let simulator = simulator();
    ask(
        &simulator,
        "/v1/chat/completions",
        &format!("{KEY}x-two: 1\r\nX-Two: 2\r\n"),
        &chat("gpt-sim"),
    )
    .await;
    let get = "GET /sim/requests HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n";
    let seen = got(&exchange(&simulator, get).await).json();
    assert_eq!(seen["total"], 1, "looking is not counted");
    let entry = &seen["requests"][0];
    assert_eq!(
        (&entry["method"], &entry["target"]),
        (&json!("POST"), &json!("/v1/chat/completions"))
    );
    assert_eq!(entry["body"], chat("gpt-sim").to_string());
    let names: Vec<&str> = entry["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| header[0].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "host",
            "connection",
            "authorization",
            "x-two",
            "x-two",
            "content-length"
        ]
    );
    assert_eq!(
        (&entry["status"], &entry["answer"]),
        (&json!(200), &json!("complete"))
    );

    for number in 0..70 {
        ask(
            &simulator,
            "/v1/chat/completions",
            KEY,
            &chat(&format!("gpt-{number}")),
        )
        .await;
    }
    let seen = got(&exchange(&simulator, get).await).json();
    assert_eq!(
        (
            seen["total"].as_u64(),
            seen["requests"].as_array().unwrap().len()
        ),
        (Some(71), 64)
    );
    let cleared = got(&exchange(&simulator, &get.replace("GET", "DELETE")).await).json();
    assert_eq!(cleared, json!({"total": 0, "requests": []}));
}

#[test]
fn scripts_are_read_from_a_command_line() {
    let script: Script = "slow-20ms+sim-chunks-50+fault-stall+pace-yield"
        .parse()
        .unwrap();
    let wanted = Script {
        latency: Duration::from_millis(20),
        chunks: Some(50),
        fault: Some(Fault::Stall),
        pace: Pace::Yield,
        ..Script::default()
    };
    assert_eq!(script, wanted);
    for bad in [
        "fast",
        "slow-20",
        "slow-11m",
        "slow-601s",
        "fault-200",
        "fault-600",
        "chunks-x",
        "chunks-0",
        "bytes-99999999",
    ] {
        assert!(
            bad.parse::<Script>().unwrap_err().to_string().contains(bad),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn pieces_make_up_the_text(text in "\\PC{0,80}", chunks in proptest::option::of(0_u32..40)) {
        let chunks = chunks.filter(|chunks| *chunks > 0);
        let pieces = reply::pieces(&text, chunks);
        prop_assert_eq!(pieces.concat(), text.as_str());
        prop_assert!(chunks.is_none_or(|most| pieces.len() <= usize::try_from(most).unwrap()));
    }

    #[test]
    fn any_body_gets_an_answer(body in "\\PC{0,60}") {
        let (head, ()) = Request::post("/v1/chat/completions").header("authorization", "Bearer k").body(()).unwrap().into_parts();
        let act = answer::decide(&simulator(), Script::default(), &head, &Bytes::from(body));
        prop_assert_eq!(act.answer.status, StatusCode::BAD_REQUEST);
    }
}

//! The limits of a tenant as its agent meets them: what a refusal says and when to come back, what a slot covers, who waits and
//! for how long, and what a call takes before and after its usage is known.

use std::sync::Arc;
use std::time::Duration;

use outrigger::app::Source;
use outrigger::host::SystemClock;
use outrigger::limits::Dimension;
use serde_json::Value;

use crate::stage::{
    Caller, END, PLAIN, STREAM, Stage, StillClock, Upstream, WHOLE, chat, chunk, config, field,
    json, messages, post, until,
};

const PATH: &str = "/openai/v1/chat/completions";

async fn ask(stage: &Stage, path: &str, question: &str) -> Caller {
    let mut caller = stage.caller().await;
    caller.send(&post(path, question)).await;
    caller
}

/// One call that is answered; gives the head.
async fn call(stage: &Stage, path: &str, question: &str, answer: &str) -> String {
    let mut caller = ask(stage, path, question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(answer)).await;
    peer.close_after().await;
    caller.answer().await.0
}

async fn refused(stage: &Stage, path: &str, question: &str) -> (String, Value) {
    let (head, body) = ask(stage, path, question).await.answer().await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    assert_eq!(field(&head, "x-should-retry"), Some("true"));
    (head, serde_json::from_str(&body).expect("a document"))
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back_and_then_lets_in() {
    let stage = Stage::open("limits.requests = \"2/min\"\nlimits.queue = 0").await;
    for left in ["1", "0"] {
        let head = call(&stage, PATH, PLAIN, WHOLE).await;
        assert_eq!(field(&head, "x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(field(&head, "x-ratelimit-remaining-requests"), Some(left));
    }
    stage.clock.advance(Duration::from_millis(500));
    let (head, body) = refused(&stage, PATH, PLAIN).await;
    // One request comes back every 30 s, of which half a second is over.
    assert_eq!(field(&head, "retry-after"), Some("30"));
    assert_eq!(field(&head, "retry-after-ms"), Some("29500"));
    assert_eq!(field(&head, "outrigger-code"), Some("rate-limited"));
    assert_eq!(field(&head, "x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(field(&head, "x-ratelimit-reset-requests"), Some("1m0s"));
    assert_eq!(body["error"]["type"], "rate_limit_error");
    assert_eq!(body["outrigger"]["limit"], "requests");
    assert_eq!(body["outrigger"]["tenant"], "acme");

    stage.clock.advance(Duration::from_millis(29_499));
    refused(&stage, PATH, PLAIN).await;
    stage.clock.advance(Duration::from_millis(1));
    call(&stage, PATH, PLAIN, WHOLE).await;
    stage.ended(5).await;
    assert_eq!(stage.metric("outrigger_refusals_total", "rate-limited"), 2);
}

#[tokio::test]
async fn a_refusal_never_sends_an_sdk_to_sleep_for_long() {
    let stage = Stage::open("limits.requests = \"1/h\"").await;
    call(&stage, PATH, PLAIN, WHOLE).await;
    let (head, body) = refused(&stage, PATH, PLAIN).await;
    assert_eq!(field(&head, "retry-after"), Some("60"));
    assert_eq!(
        body["outrigger"]["reset_ms"], 3_600_000,
        "the truth is in the body"
    );
}

#[tokio::test]
async fn the_headers_are_the_tenants_own_and_not_the_providers() {
    let stage =
        Stage::open("limits.input_tokens = \"1000/min\"\nlimits.output_tokens = \"2000/min\"")
            .await;
    let talk = messages();
    let mut caller = ask(&stage, talk.path, talk.question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nanthropic-ratelimit-tokens-remaining: 1\r\nanthropic-ratelimit-input-tokens-remaining: 1\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await;
    let (head, _) = caller.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 429 "),
        "the provider's own refusal: {head}"
    );
    assert_eq!(
        field(&head, "retry-after"),
        Some("7"),
        "is the provider's to explain"
    );
    assert_eq!(field(&head, "anthropic-ratelimit-tokens-remaining"), None);
    assert_eq!(
        field(&head, "anthropic-ratelimit-input-tokens-limit"),
        Some("1000")
    );
    assert_eq!(
        field(&head, "anthropic-ratelimit-output-tokens-limit"),
        Some("2000")
    );
    // Its 64 output tokens are held until the answer has ended.
    assert_eq!(
        field(&head, "anthropic-ratelimit-output-tokens-remaining"),
        Some("1936")
    );
    stage.ended(1).await;
    assert_eq!(
        stage.left(Dimension::OutputTokens),
        2000,
        "a refused call used nothing"
    );
    assert_eq!(stage.left(Dimension::InputTokens), 1000);
}

#[tokio::test]
async fn a_slot_is_taken_until_the_last_byte_of_the_answer() {
    let mut stage = Stage::open("limits.streams = 1\nlimits.queue = 0").await;
    let talk = chat();
    let mut caller = ask(&stage, talk.path, talk.question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    for event in &talk.events {
        peer.send(&chunk(event)).await;
    }
    caller.sees("[DONE]").await;
    let (head, body) = refused(&stage, PATH, PLAIN).await;
    assert_eq!(field(&head, "outrigger-code"), Some("queue-full"));
    assert_eq!(field(&head, "retry-after"), Some("1"));
    assert_eq!(body["outrigger"]["limit"], "streams");
    peer.send(END).await;
    caller.sees("0\r\n\r\n").await;
    stage.ended(2).await;
    let mut next = ask(&stage, PATH, PLAIN).await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    assert!(next.answer().await.0.starts_with("HTTP/1.1 200 "));
    let endings: Vec<_> = stage
        .lines()
        .into_iter()
        .map(|line| line["ending"].clone())
        .collect();
    assert_eq!(endings, ["refused", "complete", "complete"]);
}

#[tokio::test]
async fn the_queue_is_first_come_first_served_and_bounded() {
    const WAITERS: usize = 4;
    let stage =
        Stage::open("limits.streams = 1\nlimits.queue = 4\nlimits.queue_wait = \"1h\"").await;
    let account = stage.account("acme");
    let mut first = ask(&stage, PATH, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let mut queued = Vec::new();
    for number in 0..WAITERS {
        let question = PLAIN.replace("twelve bytes", &format!("number {number}"));
        queued.push(ask(&stage, PATH, &question).await);
        until("the next to wait", || account.waiting() == number + 1).await;
    }
    let (head, _) = refused(&stage, PATH, PLAIN).await;
    assert_eq!(field(&head, "outrigger-code"), Some("queue-full"));
    peer.send(&json(WHOLE)).await;
    first.answer().await;
    for (number, mut caller) in queued.into_iter().enumerate() {
        let (_, body) = peer.request().await;
        let body = String::from_utf8(body).expect("a text");
        assert!(
            body.contains(&format!("number {number}")),
            "out of turn: {body}"
        );
        peer.send(&json(WHOLE)).await;
        assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    stage.ended(WAITERS + 2).await;
}

#[tokio::test]
async fn who_has_waited_as_long_as_allowed_is_refused_and_used_nothing() {
    let upstream = Upstream::bind().await;
    let limits = "limits.streams = 1\nlimits.queue_wait = \"50ms\"\nlimits.tokens = \"1M/h\"";
    let text = config(upstream.at, limits);
    let mut stage = Stage::timed(
        upstream,
        Source::Text("test", text),
        Arc::new(SystemClock),
        Arc::new(StillClock::default()),
    );
    let mut first = ask(&stage, PATH, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let (head, _) = refused(&stage, PATH, PLAIN).await;
    assert_eq!(field(&head, "outrigger-code"), Some("queue-timeout"));
    peer.send(&json(WHOLE)).await;
    first.answer().await;
    stage.ended(2).await;
    let lines = stage.lines();
    assert!(
        lines[0]["queue_wait_us"].as_u64() >= Some(50_000),
        "{}",
        lines[0]
    );
    assert_eq!(lines[0]["ended_in"], "admit");
    assert!(lines[0].get("usage").is_none(), "{}", lines[0]);
}

#[tokio::test]
async fn a_call_takes_its_estimate_and_settles_to_the_truth() {
    let mut stage =
        Stage::open("limits.output_tokens = \"10k/h\"\nlimits.input_tokens = \"10k/h\"").await;
    let question =
        r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"twelve bytes"}]}"#;
    let mut caller = ask(&stage, PATH, question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    assert_eq!(
        stage.left(Dimension::OutputTokens),
        9_900,
        "the cap is held"
    );
    let held = 10_000 - stage.left(Dimension::InputTokens);
    assert!((3..50).contains(&held), "{held}");
    peer.send(&json(WHOLE)).await;
    caller.answer().await;
    stage.record().await;
    assert_eq!(stage.left(Dimension::OutputTokens), 9_991, "nine were used");
    assert_eq!(
        stage.left(Dimension::InputTokens),
        9_989,
        "eleven were read"
    );

    // Without a cap a default is held.
    let _caller = ask(&stage, PATH, PLAIN).await;
    peer.request().await;
    assert_eq!(stage.left(Dimension::OutputTokens), 9_991 - 4_096);
}

#[tokio::test]
async fn a_call_larger_than_the_bucket_takes_all_of_it_and_goes_into_debt() {
    let mut stage = Stage::open("limits.tokens = \"60/min\"\nlimits.queue = 0").await;
    let used = WHOLE
        .replace("\"prompt_tokens\":11", "\"prompt_tokens\":100")
        .replace("\"completion_tokens\":9", "\"completion_tokens\":20");
    let mut caller = ask(&stage, PATH, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    assert_eq!(stage.left(Dimension::Tokens), 0, "all of it is held");
    peer.send(&json(&used)).await;
    caller.answer().await;
    let line = stage.record().await;
    assert_eq!(line["input_tokens"], 100, "{line}");
    // 120 of 60 were used: a minute of debt, and one more second for the first token.
    let (head, body) = refused(&stage, PATH, PLAIN).await;
    assert_eq!(field(&head, "retry-after"), Some("60"), "capped: {head}");
    assert_eq!(body["outrigger"]["limit"], "tokens");
    stage.clock.advance(Duration::from_mins(1));
    refused(&stage, PATH, PLAIN).await;
    assert_eq!(stage.left(Dimension::Tokens), 0);
    // The next one needs the whole bucket again.
    stage.clock.advance(Duration::from_mins(1));
    assert_eq!(stage.left(Dimension::Tokens), 60);
    let mut caller = ask(&stage, PATH, PLAIN).await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_throttled_tenant_uploads_nothing() {
    let mut stage = Stage::open("limits.requests = \"1/h\"").await;
    call(&stage, PATH, PLAIN, WHOLE).await;
    stage.record().await;
    let mut caller = stage.caller().await;
    caller
        .send(format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 30000000\r\n\r\n").as_bytes())
        .await;
    // Not a byte of the body was sent, and the answer is here.
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    let line = stage.record().await;
    assert_eq!(line["ended_in"], "admit", "{line}");
    assert_eq!(line["request_bytes"], 0, "{line}");
    stage.upstream.unused().await;
}

#[tokio::test]
async fn what_uses_no_tokens_passes_without_any_left() {
    let mut stage = Stage::open("limits.tokens = \"20/h\"\nlimits.queue = 0").await;
    call(&stage, PATH, PLAIN, WHOLE).await;
    stage.record().await;
    assert_eq!(stage.left(Dimension::Tokens), 0, "all are used");
    refused(&stage, PATH, PLAIN).await;
    let question = r#"{"model":"m","messages":[{"role":"user","content":"twelve bytes"}]}"#;
    call(
        &stage,
        "/anthropic/v1/messages/count_tokens",
        question,
        r#"{"input_tokens":5}"#,
    )
    .await;
    let mut caller = stage.caller().await;
    caller
        .send(b"GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json("{}")).await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
    stage.ended(3).await;
}

#[tokio::test]
async fn each_dialect_is_refused_in_its_own_words() {
    let stage = Stage::open("limits.requests = \"1/min\"\nlimits.queue = 0").await;
    let talk = messages();
    call(
        &stage,
        talk.path,
        PLAIN,
        r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1}}"#,
    )
    .await;
    let (head, body) = refused(&stage, talk.path, talk.question).await;
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], "rate_limit_error");
    assert_eq!(field(&head, "retry-after"), Some("60"));
    assert_eq!(
        field(&head, "anthropic-ratelimit-requests-limit"),
        Some("1")
    );
    assert_eq!(
        field(&head, "anthropic-ratelimit-requests-remaining"),
        Some("0")
    );
    // The clock of the test stands at 2027-01-15T08:00:00Z.
    assert_eq!(
        field(&head, "anthropic-ratelimit-requests-reset"),
        Some("2027-01-15T08:01:00Z")
    );
    let (_, body) = refused(&stage, "/openai/v1/responses", PLAIN).await;
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    stage.ended(3).await;
}

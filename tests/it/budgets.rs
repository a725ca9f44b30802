//! Money as its spenders meet it: what is held before a call leaves, what a refusal says, how a stream ends whose budget is
//! used up, what agents and sessions have for themselves, and what an operator can do about it. One token of input costs a
//! thousandth of a dollar here, one of output two.

use serde_json::Value;

use crate::stage::{Caller, END, STREAM, Stage, chat, chunk, field, json, messages, post};

const CHAT: &str = "/openai/v1/chat/completions";
const MESSAGES: &str = "/anthropic/v1/messages";

/// Prices of 1000 and 2000 dollars a million, and the one budget.
fn priced(budget: &str) -> String {
    format!(
        "{budget}\n[prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n\
         [prices.models.\"anthropic/m\"]\ninput = \"1000\"\noutput = \"2000\"\n"
    )
}

fn question(cap: u64) -> String {
    format!(r#"{{"model":"m","max_tokens":{cap},"messages":[]}}"#)
}

fn answer(input: u64, output: u64) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
        input + output
    )
}

async fn ask(stage: &Stage, question: &str, extra: &str) -> Caller {
    let mut caller = stage.caller().await;
    let request = String::from_utf8(post(CHAT, question)).expect("text");
    let request = request.replacen("\r\n", &format!("\r\n{extra}"), 1);
    caller.send(request.as_bytes()).await;
    caller
}

/// A call that is let through; gives what the upstream got, and the caller's head.
async fn call(stage: &Stage, cap: u64, used: (u64, u64), extra: &str) -> (String, String) {
    let mut caller = ask(stage, &question(cap), extra).await;
    let mut peer = stage.upstream.accept().await;
    let (head, body) = peer.request().await;
    peer.send(&json(&answer(used.0, used.1))).await;
    peer.close_after().await;
    let sent = format!("{head}\n{}", String::from_utf8(body).expect("text"));
    (sent, caller.answer().await.0)
}

async fn refused(stage: &Stage, cap: u64, extra: &str) -> (String, Value) {
    let (head, body) = ask(stage, &question(cap), extra).await.answer().await;
    assert!(head.starts_with("HTTP/1.1 402 "), "{head}{body}");
    assert_eq!(field(&head, "x-should-retry"), Some("false"));
    assert_eq!(field(&head, "retry-after"), None);
    assert_eq!(field(&head, "outrigger-code"), Some("budget-exhausted"));
    (head, serde_json::from_str(&body).expect("a document"))
}

/// An amount of a family on the page, as text.
fn dollars(stage: &Stage, series: &str) -> String {
    let page = stage.page();
    let line = page.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in {page}"));
    line.rsplit(' ').next().expect("a value").to_owned()
}

const DAILY: &str =
    "budgets.daily = { amount = \"1 USD\", per = \"day\", zone = \"Europe/Berlin\" }";

#[tokio::test]
async fn a_call_holds_what_it_may_cost_and_is_charged_what_it_did() {
    let mut stage = Stage::open(&priced(DAILY)).await;
    let body = question(100);
    let mut caller = ask(&stage, &body, "").await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    // Each byte of the request may be a token, and a hundred tokens may come back.
    let most = body.len() * 1_000_000 + 100 * 2_000_000;
    let held = dollars(
        &stage,
        "outrigger_budget_held_usd{tenant=\"acme\",budget=\"daily\"}",
    );
    assert_eq!(held, format!("0.{most:09}").trim_end_matches('0'));
    peer.send(&json(&answer(11, 7))).await;
    peer.close_after().await;
    caller.answer().await;
    let line = stage.record().await;
    assert_eq!(line["cost_nano_usd"], 11_000_000 + 14_000_000, "{line}");
    assert_eq!(line.get("unpriced"), None);
    for (series, amount) in [
        (
            "outrigger_budget_spent_usd{tenant=\"acme\",budget=\"daily\"}",
            "0.025",
        ),
        (
            "outrigger_budget_held_usd{tenant=\"acme\",budget=\"daily\"}",
            "0.00",
        ),
        (
            "outrigger_budget_limit_usd{tenant=\"acme\",budget=\"daily\"}",
            "1.00",
        ),
        (
            "outrigger_cost_usd_total{tenant=\"acme\",source=\"reported\"}",
            "0.025",
        ),
    ] {
        assert_eq!(dollars(&stage, series), amount, "{series}");
    }
}

#[tokio::test]
async fn what_is_used_up_is_refused_before_the_body_is_read_and_says_until_when() {
    let mut stage = Stage::open(&priced(DAILY)).await;
    // 200 tokens of output and 300 of input: all of a dollar, and more than was held.
    call(&stage, 200, (600, 200), "").await;
    stage.record().await;
    let mut caller = stage.caller().await;
    // The body is announced, and never comes.
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    );
    caller.send(head.as_bytes()).await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 402 "), "{head}");
    let body: Value = serde_json::from_str(&body).expect("a document");
    assert_eq!(body["error"]["type"], "insufficient_quota");
    let budget = &body["outrigger"]["budget"];
    assert_eq!(budget["name"], "daily");
    assert_eq!(budget["spent_usd"], "1.00");
    assert_eq!(budget["limit_usd"], "1.00");
    // It is nine in the morning in Berlin.
    assert_eq!(budget["resets_at"], "2027-01-15T23:00:00Z");
    stage.upstream.unused().await;
    let line = stage.record().await;
    assert_eq!(
        (line["code"].as_str(), line["ended_in"].as_str()),
        (Some("budget-exhausted"), Some("admit"))
    );
    assert_eq!(
        stage.metric("outrigger_budget_thresholds_total", "percent=\"100\""),
        1
    );
    // In the other provider's words.
    let mut caller = stage.caller().await;
    caller.send(&post(MESSAGES, &question(16))).await;
    let (head, body) = caller.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 402 ") && body.contains("billing_error"),
        "{head}{body}"
    );
}

#[tokio::test]
async fn the_cap_is_made_to_fit_what_is_left() {
    let stage = Stage::open(&priced(DAILY)).await;
    let (sent, head) = call(&stage, 10_000, (10, 10), "").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let body: Value =
        serde_json::from_str(sent.lines().last().expect("a body")).expect("a document");
    let cap = body["max_tokens"].as_u64().expect("a cap");
    let input = question(10_000).len() as u64;
    assert_eq!(cap, (1_000 - input) / 2, "what a dollar pays for");
    // A call that caps nothing is given the policy's cap, where that fits.
    let stage = Stage::open(&priced("policy = \"p\"\nbudgets.daily = { amount = \"1 USD\", per = \"day\" }\n[policies.p]\nmodels.uncapped_output_tokens = 50")).await;
    let mut caller = ask(&stage, r#"{"model":"m","messages":[]}"#, "").await;
    let mut peer = stage.upstream.accept().await;
    let (_, body) = peer.request().await;
    let body: Value = serde_json::from_slice(&body).expect("a document");
    assert_eq!(
        body["max_completion_tokens"]
            .as_u64()
            .or_else(|| body["max_tokens"].as_u64()),
        Some(50),
        "{body}"
    );
    peer.send(&json(&answer(10, 10))).await;
    peer.close_after().await;
    caller.answer().await;
}

#[tokio::test]
async fn racing_calls_spend_what_there_is_and_no_more() {
    // Five dollars, and each call may cost a dime: its 40 bytes or so, and the rest in output.
    let input = question(10).len() as u64;
    let cap = (100 - input) / 2;
    let budget = format!(
        "budgets.total = {{ amount = \"{}.{:03} USD\", per = \"total\" }}",
        5, 0
    );
    let stage = Stage::open(&priced(&budget)).await;
    let most = (question(cap).len() as u64 + 2 * cap) * 1_000_000;
    let fits = usize::try_from(5_000_000_000 / most).expect("few");
    let mut callers = Vec::new();
    for _ in 0..fits + 20 {
        callers.push(ask(&stage, &question(cap), "").await);
    }
    let mut peers = Vec::new();
    for _ in 0..fits {
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peers.push(peer);
    }
    for mut peer in peers {
        peer.send(&json(&answer(input, cap))).await;
        peer.close_after().await;
    }
    let mut let_in = 0;
    for mut caller in callers {
        let (head, _) = caller.answer().await;
        if head.starts_with("HTTP/1.1 200 ") {
            let_in += 1;
        } else {
            assert!(head.starts_with("HTTP/1.1 402 "), "{head}");
        }
    }
    assert!(let_in >= fits, "{let_in} of {fits}");
    stage.at_rest().await;
    let state = stage
        .account("acme")
        .budgets(outrigger::units::Wall(1_800_000_000_000))
        .remove(0);
    assert!(state.spent <= state.limit, "{state:?}");
}

#[tokio::test]
async fn a_stream_holds_more_as_it_goes_and_is_cut_when_there_is_no_more() {
    for talk in [chat(), messages()] {
        let mut stage = Stage::open(&priced(
            "budgets.daily = { amount = \"5 USD\", per = \"day\" }",
        ))
        .await;
        let mut caller = stage.caller().await;
        caller.send(&post(talk.path, talk.question)).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(STREAM).await;
        let text = "words ".repeat(200);
        let delta = if talk.path == CHAT {
            format!(
                "data: {{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
            )
        } else {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
            )
        };
        // 300 tokens each: five dollars are used up in the ninth or so.
        for _ in 0..30 {
            if !peer.try_send(&chunk(&delta)).await {
                break;
            }
        }
        peer.try_send(END).await;
        let got = caller.sees("0\r\n\r\n").await;
        assert!(got.contains("used up") && got.contains("\"cut\""), "{got}");
        assert!(!got.contains("[DONE]") && !got.contains("message_stop"));
        stage.ended(1).await;
        let line = stage.record().await;
        assert_eq!(
            (line["ending"].as_str(), line["cause"].as_str()),
            (Some("cut-off"), Some("budget-exhausted")),
            "{line}"
        );
        assert_eq!(line["usage"], "estimated");
        assert!(
            line["cost_nano_usd"].as_u64() > Some(1_000_000_000),
            "what came is charged: {line}"
        );
        // What is left is worth no answer without a cap.
        let (head, _) = {
            let mut caller = stage.caller().await;
            caller.send(&post(chat().path, chat().question)).await;
            caller.answer().await
        };
        assert!(head.starts_with("HTTP/1.1 402 "), "{head}");
    }
}

#[tokio::test]
async fn each_session_has_its_own_and_says_who_it_is_in_a_header_that_goes_no_further() {
    let budget = "budgets.each = { amount = \"0.5 USD\", per = \"total\", scope = \"session\" }";
    let mut stage = Stage::open(&priced(budget)).await;
    let (sent, _) = call(
        &stage,
        100,
        (300, 100),
        "outrigger-session: s-1\r\noutrigger-agent: scout\r\n",
    )
    .await;
    assert!(!sent.to_ascii_lowercase().contains("outrigger-"), "{sent}");
    let line = stage.record().await;
    assert_eq!(
        (line["session"].as_str(), line["agent"].as_str()),
        (Some("s-1"), Some("scout"))
    );
    let (_, body) = refused(&stage, 100, "outrigger-session: s-1\r\n").await;
    assert_eq!(body["outrigger"]["budget"]["scope"], "session");
    assert_eq!(body["outrigger"]["budget"]["resets_at"], Value::Null);
    call(&stage, 100, (10, 10), "outrigger-session: s-2\r\n").await;
    call(&stage, 100, (10, 10), "").await;
    stage.ended(3).await;
    stage.lines();
    for wrong in [
        "outrigger-session: s 1\r\n",
        "outrigger-user: a\r\noutrigger-user: a\r\n",
    ] {
        let (head, body) = ask(&stage, &question(10), wrong).await.answer().await;
        assert!(
            head.starts_with("HTTP/1.1 400 ") && body.contains("attribution-malformed"),
            "{head}{body}"
        );
        stage.record().await;
    }
    stage.upstream.unused().await;
}

#[tokio::test]
async fn nothing_that_costs_money_goes_round_a_budget() {
    let added = "policy = \"p\"\nbudgets.daily = { amount = \"1 USD\", per = \"day\" }\n[policies.p]\nendpoints.allow = [\"batches\", \"audio\"]\nreferences = \"allow\"\n";
    let stage = Stage::open(&priced(added)).await;
    for path in ["/openai/v1/batches", "/openai/v1/audio/voices"] {
        let mut caller = stage.caller().await;
        caller.send(&post(path, "{}")).await;
        let (head, body) = caller.answer().await;
        assert!(
            head.starts_with("HTTP/1.1 403 ") && body.contains("cost-unknown"),
            "{head}{body}"
        );
    }
    // Of a model that nobody has a price for, the dearest is held, or nothing at all is let through.
    let unknown = r#"{"model":"nobody-knows","max_tokens":16,"messages":[]}"#;
    let text = format!("{}[prices]\nunknown = \"refuse\"\n", priced(DAILY));
    let strict = Stage::open(&text).await;
    let (head, body) = ask(&strict, unknown, "").await.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 403 ") && body.contains("nobody-knows"),
        "{head}{body}"
    );
    strict.upstream.unused().await;
    stage.upstream.unused().await;
}

#[tokio::test]
async fn what_costs_nothing_needs_no_money() {
    let stage = Stage::open(&priced(DAILY)).await;
    call(&stage, 200, (600, 200), "").await;
    refused(&stage, 16, "").await;
    let mut caller = stage.caller().await;
    caller
        .send(b"GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(r#"{"object":"list","data":[]}"#)).await;
    peer.close_after().await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
}

//! Refusals: whoever is refused again and again is told nothing but that, loses the connection, and harms nobody else.

use std::time::Duration;

use super::{listening, question, request, two_tenants};
use crate::stage::{Stage, WHOLE, field, json};

/// One request on a connection of its own; gives the head and whether the connection was closed.
async fn ask(stage: &Stage, bytes: &[u8]) -> (String, bool) {
    let mut caller = stage.caller().await;
    caller.send(bytes).await;
    let (head, _) = caller.answer().await;
    let closed = field(&head, "connection") == Some("close");
    if closed {
        assert!(caller.rest().await.is_empty());
    }
    (head, closed)
}

async fn goes_through(stage: &Stage, tenant: &str) {
    let mut caller = stage.caller().await;
    caller.send(&request(tenant, &question(10))).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
}

const STRICT: &str = "policy = \"strict\"\nlimits.refusals = \"1/s burst 3\"\n[policies.strict]\nmodels.deny = [\"no\"]";

#[tokio::test]
async fn a_tenant_that_is_refused_again_and_again_loses_its_connection_each_time() {
    let mut stage = two_tenants("", STRICT).await;
    let denied = request("loud", &question(10).replace("\"m\"", "\"no\""));
    for _ in 0..3 {
        let (head, closed) = ask(&stage, &denied).await;
        assert!(head.starts_with("HTTP/1.1 403 ") && !closed, "{head}");
    }
    for _ in 0..3 {
        let (head, closed) = ask(&stage, &denied).await;
        assert!(head.starts_with("HTTP/1.1 429 ") && closed, "{head}");
        assert_eq!(field(&head, "outrigger-code"), Some("too-many-refusals"));
        // Or the SDKs would send each three times.
        assert_eq!(field(&head, "x-should-retry"), Some("false"));
        assert_eq!(field(&head, "retry-after"), None);
    }
    // What is allowed goes on, its own and others'.
    goes_through(&stage, "loud").await;
    goes_through(&stage, "quiet").await;
    stage.clock.advance(Duration::from_secs(1));
    assert!(ask(&stage, &denied).await.0.starts_with("HTTP/1.1 403 "));
    stage.at_rest().await;
    let lines = stage.lines();
    assert_eq!(lines[4]["code"], "too-many-refusals");
    assert_eq!(lines[4]["cause"], "model-denied", "the log says why");
    assert_eq!(
        stage.metric("outrigger_refusals_total", "too-many-refusals"),
        3
    );
}

#[tokio::test]
async fn who_guesses_keys_needs_a_connection_for_each() {
    let stage = listening("refusals = \"1/s burst 3\"", "").await;
    let guess = request("guess", &question(10));
    for _ in 0..3 {
        let (head, closed) = ask(&stage, &guess).await;
        assert!(head.starts_with("HTTP/1.1 401 ") && !closed, "{head}");
    }
    for _ in 0..3 {
        let (head, closed) = ask(&stage, &guess).await;
        assert_eq!(field(&head, "outrigger-code"), Some("too-many-refusals"));
        assert!(closed);
    }
    goes_through(&stage, "loud").await;
    assert_eq!(
        stage.metric("outrigger_refusals_total", "tenant=\"_nobody\""),
        6
    );
}

#[tokio::test]
async fn what_was_looked_at_and_refused_counts_as_a_request() {
    let rules = "policy = \"strict\"\nlimits.requests = \"2/min\"\nlimits.queue = 0\n[policies.strict]\nmodels.deny = [\"no\"]";
    let stage = two_tenants("", rules).await;
    let denied = request("loud", &question(10).replace("\"m\"", "\"no\""));
    for _ in 0..2 {
        assert!(ask(&stage, &denied).await.0.starts_with("HTTP/1.1 403 "));
    }
    // Nothing of it is read any more.
    let head = &denied[..denied.len() - 20];
    let (head, _) = ask(&stage, head).await;
    assert_eq!(field(&head, "outrigger-code"), Some("rate-limited"));
    goes_through(&stage, "quiet").await;
}

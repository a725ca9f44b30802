//! Request bodies that are held: one ceiling, a share that is each tenant's own, and everything given back.

use std::time::Duration;

use super::{question, request, two_tenants};
use crate::stage::{Caller, Peer, Stage, WHOLE, field, json, until};

const KIB: usize = 1024;

/// Of one MiB, 128 KiB are each tenant's own; of the rest, one alone may borrow 384 KiB.
const CEILING: &str = "memory.buffers = \"1MiB\"";

fn held(stage: &Stage, tenant: &str) -> u64 {
    stage.metric("outrigger_buffered_bytes", tenant)
}

/// Uploads all of a request but its end.
async fn begin(stage: &Stage, tenant: &str, bytes: usize) -> Caller {
    let mut caller = stage.caller().await;
    let request = request(tenant, &question(bytes));
    caller.send(&request[..request.len() - 2]).await;
    caller
}

/// A call that must go through.
async fn call(stage: &Stage, tenant: &str, bytes: usize) {
    let mut caller = stage.caller().await;
    caller.send(&request(tenant, &question(bytes))).await;
    let mut peer = answerable(stage).await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
}

/// The upstream's end of the next call, read whole.
async fn answerable(stage: &Stage) -> Peer {
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer
}

#[tokio::test]
async fn who_floods_with_slow_uploads_refuses_nobody_elses_requests() {
    let stage = two_tenants(CEILING, "").await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(begin(&stage, "loud", 100 * KIB).await);
    }
    until("four uploads to be held", || {
        held(&stage, "loud") >= 4 * 80 * 1024
    })
    .await;
    let mut refused = 0;
    for _ in 0..20 {
        let mut caller = begin(&stage, "loud", 400 * KIB).await;
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert_eq!(field(&head, "outrigger-code"), Some("buffers-full"));
        assert_eq!(field(&head, "x-should-retry"), Some("true"));
        assert_eq!(field(&head, "retry-after"), Some("1"));
        assert_eq!(field(&head, "connection"), Some("close"));
        assert!(body.contains("memory.buffers"), "{body}");
        refused += 1;
    }
    // What is small, and what is not but within the share.
    call(&stage, "quiet", 10).await;
    call(&stage, "quiet", 100 * KIB).await;
    assert_eq!(
        stage.metric("outrigger_refusals_total", "tenant=\"loud\""),
        refused
    );
    assert_eq!(
        stage.metric("outrigger_refusals_total", "tenant=\"quiet\""),
        0
    );
    assert_eq!(stage.metric("outrigger_buffers_bytes", ""), 1 << 20);
    drop(slow);
    until("all to come back", || held(&stage, "") == 0).await;
    call(&stage, "loud", 300 * KIB).await;
}

#[tokio::test]
async fn what_is_held_is_never_more_than_the_ceiling_whatever_the_pieces() {
    let stage = two_tenants(CEILING, "").await;
    let mut crowd = Vec::new();
    let head = "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-loud\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for _ in 0..12 {
        let mut caller = stage.caller().await;
        let mut sent = head.as_bytes().to_vec();
        sent.extend_from_slice(b"2\r\n[\"\r\n");
        // Small pieces, which must not cost a handle each.
        for _ in 0..4 * KIB {
            sent.extend_from_slice(b"f\r\nxxxxxxxxxxxxxxx\r\n");
        }
        caller.send(&sent).await;
        crowd.push(caller);
        assert!(held(&stage, "") <= 1 << 20);
    }
    until("some to be refused", || {
        stage.metric("outrigger_refusals_total", "buffers-full") > 0
    })
    .await;
    assert!(
        held(&stage, "loud") <= 512 << 10,
        "{}",
        held(&stage, "loud")
    );
    drop(crowd);
    until("all to come back", || held(&stage, "") == 0).await;
}

/// What is found in a body is held, too: of empty objects it is many times as large as the body.
#[tokio::test]
async fn what_a_body_unfolds_to_is_counted() {
    let stage = two_tenants(CEILING, "").await;
    let tools = "{},".repeat(20_000);
    let body = format!(r#"{{"model":"m","messages":[],"tools":[{tools}{{}}]}}"#);
    let mut caller = stage.caller().await;
    caller.send(&request("loud", &body)).await;
    let (head, _) = caller.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("body-too-large"));
    assert_eq!(held(&stage, ""), 0);
}

#[tokio::test]
async fn a_body_is_held_until_the_answer_begins() {
    let stage = two_tenants(CEILING, "").await;
    let mut caller = stage.caller().await;
    caller.send(&request("loud", &question(100 * KIB))).await;
    let mut peer = answerable(&stage).await;
    assert!(
        held(&stage, "loud") >= 80 * 1024,
        "the upstream may not have read it"
    );
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n")
        .await;
    caller.sees("\r\n\r\n").await;
    assert_eq!(held(&stage, ""), 0, "the answer may go on for long");
}

#[tokio::test]
async fn small_bodies_cost_nothing() {
    let stage = two_tenants(CEILING, "").await;
    let mut caller = stage.caller().await;
    caller.send(&request("loud", &question(4 * KIB))).await;
    let _peer = answerable(&stage).await;
    assert_eq!(held(&stage, ""), 0);
}

#[tokio::test]
async fn every_way_out_gives_back() {
    let stage = two_tenants(
        CEILING,
        "policy = \"tight\"\n[policies.tight]\nbody_timeout = \"300ms\"\nmodels.deny = [\"no\"]",
    )
    .await;
    let mut big = question(100 * KIB);
    // Refused by what it says, at its end and in its middle.
    for (from, to) in [("\"m\"", "\"no\""), ("\"messages\"", "\"model\"")] {
        let mut caller = stage.caller().await;
        caller.send(&request("loud", &big.replace(from, to))).await;
        let (head, _) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 40"), "{head}");
        assert_eq!(held(&stage, ""), 0);
    }
    // Too slow.
    let (head, _) = begin(&stage, "loud", 100 * KIB).await.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("body-timeout"));
    assert_eq!(held(&stage, ""), 0);
    // Hung up while it uploads, and while it waits for its answer.
    let caller = begin(&stage, "quiet", 100 * KIB).await;
    until("the upload to be held", || held(&stage, "quiet") > 0).await;
    drop(caller);
    until("a hang-up to give back", || held(&stage, "") == 0).await;
    let mut caller = stage.caller().await;
    caller.send(&request("quiet", &big)).await;
    let _peer = answerable(&stage).await;
    assert!(held(&stage, "quiet") > 0);
    drop(caller);
    until("a hang-up to give back", || held(&stage, "") == 0).await;
    // The upstream breaks off.
    let mut caller = stage.caller().await;
    caller.send(&request("quiet", &big)).await;
    answerable(&stage).await.reset();
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 502 "));
    assert_eq!(held(&stage, ""), 0);
    // Larger than there can ever be.
    big = question(600 * KIB);
    let mut caller = stage.caller().await;
    caller.send(&request("quiet", &big)[..1000]).await;
    let (head, body) = caller.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("body-too-large"));
    assert_eq!(field(&head, "x-should-retry"), Some("false"));
    assert!(body.contains("memory.buffers"), "{body}");
}

#[tokio::test]
async fn a_panic_gives_back() {
    let stage = two_tenants(CEILING, "").await;
    let caller = begin(&stage, "loud", 100 * KIB).await;
    until("the upload to be held", || held(&stage, "loud") > 0).await;
    stage.clock.trap_after(0);
    let mut caller = caller;
    caller.send(b"]}").await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(stage.clock.sprung());
    until("a panic to give back", || held(&stage, "") == 0).await;
}

#[tokio::test]
async fn the_shutdown_gives_back() {
    let stage = two_tenants(CEILING, "").await;
    let _caller = begin(&stage, "loud", 100 * KIB).await;
    until("the upload to be held", || held(&stage, "loud") > 0).await;
    let cut = tokio::time::timeout(Duration::from_secs(10), stage.sidecar.cut());
    assert_eq!(cut.await, Ok(1));
    until("the cut to give back", || held(&stage, "") == 0).await;
}

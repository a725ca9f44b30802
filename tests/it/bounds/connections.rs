//! Connections: how many one tenant may have, and that idle ones lock nobody out.

use super::{listening, question, request, two_tenants};
use crate::stage::{Caller, Stage, WHOLE, field, json, sum, until};

/// A sidecar for two tenants with room for eight connections.
async fn crowded(loud: &str) -> Stage {
    listening("connections = 8", loud).await
}

/// A connection on which that tenant had a call, and is idle.
async fn idle(stage: &Stage, tenant: &str) -> Caller {
    let mut caller = stage.caller().await;
    ask(stage, tenant, &mut caller).await;
    stage.at_rest().await;
    caller
}

async fn ask(stage: &Stage, tenant: &str, caller: &mut Caller) {
    caller.send(&request(tenant, &question(10))).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

/// A connection on which that tenant's call is under way.
async fn busy(stage: &Stage, tenant: &str) -> (Caller, crate::stage::Peer) {
    let mut caller = stage.caller().await;
    caller.send(&request(tenant, &question(10))).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    (caller, peer)
}

fn owned(stage: &Stage, tenant: &str) -> u64 {
    stage.metric("outrigger_tenant_connections", tenant)
}

#[tokio::test]
async fn a_tenant_has_no_more_connections_than_it_may_have() {
    let stage = two_tenants("", "limits.connections = 2").await;
    let mut first = idle(&stage, "loud").await;
    let second = idle(&stage, "loud").await;
    let mut third = stage.caller().await;
    third.send(&request("loud", &question(10))).await;
    let (head, _) = third.answer().await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    assert_eq!(field(&head, "outrigger-code"), Some("too-many-connections"));
    assert_eq!(field(&head, "x-should-retry"), Some("true"));
    assert!(third.rest().await.is_empty(), "it is closed");
    // Those it has go on, and others are not concerned.
    ask(&stage, "loud", &mut first).await;
    idle(&stage, "quiet").await;
    drop(second);
    until("a place to be free", || owned(&stage, "loud") == 1).await;
    idle(&stage, "loud").await;
}

#[tokio::test]
async fn a_connection_is_the_tenants_of_its_latest_request() {
    let stage = two_tenants("", "limits.connections = 1").await;
    let mut caller = idle(&stage, "loud").await;
    assert_eq!((owned(&stage, "loud"), owned(&stage, "quiet")), (1, 0));
    ask(&stage, "quiet", &mut caller).await;
    assert_eq!((owned(&stage, "loud"), owned(&stage, "quiet")), (0, 1));
    caller
        .send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    caller.answer().await;
    assert_eq!((owned(&stage, "_nobody"), owned(&stage, "quiet")), (1, 0));
    idle(&stage, "loud").await;
    drop(caller);
    until("all to be gone", || owned(&stage, "") == 0).await;
}

#[tokio::test]
async fn idle_connections_of_whoever_has_most_make_room() {
    let stage = crowded("").await;
    let mut quiet = idle(&stage, "quiet").await;
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(idle(&stage, "loud").await);
    }
    let evicted = |page: &str| sum(page, "outrigger_connections_evicted_total", "");
    assert_eq!(evicted(&stage.page()), 0);
    for round in 1..=3 {
        // The quiet one's own, and whoever comes, are served; the loud one's oldest go.
        let mut next = idle(&stage, "quiet").await;
        until("a connection to be closed", || {
            evicted(&stage.page()) == round
        })
        .await;
        assert!(
            crowd.remove(0).rest().await.is_empty(),
            "closed without a word"
        );
        ask(&stage, "quiet", &mut quiet).await;
        ask(&stage, "quiet", &mut next).await;
        drop(next);
        until("it to be gone", || owned(&stage, "quiet") == 1).await;
        crowd.push(stage.caller().await);
        until("it to be there", || {
            stage.metric("outrigger_connections_open", "") >= 7
        })
        .await;
    }
    assert_eq!(stage.metric("outrigger_connections_refused_total", ""), 0);
}

#[tokio::test]
async fn calls_under_way_are_never_closed_to_make_room_and_one_tenant_cannot_have_all_places() {
    let stage = crowded("").await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(busy(&stage, "loud").await);
    }
    // Three quarters of eight are the most that one of several may have.
    let mut more = stage.caller().await;
    more.send(&request("loud", &question(10))).await;
    let (head, _) = more.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("too-many-connections"));
    drop(more);
    until("it to be gone", || {
        stage.metric("outrigger_connections_open", "") == 6
    })
    .await;
    let mut quiet = stage.caller().await;
    ask(&stage, "quiet", &mut quiet).await;
    drop(quiet);
    until("it to be gone", || {
        stage.metric("outrigger_connections_open", "") == 6
    })
    .await;
    let _others = (busy(&stage, "quiet").await, busy(&stage, "quiet").await);
    let mut turned_away = stage.caller().await;
    let (head, _) = turned_away.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("overloaded"));
    for (caller, peer) in &mut streams {
        peer.send(&json(WHOLE)).await;
        assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(stage.metric("outrigger_connections_evicted_total", ""), 0);
}

#[tokio::test]
async fn who_connects_and_says_nothing_makes_room_too() {
    let stage = crowded("").await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(stage.caller().await);
    }
    let mut quiet = idle(&stage, "quiet").await;
    ask(&stage, "quiet", &mut quiet).await;
}

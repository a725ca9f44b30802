//! Callers that trickle: heads and bodies that come a byte at a time are turned away, whatever came before them, and
//! what is slow but comes goes through.

use std::time::Duration;

use super::{listening, question, request, two_tenants};
use crate::stage::{Caller, Stage, WHOLE, field, json, within};

/// Sends piece by piece until an answer begins; gives its head.
async fn trickle(caller: &mut Caller, pieces: impl Iterator<Item = &[u8]>) -> Option<String> {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    for piece in pieces {
        every.tick().await;
        if !caller.try_send(piece).await || caller.has_answer().await {
            return Some(caller.answer().await.0);
        }
    }
    None
}

async fn answers(stage: &Stage, caller: &mut Caller) {
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn a_body_that_trickles_is_turned_away_early() {
    let rules = "policy = \"slow\"\n[policies.slow]\nbody_pause = \"150ms\"";
    let stage = two_tenants("", rules).await;
    let mut caller = stage.caller().await;
    let asked = request("loud", &question(4000));
    let (begun, rest) = asked.split_at(asked.len() - 3000);
    caller.send(begun).await;
    let head = within(
        "the trickle to be ended",
        trickle(&mut caller, rest.chunks(1)),
    )
    .await;
    let head = head.expect("an answer long before the body is whole");
    assert_eq!(field(&head, "outrigger-code"), Some("body-timeout"));
    assert!(caller.rest().await.is_empty(), "it is closed");
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_body_that_is_slow_but_comes_goes_through() {
    let rules = "policy = \"slow\"\n[policies.slow]\nbody_pause = \"150ms\"";
    let stage = two_tenants("", rules).await;
    let mut caller = stage.caller().await;
    let asked = request("loud", &question(30_000));
    // For more than twice as long as it may pause.
    let answered = trickle(&mut caller, asked.chunks(700)).await;
    assert_eq!(answered, None);
    answers(&stage, &mut caller).await;
}

#[tokio::test]
async fn a_head_that_trickles_is_turned_away_also_behind_another_request() {
    let stage = listening("head_timeout = \"150ms\"", "").await;
    for pipelined in [false, true] {
        let mut caller = stage.caller().await;
        let asked = request("loud", &question(10));
        if pipelined {
            // The beginning of the second head comes with the first request.
            let mut both = asked.clone();
            both.extend_from_slice(&asked[..5]);
            caller.send(&both).await;
            answers(&stage, &mut caller).await;
        } else {
            caller.send(&asked[..5]).await;
        }
        let pieces = asked[5..].chunks(1).take(60);
        let head = within("the trickle to be ended", trickle(&mut caller, pieces)).await;
        let head = head.expect("an answer long before the head is whole");
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert_eq!(field(&head, "outrigger-code"), Some("head-timeout"));
        assert!(caller.rest().await.is_empty(), "it is closed");
    }
}

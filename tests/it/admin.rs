//! The operator's hand on a running sidecar: a tenant suspended, resumed and cut, and nobody else touched.
//! Must never cut by ending a connection: the caller is told in its dialect's own words.

use outrigger::app::Source;

use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Talk, Upstream, WHOLE, chat, chunk, field, hash_of,
    json, messages, responses, until,
};

/// Two tenants with a key each; `acme` has one slot and a queue.
async fn two() -> Stage {
    let upstream = Upstream::bind().await;
    let at = upstream.at;
    let text = format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{at}\"\n\
         [upstreams.anthropic]\ndialect = \"anthropic\"\nurl = \"http://{at}\"\n\
         [tenants.acme]\nkeys = [\"{}\"]\nlimits = {{ streams = 3, queue = 5, queue_wait = \"1m\" }}\n\
         [tenants.globex]\nkeys = [\"{}\"]\n",
        hash_of("key-of-acme"),
        hash_of("key-of-globex"),
    );
    Stage::with(upstream, Source::Text("test", text))
}

async fn ask(stage: &Stage, tenant: &str, path: &str, question: &str) -> Caller {
    let mut caller = stage.caller().await;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-of-{tenant}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{question}",
        question.len()
    );
    caller.send(request.as_bytes()).await;
    caller
}

/// A stream of which the caller has the first event.
async fn stream(stage: &Stage, tenant: &str, talk: &Talk) -> (Caller, Peer) {
    let mut caller = ask(stage, tenant, talk.path, talk.question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("data: {").await;
    (caller, peer)
}

async fn finish(talk: &Talk, mut caller: Caller, mut peer: Peer) -> String {
    for event in &talk.events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    caller.finish().await;
    String::from_utf8(caller.got()).expect("a text")
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_what_it_has_under_way_goes_on_and_nobody_else_notices() {
    let mut stage = two().await;
    let talk = chat();
    let (caller, peer) = stream(&stage, "acme", &talk).await;

    stage.account("acme").suspend();
    let (head, body) = ask(&stage, "acme", talk.path, PLAIN).await.answer().await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(field(&head, "outrigger-code"), Some("tenant-suspended"));
    assert_eq!(field(&head, "x-should-retry"), Some("false"));
    assert_eq!(field(&head, "retry-after"), None);
    assert!(body.contains("\"type\":\"permission_error\""), "{body}");
    let (head, body) = ask(&stage, "acme", messages().path, messages().question)
        .await
        .answer()
        .await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(body.contains("\"type\":\"error\""), "{body}");

    let mut neighbour = ask(&stage, "globex", talk.path, PLAIN).await;
    let mut second = stage.upstream.accept().await;
    second.request().await;
    second.send(&json(WHOLE)).await;
    assert!(neighbour.answer().await.0.starts_with("HTTP/1.1 200 "));

    let got = finish(&talk, caller, peer).await;
    assert!(got.contains("piece-03") && got.contains("[DONE]"), "{got}");

    stage.account("acme").resume();
    let mut back = ask(&stage, "acme", talk.path, PLAIN).await;
    let mut third = stage.upstream.accept().await;
    third.request().await;
    third.send(&json(WHOLE)).await;
    assert!(back.answer().await.0.starts_with("HTTP/1.1 200 "));

    stage.ended(5).await;
    let refused: Vec<_> = stage
        .lines()
        .into_iter()
        .filter(|line| line["code"] == "tenant-suspended")
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for line in refused {
        assert_eq!(line["tenant"], "acme");
        assert_eq!(line["ending"], "refused");
        assert_eq!(line["ended_in"], "admit");
    }
}

/// In the middle of a stream of each dialect, before an answer, and in the queue: all of one tenant, none of another.
#[tokio::test]
async fn a_cut_ends_whatever_one_tenant_has_under_way_and_nothing_of_another() {
    let mut stage = two().await;
    let talks = [chat(), responses(), messages()];
    let mut cut = Vec::new();
    for talk in &talks[..2] {
        cut.push(stream(&stage, "acme", talk).await);
    }
    let mut unanswered = ask(&stage, "acme", talks[2].path, talks[2].question).await;
    let mut silent = stage.upstream.accept().await;
    silent.request().await;
    let mut queued = ask(&stage, "acme", chat().path, PLAIN).await;
    let account = stage.account("acme");
    until("the wait", || account.waiting() == 1).await;
    let spared = stream(&stage, "globex", &talks[2]).await;

    account.suspend();
    account.cut();
    stage.sidecar.nudge();
    // Whoever resumes at once spares nothing.
    account.resume();
    for (mut caller, peer) in cut {
        caller.finish().await;
        let got = String::from_utf8(caller.got()).expect("a text");
        assert!(got.contains("\"outrigger\":{\"code\":\"cut\""), "{got}");
        assert!(!got.contains("[DONE]"), "a happy ending: {got}");
        peer.gone().await;
    }
    for caller in [&mut unanswered, &mut queued] {
        let (head, _) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert_eq!(field(&head, "outrigger-code"), Some("tenant-suspended"));
    }
    silent.gone().await;

    let (caller, peer) = spared;
    let got = finish(&talks[2], caller, peer).await;
    assert!(got.contains("message_stop"), "{got}");
    assert!(!got.contains("\"cut\""), "{got}");

    stage.ended(5).await;
    let lines = stage.lines();
    let of = |tenant: &str, code: &str| {
        let is_it = |line: &&serde_json::Value| line["tenant"] == *tenant && line["code"] == *code;
        lines.iter().filter(is_it).count()
    };
    assert_eq!(of("acme", "cut"), 2, "{lines:?}");
    assert_eq!(of("acme", "tenant-suspended"), 2, "{lines:?}");
    for line in lines.iter().filter(|line| line["tenant"] == "acme") {
        assert_eq!(line["ending"], "cut-off", "{line}");
        let cause = (line["code"] == "cut").then_some("tenant-suspended");
        assert_eq!(line["cause"].as_str(), cause, "{line}");
    }
    let spared = lines.iter().find(|line| line["tenant"] == "globex");
    assert_eq!(spared.expect("a line")["ending"], "complete");
}

#[tokio::test]
async fn a_connection_that_a_cut_passed_by_serves_on() {
    let mut stage = two().await;
    let mut idle = ask(&stage, "globex", chat().path, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    idle.answer().await;
    for _ in 0..3 {
        stage.account("acme").cut();
        stage.sidecar.nudge();
    }
    idle.send(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let (head, _) = idle.answer().await;
    assert!(!head.contains("connection: close"), "{head}");
    stage.ended(2).await;
    stage.lines();
}

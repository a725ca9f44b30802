//! What an HTTP/1.1 caller may do besides asking and listening: ask for leave first, stop reading, break off, and be
//! answered before it has said all.

use std::sync::Arc;
use std::time::Duration;

use outrigger::app::Source;
use outrigger::host::SystemClock;
use serde_json::Value;

use crate::stage::{
    Caller, PLAIN, Peer, STREAM, Stage, StillClock, Upstream, chat, chunk, config, json,
};

const FILES: &str =
    "policy = \"p\"\n[policies.p]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"";

/// A stage whose time passes, with these lines in `[listen]`.
fn listening(upstream: Upstream, listen: &str, added: &str) -> Stage {
    let text = config(upstream.at, added).replace(
        "telemetry = \"off\"",
        &format!("telemetry = \"off\"\n{listen}"),
    );
    Stage::timed(
        upstream,
        Source::Text("test", text),
        Arc::new(SystemClock),
        Arc::new(StillClock::default()),
    )
}

/// A head that asks for leave to send its body.
fn asks_leave(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, expected) in members {
        assert_eq!(line[name], **expected, "`{name}` of {line}");
    }
}

/// A stream of which the caller has one piece.
async fn streaming(stage: &Stage) -> (Caller, Peer) {
    let talk = chat();
    let mut caller = stage.caller().await;
    caller
        .send(&crate::stage::post(talk.path, talk.question))
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("piece-01").await;
    (caller, peer)
}

#[tokio::test]
async fn leave_to_send_a_body_is_given_only_to_what_is_let_in_so_far() {
    let policy = "limits.requests = \"3/h\"\npolicy = \"p\"\n[policies.p]\nbody = \"1KiB\"\nendpoints.allow = [\"chat-completions\"]";
    let mut stage = Stage::open(policy).await;
    // What is refused for its head is never asked for its body, and the connection is not left waiting for it.
    for (path, length, status, code) in [
        ("/nowhere", 10, 404, "upstream-unknown"),
        ("/openai/v1/files", 10, 403, "endpoint-denied"),
        ("/openai/v1/chat/completions", 2000, 413, "body-too-large"),
    ] {
        let mut caller = stage.caller().await;
        caller.send(asks_leave(path, length).as_bytes()).await;
        let got = caller.sees("\r\n\r\n").await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
        assert!(got.contains(code), "{got}");
        drop(caller);
        assert_members(
            &stage.record().await,
            &[("ending", "refused"), ("code", code)],
        );
    }
    // What is let in is asked, and sent on without the question.
    let mut caller = stage.caller().await;
    let path = "/openai/v1/chat/completions";
    caller.send(asks_leave(path, PLAIN.len()).as_bytes()).await;
    let got = caller.sees("\r\n\r\n").await;
    assert_eq!(got, "HTTP/1.1 100 Continue\r\n\r\n");
    stage.upstream.unused().await;
    caller.send(PLAIN.as_bytes()).await;
    let mut peer = stage.upstream.accept().await;
    let (head, body) = peer.request().await;
    assert!(!head.contains("expect"), "{head}");
    assert_eq!(body, PLAIN.as_bytes());
    peer.send(&json("{}")).await;
    caller.sees("HTTP/1.1 200 OK").await;
    stage.record().await;
    // And a throttled one uploads nothing.
    let mut caller = stage.caller().await;
    caller.send(asks_leave(path, PLAIN.len()).as_bytes()).await;
    let got = caller.sees("\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 429 "), "{got}");
}

#[tokio::test]
async fn a_caller_that_reads_nothing_is_cut_in_time() {
    let upstream = Upstream::bind().await;
    let limits = "limits.tokens = \"1M/h\"\nlimits.streams = 1\nlimits.queue = 0";
    let mut stage = listening(upstream, "write_timeout = \"200ms\"", limits);
    let (caller, mut peer) = streaming(&stage).await;
    // Until every buffer on the way is full, and then until the sidecar has had enough.
    let event = chunk(&chat().events[1]).repeat(500);
    crate::stage::within("the upstream connection to break", async {
        while peer.try_send(&event).await {}
    })
    .await;
    let line = stage.record().await;
    assert_members(
        &line,
        &[
            ("ending", "cut-off"),
            ("code", "cut"),
            ("cause", "caller-stalled"),
            ("usage", "estimated"),
        ],
    );
    let severed = stage.metric("outrigger_callers_severed_total", "caller-stalled");
    assert_eq!(severed, 1);
    drop(caller);
    // The slot is free again.
    let (_caller, _peer) = streaming(&stage).await;
}

#[tokio::test]
async fn a_caller_that_reads_slowly_is_not_cut() {
    let upstream = Upstream::bind().await;
    let mut stage = listening(upstream, "write_timeout = \"400ms\"", "");
    let mut caller = stage.caller().await;
    caller
        .send(b"GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let much = vec![b'x'; 40_000_000];
    let writing = async {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", much.len());
        peer.send(head.as_bytes()).await;
        peer.send(&much).await;
    };
    let reading = async {
        let started = tokio::time::Instant::now();
        let mut wanted = 0;
        // Not faster than the limit, for several times as long.
        while started.elapsed() < Duration::from_secs(1) {
            wanted += 1_000_000;
            caller.has(wanted).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        caller.finish().await;
    };
    tokio::join!(writing, reading);
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

#[tokio::test]
async fn the_deadline_of_a_drain_does_not_wait_for_who_reads_nothing() {
    let upstream = Upstream::bind().await;
    let drain = "[drain]\ntimeout = \"100ms\"\nidle = \"50ms\"";
    let mut stage = listening(upstream, "", drain);
    let (caller, mut peer) = streaming(&stage).await;
    let event = chunk(&chat().events[1]).repeat(500);
    while tokio::time::timeout(Duration::from_millis(100), peer.send(&event))
        .await
        .is_ok()
    {}
    assert_eq!(stage.sidecar.drain().await, 1);
    let line = stage.record().await;
    assert_members(&line, &[("ending", "drained"), ("cause", "draining")]);
    drop(caller);
}

#[tokio::test]
async fn a_connection_that_has_rested_serves_on_and_goes_at_the_end() {
    let upstream = Upstream::bind().await;
    let mut stage = listening(upstream, "idle_timeout = \"800ms\"", "");
    let mut caller = stage.caller().await;
    let get = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let asked_at = tokio::time::Instant::now();
    for whole in [true, false] {
        // It rests after a quarter of its time, or two.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if whole {
            // Two at once: the second waits for its turn.
            caller.send(&get.repeat(2)).await;
        } else {
            for byte in get {
                caller.send(&[*byte]).await;
            }
        }
        for _ in 0..=usize::from(whole) {
            let (head, _) = caller.answer().await;
            assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        }
    }
    stage.ended(3).await;
    assert!(caller.rest().await.is_empty());
    assert!(asked_at.elapsed() > Duration::from_millis(1_700));
    stage.lines();
    // While the sidecar drains, who rests is let go, and who is new is served once.
    let mut rested = stage.caller().await;
    rested.send(get).await;
    rested.answer().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut new = stage.caller().await;
    let (_, ()) = tokio::join!(stage.sidecar.drain(), async {
        assert!(rested.rest().await.is_empty());
        new.send(get).await;
        let (head, _) = new.answer().await;
        assert!(head.contains("connection: close"), "{head}");
    });
    stage.ended(2).await;
}

#[tokio::test]
async fn a_cut_does_not_wait_for_who_reads_nothing() {
    let mut stage = Stage::open("").await;
    let mut caller = stage.caller().await;
    let get = b"GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    caller.send(get).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000000\r\n\r\n")
        .await;
    let much = vec![b'x'; 1 << 20];
    while tokio::time::timeout(Duration::from_millis(100), peer.send(&much))
        .await
        .is_ok()
    {}
    // Who is asked to look again takes more of the answer, until there is room for none.
    for _ in 0..100 {
        stage.sidecar.nudge();
        tokio::task::yield_now().await;
    }
    stage.account("acme").cut();
    stage.sidecar.nudge();
    let line = stage.record().await;
    let members = [("ending", "cut-off"), ("cause", "tenant-suspended")];
    assert_members(&line, &members);
    drop(caller);
}

#[tokio::test]
async fn a_caller_that_breaks_off_has_hung_up() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let (caller, peer) = streaming(&stage).await;
    caller.reset();
    peer.gone().await;
    assert_members(
        &stage.record().await,
        &[("ending", "caller-gone"), ("usage", "estimated")],
    );
}

#[tokio::test]
async fn an_answer_may_come_while_the_upload_goes_on() {
    let mut stage = Stage::open(FILES).await;
    let mut caller = stage.caller().await;
    let head =
        "POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nbegin";
    caller.send(head.as_bytes()).await;
    let mut peer = stage.upstream.accept().await;
    peer.sees(b"begin").await;
    peer.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"early\":\"yes\"}")
        .await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(body, "{\"early\":\"yes\"}");
    // Neither connection can be used again: the rest of the upload is on its way.
    caller.send(&[b'x'; 10_000]).await;
    drop(caller);
    assert_members(&stage.record().await, &[("ending", "complete")]);
    stage.hung_up().await;
}

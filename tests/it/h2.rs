//! HTTP/2 in clear text on the proxy listener, spoken frame by frame: a stream is a trip like any other, and a client
//! that floods, stalls or lies is left with nothing held.

use std::sync::Arc;
use std::time::Duration;

use outrigger::app::Source;
use outrigger::host::SystemClock;
use serde_json::Value;

use crate::stage::{
    END, PLAIN, Peer, STREAM, Stage, StillClock, Upstream, WHOLE, chat, chunk, config, field,
    hash_of, json,
};

mod abuse;
mod heads;
mod streams;
mod wire;

use wire::{Client, End};

const PATH: &str = "/openai/v1/chat/completions";

/// The head of a question, and more fields.
fn head<'h>(path: &'h str, more: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ];
    fields.extend_from_slice(more);
    fields
}

fn get(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
    ]
}

/// A stage whose time passes, with these lines in `[listen]`.
async fn listening(listen: &str, added: &str) -> Stage {
    let upstream = Upstream::bind().await;
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

async fn connect(stage: &Stage) -> Client {
    Client::connect(stage.sidecar.proxy[0]).await
}

/// Asks for a stream, and has its first piece.
async fn streaming(stage: &Stage, client: &mut Client, stream: u32) -> Peer {
    let talk = chat();
    client
        .ask(stream, &head(talk.path, &[]), Some(talk.question))
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    assert_eq!(client.status(stream).await, 200);
    client.sees(stream, "piece-01").await;
    peer
}

/// Sends the rest of the stream.
async fn finish(client: &mut Client, stream: u32, peer: &mut Peer) {
    for event in &chat().events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    let (body, end) = client.rest(stream).await;
    assert!(
        body.contains("piece-03") && body.ends_with("data: [DONE]\n\n"),
        "{body}"
    );
    assert_eq!(end, End::Whole);
}

/// One plain question and its answer.
async fn served(stage: &Stage, client: &mut Client, stream: u32) {
    client.ask(stream, &head(PATH, &[]), Some(PLAIN)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    let answer = client.answer(stream).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert_eq!(answer.body, WHOLE);
    peer.close_after().await;
}

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, expected) in members {
        assert_eq!(line[name], **expected, "`{name}` of {line}");
    }
}

#[tokio::test]
async fn a_stream_is_a_trip_and_its_upstream_reads_plain_http() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let mut client = connect(&stage).await;
    let length = PLAIN.len().to_string();
    let fields = [
        ("content-length", length.as_str()),
        ("cookie", "a=1"),
        ("te", "trailers"),
        ("cookie", "b=2"),
        ("x-own", "kept"),
    ];
    client.ask(1, &head(PATH, &fields), Some(PLAIN)).await;
    let mut peer = stage.upstream.accept().await;
    let (got, body) = peer.request().await;
    assert!(
        got.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{got}"
    );
    assert_eq!(field(&got, "host"), Some(&*stage.upstream.at.to_string()));
    assert_eq!(field(&got, "cookie"), Some("a=1; b=2"));
    assert_eq!(field(&got, "x-own"), Some("kept"));
    assert_eq!(field(&got, "content-length"), Some(&*length));
    for absent in [
        "te",
        ":authority",
        ":path",
        "transfer-encoding",
        "connection",
    ] {
        assert_eq!(field(&got, absent), None, "{got}");
    }
    assert_eq!(body, PLAIN.as_bytes());
    peer.send(&json(WHOLE)).await;
    let answer = client.answer(1).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert_eq!(answer.body, WHOLE);
    let line = stage.record().await;
    assert_members(
        &line,
        &[
            ("tenant", "acme"),
            ("ending", "complete"),
            ("usage", "reported"),
        ],
    );
    // The same connection, another stream, and the upstream's connection from the pool.
    client.ask(3, &head(PATH, &[]), Some(PLAIN)).await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    assert_eq!(client.answer(3).await.body, WHOLE);
    stage.record().await;
}

#[tokio::test]
async fn events_pass_one_by_one_and_are_never_held() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let mut client = connect(&stage).await;
    let mut peer = streaming(&stage, &mut client, 1).await;
    for (event, sign) in chat().events[1..]
        .iter()
        .zip(["piece-02", "piece-03", "stop"])
    {
        peer.send(&chunk(event)).await;
        client.sees(1, sign).await;
    }
    peer.send(&chunk("data: [DONE]\n\n")).await;
    peer.send(END).await;
    assert_eq!(client.rest(1).await.1, End::Whole);
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

#[tokio::test]
async fn the_first_bytes_decide_however_they_come() {
    let mut stage = Stage::open("").await;
    // The preface byte by byte, and settings behind it.
    let mut client = Client::silent(stage.sidecar.proxy[0]).await;
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        client.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    served(&stage, &mut client, 1).await;
    stage.record().await;
    // What only looks like it is HTTP/1.1, and refused as such; and so is the preface behind a request.
    for (bytes, refusals) in [
        ("PRI * HTTP/2.0\r\nhost: localhost\r\n\r\n", 1),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 1),
        ("\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1),
        (
            "GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            2,
        ),
    ] {
        for pieces in [bytes.len(), 1] {
            let mut caller = stage.caller().await;
            for piece in bytes.as_bytes().chunks(pieces) {
                caller.send(piece).await;
                tokio::task::yield_now().await;
            }
            let got = String::from_utf8(caller.rest().await).expect("a text");
            assert!(got.contains("HTTP/1.1 505 "), "{bytes:?}: {got}");
            stage.ended(refusals).await;
            let codes: Vec<_> = stage
                .lines()
                .iter()
                .map(|line| line["code"].clone())
                .collect();
            assert_eq!(codes.last(), Some(&Value::from("version-unsupported")));
        }
    }
}

#[tokio::test]
async fn streams_of_one_connection_belong_to_whoever_they_prove() {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, "").replace(
        "[identity]\ntenant = \"acme\"\n[tenants.acme]\n",
        &format!(
            "[tenants.acme]\nkeys = [\"{}\"]\nlimits.streams = 1\nlimits.queue = 0\n\
             [tenants.globex]\nkeys = [\"{}\"]\n",
            hash_of("key-of-acme"),
            hash_of("key-of-globex")
        ),
    );
    let mut stage = Stage::with(upstream, Source::Text("test", text));
    let mut client = connect(&stage).await;
    let talk = chat();
    let acme = head(talk.path, &[("authorization", "Bearer key-of-acme")]);
    let globex = head(PATH, &[("authorization", "Bearer key-of-globex")]);
    let nobody = head(PATH, &[("authorization", "Bearer key-of-nobody")]);
    client.ask(1, &acme, Some(talk.question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    // One tenant's slot is taken; that is nobody else's affair.
    client.ask(3, &acme, Some(PLAIN)).await;
    let refused = client.answer(3).await;
    assert_eq!(refused.status, 429);
    assert!(
        refused.body.contains("\"tenant\":\"acme\""),
        "{}",
        refused.body
    );
    client.ask(5, &nobody, Some(PLAIN)).await;
    assert_eq!(client.answer(5).await.status, 401);
    client.ask(7, &globex, Some(PLAIN)).await;
    let mut other = stage.upstream.accept().await;
    other.request().await;
    other.send(&json(WHOLE)).await;
    assert_eq!(client.answer(7).await.body, WHOLE);
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    assert_eq!(client.status(1).await, 200);
    finish(&mut client, 1, &mut peer).await;
    stage.ended(4).await;
    let ends: Vec<_> = stage
        .lines()
        .iter()
        .map(|line| format!("{} {}", line["tenant"], line["ending"]).replace('"', ""))
        .collect();
    assert_eq!(
        ends,
        [
            "acme refused",
            "_nobody refused",
            "globex complete",
            "acme complete"
        ]
    );
}

#[tokio::test]
async fn a_drain_says_goodbye_and_lets_streams_finish() {
    let mut stage = listening("", "[drain]\ntimeout = \"30s\"\nidle = \"50ms\"").await;
    let mut client = connect(&stage).await;
    let mut peer = streaming(&stage, &mut client, 1).await;
    let drained = stage.sidecar.drain();
    let finishing = async {
        let goodbye = client.next_of(0).await.expect("a farewell");
        assert_eq!(
            (goodbye.kind, goodbye.reason()),
            (wire::GOAWAY, wire::NO_ERROR)
        );
        // Who connects now is served what it asks at once, and told to go.
        let mut late = connect(&stage).await;
        served(&stage, &mut late, 1).await;
        assert_eq!(late.farewell().await, Some(wire::NO_ERROR));
        finish(&mut client, 1, &mut peer).await;
        assert_eq!(client.farewell().await, Some(wire::NO_ERROR));
    };
    let (cut, ()) = tokio::join!(drained, finishing);
    assert_eq!(cut, 0);
    stage.ended(2).await;
    for line in stage.lines() {
        assert_members(&line, &[("ending", "complete")]);
    }
}

#[tokio::test]
async fn the_deadline_of_a_drain_cuts_streams_and_what_waits() {
    let mut stage = listening("", "[drain]\ntimeout = \"100ms\"\nidle = \"50ms\"").await;
    let mut client = connect(&stage).await;
    let peer = streaming(&stage, &mut client, 1).await;
    client.ask(3, &head(PATH, &[]), Some(PLAIN)).await;
    let mut waiting = stage.upstream.accept().await;
    waiting.request().await;
    let (cut, ()) = tokio::join!(stage.sidecar.drain(), async {
        let (body, end) = client.rest(1).await;
        assert!(body.contains("\"code\":\"cut\""), "{body}");
        assert_eq!(end, End::Whole);
        assert_eq!(client.answer(3).await.status, 503);
    });
    assert_eq!(cut, 2);
    peer.gone().await;
    stage.ended(2).await;
    for line in stage.lines() {
        assert_members(&line, &[("ending", "drained")]);
    }
}

#[tokio::test]
async fn the_deadline_of_a_drain_does_not_wait_for_who_takes_nothing() {
    let mut stage = listening("", "[drain]\ntimeout = \"100ms\"\nidle = \"50ms\"").await;
    let mut client = Client::with(stage.sidecar.proxy[0], &[(4, 0)]).await;
    let talk = chat();
    let question = Some(talk.question);
    client.ask(1, &head(talk.path, &[]), question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    assert_eq!(client.status(1).await, 200);
    assert_eq!(stage.sidecar.drain().await, 1);
    peer.gone().await;
    let line = stage.record().await;
    assert_members(&line, &[("ending", "drained"), ("cause", "draining")]);
}

#[tokio::test]
async fn a_connection_without_requests_is_let_go_pings_or_not() {
    for pings in [false, true] {
        let mut stage = listening("idle_timeout = \"80ms\"", "").await;
        let mut client = connect(&stage).await;
        served(&stage, &mut client, 1).await;
        let reason = if pings {
            let mut reason = None;
            while client
                .try_send(&wire::frame(wire::PING, 0, 0, b"too long"))
                .await
            {
                match client.next().await {
                    Some(frame) if frame.kind == wire::GOAWAY => reason = Some(frame.reason()),
                    Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    None => break,
                }
            }
            reason
        } else {
            client.farewell().await
        };
        assert_eq!(reason, Some(wire::NO_ERROR), "pings: {pings}");
        stage.record().await;
        stage.no_record().await;
    }
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_is_found_out() {
    let mut stage = listening("idle_timeout = \"100ms\"", "").await;
    let mut client = connect(&stage).await;
    client.answers_pings = false;
    let peer = streaming(&stage, &mut client, 1).await;
    // The stream is silent, the ping stays unanswered.
    assert_eq!(client.rest(1).await.1, End::Closed);
    peer.gone().await;
    assert_members(&stage.record().await, &[("ending", "caller-gone")]);
}

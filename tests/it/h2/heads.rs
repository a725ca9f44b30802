//! Heads that HTTP/1.1 would not have either: refused in our shape where the library lets them through, reset where it
//! does not, and never sent on.

use super::wire::{END_HEADERS, END_STREAM, End, HEADERS, PROTOCOL_ERROR, block, frame};
use super::{Client, PATH, assert_members, connect, get, head, served};
use crate::stage::{PLAIN, Stage, json};

/// The usual head of a plain GET, with another value of one of its pseudo-fields.
fn with(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut fields = get("/openai/v1/models");
    for field in &mut fields {
        if field.0 == name {
            field.1 = value;
        }
    }
    fields
}

/// Asks, and makes sure that it is refused like this, in our shape, and recorded.
async fn refused(
    stage: &mut Stage,
    client: &mut Client,
    fields: &[(&str, &str)],
    (status, code, tenant): (u16, &str, &str),
) {
    let stream = client_stream(stage);
    large_head(client, stream, fields).await;
    let answer = client.answer(stream).await;
    assert_eq!(answer.status, status, "{code}: {}", answer.body);
    let told = format!("\"code\":\"{code}\"");
    assert!(answer.body.contains(&told), "{}", answer.body);
    let line = stage.record().await;
    let members = [("ending", "refused"), ("code", code), ("tenant", tenant)];
    assert_members(&line, &members);
}

#[tokio::test]
async fn heads_that_two_readers_could_take_differently_are_refused_and_recorded() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let malformed = (400, "head-malformed", "_nobody");
    let mut without = get("/openai/v1/models");
    without.pop();
    let tunnel = vec![(":method", "CONNECT"), (":authority", "example.com:443")];
    for (fields, refusal) in [
        (with(":authority", "user@localhost"), malformed),
        (with(":scheme", "ftp"), malformed),
        (with(":path", "/openai/v1/\"models"), malformed),
        (
            with(":path", "/openai/v1/models/../files"),
            (400, "path-ambiguous", "acme"),
        ),
        (
            with(":authority", "elsewhere.example"),
            (403, "host-denied", "_nobody"),
        ),
        (
            with(":method", "TRACE"),
            (403, "endpoint-denied", "_nobody"),
        ),
        (without, malformed),
        (head(PATH, &[("host", "127.0.0.1")]), malformed),
        (head(PATH, &[("content_length", "1")]), malformed),
        (
            head(PATH, &[("x-api-key", "a"), ("x-api-key", "b")]),
            malformed,
        ),
        (head(PATH, &[("x-space", " a")]), malformed),
        (tunnel, (403, "upgrade-denied", "_nobody")),
        (
            head(PATH, &[("origin", "https://evil.example")]),
            (403, "origin-denied", "_nobody"),
        ),
    ] {
        refused(&mut stage, &mut client, &fields, refusal).await;
    }
    stage.upstream.unused().await;
    let last = client_stream(&stage);
    served(&stage, &mut client, last).await;
}

#[tokio::test]
async fn heads_beyond_their_bounds_are_refused_and_recorded() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let too_large = (431, "head-too-large", "_nobody");
    let long = "x".repeat(17_000);
    let path = format!("/openai/{long}");
    let many: Vec<(String, &str)> = (0..101).map(|at| (format!("x-{at}"), "y")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, *value)).collect();
    let large = ["x-a", "x-b", "x-c", "x-d", "x-e"].map(|name| (name, &long[..16_000]));
    for (fields, refusal) in [
        (head(&path, &[]), (414, "target-too-long", "_nobody")),
        (head(PATH, &[("x-long", &long)]), too_large),
        (head(PATH, &many), too_large),
        (head(PATH, &large), too_large),
    ] {
        refused(&mut stage, &mut client, &fields, refusal).await;
    }
    // Far beyond, the library answers by itself.
    let stream = client_stream(&stage);
    let huge = ["x-a", "x-b", "x-c"].repeat(3);
    let huge: Vec<_> = huge.iter().map(|name| (*name, &*long)).collect();
    large_head(&mut client, stream, &head(PATH, &huge)).await;
    assert_eq!(client.answer(stream).await.status, 431);
    let line = stage.record().await;
    assert_members(&line, &[("code", "head-too-large"), ("tenant", "_nobody")]);
    stage.upstream.unused().await;
    served(&stage, &mut client, stream + 2).await;
    stage.record().await;
}

/// The next stream: one a trip.
fn client_stream(stage: &Stage) -> u32 {
    let begun = stage.sidecar.ground.shutdown.begun();
    u32::try_from(2 * begun + 1).expect("few trips")
}

/// A head that needs more than one frame.
async fn large_head(client: &mut Client, stream: u32, fields: &[(&str, &str)]) {
    let block = block(fields);
    let mut pieces = block.chunks(16_000).peekable();
    let mut kind = HEADERS;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        let ends = if kind == HEADERS { END_STREAM } else { 0 };
        bytes.extend(frame(kind, end | ends, stream, piece));
        kind = super::wire::CONTINUATION;
    }
    client.send(&bytes).await;
}

/// The record of a head that only the library has seen.
const MALFORMED: [(&str, &str); 4] = [
    ("tenant", "_nobody"),
    ("ending", "refused"),
    ("code", "head-malformed"),
    ("ended_in", "accept"),
];

#[tokio::test]
async fn what_is_refused_unasked_is_told_from_what_is_served_beside_it() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    // All in one piece: good, bad, good, bad.
    let good = block(&get("/nowhere"));
    let bad = block(&with(":scheme", "http")[1..]);
    let mut bytes = Vec::new();
    for stream in [1, 5] {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &good));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream + 2, &bad));
    }
    client.send(&bytes).await;
    for stream in [1, 5] {
        assert_eq!(client.answer(stream).await.status, 404);
        assert_eq!(
            client.answer(stream + 2).await.end,
            End::Reset(PROTOCOL_ERROR)
        );
    }
    stage.ended(4).await;
    let mut codes: Vec<_> = stage
        .lines()
        .iter()
        .map(|line| line["code"].to_string())
        .collect();
    codes.sort();
    let expected = [
        "\"head-malformed\"",
        "\"head-malformed\"",
        "\"upstream-unknown\"",
        "\"upstream-unknown\"",
    ];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn what_the_protocol_itself_forbids_resets_the_stream_and_nothing_else() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let mut stream = 1;
    let base = head(PATH, &[]);
    let mut late = base.clone();
    late.swap(2, 4);
    let mut twice = base.clone();
    twice.insert(1, (":method", "GET"));
    let mut websocket = base.clone();
    websocket[0] = (":method", "CONNECT");
    websocket.insert(1, (":protocol", "websocket"));
    for fields in [
        head(PATH, &[("connection", "close")]),
        head(PATH, &[("keep-alive", "5")]),
        head(PATH, &[("proxy-connection", "close")]),
        head(PATH, &[("transfer-encoding", "chunked")]),
        head(PATH, &[("upgrade", "h2c")]),
        head(PATH, &[("te", "gzip")]),
        head(PATH, &[(":status", "200")]),
        head(PATH, &[("content-length", "+2")]),
        base[1..].to_vec(),
        late,
        twice,
        websocket,
    ] {
        client.ask(stream, &fields, Some("{}")).await;
        let end = client.answer(stream).await.end;
        assert_eq!(end, End::Reset(PROTOCOL_ERROR), "{fields:?}");
        let line = stage.record().await;
        assert_members(&line, &MALFORMED);
        stream += 2;
    }
    let refusals = stage.metric("outrigger_refusals_total", "head-malformed");
    assert_eq!(refusals, u64::from(stream / 2));
    stage.upstream.unused().await;
    served(&stage, &mut client, stream).await;
    assert_members(&stage.record().await, &[("ending", "complete")]);
    drop(client);
    stage.no_record().await;
}

#[tokio::test]
async fn bytes_that_no_field_may_have_end_the_connection() {
    let mut stage = Stage::open("").await;
    for fields in [
        head(PATH, &[("x-upper-Case", "a")]),
        head(PATH, &[("x-null", "a\0b")]),
        head(PATH, &[("x-line", "a\r\nb: c")]),
        head(PATH, &[("x name", "a")]),
        head(PATH, &[(":unknown", "a")]),
        head("/openai v1", &[]),
    ] {
        let mut client = connect(&stage).await;
        client.ask(1, &fields, Some("{}")).await;
        let end = client.next().await.expect("an answer");
        assert_eq!(end.reason(), PROTOCOL_ERROR, "{fields:?}: {end:?}");
        let line = stage.record().await;
        assert_members(&line, &MALFORMED);
    }
    stage.upstream.unused().await;
    stage.no_record().await;
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_never_sent_on() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let mut stream = 1;
    for length in [PLAIN.len() - 1, PLAIN.len() + 1, 1 << 40] {
        let length = length.to_string();
        let fields = head(PATH, &[("content-length", length.as_str())]);
        client.ask(stream, &fields, Some(PLAIN)).await;
        let mut end = client.answer(stream).await.end;
        if end == End::Whole {
            // A body that is announced too large is refused before it is read.
            end = End::Reset(PROTOCOL_ERROR);
        }
        assert_eq!(end, End::Reset(PROTOCOL_ERROR), "{length}");
        stream += 2;
    }
    // And the length alone, without a body.
    client
        .ask(stream, &head(PATH, &[("content-length", "5")]), None)
        .await;
    assert_eq!(client.answer(stream).await.end, End::Reset(PROTOCOL_ERROR));
    stage.ended(4).await;
    stage.at_rest().await;
    stage.upstream.unused().await;
    let lines = stage.lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_members(&lines[3], &MALFORMED);
    for line in &lines[..3] {
        assert!(
            line["ending"] == "caller-gone" || line["code"] == "body-too-large",
            "{line}"
        );
    }
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let mut asks = get("/openai/v1/models");
    let mut peer = None;
    for (stream, method, answer, status) in [
        (
            1,
            "HEAD",
            &b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n"[..],
            200,
        ),
        (3, "GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            5,
            "GET",
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 11\r\n\r\n",
            304,
        ),
        (
            7,
            "GET",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
        ),
    ] {
        asks[0].1 = method;
        client.ask(stream, &asks, None).await;
        if peer.is_none() {
            peer = Some(stage.upstream.accept().await);
        }
        let upstream = peer.as_mut().expect("a connection");
        upstream.request().await;
        upstream.send(answer).await;
        let head = client.next_of(stream).await.expect("a head");
        assert_eq!(head.status(), status);
        assert!(head.ends_stream(), "{status}");
        assert_members(&stage.record().await, &[("ending", "complete")]);
    }
    // Trailers of the upstream's are a matter of its hop.
    asks[0].1 = "GET";
    client.ask(9, &asks, None).await;
    let mut upstream = peer.expect("a connection");
    upstream.request().await;
    let chunked = b"HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n";
    upstream.send(chunked).await;
    let answer = client.answer(9).await;
    assert_eq!((answer.body.as_str(), answer.end), ("{}", End::Whole));
    stage.record().await;
    client.ask(11, &asks, None).await;
    upstream.request().await;
    upstream.send(&json("{\"data\":[]}")).await;
    assert_eq!(client.answer(11).await.body, "{\"data\":[]}");
}

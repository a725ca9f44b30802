//! Every trip ends exactly once, wherever it is cut: by a caller that hangs up at any point, or by an upstream that dies at
//! any byte of its answer. Nothing stays held, what was used is settled, and nobody takes half an answer for a whole one.

use std::io::Write as _;
use std::sync::Arc;

use outrigger::app::Source;
use outrigger::host::SystemClock;
use outrigger::limits::Dimension;
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, StillClock, Talk, Upstream, WHOLE, chat, chunk,
    config, find, json, messages, post, responses, until, within,
};

/// Limits that show every token.
const LIMITS: &str = "limits.streams = 1\nlimits.queue = 5\nlimits.tokens = \"1M/h\"";

/// What a record says, and what the limits say: the tokens of the line are those that were taken, and no others.
fn settled(stage: &Stage, before: u64, line: &Value) {
    let tokens = |name: &str| line[name].as_u64().unwrap_or(0);
    let used = tokens("input_tokens") + tokens("output_tokens");
    let taken = before - stage.left(Dimension::Tokens);
    assert_eq!(taken, used, "taken and told: {line}");
}

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, value) in members {
        assert_eq!(line[name].as_str(), Some(*value), "`{name}` of {line}");
    }
}

#[tokio::test]
async fn a_caller_gone_before_its_head_is_whole_began_no_trip() {
    let mut stage = Stage::open(LIMITS).await;
    let request = post("/openai/v1/chat/completions", PLAIN);
    let head = find(&request, b"\r\n\r\n").expect("a head") + 4;
    for end in 0..head {
        let mut caller = stage.caller().await;
        caller.send(&request[..end]).await;
        drop(caller);
    }
    stage.no_record().await;
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_caller_gone_within_its_body_ends_its_trip_once() {
    let mut stage = Stage::open(LIMITS).await;
    let before = stage.left(Dimension::Tokens);
    let request = post("/openai/v1/chat/completions", PLAIN);
    let head = find(&request, b"\r\n\r\n").expect("a head") + 4;
    let ends: Vec<usize> = (head..request.len()).collect();
    for (index, end) in ends.iter().enumerate() {
        let mut caller = stage.caller().await;
        caller.send(&request[..*end]).await;
        drop(caller);
        stage.ended(index + 1).await;
    }
    stage.upstream.unused().await;
    let lines = stage.lines();
    assert_eq!(lines.len(), ends.len());
    for line in &lines {
        assert_members(
            line,
            &[
                ("ending", "caller-gone"),
                ("ended_in", "peek"),
                ("tenant", "acme"),
            ],
        );
        assert!(line.get("usage").is_none(), "nothing was used: {line}");
    }
    assert_eq!(stage.left(Dimension::Tokens), before);
}

#[tokio::test]
async fn a_caller_gone_with_its_last_byte_has_begun_a_trip() {
    let mut stage = Stage::open(LIMITS).await;
    let before = stage.left(Dimension::Tokens);
    let get = b"GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let requests = [post("/openai/v1/chat/completions", PLAIN), get.to_vec()];
    for (index, request) in requests.iter().enumerate() {
        let mut caller =
            std::net::TcpStream::connect(stage.sidecar.proxy[0]).expect("a connection");
        until("the connection", || {
            stage.metric("outrigger_connections_open", "") == 1
        })
        .await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // It is waited for; nothing more is: the end is there when the request is read.
        caller.write_all(request).expect("an open connection");
        drop(caller);
        stage.ended(index + 1).await;
    }
    let lines = stage.lines();
    assert_eq!(lines.len(), requests.len(), "{lines:?}");
    for line in &lines {
        assert_members(line, &[("ending", "caller-gone"), ("tenant", "acme")]);
    }
    assert_eq!(stage.left(Dimension::Tokens), before);
    stage.no_record().await;
}

#[tokio::test]
async fn a_caller_gone_from_the_queue_leaves_it() {
    let mut stage = Stage::open(LIMITS).await;
    let request = post("/openai/v1/chat/completions", PLAIN);
    let mut first = stage.caller().await;
    first.send(&request).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let before = stage.left(Dimension::Tokens);
    let account = stage.account("acme");

    let mut second = stage.caller().await;
    second.send(&request).await;
    until("the second to wait", || account.waiting() == 1).await;
    assert_eq!(stage.metric("outrigger_queue_waiting", "acme"), 1);
    drop(second);
    until("the second to leave", || account.waiting() == 0).await;
    assert_eq!(stage.left(Dimension::Tokens), before);

    // Nobody stands in the way of the third, and the first still has its slot.
    let mut third = stage.caller().await;
    third.send(&request).await;
    until("the third to wait", || account.waiting() == 1).await;
    stage.upstream.unused().await;
    peer.send(&json(WHOLE)).await;
    first.answer().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    third.answer().await;
    stage.ended(3).await;
    let lines = stage.lines();
    assert_members(
        &lines[0],
        &[("ending", "caller-gone"), ("ended_in", "admit")],
    );
    assert_members(&lines[1], &[("ending", "complete")]);
    assert_members(&lines[2], &[("ending", "complete")]);
}

#[tokio::test]
async fn a_caller_gone_after_asking_twice_is_gone() {
    let mut stage = Stage::open(LIMITS).await;
    let request = post("/openai/v1/chat/completions", PLAIN);
    let mut caller = stage.caller().await;
    // The second request waits behind the first; the hang-up comes behind both.
    caller
        .send(&[request.as_slice(), request.as_slice()].concat())
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    drop(caller);
    peer.gone().await;
    stage.ended(1).await;
    let lines = stage.lines();
    assert_eq!(lines.len(), 1);
    assert_members(&lines[0], &[("ending", "caller-gone")]);
}

#[tokio::test]
async fn a_caller_gone_while_its_upstream_is_dialled_ends_its_trip_once() {
    // A listener whose backlog is full lets nobody in and turns nobody away.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let at = listener.local_addr().expect("an address");
    let mut fill = Vec::new();
    while let Ok(stream) = tokio::time::timeout(
        std::time::Duration::from_millis(100),
        tokio::net::TcpStream::connect(at),
    )
    .await
    {
        fill.push(stream.expect("a place in the backlog"));
    }
    let mut stage = Stage::with(
        Upstream::bind().await,
        Source::Text("test", config(at, LIMITS)),
    );
    let before = stage.left(Dimension::Tokens);
    let account = stage.account("acme");
    let mut caller = stage.caller().await;
    caller
        .send(&post("/openai/v1/chat/completions", PLAIN))
        .await;
    until("the trip to be let in", || account.in_flight() == 1).await;
    drop(caller);
    let line = stage.record().await;
    assert_members(&line, &[("ending", "caller-gone"), ("ended_in", "forward")]);
    assert!(line.get("usage").is_none(), "nothing left: {line}");
    assert_eq!(stage.left(Dimension::Tokens), before);
}

#[tokio::test]
async fn a_caller_gone_before_the_answer_is_charged_for_what_left() {
    let mut stage = Stage::open(LIMITS).await;
    let half = &STREAM[..STREAM.len() / 2];
    for begun in [&b""[..], &STREAM[..1], half, &STREAM[..STREAM.len() - 1]] {
        let before = stage.left(Dimension::Tokens);
        let mut caller = stage.caller().await;
        caller
            .send(&post("/openai/v1/chat/completions", PLAIN))
            .await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(begun).await;
        assert_eq!(stage.metric("outrigger_upstream_connections_open", ""), 1);
        drop(caller);
        peer.gone().await;
        let line = stage.record().await;
        assert_members(
            &line,
            &[
                ("ending", "caller-gone"),
                ("ended_in", "forward"),
                ("usage", "estimated"),
            ],
        );
        assert!(
            line["input_tokens"].as_u64() > Some(0),
            "it was read: {line}"
        );
        settled(&stage, before, &line);
        stage.hung_up().await;
    }
}

/// Asks, and streams the first `count` events to the caller.
async fn streaming(stage: &Stage, talk: &Talk, count: usize) -> (Caller, Peer) {
    let mut caller = stage.caller().await;
    caller.send(&post(talk.path, talk.question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    caller.sees("\r\n\r\n").await;
    for event in &talk.events[..count] {
        peer.send(&chunk(event)).await;
    }
    (caller, peer)
}

#[tokio::test]
async fn a_caller_gone_after_any_event_cancels_and_keeps_the_tally() {
    for talk in [chat(), responses(), messages()] {
        let mut stage = Stage::open(LIMITS).await;
        let mut last = 0;
        for count in 0..=talk.events.len() {
            let before = stage.left(Dimension::Tokens);
            let (mut caller, peer) = streaming(&stage, &talk, count).await;
            let pieces = talk.events[..count]
                .iter()
                .filter(|event| event.contains("piece-"))
                .count();
            if pieces > 0 {
                caller.sees(&format!("piece-0{pieces}")).await;
            }
            if count == talk.events.len() {
                // The last event of each has passed the tally once it is here.
                let sign = talk.events[count - 1].lines().next().expect("a line");
                caller.sees(sign).await;
            }
            drop(caller);
            peer.gone().await;
            let line = stage.record().await;
            assert_members(&line, &[("ending", "caller-gone"), ("ended_in", "meter")]);
            let output = line["output_tokens"].as_u64().expect("a tally");
            assert!(output >= last, "a longer answer cost less: {line}");
            assert!(line["input_tokens"].as_u64() > Some(0), "{line}");
            last = output;
            if count == talk.events.len() {
                assert_members(&line, &[("usage", "reported")]);
                assert_eq!((line["input_tokens"].as_u64(), output), (Some(11), 9));
            } else if pieces > 0 && count <= 3 {
                assert_members(&line, &[("usage", "estimated")]);
                assert_eq!(output, 2 * pieces as u64, "eight bytes a piece: {line}");
            }
            settled(&stage, before, &line);
        }
    }
}

#[tokio::test]
async fn a_caller_gone_within_a_whole_answer_is_charged_for_it() {
    let mut stage = Stage::open(LIMITS).await;
    let answer = json(WHOLE);
    let head = find(&answer, b"\r\n\r\n").expect("a head") + 4;
    for end in [head + 1, head + 30, head + 90, answer.len() - 1] {
        let before = stage.left(Dimension::Tokens);
        let mut caller = stage.caller().await;
        caller
            .send(&post("/openai/v1/chat/completions", PLAIN))
            .await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(&answer[..end]).await;
        caller
            .sees(std::str::from_utf8(&answer[head..end]).expect("a text"))
            .await;
        drop(caller);
        peer.gone().await;
        let line = stage.record().await;
        assert_members(&line, &[("ending", "caller-gone"), ("usage", "estimated")]);
        settled(&stage, before, &line);
    }
}

#[tokio::test]
async fn a_caller_gone_while_its_stream_is_stuck_in_its_own_socket_ends_it() {
    let mut stage = Stage::open(LIMITS).await;
    let talk = chat();
    let (caller, mut peer) = streaming(&stage, &talk, 1).await;
    // The caller reads nothing: its socket fills, and the upstream is held back.
    let event = chunk(&talk.events[1]);
    let much = event.repeat(2_000);
    while tokio::time::timeout(std::time::Duration::from_millis(100), peer.send(&much))
        .await
        .is_ok()
    {}
    drop(caller);
    within("the upstream connection to break", async {
        while peer.try_send(&much).await {}
    })
    .await;
    let line = stage.record().await;
    assert_members(&line, &[("ending", "caller-gone"), ("usage", "estimated")]);
}

/// How the upstream goes.
#[derive(Clone, Copy, Debug)]
enum Death {
    Close,
    Reset,
}

/// The upstream sends so much of `answer` and dies. Gives what the caller got.
async fn dying(stage: &Stage, path: &str, question: &str, answer: &[u8], death: Death) -> Vec<u8> {
    let mut caller = stage.caller().await;
    caller.send(&post(path, question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(answer).await;
    match death {
        Death::Close => drop(peer),
        Death::Reset => peer.reset(),
    }
    caller.finish().await;
    caller.got()
}

#[tokio::test]
async fn an_upstream_that_dies_within_a_whole_answer_is_seen_to() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let answer = json(WHOLE);
    let head = find(&answer, b"\r\n\r\n").expect("a head") + 4;
    for end in 0..answer.len() {
        let death = if end % 7 == 6 {
            Death::Reset
        } else {
            Death::Close
        };
        let got = dying(
            &stage,
            "/openai/v1/chat/completions",
            PLAIN,
            &answer[..end],
            death,
        )
        .await;
        let got = String::from_utf8_lossy(&got).into_owned();
        stage.ended(end + 1).await;
        if end < head {
            assert!(
                got.starts_with("HTTP/1.1 502 "),
                "{death:?} at {end}: {got}"
            );
            assert!(got.contains("outrigger-code: upstream-invalid"), "{got}");
        } else if let Some((_, body)) = got.split_once("\r\n\r\n") {
            assert!(
                WHOLE.starts_with(body) && body.len() < WHOLE.len(),
                "{death:?} at {end}: {got}"
            );
        }
    }
    let lines = stage.lines();
    assert_eq!(lines.len(), answer.len());
    for (end, line) in lines.iter().enumerate() {
        let (phase, code) = if end < head {
            ("forward", "upstream-invalid")
        } else {
            ("meter", "cut")
        };
        assert_members(
            line,
            &[
                ("ending", "upstream-failed"),
                ("ended_in", phase),
                ("code", code),
            ],
        );
        let is_cut = line["cause"] == "upstream-invalid";
        assert_eq!(is_cut, code == "cut", "{line}");
    }
}

#[tokio::test]
async fn an_upstream_that_dies_within_a_stream_is_seen_to() {
    for (talk, error) in [
        (chat(), "data: {"),
        (responses(), "event: error\ndata: {"),
        (messages(), "event: error\ndata: {"),
    ] {
        let mut stage = Stage::open("limits.tokens = \"10M/h\"").await;
        let mut answer = STREAM.to_vec();
        for event in &talk.events[..3] {
            answer.extend(chunk(event));
        }
        answer.extend(END);
        for end in 0..answer.len() {
            let death = if end % 7 == 6 {
                Death::Reset
            } else {
                Death::Close
            };
            let got = dying(&stage, talk.path, talk.question, &answer[..end], death).await;
            let got = String::from_utf8_lossy(&got).into_owned();
            stage.ended(end + 1).await;
            if end < STREAM.len() {
                assert!(
                    got.starts_with("HTTP/1.1 502 "),
                    "{death:?} at {end}: {got}"
                );
            } else {
                // What came before it is what the upstream sent: no event more, none twice.
                for (index, event) in talk.events[..3].iter().enumerate() {
                    let line = event.trim_end();
                    let sent = find(&answer[..end], line.as_bytes()).is_some();
                    assert_eq!(
                        got.matches(line).count(),
                        usize::from(sent),
                        "{index} at {end}: {got}"
                    );
                }
                let at = got.find("\"outrigger\":{\"code\":\"cut\"");
                let at = at.unwrap_or_else(|| panic!("no error after {end}: {got}"));
                let line = got[..at].rfind("\n\n").expect("an event") + 2;
                let event = got[line..].to_owned();
                assert!(event.starts_with(error), "{event}");
            }
        }
        let lines = stage.lines();
        assert_eq!(lines.len(), answer.len());
        for (end, line) in lines.iter().enumerate() {
            let phase = if end < STREAM.len() {
                "forward"
            } else {
                "meter"
            };
            assert_members(
                line,
                &[
                    ("ending", "upstream-failed"),
                    ("ended_in", phase),
                    ("usage", "estimated"),
                ],
            );
        }
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_dialled_is_told_once() {
    let upstream = Upstream::bind().await;
    let nobody = Upstream::bind().await;
    let text = config(nobody.at, LIMITS);
    drop(nobody);
    let mut stage = Stage::with(upstream, Source::Text("test", text));
    let before = stage.left(Dimension::Tokens);
    let mut caller = stage.caller().await;
    caller
        .send(&post("/openai/v1/chat/completions", PLAIN))
        .await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(
        head.contains("outrigger-code: upstream-unreachable"),
        "{head}"
    );
    let line = stage.record().await;
    assert_members(
        &line,
        &[
            ("ending", "upstream-failed"),
            ("code", "upstream-unreachable"),
        ],
    );
    assert_eq!(
        stage.left(Dimension::Tokens),
        before,
        "nothing left: {line}"
    );
}

#[tokio::test]
async fn a_caller_whose_streamed_body_breaks_off_is_gone_and_the_upstream_is_not_blamed() {
    let more =
        "policy = \"open\"\n[policies.open]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"";
    let mut stage = Stage::open(more).await;
    let mut caller = stage.caller().await;
    caller
        .send(b"POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf of it")
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.sees(b"half of it").await;
    drop(caller);
    peer.gone().await;
    let line = stage.record().await;
    assert_members(&line, &[("ending", "caller-gone"), ("ended_in", "forward")]);
}

#[tokio::test]
async fn an_answer_without_a_body_ends_once_and_gives_its_connection_back() {
    let mut stage = Stage::open(LIMITS).await;
    let mut peer: Option<Peer> = None;
    for (request, answer) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 90\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end",
        ),
    ] {
        let mut caller = stage.caller().await;
        caller
            .send(format!("{request} /openai/v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes())
            .await;
        let mut at = match peer.take() {
            Some(peer) => peer,
            None => stage.upstream.accept().await,
        };
        at.request().await;
        at.send(answer.as_bytes()).await;
        if answer.ends_with("the end") {
            at.close_after().await;
        } else {
            peer = Some(at);
        }
        let got = String::from_utf8(caller.rest().await).expect("a text");
        assert_eq!(got.get(..13), answer.get(..13), "{got}");
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete")]);
        if peer.is_some() {
            until("the connection to rest", || {
                stage.metric("outrigger_upstream_connections_idle", "") == 1
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_left_is_never_sent_twice() {
    let mut stage = Stage::open(LIMITS).await;
    let request = post("/openai/v1/chat/completions", PLAIN);
    let mut caller = stage.caller().await;
    caller.send(&request).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    caller.answer().await;
    stage.record().await;
    // The kept connection takes the next request and closes.
    caller.send(&request).await;
    peer.request().await;
    drop(peer);
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert_members(
        &stage.record().await,
        &[("ending", "upstream-failed"), ("usage", "estimated")],
    );
    stage.upstream.unused().await;

    // One that was closed while it rested costs nobody a request.
    caller.send(&request).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    caller.answer().await;
    stage.record().await;
    drop(peer);
    caller.send(&request).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

/// A stage whose time passes, with short patience everywhere.
fn impatient(upstream: Upstream) -> Stage {
    let text = config(
        upstream.at,
        "policy = \"short\"\n[policies.short]\nbody_timeout = \"50ms\"\nlimits.tokens = \"1M/h\"",
    )
    .replace(
        "telemetry = \"off\"",
        "telemetry = \"off\"\nhead_timeout = \"50ms\"",
    )
    .replace(
        "dialect = \"openai\"",
        "dialect = \"openai\"\nfirst_byte_timeout = \"300ms\"\nbetween_bytes_timeout = \"300ms\"",
    );
    Stage::timed(
        upstream,
        Source::Text("test", text),
        Arc::new(SystemClock),
        Arc::new(StillClock::default()),
    )
}

#[tokio::test]
async fn an_upstream_that_goes_silent_is_left_in_time() {
    let mut stage = impatient(Upstream::bind().await);
    let talk = chat();
    for sent in [None, Some(0), Some(2)] {
        let mut caller = stage.caller().await;
        caller.send(&post(talk.path, talk.question)).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        if let Some(count) = sent {
            peer.send(STREAM).await;
            for event in &talk.events[..count] {
                peer.send(&chunk(event)).await;
            }
        }
        caller.finish().await;
        let got = String::from_utf8(caller.got()).expect("a text");
        if sent.is_none() {
            assert!(got.starts_with("HTTP/1.1 504 "), "{got}");
            assert!(got.contains("outrigger-code: upstream-timeout"), "{got}");
        } else {
            assert!(got.contains("\"code\":\"cut\""), "{got}");
        }
        peer.gone().await;
        let line = stage.record().await;
        assert_members(
            &line,
            &[
                ("ending", "upstream-failed"),
                ("code", sent.map_or("upstream-timeout", |_| "cut")),
                ("usage", "estimated"),
            ],
        );
        let is_cut = line["cause"] == "upstream-timeout";
        assert_eq!(is_cut, sent.is_some(), "{line}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_silent_is_left_in_time() {
    let mut stage = impatient(Upstream::bind().await);
    let request = post("/openai/v1/chat/completions", PLAIN);
    for (end, code, tenant) in [
        (request.len() - 1, "body-timeout", "acme"),
        (20, "head-timeout", "_nobody"),
    ] {
        let mut caller = stage.caller().await;
        caller.send(&request[..end]).await;
        let got = String::from_utf8(caller.rest().await).expect("a text");
        assert!(got.starts_with("HTTP/1.1 408 "), "{got}");
        let line = stage.record().await;
        assert_members(
            &line,
            &[("ending", "refused"), ("code", code), ("tenant", tenant)],
        );
    }
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_caller_that_stops_writing_has_hung_up() {
    let mut stage = Stage::open(LIMITS).await;
    let talk = chat();
    let (mut caller, peer) = streaming(&stage, &talk, 1).await;
    caller.sees("piece-01").await;
    caller.stop_writing().await;
    peer.gone().await;
    let line = stage.record().await;
    assert_members(&line, &[("ending", "caller-gone"), ("usage", "estimated")]);
}

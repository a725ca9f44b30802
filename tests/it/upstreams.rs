//! Upstreams that keep others waiting, or say more than they should, over both protocols: every wait has an end of its own
//! name, and what is passed on is the answer and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use outrigger::app::Source;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::h2out::frames::{CANCEL, DATA, END_STREAM, Frames, RST_STREAM};
use crate::stage::{
    Caller, PLAIN, Peer, STREAM, Stage, Upstream, WHOLE, chat, chunk, json, post, within,
};

const PATH: &str = "/openai/v1/chat/completions";

fn config(url: &str, added: &str) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"{url}\"\n{added}\n\
         [policies.standard]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"\n\
         [identity]\ntenant = \"acme\"\n[tenants.acme]\npolicy = \"standard\"\n"
    )
}

fn at(upstream: Upstream, url: &str, added: &str) -> Stage {
    Stage::with(upstream, Source::Text("test", config(url, added)))
}

async fn stage(added: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let url = format!("http://{}", upstream.at);
    at(upstream, &url, added)
}

async fn ask(stage: &Stage, question: &str) -> Caller {
    let mut caller = stage.caller().await;
    caller.send(&post(PATH, question)).await;
    caller
}

/// A request whose body is not held: its first bytes.
const UPLOAD: &str =
    "POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 800\r\n\r\n";

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, value) in members {
        assert_eq!(line[name].as_str(), Some(*value), "`{name}` of {line}");
    }
}

/// The caller is told that it took too long, and that trying again may help.
async fn took_too_long(stage: &mut Stage, caller: &mut Caller, what: &str) -> Value {
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert!(head.contains("outrigger-code: upstream-timeout"), "{head}");
    assert!(head.contains("x-should-retry: true"), "{head}");
    assert!(body.contains(what), "{body}");
    let line = stage.record().await;
    let members = [
        ("ending", "upstream-failed"),
        ("ended_in", "forward"),
        ("code", "upstream-timeout"),
    ];
    assert_members(&line, &members);
    assert_eq!(
        stage.metric("outrigger_refusals_total", "upstream-timeout"),
        1
    );
    line
}

/// A listener whose backlog is full lets nobody in and turns nobody away.
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let at = listener.local_addr().expect("an address");
    let mut fill = Vec::new();
    let patience = Duration::from_millis(50);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(at)).await {
        fill.push(stream.expect("a place in the backlog"));
    }
    (listener, fill)
}

#[tokio::test]
async fn nobody_who_is_silent_at_the_door_is_waited_for() {
    let limit = "connect_timeout = \"50ms\"";
    // TCP, TLS and HTTP/2 each have a door.
    let (hole, _fill) = black_hole().await;
    let hole = hole.local_addr().expect("an address");
    let mute = Upstream::bind().await;
    for (url, http) in [
        (format!("http://{hole}"), "1.1"),
        (format!("http://{hole}"), "2"),
        (format!("https://{hole}"), "auto"),
        (format!("https://{}", mute.at), "auto"),
        (format!("http://{}", mute.at), "2"),
    ] {
        let added = format!("http = \"{http}\"\n{limit}");
        let mut stage = at(Upstream::bind().await, &url, &added);
        let mut caller = ask(&stage, PLAIN).await;
        let line = took_too_long(&mut stage, &mut caller, "did not accept a connection").await;
        assert!(line.get("usage").is_none(), "nothing left: {line}");
        let timeouts = stage.metric("outrigger_upstream_connects_total", "result=\"timeout\"");
        assert_eq!(timeouts, 1, "{url}");
        stage.hung_up().await;
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let mut stage = stage("http = \"1.1\"\nfirst_byte_timeout = \"50ms\"").await;
    let mut caller = ask(&stage, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let line = took_too_long(&mut stage, &mut caller, "did not answer in time").await;
    assert_members(&line, &[("usage", "estimated")]);
    peer.gone().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up_and_its_neighbours_are_not() {
    let mut stage = stage("http = \"2\"\nfirst_byte_timeout = \"200ms\"").await;
    let talk = chat();
    let mut neighbour = ask(&stage, talk.question).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let beside = peer.asked().await;
    peer.events(beside).await;
    peer.data(beside, 0, &talk.events[0]).await;
    neighbour.sees("piece-01").await;
    let mut caller = ask(&stage, PLAIN).await;
    let stream = peer.asked().await;
    let (head, body) = caller.answer().await;
    assert!(head.contains("outrigger-code: upstream-timeout"), "{head}");
    assert!(body.contains("did not answer in time"), "{body}");
    let reset = peer.sees(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    for event in &talk.events[1..] {
        peer.data(beside, 0, event).await;
    }
    peer.data(beside, END_STREAM, "").await;
    neighbour.sees("[DONE]").await;
    stage.ended(2).await;
    let lines = stage.lines();
    assert_members(&lines[0], &[("code", "upstream-timeout")]);
    assert_members(&lines[1], &[("ending", "complete")]);
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cut() {
    let talk = chat();
    for http in ["1.1", "2"] {
        let added = format!("http = \"{http}\"\nbetween_bytes_timeout = \"50ms\"");
        let mut stage = stage(&added).await;
        let mut caller = ask(&stage, talk.question).await;
        if http == "2" {
            let mut peer = Frames::accept(&stage.upstream).await;
            let stream = peer.asked().await;
            peer.events(stream).await;
            peer.data(stream, 0, &talk.events[0]).await;
            let reset = peer.sees(RST_STREAM).await;
            assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
        } else {
            let mut peer = stage.upstream.accept().await;
            peer.request().await;
            peer.send(STREAM).await;
            peer.send(&chunk(&talk.events[0])).await;
            peer.gone().await;
        }
        let got = caller.sees("went silent").await;
        assert!(got.contains("piece-01") && got.contains("\"cut\""), "{got}");
        let line = stage.record().await;
        let members = [
            ("ending", "upstream-failed"),
            ("ended_in", "meter"),
            ("code", "cut"),
            ("cause", "upstream-timeout"),
        ];
        assert_members(&line, &members);
        assert_eq!(stage.metric("outrigger_refusals_total", "cut"), 1);
    }
}

#[tokio::test]
async fn an_answer_that_trickles_is_an_answer() {
    let talk = chat();
    let pause = || tokio::time::sleep(Duration::from_millis(60));
    let events = &talk.events;
    for http in ["1.1", "2"] {
        let added = format!("http = \"{http}\"\nbetween_bytes_timeout = \"200ms\"");
        let mut stage = stage(&added).await;
        let mut caller = ask(&stage, talk.question).await;
        if http == "2" {
            let mut peer = Frames::accept(&stage.upstream).await;
            let stream = peer.asked().await;
            peer.events(stream).await;
            for event in events {
                pause().await;
                peer.data(stream, 0, event).await;
            }
            peer.data(stream, END_STREAM, "").await;
            caller.sees("[DONE]").await;
        } else {
            let mut peer = stage.upstream.accept().await;
            peer.request().await;
            peer.send(STREAM).await;
            for event in events {
                pause().await;
                peer.send(&chunk(event)).await;
            }
            peer.send(b"0\r\n\r\n").await;
            caller.sees("[DONE]").await;
        }
        assert_members(&stage.record().await, &[("ending", "complete")]);
    }
}

/// The upstream of an upload, over either protocol.
enum Other {
    One(Peer),
    Two(Frames, u32),
}

impl Other {
    async fn accept(stage: &Stage, http: &str) -> Self {
        if http == "2" {
            let mut peer = Frames::accept(&stage.upstream).await;
            let stream = peer.sees(DATA).await.stream;
            return Self::Two(peer, stream);
        }
        let mut peer = stage.upstream.accept().await;
        peer.sees(b"\r\n\r\n").await;
        Self::One(peer)
    }
}

#[tokio::test]
async fn an_upload_that_moves_puts_the_wait_for_its_answer_off() {
    for http in ["1.1", "2"] {
        let added = format!("http = \"{http}\"\nfirst_byte_timeout = \"250ms\"");
        let mut stage = stage(&added).await;
        let mut caller = stage.caller().await;
        caller.send(UPLOAD.as_bytes()).await;
        caller.send(&[b'x'; 100]).await;
        let mut peer = Other::accept(&stage, http).await;
        for _ in 0..7 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            caller.send(&[b'x'; 100]).await;
        }
        match &mut peer {
            Other::One(peer) => peer.send(&json(WHOLE)).await,
            Other::Two(peer, stream) => {
                peer.asked().await;
                peer.json(*stream, WHOLE).await;
            }
        }
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{http}: {head}");
        assert_eq!(body, WHOLE);
        assert_members(&stage.record().await, &[("ending", "complete")]);

        // One that stands still does not.
        let mut caller = stage.caller().await;
        caller.send(UPLOAD.as_bytes()).await;
        caller.send(&[b'x'; 100]).await;
        let (head, _) = caller.answer().await;
        assert!(head.contains("outrigger-code: upstream-timeout"), "{head}");
    }
}

#[tokio::test]
async fn extra_heads_and_trailers_stay_with_the_upstream() {
    let mut stage = stage("").await;
    let talk = chat();
    let mut caller = stage.caller().await;
    let request = String::from_utf8(post(PATH, talk.question)).expect("a text");
    let wanting = "\r\nte: trailers\r\nconnection: te\r\n\r\n";
    caller
        .send(request.replacen("\r\n\r\n", wanting, 1).as_bytes())
        .await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    for status in ["100 Continue", "102 Processing", "103 Early Hints"] {
        let head = format!("HTTP/1.1 {status}\r\nlink: </x>; rel=preload\r\n\r\n");
        peer.send(head.as_bytes()).await;
    }
    let head =
        String::from_utf8_lossy(STREAM).replacen("\r\n\r\n", "\r\ntrailer: x-sum\r\n\r\n", 1);
    peer.send(head.as_bytes()).await;
    for event in &talk.events {
        peer.send(&chunk(event)).await;
    }
    peer.send(b"0\r\nx-sum: abc\r\n\r\n").await;
    let got = caller.sees("0\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
    assert!(got.contains("[DONE]"), "{got}");
    for word in ["HTTP/1.1 10", "preload", "x-sum"] {
        assert!(!got.contains(word), "{word}: {got}");
    }
    let line = stage.record().await;
    assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
    // The connection is as good as before.
    let mut caller = ask(&stage, PLAIN).await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    assert_eq!(caller.answer().await.1, WHOLE);
}

#[tokio::test]
async fn an_answer_that_comes_early_is_the_answer() {
    let mut stage = stage("http = \"1.1\"").await;
    let mut held = Vec::new();
    for closes in [true, false] {
        let mut caller = stage.caller().await;
        caller.send(UPLOAD.as_bytes()).await;
        caller.send(&[b'x'; 100]).await;
        let mut peer = stage.upstream.accept().await;
        peer.sees(b"xxxx").await;
        let connection = if closes { "connection: close\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 413 Content Too Large\r\n{connection}content-length: 9\r\n\r\ntoo large"
        );
        peer.send(answer.as_bytes()).await;
        if closes {
            peer.close_after().await;
        } else {
            // Open, and not used again while the rest of the upload is due.
            held.push(peer);
        }
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert_eq!(body, "too large");
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete")]);
        assert_eq!(line["status"], 413);
    }
    let mut caller = ask(&stage, PLAIN).await;
    let mut fresh = stage.upstream.accept().await;
    fresh.request().await;
    fresh.send(&json(WHOLE)).await;
    assert_eq!(within("an answer", caller.answer()).await.1, WHOLE);
}

#[tokio::test]
async fn what_follows_an_answer_without_a_body_answers_nobody() {
    let mut stage = stage("http = \"1.1\"").await;
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n"),
    ] {
        let mut caller = stage.caller().await;
        let request = format!("{method} /openai/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n");
        caller.send(request.as_bytes()).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        // A body where there can be none looks like the answer to the next request.
        peer.send(format!("{head}stale").as_bytes()).await;
        let got = caller.sees("\r\n\r\n").await;
        let status = head.lines().next().expect("a line");
        assert!(got.starts_with(status), "{got}");
        assert!(!got.contains("stale"), "{got}");
        assert_members(&stage.record().await, &[("ending", "complete")]);
        peer.gone().await;
    }
}

/// The upstream closes a connection of the pool in the moment in which it is used again: nothing of the request has left, so
/// it goes out over another. Once something has, it never does.
#[tokio::test]
async fn what_has_not_left_a_closing_connection_goes_out_over_another_and_what_has_does_not() {
    let mut stage = stage("").await;
    let served = async |stage: &mut Stage, caller: &mut Caller, peer: &mut Peer| {
        let (_, body) = peer.request().await;
        assert_eq!(body, PLAIN.as_bytes());
        peer.send(&json(WHOLE)).await;
        assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
        assert_members(&stage.record().await, &[("ending", "complete")]);
    };
    let mut caller = ask(&stage, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    served(&mut stage, &mut caller, &mut peer).await;
    let mut elsewhere = 0;
    for _ in 0..20 {
        // Neither waits, so the sidecar mostly finds both at once.
        drop(peer);
        caller.send(&post(PATH, PLAIN)).await;
        let dialled = tokio::select! {
            dialled = stage.upstream.accept() => Some(dialled),
            // It had left when the end came: nobody can know what became of it.
            (head, _) = caller.answer() => {
                assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
                None
            }
        };
        peer = if let Some(dialled) = dialled {
            elsewhere += 1;
            dialled
        } else {
            assert_members(&stage.record().await, &[("ending", "upstream-failed")]);
            caller.send(&post(PATH, PLAIN)).await;
            stage.upstream.accept().await
        };
        served(&mut stage, &mut caller, &mut peer).await;
    }
    assert!(elsewhere > 0, "none of twenty");
    // The request is there, and then the connection is not: nobody can know what became of it.
    caller.send(&post(PATH, PLAIN)).await;
    peer.request().await;
    drop(peer);
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert_members(&stage.record().await, &[("ending", "upstream-failed")]);
    stage.upstream.unused().await;
}

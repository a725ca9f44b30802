//! What is said over HTTP/2, heard by a whole server: the heads, the bodies with their windows, and what an upstream may
//! say beside its answer.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, Request, Response};
use outrigger::host;
use tokio::sync::mpsc;

use super::*;
use crate::stage::within;

type Asked = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that hands on what it is asked.
struct Server(mpsc::Receiver<Asked>);

impl Server {
    async fn accept(upstream: &Upstream, window: u32) -> Self {
        let stream = upstream.accept().await.into_stream();
        let (tell, told) = mpsc::channel(8);
        host::spawn("test-upstream", async move {
            let mut builder = Builder::new();
            builder
                .initial_window_size(window)
                .initial_connection_window_size(window.max(65_535));
            let mut connection = builder.handshake(stream).await.expect("a client");
            while let Some(Ok(asked)) = connection.accept().await {
                let _ = tell.send(asked).await;
            }
        });
        Self(told)
    }

    async fn asked(&mut self) -> Asked {
        within("a request", self.0.recv()).await.expect("a request")
    }
}

/// Reads a body to its end, giving room as it comes.
async fn read(body: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = within("a body", body.data()).await {
        let piece = piece.expect("a body");
        all.extend_from_slice(&piece);
        body.flow_control()
            .release_capacity(piece.len())
            .expect("room");
    }
    all
}

#[tokio::test]
async fn a_head_is_written_as_http2_wants_it() {
    let stage = stage().await;
    let mut caller = stage.caller().await;
    let odd = "\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade-Insecure-Requests: 1\r\nX-UPPER: Kept\r\nCookie: a=1; b=2\r\nx-api-key";
    let request = String::from_utf8(request_of("key-acme", PATH, PLAIN)).expect("a text");
    caller
        .send(request.replacen("\r\nx-api-key", odd, 1).as_bytes())
        .await;
    let mut server = Server::accept(&stage.upstream, 65_535).await;
    let (request, mut respond) = server.asked().await;
    let (parts, mut body) = request.into_parts();
    assert_eq!(
        parts.uri.to_string(),
        format!("http://{}/v1/chat/completions", stage.upstream.at)
    );
    assert_eq!(parts.method, "POST");
    let fields: Vec<String> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")))
        .collect();
    for field in [
        "authorization: Bearer sk",
        "content-type: application/json",
        "x-upper: Kept",
        "cookie: a=1; b=2",
        "upgrade-insecure-requests: 1",
        &format!("content-length: {}", PLAIN.len()),
    ] {
        assert!(
            fields.iter().any(|one| one == field),
            "{field}: {fields:#?}"
        );
    }
    for name in [
        "host",
        "connection",
        "keep-alive",
        "te",
        "x-hop",
        "transfer-encoding",
        "x-api-key",
    ] {
        assert!(!parts.headers.contains_key(name), "{name}: {fields:#?}");
    }
    assert_eq!(read(&mut body).await, PLAIN.as_bytes());
    let head = Response::builder()
        .header("content-type", "application/json")
        .header("content-length", WHOLE.len());
    let mut answer = respond
        .send_response(head.body(()).expect("a head"), false)
        .expect("a stream");
    answer.send_data(WHOLE.into(), true).expect("a stream");
    is_whole(&mut caller).await;
}

#[tokio::test]
async fn an_upload_waits_for_room_and_arrives_byte_for_byte() {
    let mut stage = stage().await;
    let body: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let mut server = None;
    // Of known and of unknown length.
    for chunked in [false, true] {
        let framing = if chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {}", body.len())
        };
        let mut caller = stage.caller().await;
        caller
            .send(format!("POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\n{framing}\r\n\r\n").as_bytes())
            .await;
        if server.is_none() {
            server = Some(Server::accept(&stage.upstream, 1000).await);
        }
        let server = server.as_mut().expect("a server");
        let sending = async {
            if !chunked {
                return caller.send(&body).await;
            }
            for piece in body.chunks(30_000) {
                caller
                    .send(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await;
                caller.send(piece).await;
                caller.send(b"\r\n").await;
            }
            caller.send(b"0\r\n\r\n").await;
        };
        let reading = async {
            let (request, respond) = server.asked().await;
            let (parts, mut stream) = request.into_parts();
            (parts.headers, read(&mut stream).await, respond)
        };
        let ((), (headers, got, mut respond)) = tokio::join!(sending, reading);
        assert!(got == body, "{} bytes", got.len());
        assert_eq!(headers.contains_key("content-length"), !chunked);
        let none = Response::builder().status(204).body(()).expect("a head");
        respond.send_response(none, true).expect("a stream");
        caller.sees("HTTP/1.1 204 ").await;
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete")]);
    }
}

#[tokio::test]
async fn trailers_and_extra_heads_stay_with_the_upstream() {
    let mut stage = stage().await;
    let talk = chat();
    let mut caller = ask(&stage, talk.path, talk.question).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.asked().await;
    for status in ["100", "102", "103"] {
        let fields = [(":status", status), ("link", "</x>; rel=preload")];
        peer.head(stream, 0, &fields).await;
    }
    peer.events(stream).await;
    for event in &talk.events {
        peer.data(stream, 0, event).await;
    }
    peer.data(stream, 0, "").await;
    peer.head(
        stream,
        END_STREAM,
        &[("x-checksum", "abc"), ("grpc-status", "0")],
    )
    .await;
    let got = caller.sees("0\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
    assert!(got.contains("[DONE]"), "{got}");
    for word in ["HTTP/1.1 10", "preload", "x-checksum", "grpc-status"] {
        assert!(!got.contains(word), "{word}: {got}");
    }
    let line = stage.record().await;
    assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
}

#[tokio::test]
async fn an_answer_without_a_body_is_whole() {
    let mut stage = stage().await;
    let mut caller = stage.caller().await;
    let mut server = None;
    for (method, status, fields) in [
        ("HEAD", "200", &[("content-length", "1234")][..]),
        ("GET", "204", &[]),
        ("GET", "304", &[("etag", "x")]),
        ("GET", "200", &[("content-length", "0")]),
    ] {
        caller
            .send(format!("{method} /openai/v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\n\r\n").as_bytes())
            .await;
        if server.is_none() {
            server = Some(Server::accept(&stage.upstream, 1000).await);
        }
        let asked = server.as_mut().expect("a server").asked().await;
        let (request, mut respond) = asked;
        assert_eq!(request.method().as_str(), method);
        let mut head = Response::builder().status(status);
        head.headers_mut().expect("a head").extend(headers(fields));
        let stream = respond.send_response(head.body(()).expect("a head"), true);
        stream.expect("a stream");
        let got = caller.sees("\r\n\r\n").await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete")]);
        caller = stage.caller().await;
    }
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter();
    fields
        .map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        })
        .collect()
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_whole() {
    let mut stage = stage().await;
    // With and without the upstream's word that it wants no more (RFC 9113 §8.1).
    for word in [Some(NO_ERROR), None] {
        let mut caller = stage.caller().await;
        caller
            .send(b"POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\ncontent-length: 1000000\r\n\r\nsome")
            .await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.sees(DATA).await.stream;
        let body = "{\"error\":\"too large\"}";
        let length = body.len().to_string();
        let fields = [(":status", "413"), ("content-length", &*length)];
        peer.head(stream, 0, &fields).await;
        peer.data(stream, END_STREAM, body).await;
        if let Some(code) = word {
            peer.reset(stream, code).await;
        }
        let (head, got) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert_eq!(got, body);
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete")]);
        if word.is_none() {
            // What is left of the upload is not wanted: the sidecar gives the stream up.
            let reset = peer.sees(RST_STREAM).await;
            assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
        }
        drop(caller);
        peer.go_away(stream, NO_ERROR).await;
        peer.gone().await;
    }
}

#[tokio::test]
async fn a_body_goes_on_while_its_answer_comes() {
    let mut stage = stage().await;
    let mut caller = stage.caller().await;
    caller
        .send(b"POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\ncontent-length: 8\r\n\r\nsome")
        .await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.sees(DATA).await.stream;
    peer.head(stream, 0, &[(":status", "200")]).await;
    peer.data(stream, 0, "go on").await;
    caller.sees("go on").await;
    caller.send(b"more").await;
    let more = peer.sees(DATA).await;
    assert_eq!((&*more.payload, more.flags & END_STREAM), (&b"more"[..], 1));
    peer.data(stream, END_STREAM, "done").await;
    caller.sees("done").await;
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

#[tokio::test]
async fn what_follows_the_end_of_an_answer_is_nobodys() {
    let mut stage = stage().await;
    let mut caller = ask_plain(&stage).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.asked().await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut caller).await;
    assert_members(&stage.record().await, &[("ending", "complete")]);
    peer.try_send(DATA, 0, stream, b"stale").await;
    peer.try_send(DATA, END_STREAM, stream, b"{\"stale\":1}")
        .await;
    // Over this connection or, if it was closed for that, over another.
    let mut caller = ask_plain(&stage).await;
    loop {
        match peer.next().await {
            Some(frame)
                if frame.flags & END_STREAM != 0 && matches!(frame.kind, HEADERS | DATA) =>
            {
                peer.json(frame.stream, WHOLE).await;
                break;
            }
            Some(_) => {}
            None => peer = Frames::accept(&stage.upstream).await,
        }
    }
    is_whole(&mut caller).await;
    let line = stage.record().await;
    assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_answer() {
    let mut stage = stage().await;
    let filler = "a".repeat(120);
    for (count, is_taken) in [(200, true), (600, false)] {
        let mut caller = ask_plain(&stage).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        let length = WHOLE.len().to_string();
        let mut fields = vec![
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-length", &*length),
        ];
        fields.extend((0..count).map(|_| ("x-filler", &*filler)));
        peer.long_head(stream, &fields).await;
        if is_taken {
            peer.data(stream, END_STREAM, WHOLE).await;
            is_whole(&mut caller).await;
            peer.go_away(stream, NO_ERROR).await;
        } else {
            let (head, _) = caller.answer().await;
            assert!(head.contains("outrigger-code: upstream-invalid"), "{head}");
        }
        let ending = if is_taken {
            "complete"
        } else {
            "upstream-failed"
        };
        assert_members(&stage.record().await, &[("ending", ending)]);
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_repeated_is_not() {
    let mut stage = stage().await;
    let mut caller = stage.caller().await;
    caller
        .send(b"POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\ncontent-length: 4\r\n\r\nsome")
        .await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.asked().await;
    peer.reset(stream, REFUSED_STREAM).await;
    let (head, _) = caller.answer().await;
    assert!(
        head.contains("outrigger-code: upstream-unreachable"),
        "{head}"
    );
    let line = stage.record().await;
    assert_members(&line, &[("ending", "upstream-failed")]);
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_caller_that_breaks_its_upload_off_resets_the_stream() {
    let mut stage = stage().await;
    let mut caller = stage.caller().await;
    caller
        .send(b"POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-acme\r\ncontent-length: 400\r\n\r\nsome")
        .await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.sees(DATA).await.stream;
    drop(caller);
    let reset = peer.sees(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    let line = stage.record().await;
    assert_members(&line, &[("ending", "caller-gone")]);
}

#[tokio::test]
async fn what_is_not_http2_is_told() {
    let mut stage = stage().await;
    for said in [
        &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
        b"\x00\x00\x00\x09\x00\x00\x00\x00\x00 no settings first",
        b"",
    ] {
        let mut caller = ask_plain(&stage).await;
        let mut peer = stage.upstream.accept().await;
        peer.send(said).await;
        drop(peer);
        let (head, body) = caller.answer().await;
        assert!(head.contains("outrigger-code: upstream-invalid"), "{head}");
        assert!(body.contains("does not speak HTTP/2"), "{body}");
        let line = stage.record().await;
        assert_members(&line, &[("ending", "upstream-failed")]);
    }
    // Nonsense later ends every stream of that connection.
    let mut caller = ask_plain(&stage).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    peer.asked().await;
    peer.data(99, 0, "to nobody").await;
    let (head, body) = caller.answer().await;
    assert!(head.contains("outrigger-code: upstream-invalid"), "{head}");
    assert!(body.contains("not HTTP/2"), "{body}");
    assert_members(&stage.record().await, &[("ending", "upstream-failed")]);
    stage.hung_up().await;
}

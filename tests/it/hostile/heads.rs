//! Heads and framing that two readers could see differently, and callers that are too slow.

use std::io::Write;

use super::house::{ACME, After, House, Reply, SMALL, Shape, Trial, post};

const BODY: &str = r#"{"model":"m","messages":[]}"#;

fn raw(lines: &str) -> Vec<u8> {
    lines.replace("KEY", ACME).into_bytes()
}

#[test]
fn what_two_readers_could_see_differently_is_refused() {
    let mut trial = Trial::of(House::plain());
    let start = "POST /openai/v1/chat/completions HTTP/1.1\r\n";
    let rest = "authorization: Bearer KEY\r\ncontent-type: application/json\r\n";
    let chunked =
        "transfer-encoding: chunked\r\n\r\n1b\r\n{\"model\":\"m\",\"messages\":[]}\r\n0\r\n\r\n";
    let fine = format!("host: localhost\r\n{rest}content-length: 27\r\n\r\n{BODY}");
    let malformed = (400, "head-malformed");
    let framing = (400, "framing-conflict");
    let cases: &[(&str, String, (u16, &str))] = &[
        ("te and cl", format!("{start}host: localhost\r\n{rest}content-length: 27\r\n{chunked}"), framing),
        ("te and cl, te first", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{BODY}"), framing),
        ("te_ and cl", format!("{start}host: localhost\r\n{rest}content-length: 27\r\ntransfer_encoding: chunked\r\n\r\n{BODY}"), malformed),
        ("two cl", format!("{start}host: localhost\r\n{rest}content-length: 27\r\ncontent-length: 27\r\n\r\n{BODY}"), framing),
        ("two cl in one", format!("{start}host: localhost\r\n{rest}content-length: 27, 27\r\n\r\n{BODY}"), framing),
        ("cl with sign", format!("{start}host: localhost\r\n{rest}content-length: +27\r\n\r\n{BODY}"), framing),
        ("cl in hex", format!("{start}host: localhost\r\n{rest}content-length: 0x1b\r\n\r\n{BODY}"), framing),
        ("cl of 2^64", format!("{start}host: localhost\r\n{rest}content-length: 18446744073709551616\r\n\r\n{BODY}"), framing),
        ("cl of 2^64 - 1", format!("{start}host: localhost\r\n{rest}content-length: 18446744073709551615\r\n\r\n{BODY}"), framing),
        ("te chunked twice", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n{chunked}"), framing),
        ("te xchunked", format!("{start}host: localhost\r\n{rest}transfer-encoding: xchunked\r\n\r\n"), framing),
        ("te chunked, identity", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked, identity\r\n\r\n"), framing),
        ("te gzip", format!("{start}host: localhost\r\n{rest}transfer-encoding: gzip\r\n\r\n"), (501, "coding-unsupported")),
        ("te with vertical tab", format!("{start}host: localhost\r\n{rest}transfer-encoding:\x0bchunked\r\n\r\n"), framing),
        ("te in 1.0", format!("POST /openai/v1/chat/completions HTTP/1.0\r\nhost: localhost\r\n{rest}{chunked}"), framing),
        ("two hosts", format!("{start}host: localhost\r\n{fine}"), malformed),
        ("host_ beside host", format!("{start}Hos_: x\r\nhost: localhost\r\nhost: 127.0.0.1\r\n{rest}content-length: 0\r\n\r\n"), malformed),
        ("no host", format!("{start}{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("empty host", format!("{start}host:\r\n{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("host with user", format!("{start}host: localhost@evil.example\r\n{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("obs-fold", format!("{start}host: localhost\r\nx-a: b\r\n c\r\n{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("obs-fold with tab", format!("{start}host: localhost\r\nx-a: b\r\n\tc\r\n{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("bare lf in a field", format!("{start}host: localhost\nx-a: b\r\n{rest}content-length: 27\r\n\r\n{BODY}"), malformed),
        ("bare lf everywhere", format!("{start}{fine}").replace("\r\n", "\n"), malformed),
        ("bare lf at the end", format!("{start}host: localhost\r\n{rest}content-length: 27\r\n\n{BODY}"), malformed),
        ("bare cr in a value", format!("{start}x-a: b\rc\r\n{fine}"), malformed),
        ("bare cr in the request line", format!("POST /openai/v1/chat/completions\r HTTP/1.1\r\n{fine}"), malformed),
        ("nul in a value", format!("{start}x-a: b\0c\r\n{fine}"), malformed),
        ("nul in a name", format!("{start}x\0a: b\r\n{fine}"), malformed),
        ("nul in the target", format!("POST /openai/v1/chat\0/completions HTTP/1.1\r\n{fine}"), malformed),
        ("space before the colon", format!("{start}content-length : 27\r\nhost: localhost\r\n{rest}\r\n{BODY}"), malformed),
        ("no colon", format!("{start}x-a\r\n{fine}"), malformed),
        ("no name", format!("{start}: x\r\n{fine}"), malformed),
        ("a folded first field", format!("{start} x: y\r\n{fine}"), malformed),
        ("two blank lines in front", format!("\r\n\r\n{start}{fine}"), malformed),
        ("authorization twice", format!("{start}authorization: Bearer KEY\r\n{fine}"), malformed),
        ("content-type twice", format!("{start}content-type: text/plain\r\n{fine}"), malformed),
        ("x_api_key", format!("{start}x_api_key: KEY\r\n{fine}"), malformed),
        ("non-ascii target", format!("POST /openai/v1/chat/complet\u{131}ons HTTP/1.1\r\n{fine}"), malformed),
        ("fragment", format!("POST /openai/v1/chat/completions#x HTTP/1.1\r\n{fine}"), malformed),
        ("four parts", format!("POST /openai/v1/chat/completions x HTTP/1.1\r\n{fine}"), malformed),
        ("0.9", "GET /openai/v1/models\r\n\r\n".to_owned(), (505, "version-unsupported")),
        ("1.2", format!("POST /openai/v1/chat/completions HTTP/1.2\r\n{fine}"), (505, "version-unsupported")),
        ("h2 with a field", "PRI * HTTP/2.0\r\nhost: localhost\r\n\r\n".to_owned(), (505, "version-unsupported")),
        ("tls", "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03".to_owned(), malformed),
        ("ftp target", format!("POST ftp://localhost/openai/v1/chat/completions HTTP/1.1\r\n{fine}"), malformed),
        ("user in the target", format!("POST http://a@localhost/openai/v1/chat/completions HTTP/1.1\r\n{fine}"), malformed),
        ("target over its limit", format!("POST /openai/v1/chat/completions?{} HTTP/1.1\r\n{fine}", "a".repeat(17_000)), (414, "target-too-long")),
        ("a field over its limit", format!("{start}x-a: {}\r\n{fine}", "a".repeat(17_000)), (431, "head-too-large")),
        ("too many fields", format!("{start}{}{fine}", "x-a: b\r\n".repeat(101)), (431, "head-too-large")),
        ("a head over its limit", format!("{start}{}{fine}", format!("x-a: {}\r\n", "a".repeat(16_000)).repeat(5)), (431, "head-too-large")),
        ("connect", "CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n".to_owned(), (403, "upgrade-denied")),
        ("connect to us", "CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n".to_owned(), (403, "upgrade-denied")),
        ("websocket", "GET /openai/v1/realtime?model=m HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer KEY\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\nsec-websocket-version: 13\r\n\r\n".to_owned(), (403, "upgrade-denied")),
        ("websocket of responses", "GET /openai/v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer KEY\r\nconnection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n\r\n".to_owned(), (403, "upgrade-denied")),
        ("chunk size with sign", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n+1b\r\n{BODY}\r\n0\r\n\r\n"), framing),
        ("chunk size with space", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n1b \r\n{BODY}\r\n0\r\n\r\n"), framing),
        ("chunk size 0x", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n0x1b\r\n{BODY}\r\n0\r\n\r\n"), framing),
        ("chunk size too large", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n10000000000000001b\r\n{BODY}\r\n0\r\n\r\n"), framing),
        ("chunk with bare lf", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n1b\n{BODY}\n0\n\n"), framing),
        ("chunk longer than it says", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n1a\r\n{BODY}\r\n0\r\n\r\n"), framing),
        ("trailer that frames", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n1b\r\n{BODY}\r\n0\r\ncontent-length: 5\r\n\r\n"), malformed),
        ("trailer that identifies", format!("{start}host: localhost\r\n{rest}transfer-encoding: chunked\r\n\r\n1b\r\n{BODY}\r\n0\r\nauthorization: Bearer x\r\n\r\n"), malformed),
    ];
    for (name, bytes, expected) in cases {
        // Before there is a target that can be read, a refusal has the general shape.
        trial.refuses(name, &raw(bytes), *expected, Shape::OpenAi, After::Closed);
    }
    let (house, _) = trial.end(60);
    assert_eq!(house.upstream.count(), 0);
    let log = house.log(60);
    let nobody = log
        .iter()
        .filter(|line| line.contains("\"tenant\":\"_nobody\""));
    assert!(nobody.count() >= 55, "{log:#?}");
}

#[test]
fn a_second_request_hidden_behind_a_bad_head_is_never_seen() {
    let house = House::plain();
    let hidden = post("/openai/v1/chat/completions", ACME, BODY);
    for bad in [
        "GET /openai/v1/models HTTP/1.1\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ] {
        let reply = house.send(&[bad.as_bytes(), &hidden].concat());
        assert_eq!((reply.status, reply.extra.len()), (400, 0), "{reply:?}");
    }
    assert_eq!(house.upstream.count(), 0);
}

#[test]
fn a_good_request_before_a_bad_head_gets_one_answer_and_then_the_refusal() {
    let house = House::plain();
    let good = post("/openai/v1/chat/completions", ACME, BODY);
    let mut stream = house.connect();
    stream.write_all(&good).expect("sent");
    assert!(super::house::wait_for(|| (house.upstream.count() == 1).then_some(())).is_some());
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
        .expect("sent");
    let reply = Reply::read(stream);
    let after = String::from_utf8_lossy(&reply.extra).into_owned();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(
        after.is_empty() || after.starts_with("HTTP/1.1 400"),
        "{after}"
    );
}

#[test]
fn slow_heads_and_bodies_run_out_of_time() {
    let mut trial = Trial::of(House::plain());
    let head = "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    trial.refuses(
        "slow head",
        head.as_bytes(),
        (408, "head-timeout"),
        Shape::OpenAi,
        After::Closed,
    );
    let fields =
        format!("{head}authorization: Bearer {SMALL}\r\ncontent-type: application/json\r\n");
    let counted = format!("{fields}content-length: 27\r\n\r\n{{\"model\":");
    trial.refuses(
        "slow body",
        counted.as_bytes(),
        (408, "body-timeout"),
        Shape::OpenAi,
        After::Closed,
    );
    let chunked = format!("{fields}transfer-encoding: chunked\r\n\r\n1b\r\n{{\"model\":");
    trial.refuses(
        "slow chunks",
        chunked.as_bytes(),
        (408, "body-timeout"),
        Shape::OpenAi,
        After::Closed,
    );
    let trailer =
        format!("{fields}transfer-encoding: chunked\r\n\r\n1b\r\n{BODY}\r\n0\r\nx-slow: tr");
    trial.refuses(
        "slow trailer",
        trailer.as_bytes(),
        (408, "body-timeout"),
        Shape::OpenAi,
        After::Closed,
    );
    let patient = trailer.replace(SMALL, ACME);
    trial.refuses(
        "slow trailer, patient policy",
        patient.as_bytes(),
        (408, "body-timeout"),
        Shape::OpenAi,
        After::Closed,
    );
    trial.end(5);
}

#[test]
fn the_body_of_a_refused_request_is_not_the_next_request() {
    let house = House::plain();
    let hidden = post("/openai/v1/chat/completions", ACME, BODY);
    for (path, key) in [
        ("/openai/v1/chat/completions", "sk-nobody"),
        ("/nowhere", ACME),
        ("/openai/v1/files", ACME),
        ("/openai/v1/chat/completions", ACME),
    ] {
        let length = hidden.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        let reply = house.send(&[head.as_bytes(), &hidden].concat());
        assert!((400..500).contains(&reply.status), "{reply:?}");
        assert!(reply.extra.is_empty(), "{reply:?}");
    }
    assert_eq!(house.upstream.count(), 0);
}

#[test]
fn requests_sent_together_are_answered_apart() {
    let house = House::plain();
    let good = post("/openai/v1/chat/completions", ACME, BODY);
    let denied = post("/openai/v1/files", ACME, BODY);
    let last = String::from_utf8_lossy(&good).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut stream = house.connect();
    stream
        .write_all(&[&good[..], &denied, last.as_bytes()].concat())
        .expect("sent");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("answers");
    let statuses: Vec<_> = text
        .match_indices("HTTP/1.1 ")
        .map(|(at, mark)| &text[at + mark.len()..at + mark.len() + 3])
        .collect();
    assert_eq!(statuses, ["200", "403", "200"], "{text}");
    assert_eq!(house.upstream.count(), 2);
    assert_eq!(
        house
            .log(3)
            .iter()
            .filter(|line| line.contains("\"request\""))
            .count(),
        3
    );
}

#[test]
fn who_asks_before_sending_is_told_once() {
    let house = House::plain();
    let head = |key: &str| {
        format!(
            "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nexpect: 100-continue\r\ncontent-length: 27\r\n\r\n"
        )
    };
    let refused = house.send(head("sk-nobody").as_bytes());
    assert_eq!(
        (refused.status, refused.extra.len()),
        (401, 0),
        "{refused:?}"
    );
    let mut stream = house.connect();
    stream.write_all(head(ACME).as_bytes()).expect("sent");
    let mut go = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut go).expect("an answer");
    assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(BODY.as_bytes()).expect("sent");
    let reply = Reply::read(stream);
    assert_eq!((reply.status, reply.extra.len()), (200, 0), "{reply:?}");
    assert!(!house.upstream.last().head.contains("expect"));
}

/// Whatever comes, it is Outrigger that answers: an answer of the HTTP library's own would have no record.
#[test]
fn the_library_never_answers_by_itself() {
    let house = House::plain();
    let seeds = [
        String::from_utf8(post("/openai/v1/chat/completions", ACME, BODY)).expect("text"),
        raw_chunked(),
        format!(
            "GET http://localhost:80/openai/v1/models/a%3Ab?x=y HTTP/1.0\r\nauthorization: Bearer {ACME}\r\nconnection: keep-alive\r\n\r\n"
        ),
    ];
    let odd: [&[u8]; 24] = [
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"/",
        b"?",
        b"#",
        b"\x7f",
        b"\xff",
        b"\xc3\xa9",
        b"{",
        b"|",
        b"\\",
        b"^",
        b"chunked",
        b"HTTP/1.1",
        b"\r\n\r\n",
        b"content-length: 9\r\n",
        b"[",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("small")
    };
    let mut answered = 0;
    for round in 0..1500 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=next(2) {
            let at = next(bytes.len());
            let end = (at + next(3)).min(bytes.len());
            let with = odd[next(odd.len())];
            bytes.splice(at..end, with.iter().copied());
        }
        let mut stream = house.connect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let reply = Reply::read(stream);
        let told = String::from_utf8_lossy(&reply.extra).into_owned();
        let answers = usize::from(reply.status > 0) + told.matches("HTTP/1.1 ").count();
        let ours = format!("{}{told}", reply.head)
            .matches("outrigger-request-id: ")
            .count();
        assert_eq!(
            answers,
            ours,
            "{}\n{reply:?}",
            String::from_utf8_lossy(&bytes)
        );
        answered += answers;
    }
    assert!(answered > 700, "{answered}");
}

fn raw_chunked() -> String {
    format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ntransfer-encoding: chunked\r\n\r\nb;a=b\r\n{{\"model\":\"\r\n10\r\nm\",\"messages\":[]}}\r\n0\r\nx-a: b\r\n\r\n"
    )
}

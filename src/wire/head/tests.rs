//! What the guard lets through and what it stops: every rule with a case, and known smuggling payloads.

use proptest::prelude::*;

use super::*;

/// The verdict on a conversation presented in one piece: bytes released and the last state, or code and place.
fn verdict(bytes: &[u8]) -> (usize, Result<State, (Code, bool)>) {
    let mut fuzzed = vec![7];
    fuzzed.extend_from_slice(bytes);
    fuzz::fuzz_head(&fuzzed);
    match Guard::new(Limits::DEFAULT).advance(bytes) {
        Ok(progress) => (progress.release, Ok(progress.state)),
        Err(fault) => (fault.release, Err((fault.code, fault.in_body))),
    }
}

fn passes(bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    assert_eq!(
        verdict(bytes),
        (bytes.len(), Ok(State::Idle)),
        "{}",
        bytes.escape_ascii()
    );
}

fn refused(code: Code, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    assert_eq!(
        verdict(bytes),
        (0, Err((code, false))),
        "{}",
        bytes.escape_ascii()
    );
}

/// A head with these extra lines behind a good start.
fn with(lines: &str) -> Vec<u8> {
    format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn line(request_line: &str) -> Vec<u8> {
    format!("{request_line}\r\nHost: a\r\n\r\n").into_bytes()
}

#[test]
fn good_heads_pass() {
    for text in [
        "GET / HTTP/1.1",
        "get / HTTP/1.0",
        "M-SEARCH /x?y=%2F&z=[1]|{} HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT api.example.com:443 HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "GET http://example.com HTTP/1.1",
        "GET HTTP://example.com:80/x?y HTTP/1.1",
        "GET https://[2001:db8::1]/ HTTP/1.1",
        "GET //x HTTP/1.1",
        "OPTIONS / HTTP/1.1",
        "GET http://a?b HTTP/1.1",
    ] {
        passes(line(text));
    }
    for lines in [
        "",
        "X: \r\n",
        "X:a\tb\r\n",
        "X:\t a \t\r\n",
        "Content-Length: 0\r\n",
        "content-length:\t00 \r\n",
        "Set-Cookie: a\r\nSet-Cookie: b\r\n",
        "x_tenant: a\r\n",
        "Upgrade: h2c\r\n",
        "!#$%&'*+-.^_`|~09: x\r\n",
        "Connection: close\r\nx-api-key: k\r\nauthorization: Bearer x\r\n",
    ] {
        passes(with(lines));
    }
    passes(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n");
    passes("GET / HTTP/1.0\r\n\r\n");
    passes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn bodies_are_followed() {
    let mut counted = with("Content-Length: 5\r\n");
    counted.extend_from_slice(b"12345");
    passes(&counted);
    passes(counted.repeat(3));
    let chunked = String::from_utf8(with("Transfer-Encoding: \tCHUNKED \r\n")).unwrap();
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "a\r\n0123456789\r\nA;x=\"y\"\r\n0123456789\r\n000;y\r\n\r\n",
        "0\r\nX-Checksum: 1\r\nServer-Timing: x\r\n\r\n",
        "0000000000000001\r\nx\r\n0\r\n\r\n",
    ] {
        passes(chunked.clone() + body);
        passes(chunked.clone() + body + &chunked + body);
    }
    let head = with("Content-Length: 5\r\n");
    let mut partial = head.clone();
    partial.extend_from_slice(b"12");
    assert_eq!(verdict(&partial), (partial.len(), Ok(State::InBody)));
    partial.extend_from_slice(b"345GE");
    assert_eq!(verdict(&partial), (partial.len() - 2, Ok(State::InHead)));
    let mut trailing = (chunked + "0\r\nX: ").into_bytes();
    assert_eq!(verdict(&trailing), (trailing.len() - 3, Ok(State::InBody)));
    trailing.extend_from_slice(b"1\r\n");
    assert_eq!(verdict(&trailing), (trailing.len(), Ok(State::InBody)));
}

#[test]
fn broken_request_lines_are_refused() {
    for text in [
        "GET",
        "GET ",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{0}T / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET x HTTP/1.1",
        "GET * HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http:/a HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET /é HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /<x> HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT u@a:443 HTTP/1.1",
        "CONNECT a:99999 HTTP/1.1",
        "GET a:443 HTTP/1.1",
        "OPTIONS ** HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\rX HTTP/1.1",
        "GET / HTTP/1.\u{0}",
    ] {
        refused(Code::HeadMalformed, line(text));
    }
    refused(Code::HeadMalformed, "GET / HTTP/1.1\nHost: a\n\n");
    refused(Code::HeadMalformed, "GET / HTTP/1.1\r\nHost: a\n\r\n");
    refused(Code::HeadMalformed, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(
        Code::HeadMalformed,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    );
    refused(Code::HeadMalformed, b"\x16");
    let two_empty = verdict(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(two_empty, (2, Err((Code::HeadMalformed, false))));
}

#[test]
fn other_versions_are_unsupported() {
    for text in [
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / HTTP/1.2",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/11",
        "GET / HTTPS/1.1",
        "GET / HTTP/01.1",
        "GET / HTTP/+1.1",
    ] {
        refused(Code::VersionUnsupported, line(text));
    }
    refused(Code::VersionUnsupported, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn broken_fields_are_refused() {
    for lines in [
        "X : a\r\n",
        "X\t: a\r\n",
        ": a\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X\r\n",
        "X: a\rb\r\n",
        "X: a\u{0}b\r\n",
        "X: \u{1}\r\n",
        "X: \u{7f}\r\n",
        "X: \u{b}a\r\n",
        "X\u{0}: a\r\n",
        "é: a\r\n",
        "X(: a\r\n",
        "X: a\n",
        "X: a\r\r\n",
        "X@Y: a\r\n",
        "\u{b}X: a\r\n",
    ] {
        refused(Code::HeadMalformed, with(lines));
    }
}

#[test]
fn host_must_be_one_and_clear() {
    refused(Code::HeadMalformed, "GET / HTTP/1.1\r\n\r\n");
    refused(
        Code::HeadMalformed,
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
    );
    refused(Code::HeadMalformed, with("host: a\r\n"));
    for host in [
        "",
        " ",
        "u@a",
        "a/b",
        "a b",
        "a,b",
        "a:b",
        "a:",
        "a:80:80",
        "a:65536",
        ":80",
        "[::1",
        "[::1]x",
        "::1",
        "[fe80::1%25eth0]",
        "[1.2.3.4]",
        "a%41",
        "a?b",
        "a#b",
        "http://a",
        "a\\b",
        "ü",
        "\"a\"",
    ] {
        refused(
            Code::HeadMalformed,
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        );
    }
    for host in [
        "a",
        "A.b-c_d~e.",
        "127.0.0.1:8470",
        "[::1]",
        "[::ffff:1.2.3.4]:80",
        "localhost:0",
    ] {
        passes(format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n"));
    }
}

#[test]
fn decisive_fields_stand_once_and_under_their_own_name() {
    for name in [
        "Content-Type",
        "Authorization",
        "x-api-key",
        "X-Goog-Api-Key",
        "Proxy-Authorization",
        "Content-Encoding",
    ] {
        passes(with(&format!("{name}: a\r\n")));
        refused(
            Code::HeadMalformed,
            with(&format!("{name}: a\r\n{}: a\r\n", name.to_uppercase())),
        );
        let alike = name.replace('-', "_");
        if alike != name {
            refused(Code::HeadMalformed, with(&format!("{alike}: a\r\n")));
        }
    }
    for name in ["content_length", "Transfer_Encoding", "x-api_key"] {
        refused(Code::HeadMalformed, with(&format!("{name}: 1\r\n")));
    }
}

#[test]
fn conflicting_framing_is_refused() {
    for lines in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\ncontent-length: 2\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Content-Length:\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1_0\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 1.0\r\n",
        "Content-Length: \u{b}1\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 1;\r\n",
        "Content-Length: \u{661}\r\n",
        "Content-Length: \"1\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: chunked\u{b}\r\n",
        "Transfer-Encoding: \u{c}chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: chun\u{0}ked\r\n",
        "Transfer-Encoding: chunked\u{a0}\r\n",
        "Transfer-Encoding: 'chunked'\r\n",
        "Transfer-Encoding: chunked chunked\r\n",
    ] {
        refused(Code::FramingConflict, with(lines));
    }
    refused(
        Code::FramingConflict,
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    for coding in ["gzip", "identity", "x-gzip", "chunke"] {
        refused(
            Code::CodingUnsupported,
            with(&format!("Transfer-Encoding: {coding}\r\n")),
        );
    }
    for lines in [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\u{b}: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
    ] {
        refused(Code::HeadMalformed, with(lines));
    }
}

#[test]
fn limits_hold_and_are_noticed_early() {
    let limits = Limits::DEFAULT;
    passes(line(&format!(
        "GET /{} HTTP/1.1",
        "x".repeat(limits.target_bytes - 1)
    )));
    refused(
        Code::TargetTooLong,
        line(&format!(
            "GET /{} HTTP/1.1",
            "x".repeat(limits.target_bytes)
        )),
    );
    refused(
        Code::TargetTooLong,
        format!("GET /{}", "x".repeat(limits.target_bytes)),
    );
    refused(Code::HeadTooLarge, "x".repeat(limits.line_bytes + 1));
    refused(
        Code::HeadTooLarge,
        format!("GET / {}", "x".repeat(limits.line_bytes + 1)),
    );
    passes(with(&format!(
        "X:{}\r\n",
        "x".repeat(limits.line_bytes - 2)
    )));
    refused(
        Code::HeadTooLarge,
        with(&format!("X:{}\r\n", "x".repeat(limits.line_bytes - 1))),
    );
    refused(
        Code::HeadTooLarge,
        format!("GET / HTTP/1.1\r\nX:{}", "x".repeat(limits.line_bytes)),
    );
    passes(with(&"X: y\r\n".repeat(limits.fields - 1)));
    refused(Code::HeadTooLarge, with(&"X: y\r\n".repeat(limits.fields)));
    let start = with("").len();
    for (over, fine) in [(0, true), (1, false)] {
        let lines = format!("X:{}\r\n", "x".repeat(16_000)).repeat(4);
        let left = limits.head_bytes + over - start - lines.len();
        let lines = format!("{lines}X:{}\r\n", "x".repeat(left - 4));
        let head = with(&lines);
        assert_eq!(head.len(), limits.head_bytes + over);
        let result = Guard::new(limits).advance(&head);
        assert_eq!(result.is_ok(), fine);
        assert!(fine || result.unwrap_err().code == Code::HeadTooLarge);
        let cut = Guard::new(limits).advance(&head[..head.len() - 1]);
        assert_eq!(cut.is_ok(), fine, "before the end is there");
    }
}

#[test]
fn broken_chunking_is_refused_in_the_body() {
    let head = with("Transfer-Encoding: chunked\r\n");
    for (body, fine) in [
        ("0x5\r\n", 1),
        ("+5\r\n", 0),
        ("-5\r\n", 0),
        (" 5\r\n", 0),
        ("5 ;\r\n", 1),
        ("5 \r\n", 1),
        ("5_0\r\n", 1),
        ("\r\n", 0),
        (";x\r\n", 0),
        ("5\n", 1),
        ("5;x\n", 3),
        ("5;x\rx", 4),
        ("5\rx", 2),
        ("5;\u{0}\r\n", 2),
        ("5;\u{7f}", 2),
        ("5\r\nhellox", 8),
        ("5\r\nhello\n", 8),
        ("5\r\nhello\rx", 9),
        ("1\r\nxx", 4),
        ("g\r\n", 0),
        ("00000000000000001\r\n", 16),
        ("0\r\nX: a\n", 3),
        ("0\r\n\n", 3),
        ("5;x\"\n\"\r\n", 4),
    ] {
        let bytes = [&head[..], body.as_bytes()].concat();
        assert_eq!(
            verdict(&bytes),
            (head.len() + fine, Err((Code::FramingConflict, true))),
            "{body:?}"
        );
    }
}

#[test]
fn trailers_hold_nothing_that_belongs_into_the_head() {
    let head = with("Transfer-Encoding: chunked\r\n");
    for (body, fine) in [
        ("0\r\nContent-Length: 1\r\n", 3),
        ("0\r\nA: b\r\nHost: a\r\n", 9),
        ("0\r\nTransfer-Encoding: chunked\r\n", 3),
        ("0\r\nAuthorization: x\r\n", 3),
        ("0\r\nx-api-key: x\r\n", 3),
        ("0\r\nX-Tenant-Id: x\r\n", 3),
        ("0\r\nx_tenant_id: x\r\n", 3),
        ("0\r\noutrigger-code: x\r\n", 3),
        ("0\r\nForwarded: x\r\n", 3),
        ("0\r\nTE: x\r\n", 3),
        ("0\r\ncontent_length: 1\r\n", 3),
        ("0\r\nA : b\r\n", 3),
        ("0\r\nA: \u{0}\r\n", 3),
        ("0\r\n A: b\r\n", 3),
        ("0\r\nA: b\r\n c\r\n", 9),
    ] {
        let bytes = [&head[..], body.as_bytes()].concat();
        assert_eq!(
            verdict(&bytes),
            (head.len() + fine, Err((Code::HeadMalformed, true))),
            "{body:?}"
        );
    }
}

#[test]
fn chunk_extensions_and_trailers_are_bounded() {
    let head = with("Transfer-Encoding: chunked\r\n");
    for body in [
        format!("5;{}", "x".repeat(1024)),
        format!("1;{}\r\nx\r\n", "x".repeat(1000)).repeat(17),
    ] {
        let bytes = [&head[..], body.as_bytes()].concat();
        assert_eq!(
            verdict(&bytes).1,
            Err((Code::FramingConflict, true)),
            "{}",
            body.len()
        );
    }
    for body in [
        format!("0\r\n{}", "A: b\r\n".repeat(101)),
        format!("0\r\nA: {}", "b".repeat(20_000)),
        format!(
            "0\r\n{}",
            format!("A: {}\r\n", "b".repeat(16_000)).repeat(5)
        ),
    ] {
        let bytes = [&head[..], body.as_bytes()].concat();
        let fault = Guard::new(Limits::DEFAULT).advance(&bytes).unwrap_err();
        assert_eq!((fault.code, fault.in_body), (Code::HeadTooLarge, true));
    }
}

#[test]
fn a_hidden_request_never_goes_on() {
    let hidden = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "Content-Length: 30\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding:\u{b}chunked\r\nContent-Length: 4\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 0\r\nContent-Length: 44\r\n",
        "Content-Length: 0\r\nContent_Length: 44\r\n",
    ] {
        let bytes = [&with(head)[..], b"0\r\n\r\n", hidden.as_bytes()].concat();
        let (released, result) = verdict(&bytes);
        assert_eq!(released, 0, "{head:?}");
        assert!(result.is_err(), "{head:?}");
    }
}

#[test]
fn what_comes_before_a_faulty_head_may_go_on() {
    let good = with("Content-Length: 2\r\n");
    let bytes = [&good[..], b"ok", b"BAD\r\n\r\n"].concat();
    let mut guard = Guard::new(Limits::DEFAULT);
    let fault = guard.advance(&bytes).unwrap_err();
    assert_eq!((fault.release, fault.in_body), (good.len() + 2, false));
    assert_eq!(
        guard.advance(&good).unwrap_err(),
        Fault {
            release: 0,
            ..fault
        }
    );
}

/// A message that passes, with any framing.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(("x-[a-z]{1,8}", "[ -~]{0,20}"), 0..5);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let framing = prop_oneof![
        Just(None),
        (1_usize..9, any::<bool>(), any::<bool>()).prop_map(Some)
    ];
    (fields, body, framing, any::<bool>()).prop_map(|(fields, body, framing, empty_line)| {
        let mut out = if empty_line {
            b"\r\n".to_vec()
        } else {
            Vec::new()
        };
        out.extend_from_slice(b"POST /v1/x HTTP/1.1\r\nHost: a:1\r\n");
        for (name, value) in fields {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let Some((size, extension, trailer)) = framing else {
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            out.extend_from_slice(&body);
            return out;
        };
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(size) {
            let extension = if extension { ";a=\"b\"" } else { "" };
            out.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(if trailer {
            b"0\r\nX-Sum: 1\r\n\r\n"
        } else {
            b"0\r\n\r\n"
        });
        out
    })
}

proptest! {
    #[test]
    fn any_split_of_a_good_conversation_releases_all_of_it(
        messages in prop::collection::vec(message(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = messages.concat();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut guard = Guard::new(Limits::DEFAULT);
        let mut released = 0;
        let mut last = State::InHead;
        for end in ends {
            let progress = guard.advance(&bytes[released..end]).unwrap();
            released += progress.release;
            last = progress.state;
        }
        prop_assert_eq!((released, last), (bytes.len(), State::Idle));
    }

    #[test]
    fn one_wrong_byte_is_judged_alike_in_any_split(
        messages in prop::collection::vec(message(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), Just(b':'), Just(b';')],
        cut in any::<u8>(),
    ) {
        let mut bytes = vec![cut];
        bytes.extend(messages.concat());
        let index = 1 + at.index(bytes.len() - 1);
        bytes[index] = byte;
        fuzz::fuzz_head(&bytes);
    }

    #[test]
    fn any_bytes_are_judged_alike_in_any_split(
        data in r"[\x00-\x7f]((GET|POST| |/|\*|HTTP/1\.[012]|\r\n|\r|\n|Host: a|Content-Length: [0-9]|Transfer-Encoding: chunked|:|5|0|;|[\x00-\xff]){0,40})",
    ) {
        fuzz::fuzz_head(data.as_bytes());
    }

    #[test]
    fn targets_that_pass_are_uris_to_the_http_library(target in r"[/h*a]([!-~]{0,20}|ttps?://[!-~]{0,16})") {
        let bytes = line(&format!("GET {target} HTTP/1.1"));
        if Guard::new(Limits::DEFAULT).advance(&bytes).is_ok() {
            prop_assert!(target.parse::<http::Uri>().is_ok(), "{}", target);
        }
    }
}

//! What tests of HTTP parsers agree on, as requests to a sidecar: each is followed on its connection by a canary, a request
//! that is fine by itself. Of what a strict parser refuses, nothing reaches the upstream, the canary included; what passes
//! passes as one message with its own body, and the canary as another. Must never count a case that got no answer.

use std::io::{Read as _, Write as _};

use super::house::{ACME, After, House, Trial, post, table};

const BODY: &str = r#"{"model":"m","messages":[]}"#;
const PATH: &str = "/openai/v1/chat/completions";

/// Of a request: its line, the fields besides those that every request has, and what follows the head.
fn request(line: &str, fields: &str, rest: &str) -> String {
    format!(
        "{line}\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\n{fields}\r\n{rest}"
    )
}

fn posted(fields: &str, rest: &str) -> String {
    request(&format!("POST {PATH} HTTP/1.1"), fields, rest)
}

/// With a body of 27 bytes, and these fields besides.
fn counted(fields: &str) -> String {
    posted(&format!("{fields}content-length: 27\r\n"), BODY)
}

/// In chunks, written out.
fn chunked(rest: &str) -> String {
    posted("transfer-encoding: chunked\r\n", rest)
}

/// The body in one chunk whose size is written so.
fn sized(size: &str) -> String {
    chunked(&format!("{size}\r\n{BODY}\r\n0\r\n\r\n"))
}

fn canary() -> String {
    let canary = post(PATH, ACME, &BODY.replace("\"m\"", "\"canary\""));
    String::from_utf8(canary).expect("text")
}

fn refused(cases: &[(String, Vec<u8>)], least: usize) {
    let mut trial = Trial::of(House::plain());
    for (name, case) in cases {
        let bytes = [case.as_slice(), canary().as_bytes()].concat();
        trial.refuses_somehow(name, &bytes, After::Closed);
    }
    trial.end(least);
}

fn texts(cases: impl IntoIterator<Item = (String, String)>) -> Vec<(String, Vec<u8>)> {
    let bytes = |(name, text): (String, String)| (name, text.into_bytes());
    cases.into_iter().map(bytes).collect()
}

fn latin(cases: &[&'static [u8]], around: impl Fn(&[u8]) -> Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let named = |part: &&[u8]| (part.escape_ascii().to_string(), around(part));
    cases.iter().map(named).collect()
}

#[test]
fn lengths_that_are_no_lengths() {
    let values = table(
        "¦+27¦-27¦27,¦,27¦27,27¦27, 27¦27,28¦27 27¦2 7¦27;¦27;x=1¦27.0¦27.¦1e1¦2.7e1¦0x1b¦1b¦\"27\"¦'27'¦(27)\
         ¦27 bytes¦twenty¦NaN¦27-¦²7¦٢٧¦２７¦18446744073709551615¦18446744073709551616¦18446744073709551643\
         ¦99999999999999999999999999999999¦9223372036854775808¦4294967323,¦27\u{b}¦\u{b}27¦\u{c}27¦27\u{a0}¦27\r\
         ¦27\0",
    );
    let one = values.iter().map(|value| {
        let request = posted(&format!("content-length: {value}\r\n"), BODY);
        (format!("content-length: {value:?}"), request)
    });
    let two = [
        ("27", "27"),
        ("27", "28"),
        ("0", "27"),
        ("27", "0"),
        ("27", ""),
        ("", "27"),
        ("27", "+27"),
        ("27", "x"),
    ];
    let two = two.iter().map(|(first, second)| {
        let fields = format!("content-length: {first}\r\nContent-Length: {second}\r\n");
        (format!("{first} and {second}"), posted(&fields, BODY))
    });
    let names = table(
        "content-length ¦content-length\t¦ content-length¦content-length\0¦content-length\r¦content length\
         ¦content_length¦\u{b}content-length¦content-length\u{a0}¦content-length;¦\"content-length\"",
    );
    let names = names.iter().map(|name| {
        (
            format!("{name:?}"),
            posted(&format!("{name}: 27\r\n"), BODY),
        )
    });
    refused(&texts(one.chain(two).chain(names)), 55);
}

#[test]
fn codings_that_are_not_chunked_once_and_last() {
    let rest = format!("1b\r\n{BODY}\r\n0\r\n\r\n");
    let values = table(
        "¦chunk¦chunkedx¦xchunked¦chu nked¦chunked,¦,chunked¦chunked, chunked¦chunked,chunked¦chunked chunked\
         ¦chunked;q=1¦chunked;x¦\"chunked\"¦'chunked'¦(chunked)¦identity¦identity, chunked¦chunked, identity¦gzip\
         ¦gzip, chunked¦chunked, gzip¦deflate¦br¦x¦none¦*¦trailers¦chunked\0¦\0chunked¦\u{b}chunked¦chunked\u{b}\
         ¦\u{c}chunked¦chunked\u{a0}¦chunKed\u{212a}¦\u{212a}chunked¦chun\u{212a}ed¦chunked\r¦chunked\r ¦=chunked\
         ¦chunked\\¦cow¦0",
    );
    let one = values.iter().map(|value| {
        (
            format!("transfer-encoding: {value:?}"),
            posted(&format!("transfer-encoding: {value}\r\n"), &rest),
        )
    });
    let fields = table(
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\
         ¦transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\
         ¦transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\
         ¦transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n\
         ¦transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\
         ¦transfer-encoding:\r\ntransfer-encoding: chunked\r\n\
         ¦transfer-encoding: chunked\r\ncontent-length: 27\r\n\
         ¦content-length: 27\r\ntransfer-encoding: chunked\r\n\
         ¦content-length: 0\r\ntransfer-encoding: chunked\r\n¦transfer-encoding: chunked\r\ncontent-length: 0\r\n\
         ¦transfer-encoding: identity\r\ncontent-length: 27\r\n¦transfer-encoding: x\r\ncontent-length: 27\r\n\
         ¦transfer-encoding : chunked\r\n¦transfer-encoding\t: chunked\r\n¦ transfer-encoding: chunked\r\n\
         ¦x: y\r\n transfer-encoding: chunked\r\n¦transfer-encoding:\r\n chunked\r\n\
         ¦transfer-encoding: chunked\r\n , identity\r\n¦transfer-encoding\r\n: chunked\r\n\
         ¦x: y\ntransfer-encoding: chunked\r\n¦x: y\rtransfer-encoding: chunked\r\n\
         ¦x: y\0transfer-encoding: chunked\r\n¦transfer-encoding\0: chunked\r\n¦\0transfer-encoding: chunked\r\n\
         ¦transfer_encoding: chunked\r\ncontent-length: 27\r\n¦transfer encoding: chunked\r\n\
         ¦content-length: 27\r\ntransfer-encoding : chunked\r\n\
         ¦content-length: 27\ntransfer-encoding: chunked\r\n\
         ¦content-length: 27\r\n\ttransfer-encoding: chunked\r\n",
    );
    let more = fields
        .iter()
        .map(|fields| (format!("{fields:?}"), posted(fields, &rest)));
    let line = format!("POST {PATH} HTTP/1.0");
    let old = request(&line, "transfer-encoding: chunked\r\n", &rest);
    let old = [("chunks in 1.0".to_owned(), old)];
    refused(&texts(one.chain(more).chain(old)), 70);
}

#[test]
fn chunks_that_two_readers_could_cut_differently() {
    let sizes = table(
        "¦ 1b¦1b ¦\t1b¦1b\t¦+1b¦-1b¦0x1b¦0X1b¦x1b¦1bh¦1b h¦g¦1b,¦1b:¦1b.0¦27.0¦1b;a\nb¦1b;\n¦1b\n¦1b\r¦1b;a\r\
         ¦1b;a\rb¦1b;a\0b¦1b\0¦\u{b}1b¦1b\u{c}¦１b¦1b\u{a0}¦0000000000000001b\
         ¦00000000000000000000000000000000000000000000000000001b¦ffffffffffffffff¦10000000000000000\
         ¦1000000000000001b¦8000000000000000000000000000001b¦fffffffffffffffe1b¦1a¦1c¦-0¦0x0¦\r\n1b¦1b ;a¦1b 1b",
    );
    let sizes = sizes
        .iter()
        .map(|size| (format!("size {size:?}"), sized(size)));
    let long = format!("1b;{}", "a".repeat(20_000));
    let bodies = [
        ("no end of a chunk", format!("1b\r\n{BODY}0\r\n\r\n")),
        (
            "a line feed ends a chunk",
            format!("1b\r\n{BODY}\n0\r\n\r\n"),
        ),
        (
            "a carriage return ends a chunk",
            format!("1b\r\n{BODY}\r0\r\n\r\n"),
        ),
        (
            "other bytes end a chunk",
            format!("1b\r\n{BODY}XX0\r\n\r\n"),
        ),
        (
            "an empty line too many",
            format!("1b\r\n{BODY}\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a space behind a chunk",
            format!("1b\r\n{BODY} \r\n0\r\n\r\n"),
        ),
        ("line feeds at the end", format!("1b\r\n{BODY}\r\n0\n\n")),
        (
            "a line feed behind the last size",
            format!("1b\r\n{BODY}\r\n0\n\r\n"),
        ),
        (
            "a line feed for the last line",
            format!("1b\r\n{BODY}\r\n0\r\n\n"),
        ),
        (
            "a carriage return for the last line",
            format!("1b\r\n{BODY}\r\n0\r\n\rX"),
        ),
        (
            "the last size is signed",
            format!("1b\r\n{BODY}\r\n+0\r\n\r\n"),
        ),
        (
            "the last size in hex",
            format!("1b\r\n{BODY}\r\n0x0\r\n\r\n"),
        ),
        (
            "the last size with a space",
            format!("1b\r\n{BODY}\r\n0 \r\n\r\n"),
        ),
        (
            "an endless extension",
            format!("{long}\r\n{BODY}\r\n0\r\n\r\n"),
        ),
    ];
    let bodies = bodies
        .into_iter()
        .map(|(name, rest)| (name.to_owned(), chunked(&rest)));
    let trailers = table(
        "content-length: 5\r\n¦transfer-encoding: chunked\r\n¦host: evil\r\n¦authorization: Bearer x\r\n\
         ¦x-api-key: x\r\n¦no colon\r\n¦x : y\r\n¦ x: y\r\n¦x: y\r\n z\r\n¦x: y\n¦x: a\rb\r\n¦x: a\0b\r\n¦: y\r\n\
         ¦x\0: y\r\n¦content-encoding: gzip\r\n¦content-type: text/plain\r\n¦trailer: x\r\n¦te: x\r\n\
         ¦expect: 100-continue\r\n¦connection: close\r\n",
    );
    let trailers = trailers.iter().map(|trailer| {
        (
            format!("trailer {trailer:?}"),
            chunked(&format!("1b\r\n{BODY}\r\n0\r\n{trailer}\r\n")),
        )
    });
    let large = format!("1b\r\n{BODY}\r\n0\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let large = [("a large trailer".to_owned(), chunked(&large))];
    refused(&texts(sizes.chain(bodies).chain(trailers).chain(large)), 70);
}

#[test]
fn lines_that_are_no_request_lines() {
    let whole = [
        "POST".to_owned(),
        "POST ".to_owned(),
        format!("POST {PATH}"),
        format!("POST {PATH} "),
        format!(" POST {PATH} HTTP/1.1"),
        format!("\tPOST {PATH} HTTP/1.1"),
        format!("POST  {PATH} HTTP/1.1"),
        format!("POST {PATH}  HTTP/1.1"),
        format!("POST {PATH} HTTP/1.1 "),
        format!("POST\t{PATH} HTTP/1.1"),
        format!("POST {PATH}\tHTTP/1.1"),
        format!("POST {PATH} HTTP/1.1\t"),
        format!("POST {PATH} x HTTP/1.1"),
        format!("POST {PATH} HTTP/1.1 HTTP/1.1"),
        format!("{PATH} HTTP/1.1"),
        format!("PO ST {PATH} HTTP/1.1"),
        format!("POST{PATH} HTTP/1.1"),
        format!("P\0ST {PATH} HTTP/1.1"),
        format!("PO(ST {PATH} HTTP/1.1"),
        format!("POST: {PATH} HTTP/1.1"),
        format!("\"POST\" {PATH} HTTP/1.1"),
        format!("PÖST {PATH} HTTP/1.1"),
        format!("POST\r{PATH} HTTP/1.1"),
        format!("POST {PATH}\rHTTP/1.1"),
        format!("POST {PATH} HTTP/1.1\r"),
        format!("POST\n{PATH} HTTP/1.1"),
        format!("POST\u{b}{PATH} HTTP/1.1"),
        format!("POST {PATH}\u{c}HTTP/1.1"),
        format!("POST\u{a0}{PATH} HTTP/1.1"),
        "HTTP/1.1 200 OK".to_owned(),
        "HTTP/1.1 POST".to_owned(),
        format!("HTTP/1.1 {PATH} POST"),
    ];
    let versions = table(
        "HTTP¦HTTP/¦HTTP/1¦HTTP/1.¦HTTP/.1¦HTTP/1.1.1¦HTTP/ 1.1¦HTTP/1 .1¦HTTP /1.1¦http/1.1¦Http/1.1¦HTTP/2\
         ¦HTTP/2.0¦HTTP/3¦HTTP/1.2¦HTTP/1.9¦HTTP/0.9¦HTTP/0.0¦HTTP/9.9¦HTTP/10.1¦HTTP/1.10¦HTTP/1.01¦HTTP/01.1\
         ¦HTTP/11¦HTTP/1,1¦HTTP\\1.1¦HTTP//1.1¦HTTPS/1.1¦XHTTP/1.1¦HTTP/-1.1¦HTTP/+1.1¦HTTP/1.x¦HTTP/1.1x\
         ¦HTTP/1.\0¦HTTP/１.1¦ICY/1.0¦RTSP/1.0¦SIP/2.0¦HTCPCP/1.0¦SHTTP/1.1",
    );
    let versions = versions
        .iter()
        .map(|version| format!("POST {PATH} {version}"));
    let targets = table(
        "x¦*¦**¦?x¦#¦:80¦localhost:80¦localhost/openai/v1/chat/completions¦http:/x¦http://¦http:///x¦http://?x\
         ¦http://#¦ftp://localhost/x¦file:///etc/passwd¦javascript:1¦http://a@localhost/x¦http://:80/x\
         ¦http://localhost:x/x¦http://localhost:99999/x¦http://[::1/x¦http://local\0host/x¦http://loc<alhost/x\
         ¦/\0¦/\u{1}¦/\u{7f}¦/\u{b}¦/é¦/<¦/>¦/\"¦/a#b¦/\u{2028}",
    );
    let targets = targets
        .iter()
        .map(|target| format!("POST {target} HTTP/1.1"));
    let cases = whole.into_iter().chain(versions).chain(targets);
    let cases = cases.map(|line| {
        (
            format!("{line:?}"),
            request(&line, "content-length: 27\r\n", BODY),
        )
    });
    refused(&texts(cases), 90);
}

/// Well framed, and aimed at nothing that could be meant in one way only: what follows is a request of its own.
#[test]
fn targets_that_are_aimed_at_nothing() {
    let targets = table(
        "http://evil.example/openai/v1/chat/completions¦https://evil.example/openai/v1/chat/completions\
         ¦/openai/v1/../v1/chat/completions¦/openai/v1/%2e%2e/v1/chat/completions\
         ¦/openai/v1/.%2E/v1/chat/completions¦/openai/./v1/chat/completions¦/openai/v1/chat%2fcompletions\
         ¦/openai/v1/chat%2Fcompletions¦/openai/v1/chat%5ccompletions¦/openai/v1/chat\\completions\
         ¦/openai//v1/chat/completions¦//openai/v1/chat/completions¦/openai/v1/chat/completions//\
         ¦/openai/v1/chat/completions;x¦/openai/v1/chat/completions%00¦/openai/v1/chat/completions%0d%0ax:y\
         ¦/openai/v1/chat/completions%20HTTP/1.1¦/openai/v1/chat/completions%3fx¦/openai/v1/chat/completions%23\
         ¦/openai/v1/chat/%63ompletions%¦/openai/v1/chat/completions%zz¦/OPENAI/v1/chat/completions",
    );
    let mut trial = Trial::of(House::plain());
    for target in targets {
        let line = format!("POST {target} HTTP/1.1");
        let bytes = request(&line, "content-length: 27\r\n", BODY);
        trial.refuses_somehow(target, bytes.as_bytes(), After::Either);
    }
    trial.end(20);
}

#[test]
fn fields_that_are_no_fields() {
    let lines = table(
        "x : y¦x\t: y¦: y¦:¦ x: y¦\tx: y¦x¦x y¦x\0: y¦x\u{7f}: y¦(x): y¦x[]: y¦x{}: y¦\"x\": y¦x@: y¦x/: y¦x\\: y\
         ¦x=: y¦x,: y¦x;: y¦x?: y¦<x>: y¦é: y¦x\r: y¦x: a\0b¦x: \u{1}¦x: \u{1b}[31m¦x: a\u{7f}¦x: \u{b}y\
         ¦x: y\u{c}¦x: a\rb¦x: \r¦x: y\r¦x: a\nb¦x: a\n b¦\nx: y¦x: y\n¦x: a\r\n b¦x: a\r\n\tb¦x: a\r\n \r\n\tb\
         ¦x:\r\n y¦x: a\r\n ¦\u{85}x: y¦x\u{a0}: y",
    );
    let lines = lines
        .iter()
        .map(|line| (format!("{line:?}"), counted(&format!("{line}\r\n"))));
    let hosts = table(
        "¦host:\r\n¦host: \r\n¦host: localhost\r\nhost: localhost\r\n¦host: localhost\r\nHost: evil.example\r\n\
         ¦host: localhost, evil.example\r\n¦host: localhost evil\r\n¦host: localhost/x\r\n¦host: localhost?x\r\n\
         ¦host: localhost#x\r\n¦host: a@localhost\r\n¦host: localhost:x\r\n¦host: localhost:80:80\r\n\
         ¦host: localhost:99999\r\n¦host: [::1\r\n¦host: ::1\r\n¦host: local\0host\r\n¦host: local\thost\r\n\
         ¦host: http://localhost\r\n¦host: localhost\\x\r\n¦host : localhost\r\n\
         ¦ host: localhost\r\n¦host\t: localhost\r\n¦ho\u{17f}t: localhost\r\n\
         ¦host: localhost\r\nhost :evil.example\r\n¦host:\r\n localhost\r\n¦host: \"localhost\"\r\n\
         ¦host: <localhost>\r\n¦host: loca%6chost@x\r\n",
    );
    let hosts = hosts.iter().map(|host| {
        let text = format!("POST {PATH} HTTP/1.1\r\n{host}authorization: Bearer {ACME}\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{BODY}");
        (format!("{host:?}"), text)
    });
    let many = [
        ("101 fields", counted(&"x: y\r\n".repeat(101))),
        ("10,000 fields", counted(&"x: y\r\n".repeat(10_000))),
        (
            "a value of 17 KB",
            counted(&format!("x: {}\r\n", "y".repeat(17_000))),
        ),
        (
            "a name of 70 KB",
            counted(&format!("{}: y\r\n", "x".repeat(70_000))),
        ),
        (
            "a head of 100 KB",
            counted(&format!("x: {}\r\n", "y".repeat(10_000)).repeat(10)),
        ),
        ("line feeds only", counted("").replace("\r\n", "\n")),
        (
            "carriage returns only",
            format!("{}\r\n\r\n", counted("").replace("\r\n", "\r")),
        ),
    ];
    let many = many.into_iter().map(|(name, text)| (name.to_owned(), text));
    refused(&texts(lines.chain(hosts).chain(many)), 80);
}

#[test]
fn beginnings_that_are_no_beginnings() {
    let cases: [&'static [u8]; 20] = [
        b"\n",
        b"\r\n\r\n",
        b"\r\n\n",
        b"\r\r\n",
        b" ",
        b"\t",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        b"SSH-2.0-x\r\n",
        b"EHLO x\r\n",
        b"\x05\x01\x00",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c",
        b"PRI * HTTP/2.0\r\nhost: localhost\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"GET /openai/v1/models\r\n\r\n",
        b"GET\r\n\r\n",
        b"{}\r\n\r\n",
    ];
    let fine = counted("");
    refused(
        &latin(&cases, |start| [start, fine.as_bytes()].concat()),
        20,
    );
}

#[test]
fn what_is_fine_passes_as_one_message() {
    let head = |line: &str, fields: &str| request(line, fields, BODY);
    let one = format!("POST {PATH} HTTP/1.1");
    let cases = [
        ("a length", counted("")),
        (
            "zeros before a length",
            posted("content-length: 00000027\r\n", BODY),
        ),
        (
            "space around a length",
            posted("content-length: \t 27 \t\r\n", BODY),
        ),
        (
            "no space before a length",
            posted("content-length:27\r\n", BODY),
        ),
        (
            "a length in capitals",
            posted("CONTENT-LENGTH: 27\r\n", BODY),
        ),
        ("chunks", sized("1b")),
        ("a size in capitals", sized("1B")),
        ("zeros before a size", sized("000000000000001b")),
        ("an extension", sized("1b;a=b")),
        ("a quoted extension", sized("1b;a=\"b;c\"")),
        ("an extension without a value", sized("1b;a")),
        (
            "two chunks",
            chunked(&format!(
                "a\r\n{}\r\n11\r\n{}\r\n0\r\n\r\n",
                &BODY[..10],
                &BODY[10..]
            )),
        ),
        (
            "zeros for the last size",
            chunked(&format!("1b\r\n{BODY}\r\n000\r\n\r\n")),
        ),
        (
            "an extension of the last size",
            chunked(&format!("1b\r\n{BODY}\r\n0;a=b\r\n\r\n")),
        ),
        (
            "a trailer",
            chunked(&format!("1b\r\n{BODY}\r\n0\r\nx-checksum: 1\r\n\r\n")),
        ),
        (
            "chunked in capitals",
            posted(
                "Transfer-Encoding: CHUNKED\r\n",
                &format!("1b\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "space around chunked",
            posted(
                "transfer-encoding:\t chunked \r\n",
                &format!("1b\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
        ("te", counted("te: trailers\r\n")),
        ("an empty line before", format!("\r\n{}", counted(""))),
        ("an empty value", counted("x:\r\n")),
        ("an odd name", counted("!#$%&'*+-.^_`|~09az: y\r\n")),
        ("the same field twice", counted("x: y\r\nx: z\r\n")),
        ("ninety fields", counted(&"x: y\r\n".repeat(90))),
        (
            "a query",
            head(
                &format!("POST {PATH}?a=%2F%00&b HTTP/1.1"),
                "content-length: 27\r\n",
            ),
        ),
        (
            "a long query",
            head(
                &format!("POST {PATH}?{} HTTP/1.1", "a".repeat(8000)),
                "content-length: 27\r\n",
            ),
        ),
        (
            "an absolute target",
            head(
                &format!("POST http://localhost{PATH} HTTP/1.1"),
                "content-length: 27\r\n",
            ),
        ),
        (
            "a scheme in capitals",
            head(
                &format!("POST HTTP://LOCALHOST{PATH} HTTP/1.1"),
                "content-length: 27\r\n",
            ),
        ),
        (
            "1.0, kept",
            head(
                &format!("POST {PATH} HTTP/1.0"),
                "connection: keep-alive\r\ncontent-length: 27\r\n",
            ),
        ),
        (
            "connection names the length",
            head(&one, "connection: content-length\r\ncontent-length: 27\r\n"),
        ),
        (
            "connection names the host",
            head(
                &one,
                "connection: host, authorization, x\r\nx: y\r\ncontent-length: 27\r\n",
            ),
        ),
        ("a length that hides a request", {
            let hidden = canary().replace("canary", "hidden");
            let body = format!("{{\"model\":\"m\",\"messages\":[],\"x\":{hidden:?}}}");
            posted(&format!("content-length: {}\r\n", body.len()), &body)
        }),
    ];
    let mut trial = Trial::of(House::plain());
    for (name, case) in cases {
        let before = trial.house.upstream.count();
        let last = canary().replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let mut stream = trial.house.connect();
        stream
            .write_all(&[case.as_bytes(), last.as_bytes()].concat())
            .expect("sent");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("two answers");
        let answered = answers.matches(" 200 OK\r\n").count();
        let came = trial.house.upstream.count() - before;
        let seen = trial.house.upstream.last();
        if (answered, came) != (2, 2) || !seen.body.contains("canary") {
            trial.fail(format!("{name}: {came} came, {answers}, the last {seen:?}"));
        }
    }
    trial.end(0);
}

#[test]
fn obs_text_passes_in_values() {
    let mut trial = Trial::of(House::plain());
    let text = counted("x: @\r\n");
    let at = text.find('@').expect("a place");
    let bytes = [
        &text.as_bytes()[..at],
        b"\x80\xff",
        &text.as_bytes()[at + 1..],
    ]
    .concat();
    trial.passes("obs-text", &bytes);
    trial.end(1);
}

//! What tests of HTTP parsers agree on, as answers of an upstream: what is malformed never becomes an answer that looks
//! well, and whatever came, the next request gets its own answer. Must never take a connection that failed for a refusal.

use super::house::table;
use super::liar::{CLOSE, May, trial};

const JSON: &str = "{\"a\":1}";

fn answer(fields: &str, rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{fields}\r\n{rest}").into_bytes()
}

fn chunked(rest: &str) -> Vec<u8> {
    answer("transfer-encoding: chunked\r\n", rest)
}

fn closing(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(CLOSE);
    bytes
}

#[test]
fn heads_that_are_no_heads() {
    let lines = table(
        "HTTP/1.1¦HTTP/1.1 ¦HTTP/1.1 20¦HTTP/1.1 20 OK¦HTTP/1.1 2000 OK¦HTTP/1.1 abc OK¦HTTP/1.1 -20 OK\
         ¦HTTP/1.1 +20 OK¦HTTP/1.1 0x2 OK¦HTTP/1.1 2 0 0¦HTTP/1.1 000 OK¦HTTP/1.1 099 OK¦HTTP/2 200 OK\
         ¦HTTP/2.0 200 OK¦HTTP/0.9 200 OK¦HTTP/1.2 200 OK¦HTTP/3 200¦ICY 200 OK¦RTSP/1.0 200 OK¦200 OK\
         ¦http/1.1 200 OK¦HTTP/11 200 OK¦HTTP/1.1200 OK¦ HTTP/1.1 200 OK¦xHTTP/1.1 200 OK¦GET / HTTP/1.1\
         ¦\u{feff}HTTP/1.1 200 OK¦HTTP/1.1 200 O\0K¦HTTP/1.1 200 O\rK¦\0¦{}",
    );
    let mut cases: Vec<(&str, Vec<u8>, May<'_>)> = lines
        .iter()
        .map(|line| {
            (
                *line,
                closing(format!("{line}\r\ncontent-length: 7\r\n\r\n{JSON}").into_bytes()),
                May::Fail,
            )
        })
        .collect();
    cases.extend([
        ("nothing", CLOSE.to_vec(), May::Fail),
        ("half a line", closing(b"HTTP/1.1 20".to_vec()), May::Fail),
        (
            "half a head",
            closing(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
            May::Fail,
        ),
        (
            "a head without its end",
            closing(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_vec()),
            May::Fail,
        ),
        (
            "tls",
            closing(b"\x15\x03\x01\x00\x02\x02\x28".to_vec()),
            May::Fail,
        ),
        (
            "http/2",
            closing(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec()),
            May::Fail,
        ),
        ("no head at all", closing(JSON.into()), May::Fail),
        (
            "no reason",
            b"HTTP/1.1 200 \r\ncontent-length: 7\r\n\r\n{\"a\":1}".to_vec(),
            May::Be(JSON),
        ),
        (
            "no space for a reason",
            b"HTTP/1.1 200\r\ncontent-length: 7\r\n\r\n{\"a\":1}".to_vec(),
            May::Be(JSON),
        ),
        (
            "an old version",
            closing(b"HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}".to_vec()),
            May::Be(JSON),
        ),
    ]);
    trial(&cases, 38);
}

#[test]
fn fields_that_are_no_fields() {
    let fields = table(
        "x¦: y¦x : y¦x\t: y¦ x: y¦\tx: y¦x: a\r\n b¦x: a\r\n\tb¦x\0: y¦x: a\0b¦x: a\rb¦x\r: y¦(x): y¦x y: z\
         ¦x[]: y¦é: y¦x: \u{1}¦x: a\u{7f}¦x\u{a0}: y¦\"x\": y¦x: y\r",
    );
    let mut cases: Vec<(&str, Vec<u8>, May<'_>)> = fields
        .iter()
        .map(|line| {
            (
                *line,
                answer(&format!("{line}\r\ncontent-length: 7\r\n"), JSON),
                May::Fail,
            )
        })
        .collect();
    let many = "x: y\r\n".repeat(500);
    let large = format!("x: {}\r\n", "y".repeat(1 << 20));
    cases.extend([
        (
            "500 fields",
            answer(&format!("{many}content-length: 7\r\n"), JSON),
            May::Fail,
        ),
        (
            "a field of 1 MiB",
            answer(&format!("{large}content-length: 7\r\n"), JSON),
            May::Fail,
        ),
        (
            "line feeds",
            b"HTTP/1.1 200 OK\ncontent-length: 7\n\n{\"a\":1}".to_vec(),
            May::FailOrBe(JSON),
        ),
        (
            "obs-text",
            [
                b"HTTP/1.1 200 OK\r\nx: \x80\xff\r\ncontent-length: 7\r\n\r\n",
                JSON.as_bytes(),
            ]
            .concat(),
            May::Be(JSON),
        ),
    ]);
    trial(&cases, 25);
}

#[test]
fn framing_that_is_none() {
    let lengths = table(
        "+7¦-7¦0x7¦7,¦7,8¦7 7¦7;¦\"7\"¦7.0¦x¦¦18446744073709551616¦99999999999999999999999¦7\u{b}¦７",
    );
    let mut cases: Vec<(&str, Vec<u8>, May<'_>)> = lengths
        .iter()
        .map(|length| {
            (
                *length,
                closing(answer(&format!("content-length: {length}\r\n"), JSON)),
                May::Fail,
            )
        })
        .collect();
    let codings = table(
        "chunkedx¦xchunked¦chunked, gzip¦identity¦gzip¦chunked;x¦\"chunked\"¦\u{b}chunked¦x¦",
    );
    cases.extend(codings.iter().map(|coding| {
        let chunks = "7\r\n{\"a\":1}\r\n0\r\n\r\n";
        (
            *coding,
            closing(answer(&format!("transfer-encoding: {coding}\r\n"), chunks)),
            May::Fail,
        )
    }));
    cases.extend([
        (
            "two lengths",
            closing(answer("content-length: 7\r\ncontent-length: 3\r\n", JSON)),
            May::Fail,
        ),
        (
            "two lengths, the second right",
            closing(answer("content-length: 3\r\ncontent-length: 7\r\n", JSON)),
            May::Fail,
        ),
        (
            "the same length twice",
            answer("content-length: 7\r\ncontent-length: 7\r\n", JSON),
            May::FailOrBe(JSON),
        ),
        (
            "the same length twice in one",
            answer("content-length: 7, 7\r\n", JSON),
            May::FailOrBe(JSON),
        ),
        (
            "a length beside chunks",
            answer(
                "content-length: 3\r\ntransfer-encoding: chunked\r\n",
                "7\r\n{\"a\":1}\r\n0\r\n\r\n",
            ),
            May::FailOrBe(JSON),
        ),
        (
            "chunks beside a length",
            answer(
                "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
                "7\r\n{\"a\":1}\r\n0\r\n\r\n",
            ),
            May::FailOrBe(JSON),
        ),
        (
            "chunked twice",
            closing(answer(
                "transfer-encoding: chunked, chunked\r\n",
                "7\r\n{\"a\":1}\r\n0\r\n\r\n",
            )),
            May::FailOrBe(JSON),
        ),
        (
            "chunks in 1.0",
            closing(
                b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"
                    .to_vec(),
            ),
            May::FailOrBe(JSON),
        ),
        (
            "neither, and closed",
            closing(answer("", JSON)),
            May::Be(JSON),
        ),
        (
            "zeros before a length",
            answer("content-length: 007\r\n", JSON),
            May::FailOrBe(JSON),
        ),
    ]);
    trial(&cases, 35);
}

#[test]
fn chunks_that_are_no_chunks() {
    let sizes = table("¦+7¦-7¦0x7¦7g¦g¦zz¦7 7¦7\n¦7\r¦7\0¦10000000000000007¦7;a\nb¦７¦7,7");
    let mut cases: Vec<(&str, Vec<u8>, May<'_>)> = sizes
        .iter()
        .map(|size| {
            (
                *size,
                chunked(&format!("{size}\r\n{JSON}\r\n0\r\n\r\n")),
                May::Fail,
            )
        })
        .collect();
    cases.extend([
        (
            "an endless size",
            closing(chunked("ffffffffffffffff\r\n{\"a\":1}\r\n0\r\n\r\n")),
            May::Fail,
        ),
        (
            "a size too small",
            chunked("6\r\n{\"a\":1}\r\n0\r\n\r\n"),
            May::Fail,
        ),
        (
            "a size too large",
            closing(chunked("8\r\n{\"a\":1}\r\n0\r\n\r\n")),
            May::Fail,
        ),
        (
            "no end of a chunk",
            chunked("7\r\n{\"a\":1}0\r\n\r\n"),
            May::Fail,
        ),
        ("line feeds", chunked("7\n{\"a\":1}\n0\n\n"), May::Fail),
        (
            "a line feed ends a chunk",
            chunked("7\r\n{\"a\":1}\n0\r\n\r\n"),
            May::Fail,
        ),
        (
            "other bytes end a chunk",
            chunked("7\r\n{\"a\":1}XX0\r\n\r\n"),
            May::Fail,
        ),
        ("closed before a size", closing(chunked("")), May::Fail),
        ("closed in a size", closing(chunked("7")), May::Fail),
        (
            "closed in a chunk",
            closing(chunked("7\r\n{\"a\"")),
            May::Fail,
        ),
        (
            "closed behind a chunk",
            closing(chunked("7\r\n{\"a\":1}")),
            May::Fail,
        ),
        (
            "closed before the last size",
            closing(chunked("7\r\n{\"a\":1}\r\n")),
            May::Fail,
        ),
        (
            "closed in the last size",
            closing(chunked("7\r\n{\"a\":1}\r\n0")),
            May::Fail,
        ),
        (
            "closed before the last line",
            closing(chunked("7\r\n{\"a\":1}\r\n0\r\n")),
            May::Fail,
        ),
        (
            "closed in a trailer",
            closing(chunked("7\r\n{\"a\":1}\r\n0\r\nx: y")),
            May::Fail,
        ),
        (
            "no last line, and another answer",
            chunked("7\r\n{\"a\":1}\r\n0\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            May::FailOrBe(JSON),
        ),
        (
            "an extension",
            chunked("7;a=b\r\n{\"a\":1}\r\n0\r\n\r\n"),
            May::FailOrBe(JSON),
        ),
        (
            "a size in capitals",
            chunked("00A\r\n{\"a\":1000}\r\n0\r\n\r\n"),
            May::Be("{\"a\":1000}"),
        ),
        (
            "a trailer",
            chunked("7\r\n{\"a\":1}\r\n0\r\nx: y\r\n\r\n"),
            May::Be(JSON),
        ),
        (
            "a trailer that frames",
            chunked("7\r\n{\"a\":1}\r\n0\r\ncontent-length: 3\r\ntransfer-encoding: x\r\n\r\n"),
            May::FailOrBe(JSON),
        ),
        (
            "garbage behind",
            chunked("7\r\n{\"a\":1}\r\n0\r\n\r\ngarbage"),
            May::Be(JSON),
        ),
        (
            "another answer behind",
            chunked("7\r\n{\"a\":1}\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            May::Be(JSON),
        ),
    ]);
    trial(&cases, 35);
}

#[test]
fn answers_that_are_more_or_less_than_one() {
    let interim = |head: &str| {
        format!("{head}\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{JSON}").into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>, May<'_>)> = vec![
        (
            "more than the length",
            answer("content-length: 7\r\n", "{\"a\":1}{\"b\":2}"),
            May::Be(JSON),
        ),
        (
            "less than the length",
            closing(answer("content-length: 8\r\n", JSON)),
            May::Fail,
        ),
        (
            "nothing of the length",
            closing(answer("content-length: 8\r\n", "")),
            May::Fail,
        ),
        (
            "an endless length",
            closing(answer("content-length: 18446744073709551614\r\n", JSON)),
            May::Fail,
        ),
        (
            "two answers",
            answer(
                "content-length: 7\r\n",
                "{\"a\":1}HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"b\":2}",
            ),
            May::Be(JSON),
        ),
        (
            "an answer and a half",
            answer(
                "content-length: 7\r\n",
                "{\"a\":1}HTTP/1.1 200 OK\r\ncontent-le",
            ),
            May::Be(JSON),
        ),
        (
            "an answer and a line",
            answer("content-length: 7\r\n", "{\"a\":1}\r\n"),
            May::Be(JSON),
        ),
        (
            "a body behind 204",
            b"HTTP/1.1 204 No Content\r\n\r\n{\"b\":2}".to_vec(),
            May::Be(""),
        ),
        (
            "a length of 204",
            b"HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n{\"b\":2}".to_vec(),
            May::FailOrBe(""),
        ),
        (
            "a body behind 304",
            b"HTTP/1.1 304 Not Modified\r\n\r\n{\"b\":2}".to_vec(),
            May::Be(""),
        ),
        (
            "continue first",
            interim("HTTP/1.1 100 Continue"),
            May::Be(JSON),
        ),
        (
            "hints first",
            interim("HTTP/1.1 103 Early Hints\r\nlink: </x>"),
            May::Be(JSON),
        ),
        (
            "three interim answers",
            interim(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints",
            ),
            May::Be(JSON),
        ),
        (
            "interim and closed",
            closing(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
            May::Fail,
        ),
        (
            "interim with a length",
            interim("HTTP/1.1 103 Early Hints\r\ncontent-length: 7"),
            May::FailOrBe(JSON),
        ),
        (
            "switched",
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw"
                .to_vec(),
            May::Fail,
        ),
        (
            "says that it closes and does not",
            answer("connection: close\r\ncontent-length: 7\r\n", JSON),
            May::Be(JSON),
        ),
        (
            "closes and does not say so",
            closing(answer("content-length: 7\r\n", JSON)),
            May::Be(JSON),
        ),
        (
            "kept in 1.0",
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 7\r\n\r\n{\"a\":1}"
                .to_vec(),
            May::Be(JSON),
        ),
        (
            "the connection names the length",
            answer("connection: content-length\r\ncontent-length: 7\r\n", JSON),
            May::Be(JSON),
        ),
        (
            "the connection names the chunks",
            answer(
                "connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n",
                "7\r\n{\"a\":1}\r\n0\r\n\r\n",
            ),
            May::Be(JSON),
        ),
    ];
    trial(&cases, 20);
}

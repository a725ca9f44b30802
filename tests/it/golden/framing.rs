//! Where an HTTP/1.1 message ends, read strictly, and its canonical bytes: chunk boundaries follow the pace of the
//! wire, so a chunked body is written down as one chunk. Must never forgive a broken message.

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To an upstream.
    Request,
    /// To a client.
    Answer,
    /// To a client that asked with `HEAD`.
    HeadAnswer,
}

/// A message that came whole.
#[derive(Debug)]
pub(super) struct Message {
    /// Its head as it came, and its body in canonical form.
    pub(super) bytes: Vec<u8>,
    /// How many bytes it took.
    pub(super) taken: usize,
    /// Whether it is an interim answer.
    pub(super) interim: bool,
    /// Whether the connection is over after it.
    pub(super) closes: bool,
}

/// The message at the start of `bytes`, once it is whole; `ended` if no more bytes come.
pub(super) fn message(bytes: &[u8], kind: Kind, ended: bool) -> Option<Message> {
    let head_end = find(bytes, b"\r\n\r\n")? + 4;
    let head = &bytes[..head_end];
    let status = status(head);
    let interim = kind != Kind::Request && (100..200).contains(&status);
    let connection = field(head, "connection").unwrap_or_default();
    let mut closes =
        connection == "close" || head.starts_with(b"HTTP/1.0") && connection != "keep-alive";
    let rest = &bytes[head_end..];
    let bodiless = interim || matches!(status, 204 | 304) || kind == Kind::HeadAnswer;
    let (body, taken) = if kind != Kind::Request && bodiless {
        (Vec::new(), 0)
    } else if field(head, "transfer-encoding").is_some_and(|value| value == "chunked") {
        one_chunk(rest)?
    } else if let Some(length) = field(head, "content-length") {
        let length: usize = length.parse().expect("a content-length is a number");
        (rest.get(..length)?.to_vec(), length)
    } else if kind == Kind::Request {
        (Vec::new(), 0)
    } else {
        closes = true;
        (ended.then(|| rest.to_vec())?, rest.len())
    };
    Some(Message {
        bytes: [head, &body].concat(),
        taken: head_end + taken,
        interim,
        closes,
    })
}

/// What of an unfinished message can be compared: its head, and of a chunked body the content.
pub(super) fn partial(bytes: &[u8]) -> Vec<u8> {
    let Some(head_end) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return bytes.to_vec();
    };
    let (head, rest) = bytes.split_at(head_end);
    if field(head, "transfer-encoding").is_none() {
        return bytes.to_vec();
    }
    let mut content = head.to_vec();
    let mut at = 0;
    while let Some((size, start)) = chunk_size(&rest[at..]) {
        let start = at + start;
        content.extend_from_slice(&rest[start..rest.len().min(start + size)]);
        at = rest.len().min(start + size + 2);
    }
    content
}

fn one_chunk(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let (size, start) = chunk_size(&rest[at..])?;
        at += start;
        if size == 0 {
            break;
        }
        content.extend_from_slice(rest.get(at..at + size)?);
        assert_eq!(
            rest.get(at + size..at + size + 2)?,
            b"\r\n",
            "a chunk's end"
        );
        at += size + 2;
    }
    // The trailer section: lines up to an empty one.
    let section = at;
    loop {
        let line = find(&rest[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            break;
        }
    }
    let mut body = Vec::new();
    if !content.is_empty() {
        body.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n");
    body.extend_from_slice(&rest[section..at]);
    Some((body, at))
}

/// The size of the chunk at the start, and where its content begins.
fn chunk_size(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = find(bytes, b"\r\n")?;
    let digits = std::str::from_utf8(&bytes[..end]).expect("a chunk size is text");
    let size = usize::from_str_radix(digits, 16).expect("a chunk size is hexadecimal");
    Some((size, end + 2))
}

fn status(head: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(&head[..head.len().min(16)]).into_owned();
    line.strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok())
        .unwrap_or(0)
}

fn field(head: &[u8], wanted: &str) -> Option<String> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted)
            .then(|| value.trim().to_ascii_lowercase())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

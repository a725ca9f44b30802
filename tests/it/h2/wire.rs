//! HTTP/2 written and read by hand (RFC 9113, RFC 7541): frames, heads without compression, and as much of an answer's
//! head as is needed to know its status. Must never correct what a test wants to be wrong.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::within;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// The reason of a reset, or of a farewell.
    pub(crate) fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }

    /// The status of an answer's head.
    pub(crate) fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS, "{self:?}");
        let mut rest = &self.payload[..];
        while let [first, behind @ ..] = rest
            && first >> 5 == 1
        {
            // An update of the table's size.
            rest = behind;
        }
        match rest {
            [0x88, ..] => 200,
            [0x89, ..] => 204,
            [0x8a, ..] => 206,
            [0x8b, ..] => 304,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x8e, ..] => 500,
            [0x08 | 0x48 | 0x18, length, text @ ..] => digits(*length, text),
            other => panic!("no status: {other:x?}"),
        }
    }
}

/// A number as HPACK writes it, perhaps in the code of RFC 7541 appendix B, of which digits are the shortest part.
fn digits(length: u8, text: &[u8]) -> u16 {
    if length & 0x80 == 0 {
        let text = std::str::from_utf8(&text[..length.into()]).expect("digits");
        return text.parse().expect("digits");
    }
    let bits: Vec<u8> = text[..usize::from(length & 0x7f)]
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let take = |from: usize, count: usize| {
        bits[from..from + count]
            .iter()
            .fold(0, |sum, bit| sum << 1 | u16::from(*bit))
    };
    let (mut at, mut number) = (0, 0);
    while bits.len() - at >= 5 && at < 18 && number < 100 {
        let short = take(at, 5);
        if short <= 2 {
            number = number * 10 + short;
            at += 5;
        } else {
            let long = take(at, 6);
            assert!((0b01_1001..=0b01_1111).contains(&long), "{bits:?}");
            number = number * 10 + long - 0b01_1001 + 3;
            at += 6;
        }
    }
    number
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Reset(u32),
    Closed,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) end: End,
}

/// A client without a library.
pub(crate) struct Client {
    stream: TcpStream,
    got: Vec<u8>,
    /// Frames that were read and are another stream's.
    aside: VecDeque<Frame>,
    /// Whether pings are answered.
    pub(crate) answers_pings: bool,
    /// Whether windows are opened again for what comes.
    pub(crate) opens_windows: bool,
}

impl Client {
    pub(crate) async fn connect(at: SocketAddr) -> Self {
        Self::with(at, &[]).await
    }

    /// A client with these settings, besides a table of no size.
    pub(crate) async fn with(at: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(at).await;
        client.send(PREFACE).await;
        let mut payload = Vec::new();
        for (id, value) in [(1, 0)].iter().chain(settings) {
            payload.extend_from_slice(&u16::to_be_bytes(*id));
            payload.extend_from_slice(&u32::to_be_bytes(*value));
        }
        client.frame(SETTINGS, 0, 0, &payload).await;
        client
    }

    /// A client that has said nothing yet.
    pub(crate) async fn silent(at: SocketAddr) -> Self {
        let stream = within("the sidecar to accept", TcpStream::connect(at))
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        Self {
            stream,
            got: Vec::new(),
            aside: VecDeque::new(),
            answers_pings: true,
            opens_windows: true,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("the sidecar to read", self.stream.write_all(bytes))
            .await
            .expect("an open connection");
    }

    /// Sends, unless the sidecar has closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        within("the sidecar to read", self.stream.write_all(bytes))
            .await
            .is_ok()
    }

    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.send(&frame(kind, flags, stream, payload)).await;
    }

    /// Asks on this stream; the body, if there is one, in one piece.
    pub(crate) async fn ask(&mut self, stream: u32, head: &[(&str, &str)], body: Option<&str>) {
        let flags = END_HEADERS | if body.is_none() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, flags, stream, &block(head));
        if let Some(body) = body {
            bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
        }
        self.send(&bytes).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
            .await;
    }

    /// Opens a window.
    pub(crate) async fn open(&mut self, stream: u32, by: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
            .await;
    }

    /// Waits until all that was sent has been looked at.
    pub(crate) async fn settle(&mut self) {
        self.frame(PING, 0, 0, b"settled?").await;
        let mut aside = VecDeque::new();
        loop {
            let frame = self.next().await.expect("an open connection");
            if frame.kind == PING && frame.flags & ACK != 0 && frame.payload == b"settled?" {
                break;
            }
            aside.push_back(frame);
        }
        self.aside.extend(aside);
    }

    /// The next frame that is not a matter of course; none at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.any().await?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    let _ = self.try_send(&self::frame(SETTINGS, ACK, 0, b"")).await;
                }
                PING if frame.flags & ACK == 0 => {
                    if self.answers_pings {
                        let pong = self::frame(PING, ACK, 0, &frame.payload);
                        let _ = self.try_send(&pong).await;
                    }
                }
                SETTINGS | WINDOW_UPDATE => {}
                _ => {
                    if frame.kind == DATA && self.opens_windows && !frame.payload.is_empty() {
                        let by = u32::try_from(frame.payload.len()).expect("a frame");
                        let mut both = self::frame(WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
                        if !frame.ends_stream() {
                            let more =
                                self::frame(WINDOW_UPDATE, 0, frame.stream, &by.to_be_bytes());
                            both.extend(more);
                        }
                        let _ = self.try_send(&both).await;
                    }
                    return Some(frame);
                }
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) async fn any(&mut self) -> Option<Frame> {
        within("a frame", async {
            loop {
                if let Some(frame) = take(&mut self.got) {
                    return Some(frame);
                }
                // A reset is a close too.
                if !matches!(self.stream.read_buf(&mut self.got).await, Ok(read) if read > 0) {
                    return None;
                }
            }
        })
        .await
    }

    /// The next frame of this stream; other streams' are kept for later.
    pub(crate) async fn next_of(&mut self, stream: u32) -> Option<Frame> {
        let known = self.aside.iter().position(|frame| frame.stream == stream);
        if let Some(at) = known {
            return self.aside.remove(at);
        }
        loop {
            let frame = self.next().await?;
            if frame.stream == stream {
                return Some(frame);
            }
            self.aside.push_back(frame);
        }
    }

    /// The answer's head on this stream.
    pub(crate) async fn status(&mut self, stream: u32) -> u16 {
        self.next_of(stream).await.expect("a head").status()
    }

    /// Reads pieces of a body until `sign` has come.
    pub(crate) async fn sees(&mut self, stream: u32, sign: &str) -> String {
        let mut body = Vec::new();
        loop {
            let frame = self.next_of(stream).await.expect("an open stream");
            assert_eq!(frame.kind, DATA, "waiting for `{sign}`: {frame:?}");
            body.extend_from_slice(&frame.payload);
            let text = String::from_utf8_lossy(&body);
            if text.contains(sign) {
                return text.into_owned();
            }
        }
    }

    /// Reads a body to its end.
    pub(crate) async fn rest(&mut self, stream: u32) -> (String, End) {
        let mut body = Vec::new();
        let end = loop {
            let Some(frame) = self.next_of(stream).await else {
                break End::Closed;
            };
            match frame.kind {
                RST_STREAM => break End::Reset(frame.reason()),
                DATA => body.extend_from_slice(&frame.payload),
                _ => {}
            }
            if frame.ends_stream() {
                break End::Whole;
            }
        };
        (String::from_utf8_lossy(&body).into_owned(), end)
    }

    /// Reads a whole answer.
    pub(crate) async fn answer(&mut self, stream: u32) -> Answer {
        let head = self.next_of(stream).await.expect("an answer");
        if head.kind == RST_STREAM {
            let end = End::Reset(head.reason());
            return Answer {
                status: 0,
                body: String::new(),
                end,
            };
        }
        let status = head.status();
        let (body, end) = if head.ends_stream() {
            (String::new(), End::Whole)
        } else {
            self.rest(stream).await
        };
        Answer { status, body, end }
    }

    /// Reads to the end of the connection; gives the reason of the last GOAWAY, if there was one.
    pub(crate) async fn farewell(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.next_of(0).await {
            if frame.kind == GOAWAY {
                reason = Some(frame.reason());
            }
        }
        reason
    }

    /// Breaks the connection off with a reset.
    pub(crate) fn break_off(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }
}

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn take(got: &mut Vec<u8>) -> Option<Frame> {
    let &[high, middle, low, kind, flags, a, b, c, d, ..] = &got[..] else {
        return None;
    };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if got.len() < 9 + length {
        return None;
    }
    let payload = got[9..9 + length].to_vec();
    got.drain(..9 + length);
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff,
        payload,
    })
}

/// A head: every field literal and never indexed, names and values as they are (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            length(text.len(), &mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// A length with a prefix of seven bits (RFC 7541 §5.1).
pub(crate) fn length(length: usize, bytes: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(127) else {
        bytes.push(u8::try_from(length).expect("seven bits"));
        return;
    };
    bytes.push(127);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
}

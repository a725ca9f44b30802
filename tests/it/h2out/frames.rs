//! An upstream that speaks HTTP/2 frame by frame (RFC 9113 §4, §6), so that it can break every rule. It reads no heads:
//! whoever wants to see one brings a whole server. Must never send what the test did not say, but for the acknowledgement
//! of settings.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Upstream, within};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const HTTP_1_1_REQUIRED: u32 = 13;

pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a `RST_STREAM`, or the room of a `WINDOW_UPDATE`.
    pub(crate) fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().expect("four bytes"))
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The bytes of a whole stream of events.
pub(crate) fn stream_of(stream: u32, events: &[String]) -> Vec<u8> {
    let fields = [(":status", "200"), ("content-type", "text/event-stream")];
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &block(&fields));
    for event in events {
        bytes.extend(frame(DATA, 0, stream, event.as_bytes()));
    }
    bytes.extend(frame(DATA, END_STREAM, stream, b""));
    bytes
}

/// Fields as literals without indexing and with new names (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The upstream's end of a connection.
pub(crate) struct Frames {
    stream: TcpStream,
}

impl Frames {
    /// The next connection of the sidecar, greeted with no settings.
    pub(crate) async fn accept(upstream: &Upstream) -> Self {
        Self::accept_with(upstream, &[]).await
    }

    /// The same, with these settings.
    pub(crate) async fn accept_with(upstream: &Upstream, settings: &[(u16, u32)]) -> Self {
        Self::over(upstream.accept().await.into_stream(), settings).await
    }
}

impl Frames {
    /// Speaks over this stream.
    async fn over(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self { stream };
        let mut preface = vec![0; PREFACE.len()];
        within("the preface", frames.stream.read_exact(&mut preface))
            .await
            .expect("a preface");
        assert_eq!(preface, PREFACE);
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        frames.send(SETTINGS, 0, 0, &payload).await;
        frames
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        assert!(
            self.try_send(kind, flags, stream, payload).await,
            "closed by the sidecar"
        );
    }

    pub(crate) async fn try_send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> bool {
        self.bytes(&frame(kind, flags, stream, payload)).await
    }

    /// Sends bytes that need not be frames; whether the sidecar still reads.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> bool {
        let written = within("the sidecar to read", self.stream.write_all(bytes));
        written.await.is_ok()
    }

    /// The next frame, whatever it is; none at the end.
    async fn any(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let read = within("a frame at the upstream", self.stream.read_exact(&mut head));
        read.await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        within("a payload", self.stream.read_exact(&mut payload))
            .await
            .ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// The next frame that is about a request or the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.any().await?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                SETTINGS | WINDOW_UPDATE => {}
                _ => return Some(frame),
            }
        }
    }

    /// Waits for a frame of that kind; what comes before is not wanted.
    pub(crate) async fn sees(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("an open connection");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Waits for more room in a stream; gives how much.
    pub(crate) async fn sees_room(&mut self, stream: u32) -> usize {
        loop {
            // Read in two steps, so that giving up in between loses nothing.
            let mut waiting = [0];
            self.stream.peek(&mut waiting).await.expect("a socket");
            let frame = self.any().await.expect("an open connection");
            if frame.kind == WINDOW_UPDATE && frame.stream == stream {
                return usize::try_from(frame.code()).expect("a small number");
            }
        }
    }

    /// Waits for a whole request; gives its stream.
    pub(crate) async fn asked(&mut self) -> u32 {
        loop {
            let frame = self.next().await.expect("an open connection");
            assert!(
                matches!(frame.kind, HEADERS | DATA),
                "no request: {frame:?}"
            );
            if frame.flags & END_STREAM != 0 {
                return frame.stream;
            }
        }
    }

    /// Sends the head of an answer, or trailers.
    pub(crate) async fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let block = block(fields);
        self.send(HEADERS, END_HEADERS | flags, stream, &block)
            .await;
    }

    /// Sends a head that takes more than one frame (RFC 9113 §6.10).
    pub(crate) async fn long_head(&mut self, stream: u32, fields: &[(&str, &str)]) {
        let block = block(fields);
        let mut pieces = block.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            if !self.try_send(kind, flags, stream, piece).await {
                return;
            }
            kind = CONTINUATION;
        }
    }

    pub(crate) async fn data(&mut self, stream: u32, flags: u8, bytes: impl AsRef<[u8]>) {
        self.send(DATA, flags, stream, bytes.as_ref()).await;
    }

    /// A whole answer of JSON.
    pub(crate) async fn json(&mut self, stream: u32, body: &str) {
        let length = body.len().to_string();
        let fields = [
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-length", &length),
        ];
        self.head(stream, 0, &fields).await;
        self.data(stream, END_STREAM, body).await;
    }

    /// The head of a stream of events.
    pub(crate) async fn events(&mut self, stream: u32) {
        let fields = [(":status", "200"), ("content-type", "text/event-stream")];
        self.head(stream, 0, &fields).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(crate) async fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GO_AWAY, 0, 0, &payload).await;
    }

    /// Waits until the sidecar has closed the connection, which it does with a GOAWAY.
    pub(crate) async fn gone(mut self) {
        while let Some(frame) = self.next().await {
            assert_eq!(frame.kind, GO_AWAY, "unasked: {frame:?}");
        }
    }
}

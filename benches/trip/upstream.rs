//! The cheapest model upstream that still behaves like one: it answers before the proxy can be bored.
//!
//! It owns the pace of streams: a chunk is written only when the client has received the one before, so
//! every chunk is one write here, one read and one write in a proxy, and none can merge with the next. A
//! proxy that holds a chunk back stops its own stream. It must never answer a request whose body is not, byte
//! for byte, the one the client sent.

mod seen;
mod two;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::seen::{Arrived, Seen};
use crate::scan;
use crate::traffic::{self, Ask};
use crate::wires::{self, Http};

/// A running upstream; ends with the runtime.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) pace: Pace,
    pub(crate) seen: Arc<Seen>,
}

/// How clients tell the upstream that a chunk has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Pace(Arc<[Notify]>);

impl Pace {
    /// The stream of `slot` may go on.
    pub(crate) fn arrived(&self, slot: usize) {
        if let Some(notify) = self.0.get(slot) {
            notify.notify_one();
        }
    }

    async fn next(&self, slot: usize) {
        if let Some(notify) = self.0.get(slot) {
            notify.notified().await;
        }
    }
}

impl Upstream {
    /// Listens on a free port of the loopback, for both versions of HTTP, with TLS and without.
    pub(crate) async fn start(slots: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let pace = Pace((0..slots).map(|_| Notify::new()).collect());
        let seen = Arc::new(Seen::default());
        let server = Arc::new(Server {
            pace: pace.clone(),
            seen: Arc::clone(&seen),
            plain: plain_answer(),
            chunks: stream_answer(),
            tls: TlsAcceptor::from(wires::server()?),
        });
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A proxy that closes an idle connection is no fault.
                tokio::spawn(Arc::clone(&server).welcome(socket));
            }
        });
        Ok(Self {
            address,
            pace,
            seen,
        })
    }
}

struct Server {
    pace: Pace,
    seen: Arc<Seen>,
    plain: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    tls: TlsAcceptor,
}

impl Server {
    /// The first bytes say what is spoken: a TLS handshake, HTTP/2's preface, or a request.
    async fn welcome(self: Arc<Self>, socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut first = [0; 2];
        while socket.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            tokio::task::yield_now().await;
        }
        if first[0] != HANDSHAKE {
            let http = match &first {
                b"PR" => Http::Two,
                _ => Http::One,
            };
            return self.connection(socket, Arrived { http, tls: false }).await;
        }
        let stream = self.tls.accept(socket).await?;
        self.seen.handshake();
        let http = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Http::Two,
            _ => Http::One,
        };
        self.connection(stream, Arrived { http, tls: true }).await
    }

    async fn connection<S>(self: Arc<Self>, stream: S, over: Arrived) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match over.http {
            Http::One => self.one(stream, over).await,
            Http::Two => two::connection(self, stream, over).await,
        }
    }

    async fn one<S>(&self, mut stream: S, over: Arrived) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            let Some((head, end)) = read_request(&mut stream, &mut buffer).await? else {
                return Ok(());
            };
            let fields = buffer.get(..head).unwrap_or_default();
            self.seen
                .request(over, scan::header(fields, "authorization"));
            let body = buffer.get(head..end).unwrap_or_default();
            match traffic::recognise(body) {
                Some((Ask::Plain, _)) => say(&mut stream, &self.plain).await?,
                Some((Ask::Stream, slot)) => self.stream(&mut stream, slot).await?,
                None => {
                    return say(&mut stream, b"HTTP/1.1 400 Changed Body\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                }
            }
            buffer.drain(..end);
        }
    }

    async fn stream<S: AsyncWrite + Unpin>(&self, stream: &mut S, slot: usize) -> io::Result<()> {
        for (index, chunk) in self.chunks.iter().enumerate() {
            if index > 0 {
                self.pace.next(slot).await;
            }
            say(stream, chunk).await?;
        }
        Ok(())
    }
}

/// The first byte of a TLS handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    // TLS may keep a record back otherwise.
    stream.flush().await
}

/// Where the next request's head and body end in the buffer; none when the peer has closed in between.
async fn read_request<S: AsyncRead + Unpin>(
    socket: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(usize, usize)>> {
    loop {
        if let Some(head) = scan::head_end(buffer) {
            let length = scan::number(buffer.get(..head).unwrap_or_default(), "content-length")
                .ok_or_else(|| io::Error::other("a request without a length"))?;
            if buffer.len() >= head + length {
                return Ok(Some((head, head + length)));
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A plain answer as it is written.
pub(crate) fn plain_answer() -> Vec<u8> {
    let body = &traffic::expected(Ask::Plain).bytes;
    let mut answer = head(Ask::Plain, &format!("content-length: {}", body.len()));
    answer.extend_from_slice(body);
    answer
}

/// What to write for each chunk; the head goes with the first, the terminator with the last.
pub(crate) fn stream_answer() -> Vec<Vec<u8>> {
    let expected = traffic::expected(Ask::Stream);
    let mut start = 0;
    let mut writes = Vec::with_capacity(expected.ends.len());
    for (index, end) in expected.ends.iter().enumerate() {
        let mut write = match index {
            0 => head(Ask::Stream, "transfer-encoding: chunked"),
            _ => Vec::new(),
        };
        write.extend_from_slice(format!("{:x}\r\n", end - start).as_bytes());
        write.extend_from_slice(expected.bytes.get(start..*end).unwrap_or_default());
        write.extend_from_slice(b"\r\n");
        start = *end;
        writes.push(write);
    }
    if let Some(last) = writes.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    writes
}

/// A head as long as a provider's.
fn head(ask: Ask, framing: &str) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {}\r\n{framing}\r\n",
        content_type(ask)
    );
    for (name, value) in FIELDS {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn content_type(ask: Ask) -> &'static str {
    match ask {
        Ask::Plain => "application/json",
        Ask::Stream => "text/event-stream; charset=utf-8",
    }
}

/// What a provider says beside type and length.
const FIELDS: [(&str, &str); 13] = [
    ("date", "Tue, 24 Nov 2026 06:00:00 GMT"),
    ("openai-organization", "bench"),
    ("openai-processing-ms", "3"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "1999000"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "30ms"),
    ("x-request-id", "req_00000000000000000000000000000001"),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains; preload",
    ),
    ("x-content-type-options", "nosniff"),
];

//! The cheapest model upstream that still behaves like one: it answers before the proxy can be bored.
//!
//! It owns the pace of streams: a chunk is written only when the client has received the one before, so
//! every chunk is one write here, one read and one write in a proxy, and none can merge with the next. A
//! proxy that holds a chunk back stops its own stream. It must never answer a request whose body is not, byte
//! for byte, the one the client sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::scan;
use crate::traffic::{self, Ask};

/// A running upstream; ends with the runtime.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) pace: Pace,
    keyed: Arc<AtomicU64>,
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
    /// Listens on a free port of the loopback.
    pub(crate) async fn start(slots: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let pace = Pace((0..slots).map(|_| Notify::new()).collect());
        let keyed = Arc::new(AtomicU64::new(0));
        let server = Arc::new(Server {
            pace: pace.clone(),
            keyed: Arc::clone(&keyed),
            plain: plain_answer(),
            chunks: stream_answer(),
        });
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    // A proxy that closes an idle connection is no fault.
                    let _ = server.connection(socket).await;
                });
            }
        });
        Ok(Self {
            address,
            pace,
            keyed,
        })
    }

    /// Requests so far that carried the upstream's own key, which no client of the bench knows.
    pub(crate) fn keyed(&self) -> u64 {
        self.keyed.load(Ordering::Relaxed)
    }
}

struct Server {
    pace: Pace,
    keyed: Arc<AtomicU64>,
    plain: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

impl Server {
    async fn connection(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            let Some((head, end)) = read_request(&mut socket, &mut buffer).await? else {
                return Ok(());
            };
            let bearer = scan::header(buffer.get(..head).unwrap_or_default(), "authorization")
                .and_then(|value| value.strip_prefix(b"Bearer "));
            if bearer == Some(traffic::UPSTREAM_KEY.as_bytes()) {
                self.keyed.fetch_add(1, Ordering::Relaxed);
            }
            let body = buffer.get(head..end).unwrap_or_default();
            match traffic::recognise(body) {
                Some((Ask::Plain, _)) => socket.write_all(&self.plain).await?,
                Some((Ask::Stream, slot)) => self.stream(&mut socket, slot).await?,
                None => {
                    return socket.write_all(b"HTTP/1.1 400 Changed Body\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                }
            }
            buffer.drain(..end);
        }
    }

    async fn stream(&self, socket: &mut TcpStream, slot: usize) -> io::Result<()> {
        for (index, chunk) in self.chunks.iter().enumerate() {
            if index > 0 {
                self.pace.next(slot).await;
            }
            socket.write_all(chunk).await?;
        }
        Ok(())
    }
}

/// Where the next request's head and body end in the buffer; none when the peer has closed in between.
async fn read_request(
    socket: &mut TcpStream,
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
    let mut answer = head(
        "application/json",
        &format!("content-length: {}", body.len()),
    );
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
            0 => head(
                "text/event-stream; charset=utf-8",
                "transfer-encoding: chunked",
            ),
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
fn head(content_type: &str, framing: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\n\
         date: Tue, 24 Nov 2026 06:00:00 GMT\r\n\
         content-type: {content_type}\r\n\
         {framing}\r\n\
         openai-organization: bench\r\n\
         openai-processing-ms: 3\r\n\
         openai-version: 2020-10-01\r\n\
         x-ratelimit-limit-requests: 10000\r\n\
         x-ratelimit-limit-tokens: 2000000\r\n\
         x-ratelimit-remaining-requests: 9999\r\n\
         x-ratelimit-remaining-tokens: 1999000\r\n\
         x-ratelimit-reset-requests: 6ms\r\n\
         x-ratelimit-reset-tokens: 30ms\r\n\
         x-request-id: req_00000000000000000000000000000001\r\n\
         strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n\
         x-content-type-options: nosniff\r\n\r\n"
    )
    .into_bytes()
}

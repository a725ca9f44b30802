//! Streams of a crowd that share connections of HTTP/2, a hundred each: the limit of open descriptors is the provider's side
//! alone. Must never count a stream whose bytes are others than over HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use outrigger::host;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};

/// Streams on one connection, as many as the sidecar allows.
const EACH: u64 = 100;

/// The connections, by their numbers.
pub(super) struct Shared {
    at: SocketAddr,
    connections: Vec<Mutex<Option<SendRequest<Bytes>>>>,
}

impl Shared {
    /// For so many streams.
    pub(super) fn new(at: SocketAddr, streams: u64) -> Arc<Self> {
        let connections = (0..streams.div_ceil(EACH)).map(|_| Mutex::default());
        Arc::new(Self {
            at,
            connections: connections.collect(),
        })
    }

    async fn requests(&self, stream: u64) -> SendRequest<Bytes> {
        let place = usize::try_from(stream / EACH).expect("few");
        let mut connection = self.connections[place].lock().await;
        if let Some(requests) = &*connection {
            return requests.clone();
        }
        let stream = TcpStream::connect(self.at).await.expect("a connection");
        let handshake = h2::client::Builder::new()
            .initial_connection_window_size(16 << 20)
            .handshake(stream);
        let (requests, driver) = handshake.await.expect("HTTP/2");
        host::spawn("crowd-connection", async move {
            driver.await.expect("a connection that holds");
        });
        connection.insert(requests).clone()
    }
}

/// One stream of it.
pub(super) struct Stream {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    /// As it is sent over HTTP/1.1.
    pub(super) request: Vec<u8>,
    pub(super) expected: Arc<Vec<u8>>,
    pub(super) opened: Arc<AtomicU64>,
    pub(super) gate: Arc<Semaphore>,
}

impl Stream {
    pub(super) async fn run(self) {
        let permit = self.gate.acquire().await.expect("open");
        let requests = self.shared.requests(self.number).await;
        let mut requests = requests.ready().await.expect("room for a stream");
        let (request, body) = of_http1(&self.request, self.shared.at);
        let (answer, mut upload) = requests.send_request(request, false).expect("sent");
        upload.send_data(body, true).expect("sent");
        let answer = answer.await.expect("a head");
        drop(permit);
        self.opened.fetch_add(1, Ordering::Relaxed);
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let mut got = 0;
        while let Some(piece) = body.data().await {
            let piece = piece.expect("a stream");
            let wanted = self.expected.get(got..got + piece.len());
            assert_eq!(wanted, Some(&*piece), "other bytes");
            got += piece.len();
            let room = body.flow_control().release_capacity(piece.len());
            room.expect("room given back");
        }
        assert_eq!(got, self.expected.len(), "bytes are missing");
    }
}

/// The same request, without what is of one connection only.
fn of_http1(bytes: &[u8], at: SocketAddr) -> (http::Request<()>, Bytes) {
    let text = std::str::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let path = path.expect("a target");
    let mut request = http::Request::post(format!("http://{at}{path}"));
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        if !matches!(name.to_ascii_lowercase().as_str(), "host" | "connection") {
            request = request.header(name, value);
        }
    }
    let request = request.body(()).expect("a request");
    (request, Bytes::from(body.to_owned()))
}

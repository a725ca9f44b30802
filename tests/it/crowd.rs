//! Crowds: many streams at once through one sidecar, each compared byte for byte with what the provider says without a
//! sidecar, and many connections that say nothing. The sidecar, the provider and the callers are processes of their own.
//! Must never count a stream that was not open together with all others.
//!
//! `CROWD_STREAMS` is a list of sizes (`200` if not said), `CROWD_IDLE` the number of silent connections (`400`). With
//! `CROWD_HTTP=2` the callers share connections, so that twice as many streams fit into the limit of open descriptors.

mod two;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outrigger::host::{self, hardening};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::pair::Pair;
use crate::stage::{Caller, PLAIN, find, post, sum};

/// How many different streams there are; the provider's answers follow from the requests.
const KINDS: usize = 8;
const DELTAS: u64 = 12;
/// What a connection may take that has said nothing, in bytes; and all of them together besides.
const EACH: u64 = 4 << 10;
const SLACK: u64 = 2 << 20;
/// From so many streams on, what they took must be given back; that takes ten seconds, or twenty.
const MANY: u64 = 1000;
/// So much is never worth the trouble.
const KEPT: u64 = 16 << 20;
/// What else is open in the sidecar and here, at the most.
const OTHERS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_in_a_crowd_lose_no_byte() {
    let sizes = std::env::var("CROWD_STREAMS").unwrap_or_else(|_| "200".to_owned());
    for size in sizes.split(',') {
        let each = if is_http2() { 1 } else { 2 };
        let size = within_the_limit(size.parse().expect("a number"), each);
        println!("{}", streams(size, is_http2()).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_cost_little_and_keep_nobody_out() {
    let size = std::env::var("CROWD_IDLE").unwrap_or_else(|_| "400".to_owned());
    let size = within_the_limit(size.parse().expect("a number"), 1);
    println!("{}", silence(size).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_share_connections_lose_no_byte_either() {
    println!("{}", streams(200, true).await);
}

fn is_http2() -> bool {
    std::env::var("CROWD_HTTP").is_ok_and(|version| version == "2")
}

/// As many as the limit of open descriptors allows, which is said if it is fewer.
fn within_the_limit(size: u64, each: u64) -> u64 {
    let limit = hardening::raise_descriptors().expect("a limit");
    let most = (limit - OTHERS) / each;
    if size > most {
        println!("{size} is cut to {most}: the limit of open descriptors is {limit}");
    }
    size.min(most)
}

fn config(provider: SocketAddr) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nconnections = 100000\n[log]\nformat = \"json\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{provider}\"\nkey = \"of-the-operator\"\n\
         [identity]\ntenant = \"acme\"\n[tenants.acme]\n"
    )
}

/// All of them, on their way.
fn callers(
    (pair, size, is_http2): (&Pair, u64, bool),
    pace: Duration,
    expected: &[Arc<Vec<u8>>],
    opened: &Arc<AtomicU64>,
) -> Vec<host::tasks::JoinHandle<()>> {
    let gate = Arc::new(Semaphore::new(128));
    let shared = two::Shared::new(pair.sidecar.proxy, size);
    (0..size)
        .map(|number| {
            let kind = usize::try_from(number).expect("few") % KINDS;
            let request = request(kind, pace, "/openai");
            let expected = Arc::clone(&expected[kind]);
            let (opened, gate) = (Arc::clone(opened), Arc::clone(&gate));
            if is_http2 {
                let stream = two::Stream {
                    shared: Arc::clone(&shared),
                    number,
                    request,
                    expected,
                    opened,
                    gate,
                };
                return host::spawn("crowd-stream", stream.run());
            }
            let stream = Stream {
                at: pair.sidecar.proxy,
                request,
                expected,
                opened,
                gate,
            };
            host::spawn("crowd-stream", stream.run())
        })
        .collect()
}

async fn streams(size: u64, is_http2: bool) -> String {
    let pair = Pair::start(&[], config).await;
    // As many events a second as two cores can take.
    let pace = Duration::from_millis((size / 3).max(100));
    let expected = expected(pair.provider.at).await;
    let before = pair.load().await;
    let opened = Arc::new(AtomicU64::new(0));
    let callers = callers((&pair, size, is_http2), pace, &expected, &opened);
    let patience = Instant::now() + Duration::from_mins(1);
    while opened.load(Ordering::Relaxed) < size {
        assert!(Instant::now() < patience, "{opened:?} of {size} opened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let open = sum(&pair.metrics().await, "outrigger_open_requests", "");
    assert_eq!(open, size, "all open at once");
    let first = pair.load().await;
    tokio::time::sleep(pace * 6).await;
    let later = pair.load().await;
    let provider = pair.provider.resident();
    for caller in callers {
        caller.await.expect("a stream that is whole");
    }
    pair.at_rest().await;
    let mut after = pair.load().await;
    let gone = Instant::now();
    // Less than that is left for the next crowd.
    let enough = (later.resident / 2).max(before.resident + KEPT);
    while size >= MANY && after.resident > enough {
        assert!(gone.elapsed() < Duration::from_secs(25), "kept: {after:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        after = pair.load().await;
    }
    let ceiling = first.resident + first.resident / 10 + (1 << 20);
    assert!(
        later.resident <= ceiling,
        "memory grows: {first:?}, {later:?}"
    );
    assert_eq!(
        sum(
            &pair.metrics().await,
            "outrigger_requests_total",
            "complete"
        ),
        size
    );
    let shared = if is_http2 {
        " that share connections"
    } else {
        ""
    };
    format!(
        "{size} streams{shared}: {} when idle, {} with all open, {} six events later ({} B a stream), {} after; provider {}",
        mib(before.resident),
        mib(first.resident),
        mib(later.resident),
        later.resident.saturating_sub(before.resident) / size,
        mib(after.resident),
        mib(provider),
    )
}

fn mib(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Usage is asked for, so that the sidecar has nothing to add; so the provider gets the same bytes either way.
fn request(kind: usize, pace: Duration, prefix: &str) -> Vec<u8> {
    let body = format!(
        "{{\"model\":\"m{kind}\",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},\"messages\":[{{\"role\":\"user\",\"content\":\"stream of kind {kind}\"}}]}}"
    );
    let request = post(&format!("{prefix}/v1/chat/completions"), &body);
    let orders = format!(
        "\r\nconnection: close\r\nauthorization: Bearer k\r\nx-sim-chunks: {DELTAS}\r\nx-sim-pace: {}ms\r\n\r\n",
        pace.as_millis()
    );
    let text = String::from_utf8(request).expect("text");
    text.replacen("\r\n\r\n", &orders, 1).into_bytes()
}

/// What the provider itself says to each kind.
async fn expected(provider: SocketAddr) -> Vec<Arc<Vec<u8>>> {
    let mut all = Vec::new();
    for kind in 0..KINDS {
        let mut stream = TcpStream::connect(provider).await.expect("a connection");
        let request = request(kind, Duration::ZERO, "");
        stream.write_all(&request).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let at = find(&answer, b"\r\n\r\n").expect("a head") + 4;
        let mut chunks = Chunks::default();
        chunks.push(&answer[at..]);
        assert!(chunks.over && chunks.body.ends_with(b"data: [DONE]\n\n"));
        all.push(Arc::new(chunks.body));
    }
    all
}

struct Stream {
    at: SocketAddr,
    request: Vec<u8>,
    expected: Arc<Vec<u8>>,
    opened: Arc<AtomicU64>,
    gate: Arc<Semaphore>,
}

impl Stream {
    async fn run(self) {
        let permit = self.gate.acquire().await.expect("open");
        let mut stream = TcpStream::connect(self.at).await.expect("a connection");
        stream.write_all(&self.request).await.expect("sent");
        let mut got = Vec::with_capacity(1024);
        let head = loop {
            assert!(
                stream.read_buf(&mut got).await.expect("a head") > 0,
                "closed"
            );
            if let Some(at) = find(&got, b"\r\n\r\n") {
                break at;
            }
        };
        drop(permit);
        self.opened.fetch_add(1, Ordering::Relaxed);
        assert!(
            got.starts_with(b"HTTP/1.1 200 OK\r\n"),
            "{}",
            got.escape_ascii()
        );
        let mut chunks = Chunks::default();
        chunks.push(&got[head + 4..]);
        while !chunks.over {
            got.clear();
            let read = stream.read_buf(&mut got).await.expect("a stream");
            assert!(read > 0, "broke off after {} bytes", chunks.body.len());
            chunks.push(&got);
            assert!(self.expected.starts_with(&chunks.body), "other bytes");
        }
        assert_eq!(chunks.body.len(), self.expected.len(), "bytes are missing");
    }
}

/// A chunked body as it comes.
#[derive(Default)]
struct Chunks {
    line: Vec<u8>,
    /// What is missing of the chunk, its line end included.
    left: usize,
    body: Vec<u8>,
    over: bool,
}

impl Chunks {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert!(!self.over, "bytes behind the end");
            if self.left > 2 {
                self.body.push(*byte);
            }
            if self.left > 0 {
                self.left -= 1;
                self.over = self.left == 0 && self.line == b"0";
                if self.left == 0 {
                    self.line.clear();
                }
                continue;
            }
            match byte {
                b'\r' => {}
                b'\n' => {
                    let text = std::str::from_utf8(&self.line).expect("a size");
                    self.left = usize::from_str_radix(text, 16).expect("a size") + 2;
                }
                byte => self.line.push(*byte),
            }
        }
    }
}

async fn silence(size: u64) -> String {
    let pair = Pair::start(&[], config).await;
    let before = pair.load().await;
    let mut silent = Vec::new();
    for number in 0..size {
        silent.push(
            TcpStream::connect(pair.sidecar.proxy)
                .await
                .expect("a connection"),
        );
        if number % 256 == 255 {
            connected(&pair, number + 1).await;
        }
    }
    connected(&pair, size).await;
    let load = pair.load().await;
    let each = load.resident.saturating_sub(before.resident) / size;
    let most = EACH + SLACK / size;
    assert!(each <= most, "{each} bytes for who says nothing");
    let began = Instant::now();
    let mut caller = Caller::connect(pair.sidecar.proxy).await;
    caller
        .send(&post("/openai/v1/chat/completions", PLAIN))
        .await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let took = began.elapsed();
    drop((caller, silent));
    pair.at_rest().await;
    let after = pair.load().await;
    assert!(
        after.descriptors <= before.descriptors + 8,
        "{before:?}, {after:?}"
    );
    format!(
        "{size} silent connections: {} before, {} with them ({} B each), {} after; one that speaks is answered in {} ms",
        mib(before.resident),
        mib(load.resident),
        each,
        mib(after.resident),
        took.as_millis()
    )
}

/// Waits until the sidecar has accepted so many.
async fn connected(pair: &Pair, size: u64) {
    let patience = Instant::now() + Duration::from_secs(20);
    while sum(&pair.metrics().await, "outrigger_connections_open", "") < size {
        assert!(Instant::now() < patience, "{size} connections");
    }
}

//! The stage of a test: a sidecar inside this process, a model upstream that says what the test tells it, and a caller
//! that writes bytes. Every wait has a limit and a name, so that a test that would hang fails and says for what it waited.
//! Must never sleep to let something happen.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger::app::{Logging, Options, Sidecar, Source};
use outrigger::host::{ProcessFacts, SystemIds};
use outrigger::limits::{Account, Dimension};
use outrigger::spine::{LogFormat, log};
use outrigger::trip::Total;
use outrigger::units::{Boot, Clock, TenantId, Wall};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long anything may take; a machine under load is slow, a hang is forever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `work`, but not for ever.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until something that nobody announces is true.
pub(crate) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    within(what, async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A clock that stands still until it is moved, and that can be made to panic.
#[derive(Default)]
pub(crate) struct StillClock {
    boot: AtomicU64,
    /// The reading that panics, counted down to 1; 0 is none.
    trap: AtomicU64,
}

impl StillClock {
    pub(crate) fn advance(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).expect("a short span");
        self.boot.fetch_add(nanos, Ordering::SeqCst);
    }

    /// The next reading but `skip` panics.
    pub(crate) fn trap_after(&self, skip: u64) {
        self.trap.store(skip + 1, Ordering::SeqCst);
    }

    /// Whether the trap has gone off; it is unset afterwards.
    pub(crate) fn sprung(&self) -> bool {
        self.trap.swap(0, Ordering::SeqCst) == 0
    }

    fn tread(&self) {
        if self.trap.load(Ordering::SeqCst) == 0 || std::thread::panicking() {
            return;
        }
        // The keeper of the pool is no trip, and the record itself has nobody who could write that it failed.
        let reader = std::backtrace::Backtrace::force_capture().to_string();
        if reader.contains("Pool::sweep") || reader.contains("Run as core::ops::drop::Drop") {
            return;
        }
        let left = self.trap.fetch_sub(1, Ordering::SeqCst);
        assert!(left != 1, "the clock's trap");
    }
}

impl Clock for StillClock {
    fn boot(&self) -> Boot {
        self.tread();
        Boot(self.boot.load(Ordering::SeqCst) + 1_000_000_000)
    }

    fn wall(&self) -> Wall {
        Wall(1_800_000_000_000)
    }
}

/// What the log's writer has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A sidecar and its log.
pub(crate) struct Stage {
    pub(crate) sidecar: Sidecar,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) upstream: Upstream,
    logging: Logging,
    written: Written,
    /// How many request lines were looked at.
    lines: usize,
}

/// The head of every configuration: one tenant, `acme`, and both dialects at one scripted upstream. What is added
/// continues the tenant's table.
pub(crate) fn config(upstream: SocketAddr, added: &str) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{upstream}\"\n\
         [upstreams.anthropic]\ndialect = \"anthropic\"\nurl = \"http://{upstream}\"\n\
         [identity]\ntenant = \"acme\"\n[tenants.acme]\n{added}\n"
    )
}

impl Stage {
    /// A sidecar with one tenant, under these limits and whatever follows.
    pub(crate) async fn open(added: &str) -> Self {
        let upstream = Upstream::bind().await;
        let text = config(upstream.at, added);
        Self::with(upstream, Source::Text("test", text))
    }

    /// A sidecar with that configuration, and a clock that stands.
    pub(crate) fn with(upstream: Upstream, source: Source) -> Self {
        let clock = Arc::new(StillClock::default());
        Self::timed(
            upstream,
            source,
            Arc::clone(&clock) as Arc<dyn Clock>,
            clock,
        )
    }

    /// A sidecar whose state lies in that directory.
    pub(crate) fn keeping(upstream: Upstream, source: Source, state: &std::path::Path) -> Self {
        let clock = Arc::new(StillClock::default());
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        Self::keeping_time(upstream, source, state, time, clock)
    }

    /// The same, by another clock.
    pub(crate) fn keeping_time(
        upstream: Upstream,
        source: Source,
        state: &std::path::Path,
        time: Arc<dyn Clock>,
        clock: Arc<StillClock>,
    ) -> Self {
        let options = Options {
            clock: time,
            ids: Arc::new(SystemIds),
            state: Some(state.to_path_buf()),
            ..Options::new(source)
        };
        Self::opened(upstream, options, clock)
    }

    pub(crate) fn timed(
        upstream: Upstream,
        source: Source,
        time: Arc<dyn Clock>,
        clock: Arc<StillClock>,
    ) -> Self {
        let options = Options {
            clock: time,
            ids: Arc::new(SystemIds),
            ..Options::new(source)
        };
        Self::opened(upstream, options, clock)
    }

    fn opened(upstream: Upstream, options: Options, clock: Arc<StillClock>) -> Self {
        let written = Written::default();
        let (queue, writer) = log(10_000, LogFormat::Json);
        let out = written.clone();
        outrigger::host::thread("test-log", move || writer.run(out)).expect("a thread");
        let logging = Logging::over(queue);
        let sidecar = Sidecar::prepare(options)
            .expect("a good configuration")
            .start(&logging)
            .expect("a sidecar");
        Self {
            sidecar,
            clock,
            upstream,
            logging,
            written,
            lines: 0,
        }
    }

    /// The upstream, to be played by somebody else.
    pub(crate) async fn take_upstream(&mut self) -> Upstream {
        std::mem::replace(&mut self.upstream, Upstream::bind().await)
    }

    pub(crate) async fn caller(&self) -> Caller {
        Caller::connect(self.sidecar.proxy[0]).await
    }

    pub(crate) fn account(&self, tenant: &str) -> Arc<Account> {
        let id: TenantId = tenant.parse().expect("an id");
        let snapshot = self.sidecar.ground.live.take();
        Arc::clone(snapshot.tenant(&id).expect("a tenant").account())
    }

    /// What is left of a limit of `acme`.
    pub(crate) fn left(&self, dimension: Dimension) -> u64 {
        let now = self.sidecar.ground.clock.boot();
        let levels = self.account("acme").levels(now);
        levels.of(dimension).expect("a limit").remaining
    }

    /// The page of metrics.
    pub(crate) fn page(&self) -> String {
        self.sidecar.ground.page(&ProcessFacts::default())
    }

    /// The sum over all series of that name whose labels hold `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        sum(&self.page(), name, label)
    }

    /// The request lines written since the last look.
    pub(crate) fn lines(&mut self) -> Vec<Value> {
        self.logging.flush();
        let written = self
            .written
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Value> = String::from_utf8_lossy(&written)
            .lines()
            .map(|line| serde_json::from_str(line).expect("a JSON line"))
            .collect();
        let fresh = lines[self.lines..].to_vec();
        self.lines = lines.len();
        fresh
    }

    /// The one record of the one trip since the last look, once it is over: counted once, written once, nothing held.
    pub(crate) async fn record(&mut self) -> Value {
        self.ended(1).await;
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "one end: {lines:?}");
        lines.remove(0)
    }

    /// Waits until so many trips have ended since the last look at the lines, and makes sure that it were no more, that
    /// each was counted once, and that nothing is held.
    pub(crate) async fn ended(&self, since: usize) {
        let ended = u64::try_from(self.lines + since).expect("few lines");
        let totals = &self.sidecar.ground.totals;
        until("the end of the trip", || {
            totals.of(Total::Requests) >= ended
        })
        .await;
        self.at_rest().await;
        let page = self.page();
        assert_eq!(sum(&page, "outrigger_open_requests", ""), 0);
        assert_eq!(sum(&page, "outrigger_queue_waiting", ""), 0);
        assert_eq!(
            sum(&page, "outrigger_requests_total", ""),
            ended,
            "counted once"
        );
        assert_eq!(totals.of(Total::Requests), ended);
    }

    /// Waits until no connection to the upstream is open but those that rest in the pool.
    pub(crate) async fn hung_up(&self) {
        until("the upstream connections to close", || {
            let page = self.page();
            let open = sum(&page, "outrigger_upstream_connections_open", "");
            open == sum(&page, "outrigger_upstream_connections_idle", "")
        })
        .await;
    }

    /// Waits until no trip is open and no tenant holds anything.
    pub(crate) async fn at_rest(&self) {
        let ground = &self.sidecar.ground;
        until("no trip to be open", || ground.shutdown.open() == 0).await;
        let snapshot = ground.live.take();
        for tenant in snapshot.tenants() {
            let account = tenant.account();
            until("no hold and no wait", || {
                account.in_flight() == 0 && account.waiting() == 0
            })
            .await;
        }
    }

    /// Waits until all callers' connections are closed, and makes sure that there was no trip.
    pub(crate) async fn no_record(&mut self) {
        until("the connections to close", || {
            self.metric("outrigger_connections_open", "") == 0
        })
        .await;
        self.at_rest().await;
        let lines = self.lines();
        assert!(lines.is_empty(), "no trip began: {lines:?}");
    }
}

/// What a configuration says of a key.
pub(crate) fn hash_of(key: &str) -> String {
    let mut hash = "sha256:".to_owned();
    for byte in outrigger::snapshot::digest(key.as_bytes()) {
        write!(hash, "{byte:02x}").expect("a text takes all");
    }
    hash
}

/// The sum of the series of a family on a page of metrics whose labels hold `label`.
pub(crate) fn sum(page: &str, name: &str, label: &str) -> u64 {
    page.lines()
        .filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        })
        .map(|line| {
            let value = line.rsplit(' ').next().expect("a value");
            value.parse::<u64>().expect("a whole number")
        })
        .sum()
}

/// A model upstream without a mind of its own.
pub(crate) struct Upstream {
    listener: TcpListener,
    pub(crate) at: SocketAddr,
}

impl Upstream {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        Self { listener, at }
    }

    /// The next connection of the sidecar.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = within("the sidecar to dial", self.listener.accept())
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        Peer { stream }
    }

    /// The next connection of the sidecar, whenever it comes.
    pub(crate) async fn accept_any(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        Peer { stream }
    }

    /// Makes sure that nobody has dialled and not been accepted.
    pub(crate) async fn unused(&self) {
        let dialled = tokio::time::timeout(Duration::ZERO, self.listener.accept()).await;
        assert!(dialled.is_err(), "something left for the upstream");
    }
}

/// The upstream's end of a connection.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// The socket, to be played in another language.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Reads one request whole; gives its head and its body.
    pub(crate) async fn request(&mut self) -> (String, Vec<u8>) {
        let mut got = Vec::new();
        within("a request at the upstream", async {
            loop {
                if let Some(at) = find(&got, b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&got[..at]).into_owned();
                    let length = field(&head, "content-length")
                        .map_or(0, |length| length.parse::<usize>().expect("a length"));
                    if got.len() >= at + 4 + length {
                        return (head, got[at + 4..].to_vec());
                    }
                }
                let read = self.stream.read_buf(&mut got).await.expect("a request");
                assert!(read > 0, "the request broke off: {}", got.escape_ascii());
            }
        })
        .await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("the sidecar to read", self.stream.write_all(bytes))
            .await
            .expect("an open connection");
    }

    /// Reads one request whole, whenever it comes; none if the sidecar has closed the connection.
    pub(crate) async fn asked(&mut self) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        while !is_whole(&got) {
            if !matches!(self.stream.read_buf(&mut got).await, Ok(read) if read > 0) {
                return None;
            }
        }
        Some(got)
    }

    /// Sends, unless the sidecar has closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Reads until `sign` has come.
    pub(crate) async fn sees(&mut self, sign: &[u8]) {
        let mut got = Vec::new();
        within("bytes at the upstream", async {
            while find(&got, sign).is_none() {
                let read = self.stream.read_buf(&mut got).await;
                assert!(
                    read.is_ok_and(|read| read > 0),
                    "closed: {}",
                    got.escape_ascii()
                );
            }
        })
        .await;
    }

    /// Waits until the sidecar has closed the connection; what it sends before is not wanted.
    pub(crate) async fn gone(mut self) {
        let mut rest = Vec::new();
        let closed = within(
            "the upstream connection to close",
            self.stream.read_to_end(&mut rest),
        );
        // A reset is a close too.
        let _ = closed.await;
        assert!(rest.is_empty(), "unasked: {}", rest.escape_ascii());
    }

    /// Closes, once the sidecar has read all.
    pub(crate) async fn close_after(mut self) {
        let _ = within("the sidecar to read", self.stream.shutdown()).await;
    }

    /// Breaks the connection off with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }
}

/// An agent without an SDK.
pub(crate) struct Caller {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(at: SocketAddr) -> Self {
        let stream = within("the sidecar to accept", TcpStream::connect(at))
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        Self {
            stream,
            got: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("the sidecar to read", self.stream.write_all(bytes))
            .await
            .expect("an open connection");
    }

    /// Reads until `sign` has come; gives all that has come so far.
    pub(crate) async fn sees(&mut self, sign: &str) -> String {
        within(sign, async {
            while find(&self.got, sign.as_bytes()).is_none() {
                let read = self.stream.read_buf(&mut self.got).await;
                assert!(
                    read.is_ok_and(|read| read > 0),
                    "closed before `{sign}`: {}",
                    self.got.escape_ascii()
                );
            }
        })
        .await;
        String::from_utf8_lossy(&self.got).into_owned()
    }

    /// Reads one answer of declared length; gives its head and its body, and forgets them.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        self.sees("\r\n\r\n").await;
        let at = find(&self.got, b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&self.got[..at]).into_owned();
        let length = field(&head, "content-length").expect("a length");
        let end = at + 4 + length.parse::<usize>().expect("a length");
        within("the answer's body", async {
            while self.got.len() < end {
                let read = self.stream.read_buf(&mut self.got).await;
                assert!(read.is_ok_and(|read| read > 0), "the answer broke off");
            }
        })
        .await;
        let body = String::from_utf8_lossy(&self.got[at + 4..end]).into_owned();
        self.got.drain(..end);
        (head, body)
    }

    /// Reads until the answer is over: the connection closed, or an answer of declared length or in chunks whole.
    pub(crate) async fn finish(&mut self) {
        within("the end of the answer", async {
            while !is_whole(&self.got) {
                match self.stream.read_buf(&mut self.got).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        })
        .await;
    }

    /// Sends, unless the sidecar has closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Whether anything has come by now.
    pub(crate) async fn has_answer(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.got);
        let _ = tokio::time::timeout(Duration::ZERO, read).await;
        !self.got.is_empty()
    }

    /// Reads until so many bytes have come, or the answer is over.
    pub(crate) async fn has(&mut self, bytes: usize) {
        within("bytes for the caller", async {
            while self.got.len() < bytes && !is_whole(&self.got) {
                let read = self.stream.read_buf(&mut self.got).await;
                assert!(read.is_ok_and(|read| read > 0), "the answer broke off");
            }
        })
        .await;
    }

    /// Breaks the connection off with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn stop_writing(&mut self) {
        within("the end to leave", self.stream.shutdown())
            .await
            .expect("an open connection");
    }

    /// Takes what has come.
    pub(crate) fn got(self) -> Vec<u8> {
        self.got
    }

    /// Reads until the sidecar closes, by whatever means; gives all that came.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let end = within(
            "the sidecar to close",
            self.stream.read_to_end(&mut self.got),
        );
        // A reset is a close too.
        let _ = end.await;
        self.got
    }
}

/// Whether an answer has come to its declared end.
fn is_whole(got: &[u8]) -> bool {
    let Some(at) = find(got, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&got[..at]);
    match field(&head, "content-length") {
        Some(length) => got.len() >= at + 4 + length.parse::<usize>().expect("a length"),
        None => got.ends_with(END),
    }
}

/// A field of a head, its value.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

pub(crate) fn find(text: &[u8], sign: &[u8]) -> Option<usize> {
    text.windows(sign.len()).position(|window| window == sign)
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The head of a stream of events in chunks.
pub(crate) const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One chunk.
pub(crate) fn chunk(bytes: &str) -> Vec<u8> {
    format!("{:x}\r\n{bytes}\r\n", bytes.len()).into_bytes()
}

/// The end of the chunks.
pub(crate) const END: &[u8] = b"0\r\n\r\n";

/// A whole JSON answer.
pub(crate) fn json(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A conversation in one of the shapes that are metered.
pub(crate) struct Talk {
    pub(crate) path: &'static str,
    pub(crate) question: &'static str,
    /// The answer's events; each holds a sign of its own, `piece-01` and so on, or no text at all.
    pub(crate) events: Vec<String>,
}

/// Chat, asked for as a stream without usage, so that it is asked for on the caller's behalf and taken out again.
pub(crate) fn chat() -> Talk {
    let piece = |text: &str| {
        format!(
            "data: {{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    Talk {
        path: "/openai/v1/chat/completions",
        question: r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"twelve bytes"}]}"#,
        events: vec![
            piece("piece-01"),
            piece("piece-02"),
            piece("piece-03"),
            "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".into(),
            "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":9,\"total_tokens\":20}}\n\n".into(),
            "data: [DONE]\n\n".into(),
        ],
    }
}

/// Responses, a stream of named events.
pub(crate) fn responses() -> Talk {
    let piece = |text: &str, number: u32| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{number},\"delta\":\"{text}\"}}\n\n"
        )
    };
    Talk {
        path: "/openai/v1/responses",
        question: r#"{"model":"m","stream":true,"store":false,"input":"twelve bytes"}"#,
        events: vec![
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r1\",\"model\":\"m\",\"usage\":null}}\n\n".into(),
            piece("piece-01", 1),
            piece("piece-02", 2),
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":3,\"response\":{\"id\":\"r1\",\"model\":\"m\",\"usage\":{\"input_tokens\":11,\"output_tokens\":9,\"total_tokens\":20}}}\n\n".into(),
        ],
    }
}

/// Messages, a stream of named events whose usage comes in two parts.
pub(crate) fn messages() -> Talk {
    let piece = |text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    Talk {
        path: "/anthropic/v1/messages",
        question: r#"{"model":"m","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"twelve bytes"}]}"#,
        events: vec![
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":\"m\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n".into(),
            piece("piece-01"),
            piece("piece-02"),
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n".into(),
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".into(),
        ],
    }
}

/// A chat answer that is not a stream.
pub(crate) const WHOLE: &str = r#"{"id":"c1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"piece-01 piece-02"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":9,"total_tokens":20}}"#;

/// The question to it.
pub(crate) const PLAIN: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"twelve bytes"}]}"#;

//! A sidecar process with a counting upstream behind it, and a client that speaks bytes.
//! Must never retry: a second connection would hide what happened on the first.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger::snapshot::digest;
use serde_json::Value;

/// What the upstream is called with; nobody else may ever see it.
pub(super) const UPSTREAM_KEY: &str = "sk-upstream-4f1d0c7e";
/// The key of tenant `acme`, whose policy is the built-in `standard`.
pub(super) const ACME: &str =
    "outrigger_ac3e00000000000000000000000000000000000000000000000000000000ac3e";
/// The key of tenant `globex`.
pub(super) const GLOBEX: &str =
    "outrigger_61ebe00000000000000000000000000000000000000000000000000000061ebe";
/// The key of tenant `small`, whose policy is tight.
pub(super) const SMALL: &str =
    "outrigger_53a1100000000000000000000000000000000000000000000000000000053a11";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sidecar with an upstream of its own.
pub(super) struct House {
    child: Child,
    pub(super) proxy: SocketAddr,
    pub(super) telemetry: SocketAddr,
    pub(super) upstream: Upstream,
    log: Arc<Mutex<Vec<String>>>,
    directory: tempfile::TempDir,
}

/// The listener, people and upstreams that most tests use. `@` is the upstream's address.
pub(super) const PLAIN: &str = r#"
[identity]
accept = ["key"]
[upstreams.openai]
dialect = "openai"
url = "http://@"
key = "${env:TEST_UPSTREAM_KEY}"
[upstreams.anthropic]
dialect = "anthropic"
url = "http://@"
key = "${env:TEST_UPSTREAM_KEY}"
"#;

impl House {
    /// Starts one with [`PLAIN`].
    pub(super) fn plain() -> Self {
        Self::with(PLAIN)
    }

    /// Starts one with these sections added to the listeners and tenants.
    pub(super) fn with(sections: &str) -> Self {
        Self::start(sections, None)
    }

    /// Starts one as this user, if it is not ours.
    pub(super) fn start(sections: &str, user: Option<u32>) -> Self {
        let upstream = Upstream::start();
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("outrigger.toml");
        let mut text = String::from(
            "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"unix:admin.sock\"\n\
             head_timeout = \"300ms\"\nrefusals = \"1M/s\"\n[log]\nformat = \"json\"\n[policies.tight]\nbody = \"1KiB\"\n\
             body_timeout = \"300ms\"\n",
        );
        for (tenant, key) in [("acme", ACME), ("globex", GLOBEX), ("small", SMALL)] {
            let policy = if tenant == "small" {
                "policy = \"tight\"\n"
            } else {
                ""
            };
            let hash = hex(&digest(key.as_bytes()));
            writeln!(
                text,
                "[tenants.{tenant}]\nkeys = [\"sha256:{hash}\"]\nlimits.refusals = \"1M/s\"\n{policy}"
            )
            .expect("text");
        }
        text.push_str(&sections.replace('@', &upstream.address.to_string()));
        std::fs::write(&config, text).expect("the configuration");
        let ready = directory.path().join("ready");
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        if let Some(user) = user {
            std::os::unix::fs::chown(directory.path(), Some(user), None).expect("its directory");
            command.uid(user);
        }
        let mut child = command
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready)
            .arg("--state")
            .arg(directory.path())
            .env("TEST_UPSTREAM_KEY", UPSTREAM_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("its log"));
        let into = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                into.lock().expect("the log").push(line);
            }
        });
        let listening = wait_for(|| std::fs::read_to_string(&ready).ok()).unwrap_or_else(|| {
            panic!(
                "the sidecar is not ready: {:?}",
                log.lock().expect("the log")
            )
        });
        let address = |name: &str| {
            let line = listening.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|text| text.parse().ok()).expect("an address")
        };
        Self {
            proxy: address("proxy="),
            telemetry: address("telemetry="),
            child,
            upstream,
            log,
            directory,
        }
    }

    /// The sidecar's process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where the admin socket is.
    pub(super) fn admin(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// Sends bytes and reads the one answer.
    pub(super) fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // A sidecar that has heard enough may close before all is sent.
        let _ = stream.write_all(bytes);
        Reply::read(stream)
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.proxy).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// The log as soon as it has `requests` request lines.
    pub(super) fn log(&self, requests: usize) -> Vec<String> {
        wait_for(|| {
            let log = self.log.lock().expect("the log");
            let count = log
                .iter()
                .filter(|line| line.contains("\"message\":\"request\""))
                .count();
            (count >= requests).then(|| log.clone())
        })
        .unwrap_or_else(|| {
            let log = self.log.lock().expect("the log");
            panic!("fewer than {requests} request lines in {log:#?}")
        })
    }

    /// The metrics page.
    pub(super) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.telemetry).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("sent");
        Reply::read(stream).body
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until there is something, within the patience.
pub(super) fn wait_for<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Some(found);
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("text");
    }
    text
}

/// An answer, and what came after it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
    /// Bytes behind the answer, up to the end of the connection.
    pub(super) extra: Vec<u8>,
}

impl Reply {
    /// Reads one answer, then everything else that comes before the connection ends.
    pub(super) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut space = [0; 16_384];
        let end = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut space) {
                Ok(read) if read > 0 => bytes.extend_from_slice(&space[..read]),
                _ => return Self::none(&bytes),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut rest = bytes.split_off(end);
        let length = field(&head, "content-length").and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        let chunked = field(&head, "transfer-encoding").is_some();
        while rest.len() < length || (chunked && find(&rest, b"0\r\n\r\n").is_none()) {
            match stream.read(&mut space) {
                Ok(read) if read > 0 => rest.extend_from_slice(&space[..read]),
                _ => break,
            }
        }
        // Without another request, an open connection ends with ours.
        let _ = stream.shutdown(Shutdown::Write);
        while let Ok(read @ 1..) = stream.read(&mut space) {
            rest.extend_from_slice(&space[..read]);
        }
        let extra = rest.split_off(length.min(rest.len()));
        Self {
            status: head
                .get(9..12)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            head,
            body: String::from_utf8_lossy(&rest).into_owned(),
            extra,
        }
    }

    fn none(bytes: &[u8]) -> Self {
        Self {
            status: 0,
            head: String::from_utf8_lossy(bytes).into_owned(),
            body: String::new(),
            extra: Vec::new(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The value of the only field of that name.
pub(super) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut found = fields(head, name);
    let value = found.next();
    assert!(found.next().is_none(), "`{name}` stands twice in {head}");
    value
}

/// The values of all fields of that name.
pub(super) fn fields<'h>(head: &'h str, name: &str) -> impl Iterator<Item = &'h str> {
    head.lines().skip(1).filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: String,
}

/// An upstream that counts and answers everything with 200.
pub(super) struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What it answers, with claims that are not its to make.
const ANSWER: &str = r#"{"id":"x","object":"chat.completion","type":"message","model":"m","choices":[],"usage":{"input_tokens":3,"output_tokens":4,"prompt_tokens":3,"completion_tokens":4}}"#;
const CLAIMS: &str = "outrigger-code: spoofed\r\nOutrigger-Request-Id: spoofed\r\noutrigger_code: spoofed\r\n\
x-outrigger-tenant: spoofed\r\nx-ratelimit-remaining-requests: 7\r\n";

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let into = Arc::clone(&into);
                thread::spawn(move || answer(stream, &into));
            }
        });
        Self { address, seen }
    }

    /// How many requests have come, of which at least the first byte was seen.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().expect("the record").len()
    }

    /// The latest request.
    pub(super) fn last(&self) -> Seen {
        let seen = self.seen.lock().expect("the record");
        seen.last().cloned().expect("a request")
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>) {
    let mut bytes = Vec::new();
    let mut space = [0; 16_384];
    let mut more = |bytes: &mut Vec<u8>, stream: &mut TcpStream| match stream.read(&mut space) {
        Ok(read @ 1..) => {
            bytes.extend_from_slice(&space[..read]);
            true
        }
        _ => false,
    };
    while more(&mut bytes, &mut stream) {
        let at = {
            let mut seen = seen.lock().expect("the record");
            seen.push(Seen {
                head: String::new(),
                body: String::new(),
            });
            seen.len() - 1
        };
        let end = loop {
            match find(&bytes, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if more(&mut bytes, &mut stream) => {}
                None => return,
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes.drain(..end);
        if let Some(bytes) = odd_answer(&head) {
            seen.lock().expect("the record")[at].head = head;
            let _ = stream.write_all(bytes);
            // It stays open, and reads no further.
            thread::park();
            return;
        }
        let body = if field(&head, "transfer-encoding").is_some() {
            let end = loop {
                match find(&bytes, b"0\r\n\r\n") {
                    Some(at) => break at + 5,
                    None if more(&mut bytes, &mut stream) => {}
                    None => return,
                }
            };
            bytes.drain(..end).collect::<Vec<_>>()
        } else {
            let length = field(&head, "content-length").and_then(|text| text.parse().ok());
            let length: usize = length.unwrap_or(0);
            while bytes.len() < length {
                if !more(&mut bytes, &mut stream) {
                    return;
                }
            }
            bytes.drain(..length).collect()
        };
        seen.lock().expect("the record")[at] = Seen {
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{CLAIMS}content-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

/// Answers that are given at once, to requests that ask for them.
fn odd_answer(head: &str) -> Option<&'static [u8]> {
    match field(head, "x-odd")? {
        // Before the request's body is there.
        "early" => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        "gzip" => Some(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n\x1f\x8b345678901234567890"),
        "framed twice" => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n3\r\n12}\r\n0\r\n\r\n"),
        "switching" => Some(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nraw"),
        "two answers" => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n\"stale\""),
        _ => None,
    }
}

/// Whose error a refusal must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    OpenAi,
    Anthropic,
}

/// Whether the connection must be closed after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Closed,
    Either,
}

/// Cases against one house; all failures are told together.
pub(super) struct Trial {
    pub(super) house: House,
    failures: Vec<String>,
    cases: usize,
}

impl Trial {
    pub(super) fn of(house: House) -> Self {
        Self {
            house,
            failures: Vec::new(),
            cases: 0,
        }
    }

    /// The request must be refused like this, and nothing of it may reach the upstream.
    pub(super) fn refuses(
        &mut self,
        name: &str,
        bytes: &[u8],
        (status, code): (u16, &str),
        shape: Shape,
        after: After,
    ) {
        let before = self.house.upstream.count();
        let reply = self.house.send(bytes);
        self.cases += 1;
        let mut wrong = Vec::new();
        if (
            reply.status,
            reply.field("outrigger-code").unwrap_or("none"),
        ) != (status, code)
        {
            wrong.push(format!("expected {status} {code}"));
        }
        if let Err(why) = is_shaped(&reply, code, shape) {
            wrong.push(why);
        }
        if after == After::Closed && reply.field("connection") != Some("close") {
            wrong.push("the connection is not closed".to_owned());
        }
        if !reply.extra.is_empty() {
            wrong.push("something follows the answer".to_owned());
        }
        if self.house.upstream.count() != before {
            wrong.push(format!("the upstream saw {:?}", self.house.upstream.last()));
        }
        if !wrong.is_empty() {
            self.failures.push(format!(
                "{name}: {}: {} {}",
                wrong.join("; "),
                reply.head,
                reply.body
            ));
        }
    }

    /// The request must be refused, with whatever code; where the connection must be closed, what follows is never looked at.
    pub(super) fn refuses_somehow(&mut self, name: &str, bytes: &[u8], after: After) {
        let before = self.house.upstream.count();
        let reply = self.house.send(bytes);
        self.cases += 1;
        let closes = after == After::Either || reply.field("connection") == Some("close");
        let ours = reply.field("outrigger-code").is_some() && reply.extra.is_empty() && closes;
        if !(400..=505).contains(&reply.status) || !ours || self.house.upstream.count() != before {
            self.failures.push(format!(
                "{name}: not refused: {} {} {}",
                reply.head,
                reply.body,
                reply.extra.escape_ascii()
            ));
        }
    }

    /// The request must pass; what the upstream saw of it, if it did.
    pub(super) fn passes(&mut self, name: &str, bytes: &[u8]) -> Option<(Seen, Reply)> {
        let before = self.house.upstream.count();
        let reply = self.house.send(bytes);
        self.cases += 1;
        if reply.status != 200 || self.house.upstream.count() != before + 1 {
            self.failures.push(format!(
                "{name}: does not pass: {} {}",
                reply.head, reply.body
            ));
            return None;
        }
        Some((self.house.upstream.last(), reply))
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    /// Tells the failures; each case must have left one request line.
    pub(super) fn end(self, least: usize) -> (House, usize) {
        let told = self.failures.join("\n---\n");
        assert!(
            self.failures.is_empty(),
            "{} of {}:\n{told}",
            self.failures.len(),
            self.cases
        );
        assert!(self.cases >= least, "only {} cases", self.cases);
        (self.house, self.cases)
    }
}

fn is_shaped(reply: &Reply, code: &str, shape: Shape) -> Result<(), String> {
    let body: Value =
        serde_json::from_str(&reply.body).map_err(|why| format!("not JSON: {why}"))?;
    let text = |pointer: &str| {
        body.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let fine = match shape {
        Shape::OpenAi => !text("/error/type").is_empty() && body.get("type").is_none(),
        Shape::Anthropic => {
            text("/type") == "error"
                && !text("/error/type").is_empty()
                && !text("/request_id").is_empty()
        }
    };
    let ours = text("/outrigger/code") == code && !text("/error/message").is_empty();
    let id = reply.field("outrigger-request-id").unwrap_or_default();
    if fine && ours && !id.is_empty() && text("/outrigger/request_id") == id {
        Ok(())
    } else {
        Err(format!("not in the shape of {shape:?}"))
    }
}

/// What stands between the bars: cases, as few lines as they fit in.
pub(super) fn table(cases: &'static str) -> Vec<&'static str> {
    cases.split('¦').collect()
}

/// A well-formed request with a JSON body.
pub(super) fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    post_with(path, &format!("authorization: Bearer {key}\r\n"), body)
}

/// A well-formed request with these fields (each with its line end) and a JSON body.
pub(super) fn post_with(path: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{fields}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

//! A hundred reloads under two hundred streams, in a process of its own: every stream is what the upstream said, byte for byte,
//! no counter goes back, and every request has one generation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::PATH;
use crate::serve::Served;
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Upstream, WHOLE, field, hash_of, json, until, within,
};

const STREAMS: usize = 200;
const RELOADS: usize = 100;

/// Ten tenants, each with a key, under limits that are counted and never reached.
fn text(upstream: &Upstream, number: usize) -> String {
    let mut text = format!(
        "# {number}\n[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\npoll = \"off\"\nwatch = \"off\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\n",
        upstream.at
    );
    for tenant in 0..10 {
        let key = hash_of(&format!("key-{tenant}"));
        let limits = format!(
            "limits.tokens = \"1M/h\"\nlimits.streams = {}",
            500 + number
        );
        write!(text, "[tenants.t{tenant}]\nkeys = [\"{key}\"]\n{limits}\n").expect("a text");
    }
    text
}

fn post(tenant: usize, body: &str) -> Vec<u8> {
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-{}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        tenant % 10,
        body.len()
    )
    .into_bytes()
}

/// One event of one stream, which no other stream has.
fn piece(stream: usize, step: usize) -> String {
    format!(
        "data: {{\"id\":\"c{stream}\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{stream}-{step}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

/// What a caller got so far, without the framing, which is the sidecar's own.
struct Stream {
    caller: Caller,
    peer: Peer,
    sent: String,
}

impl Stream {
    async fn open(served: &Served, upstream: &Upstream, number: usize) -> Self {
        let mut caller = Caller::connect(served.proxy).await;
        let body = format!(
            "{{\"model\":\"m\",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},\
             \"messages\":[{{\"role\":\"user\",\"content\":\"{number}\"}}]}}"
        );
        caller.send(&post(number, &body)).await;
        let mut peer = upstream.accept().await;
        peer.request().await;
        peer.send(STREAM).await;
        Self {
            caller,
            peer,
            sent: String::new(),
        }
    }

    /// The upstream says the next event, and the caller has it.
    async fn step(&mut self, number: usize, step: usize) {
        let event = piece(number, step);
        self.peer.send(&crate::stage::chunk(&event)).await;
        self.sent.push_str(&event);
        self.caller.sees(&format!("\"{number}-{step}\"")).await;
    }

    /// The end, and whether all of it came.
    async fn end(mut self, number: usize) {
        let event = "data: [DONE]\n\n";
        self.peer.send(&crate::stage::chunk(event)).await;
        self.peer.send(END).await;
        self.sent.push_str(event);
        self.caller.sees("0\r\n\r\n").await;
        let got = self.caller.got();
        let at = crate::stage::find(&got, b"\r\n\r\n").expect("a head") + 4;
        let got = unchunk(&got[at..]);
        assert!(
            got == self.sent.as_bytes(),
            "stream {number} is not what was said"
        );
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let line = crate::stage::find(rest, b"\r\n").expect("a chunk's head");
        let size = std::str::from_utf8(&rest[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&rest[line + 2..][..size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

/// A reload through the admin socket, without a process of its own.
async fn reload(served: &Served) -> Value {
    let socket: PathBuf = served.home.path().join("state/admin.sock");
    let mut stream = UnixStream::connect(socket).await.expect("the admin socket");
    stream
        .write_all(b"POST /reload HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        .await
        .expect("an open socket");
    let mut answer = String::new();
    within("the reload", stream.read_to_string(&mut answer))
        .await
        .expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("a document")
}

/// Every counter and histogram of the page.
async fn counters(served: &Served) -> BTreeMap<String, f64> {
    let page = served.page("/metrics").await.1;
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| {
            let name = series.split('{').next().unwrap_or(series);
            ["_total", "_count", "_sum", "_bucket"]
                .iter()
                .any(|end| name.ends_with(end))
        })
        .map(|(series, value)| (series.to_owned(), value.parse().expect("a number")))
        .collect()
}

/// One plain call; gives its request id.
async fn call(served: &Served, upstream: &Upstream, tenant: usize) -> String {
    let mut caller = Caller::connect(served.proxy).await;
    caller.send(&post(tenant, PLAIN)).await;
    let mut peer = upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, WHOLE);
    field(&head, "outrigger-request-id")
        .expect("an id")
        .to_owned()
}

#[tokio::test]
async fn a_hundred_reloads_under_two_hundred_streams_cut_none_and_reset_nothing() {
    let upstream = Upstream::bind().await;
    let mut served = Served::start(&text(&upstream, 0)).await;
    let file = served.home.path().join("outrigger.toml");
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        streams.push(Stream::open(&served, &upstream, number).await);
    }
    let mut generation = 1;
    let mut expected = BTreeMap::new();
    let mut before = counters(&served).await;
    for number in 1..=RELOADS {
        let result = match number % 3 {
            0 => "unchanged",
            1 => "published",
            _ => "rejected",
        };
        match result {
            "published" => std::fs::write(&file, text(&upstream, number)).expect("a file"),
            "rejected" => {
                let bad = text(&upstream, number).replace("1M/h", "many");
                std::fs::write(&file, bad).expect("a file");
            }
            // What the last good one said.
            _ => std::fs::write(&file, text(&upstream, number - 2)).expect("a file"),
        }
        let answer = reload(&served).await;
        assert_eq!(answer["result"], result, "{answer}");
        let now = answer["generation"].as_u64().expect("a generation");
        assert_eq!(now > generation, result == "published", "{answer}");
        generation = now;
        expected.insert(call(&served, &upstream, number).await, generation);
        // Every stream says something under every tenth, and some do under each.
        for (at, stream) in streams.iter_mut().enumerate() {
            if (at + number) % 10 == 0 {
                stream.step(at, number).await;
            }
        }
        let after = counters(&served).await;
        for (series, value) in &before {
            let now = after
                .get(series)
                .unwrap_or_else(|| panic!("{series} is gone"));
            assert!(now >= value, "{series} went back from {value} to {now}");
        }
        before = after;
    }
    for (number, stream) in streams.into_iter().enumerate() {
        stream.end(number).await;
    }
    until("the records", || {
        served.requests().len() == STREAMS + RELOADS
    })
    .await;
    check_records(&served.requests(), &expected);
    let page = served.page("/metrics").await.1;
    assert_eq!(
        crate::stage::sum(&page, "outrigger_requests_total", ""),
        300
    );
    let results = [("published", 34), ("rejected", 33), ("unchanged", 33)];
    for (result, count) in results {
        let counted = crate::stage::sum(&page, "outrigger_config_reloads_total", result);
        assert_eq!(counted, count, "{result}");
    }
    served
        .shows(&[
            "outrigger_snapshots_alive 1",
            "outrigger_open_requests{tenant=\"t0\"} 0",
        ])
        .await;
    served.signal(Signal::SIGTERM);
    assert!(served.end().await.success());
}

/// One record each, complete; the streams under the first generation, the calls under the one that ran.
fn check_records(records: &[Value], expected: &BTreeMap<String, u64>) {
    let mut ids = BTreeSet::new();
    for record in records {
        assert_eq!(record["ending"], "complete", "{record}");
        let id = record["request_id"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} twice");
        let generation = record["generation"].as_u64().expect("a generation");
        assert_eq!(
            generation,
            expected.get(id).copied().unwrap_or(1),
            "{record}"
        );
    }
}

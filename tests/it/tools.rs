//! Clients that hurt: the tools that people aim at servers, and one that reads a byte a second. While they do, a tenant
//! that behaves keeps being served; afterwards nothing is left. A tool that is not installed is skipped with a word.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outrigger::host;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::time::Instant;

use crate::pair::Pair;
use crate::stage::{Caller, PLAIN, hash_of, post, sum, within};

const CHAT: &str = "/openai/v1/chat/completions";

fn config(provider: SocketAddr) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nhead_timeout = \"1s\"\n[log]\nformat = \"json\"\n\
         [identity]\naccept = [\"key\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{provider}\"\nkey = \"of-the-operator\"\n\
         [policies.standard]\nbody_timeout = \"1s\"\n[tenants.good]\nkeys = [\"{}\"]\n[tenants.bad]\nkeys = [\"{}\"]\n",
        hash_of("key-of-good"),
        hash_of("key-of-bad"),
    )
}

/// What a tool said; none if it is not there.
async fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    let run = Command::new(name)
        .args(arguments)
        .env_remove("http_proxy")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match within(&format!("{name} {arguments:?}"), run).await {
        Ok(output) => Some(output),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {name} is not installed");
            None
        }
        Err(why) => panic!("{name}: {why}"),
    }
}

/// A tenant that behaves, one call after the other, until it is told to stop.
struct Good {
    stop: Arc<AtomicBool>,
    work: tokio::task::JoinHandle<(u32, Duration)>,
}

impl Good {
    fn start(at: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = host::spawn("good-tenant", async move {
            let (mut calls, mut slowest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let mut caller = Caller::connect(at).await;
                caller.send(&request("good", PLAIN, "")).await;
                let (head, _) = caller.answer().await;
                assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
                calls += 1;
                slowest = slowest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (calls, slowest)
        });
        Self { stop, work }
    }

    /// How it was served.
    async fn end(self, least: u32) {
        self.stop.store(true, Ordering::Relaxed);
        let (calls, slowest) = self.work.await.expect("every call is answered");
        assert!(
            calls >= least,
            "only {calls} calls, the slowest {slowest:?}"
        );
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    }
}

fn request(tenant: &str, body: &str, fields: &str) -> Vec<u8> {
    let text = String::from_utf8(post(CHAT, body)).expect("text");
    let fields = format!("\r\nauthorization: Bearer key-of-{tenant}\r\n{fields}\r\n");
    text.replacen("\r\n\r\n", &fields, 1).into_bytes()
}

/// The status that curl must see, and its arguments; names in braces are filled in.
const CURL: &str = "\
200 --http1.0 -H {json} --data-binary {small} {chat}
200 --http1.0 -H {json} --data-binary {stream} {chat}
200 --raw -H {json} --data-binary {stream} {chat}
200 -N --tcp-nodelay -H {json} --data-binary {stream} {chat}
200 -T {small-file} -X POST -H {json} {chat}
200 -T {big-file} -X POST -H {json} -H transfer-encoding:chunked {chat}
200 -H expect:100-continue -H {json} --data-binary {big} {chat}
200 -H expect: -H {json} --data-binary {big} {chat}
200 --limit-rate 8k -H {json} --data-binary {stream} {chat}
200 -H transfer-encoding:chunked -H {json} --data-binary {small} {chat}
200 --compressed -H {json} --data-binary {small} {chat}
200 --tr-encoding {models}
200 -r 0-9 {models}
200 -z 2030-01-01 {models}
200 --ignore-content-length -H connection:close {models}
200 -x {base} -H {json} --data-binary {small} {other}
200 -H connection:close,te,x-y -H x-y:z {models}
200 -A {nothing} -e http://x/ -b a=b {models}
404 {base}
400 --path-as-is {dots}
414 {long}
400 -H host: {models}
403 -H host:evil.example {models}
400 -H content-length:5 -H transfer-encoding:chunked -H {json} --data-binary {small} {chat}
415 -H content-type:text/plain --data-binary {small} {chat}
415 -F a=b {chat}
415 -d a=b {chat}
400 -X {two-words} {models}
401 -H authorization:Bearer_nobody {models}
401 -u a:b -H authorization: {models}";

/// What the braces stand for.
fn words(proxy: SocketAddr, home: &Path) -> Vec<(&'static str, String)> {
    let stream = "{\"model\":\"sim-chunks-40+sim-pace-yield\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    let big = PLAIN.replace("twelve bytes", &"lorem ipsum ".repeat(100_000));
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a path").to_owned()
    };
    let files = [
        file("small", PLAIN),
        file("big", &big),
        file("stream", stream),
    ];
    let [small, big, stream] = &files;
    let base = format!("http://{proxy}");
    vec![
        ("{json}", "content-type: application/json".to_owned()),
        ("{small}", format!("@{small}")),
        ("{big}", format!("@{big}")),
        ("{stream}", format!("@{stream}")),
        ("{small-file}", small.clone()),
        ("{big-file}", big.clone()),
        ("{chat}", format!("{base}{CHAT}")),
        ("{models}", format!("{base}/openai/v1/models")),
        (
            "{other}",
            format!("http://localhost:{}{CHAT}", proxy.port()),
        ),
        ("{dots}", format!("{base}/openai/v1/../v1/models")),
        (
            "{long}",
            format!("{base}/openai/v1/models?{}", "a".repeat(17_000)),
        ),
        ("{nothing}", String::new()),
        ("{two-words}", "GE T".to_owned()),
        ("{base}", base),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_with_odd_flags() {
    let pair = Pair::start(&[], config).await;
    let home = TempDir::new().expect("a directory");
    let words = words(pair.sidecar.proxy, home.path());
    let mut wrong = Vec::new();
    for line in CURL.lines() {
        let (status, rest) = line.split_once(' ').expect("a status");
        let mut all = vec!["-sS", "-o", "/dev/null", "-w", "%{http_code}"];
        if !rest.contains("authorization:") {
            all.extend(["-H", "authorization: Bearer key-of-bad"]);
        }
        all.extend(rest.split(' ').map(|word| {
            let filled = words.iter().find(|(name, _)| *name == word);
            filled.map_or(word, |(_, text)| text)
        }));
        let Some(output) = tool("curl", &all).await else {
            return;
        };
        let got = String::from_utf8_lossy(&output.stdout).into_owned();
        if got != status {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("{got} instead of {line}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    pair.at_rest().await;
    let calls = CURL.lines().count();
    assert_eq!(pair.sidecar.requests().len(), calls, "one record each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_tools_starve_nobody() {
    let pair = Pair::start(&[], config).await;
    let home = TempDir::new().expect("a directory");
    let good = Good::start(pair.sidecar.proxy);
    let url = format!("http://{}{CHAT}", pair.sidecar.proxy);
    let script = home.path().join("post.lua");
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.body = [[{PLAIN}]]\nwrk.headers[\"content-type\"] = \"application/json\"\n\
         wrk.headers[\"authorization\"] = \"Bearer key-of-bad\"\n"
    );
    std::fs::write(&script, lua).expect("a file");
    let script = script.to_str().expect("a path");
    if let Some(output) = tool("wrk", &["-t2", "-c64", "-d2s", "-s", script, &url]).await {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("Requests/sec")
                && !said.contains("Non-2xx")
                && !said.contains("Socket errors"),
            "{said}"
        );
    }
    let body = home.path().join("body");
    std::fs::write(&body, PLAIN).expect("a file");
    let body = body.to_str().expect("a path");
    let bad = "authorization: Bearer key-of-bad";
    for keep in ["-k", "-q"] {
        let arguments = [
            "-n",
            "600",
            "-c",
            "24",
            keep,
            "-p",
            body,
            "-T",
            "application/json",
            "-H",
            bad,
            &url,
        ];
        if let Some(output) = tool("ab", &arguments).await {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.contains("Failed requests:        0") && !said.contains("Non-2xx"),
                "{said}"
            );
        }
    }
    let http2 = [
        "-n",
        "600",
        "-c",
        "8",
        "-m",
        "10",
        "-d",
        body,
        "-H",
        bad,
        "-H",
        "content-type: application/json",
        &url,
    ];
    if let Some(output) = tool("h2load", &http2).await {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("600 succeeded, 0 failed, 0 errored, 0 timeout")
                && said.contains("status codes: 600 2xx"),
            "{said}"
        );
    }
    good.end(3).await;
    pair.at_rest().await;
    let page = pair.metrics().await;
    assert_eq!(sum(&page, "outrigger_panics_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_attackers_are_shown_out_and_starve_nobody() {
    let pair = Pair::start(&[], config).await;
    let before = pair.load().await;
    let good = Good::start(pair.sidecar.proxy);
    let chat = format!("http://{}{CHAT}", pair.sidecar.proxy);
    let models = format!("http://{}/openai/v1/models", pair.sidecar.proxy);
    let common = ["-c", "200", "-r", "200", "-l", "3", "-p", "1"];
    let heads = [&common[..], &["-H", "-i", "1", "-t", "GET", "-u", &models]].concat();
    let bodies = [&common[..], &["-B", "-i", "1", "-s", "4096", "-u", &chat]].concat();
    let reads = [
        &common[..],
        &[
            "-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3", "-u", &models,
        ],
    ]
    .concat();
    for arguments in [heads, bodies, reads] {
        if tool("slowhttptest", &arguments).await.is_none() {
            break;
        }
    }
    good.end(10).await;
    pair.at_rest().await;
    let after = pair.load().await;
    assert!(
        after.descriptors <= before.descriptors + 16,
        "{before:?}, {after:?}"
    );
}

/// Callers that read so slowly.
const SLOW: usize = 2;

/// A stream far larger than any buffer, read a byte a second, is held back at the provider; it fills no memory here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_a_byte_a_second_holds_up_only_itself() {
    let pair = Pair::start(&[], config).await;
    let before = pair.load().await;
    let body = "{\"model\":\"sim-bytes-8000000+sim-chunks-100\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let mut stream = within("a connection", socket.connect(pair.sidecar.proxy))
            .await
            .expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request("bad", body, ""))
            .await
            .expect("sent");
        slow.push(stream);
    }
    let mut good = None;
    for _ in 0..3 {
        for stream in &mut slow {
            within("a byte", stream.read_u8()).await.expect("a byte");
        }
        // The provider has written its answers now, which takes it a while.
        good.get_or_insert_with(|| Good::start(pair.sidecar.proxy));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let during = pair.load().await;
    assert!(
        during.resident < before.resident + (16 << 20),
        "{before:?}, {during:?}"
    );
    assert_eq!(
        sum(&pair.metrics().await, "outrigger_open_requests", "bad"),
        SLOW as u64
    );
    drop(slow);
    good.expect("a tenant that behaves").end(10).await;
    pair.at_rest().await;
    let lines = pair.sidecar.requests();
    let bad = lines.iter().filter(|line| line["tenant"] == "bad");
    let endings: Vec<_> = bad.map(|line| &line["ending"]).collect();
    assert_eq!(endings, ["caller-gone"; SLOW], "{lines:#?}");
}

//! The end of a serving process: SIGTERM drains, live streams finish, what does not finish in time is cut and recorded, and a
//! second signal means now. And the operator's own door to it, the admin socket.

use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::serve::{Served, outrigger};
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Upstream, WHOLE, chat, chunk, json, messages, post, until,
    within,
};

const PATH: &str = "/openai/v1/chat/completions";

fn config(upstream: &Upstream, drain: &str) -> String {
    let at = upstream.at;
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n\
         [drain]\n{drain}\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{at}\"\n\
         [upstreams.anthropic]\ndialect = \"anthropic\"\nurl = \"http://{at}\"\n\
         [identity]\ntenant = \"acme\"\n[tenants.acme]\nlimits.streams = 3\nlimits.queue = 5\nlimits.queue_wait = \"1m\"\n"
    )
}

async fn ask(served: &Served, path: &str, question: &str) -> Caller {
    let mut caller = Caller::connect(served.proxy).await;
    caller.send(&post(path, question)).await;
    caller
}

/// A stream of which the caller has one piece.
async fn stream(served: &Served, upstream: &Upstream) -> (Caller, Peer) {
    let talk = chat();
    let mut caller = ask(served, talk.path, talk.question).await;
    let mut peer = upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("piece-01").await;
    (caller, peer)
}

async fn not_ready(served: &Served) {
    within("the probe to fail", async {
        loop {
            let (head, _) = served.page("/readyz").await;
            if head.starts_with("HTTP/1.1 503 ") {
                return;
            }
        }
    })
    .await;
}

fn messages_of<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    let says = |line: &Value| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with(message))
    };
    lines.iter().filter(|line| says(line)).collect()
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_serves_until_it_is_quiet() {
    let upstream = Upstream::bind().await;
    let mut served = Served::start(&config(&upstream, "timeout = \"60s\"\nidle = \"100ms\"")).await;
    assert!(served.page("/readyz").await.0.starts_with("HTTP/1.1 200 "));
    let talk = chat();
    let (caller, mut peer) = stream(&served, &upstream).await;
    // One connection rests between two requests.
    let mut idle = Caller::connect(served.proxy).await;
    idle.send(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    idle.answer().await;

    served.signal(Signal::SIGTERM);
    assert!(idle.rest().await.is_empty(), "who rests is let go");
    not_ready(&served).await;
    assert!(served.page("/healthz").await.0.starts_with("HTTP/1.1 200 "));
    assert!(
        served
            .page("/metrics")
            .await
            .1
            .contains("\noutrigger_draining 1\n")
    );

    // The agent's own shutdown may still call a model.
    let mut late = ask(&served, PATH, PLAIN).await;
    let mut second = upstream.accept().await;
    second.request().await;
    second.send(&json(WHOLE)).await;
    let (head, body) = late.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("connection: close"),
        "one request only: {head}"
    );
    assert_eq!(body, WHOLE);

    for event in &talk.events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    let got = String::from_utf8(caller.rest().await).expect("a text");
    assert!(
        got.contains("piece-03") && got.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"),
        "{got}"
    );

    assert_eq!(served.end().await.code(), Some(0));
    let lines = served.lines();
    let endings: Vec<_> = messages_of(&lines, "request")
        .iter()
        .map(|line| line["ending"].clone())
        .collect();
    assert_eq!(endings, ["refused", "complete", "complete"]);
    assert_eq!(messages_of(&lines, "draining").len(), 1);
    assert_eq!(messages_of(&lines, "drained")[0]["cut"], 0);
}

#[tokio::test]
async fn the_deadline_of_a_drain_cuts_what_still_runs_and_records_it() {
    let upstream = Upstream::bind().await;
    let mut served =
        Served::start(&config(&upstream, "timeout = \"200ms\"\nidle = \"50ms\"")).await;
    // One stream of each shape of error event, one trip that waits for its answer, and one that waits for a slot.
    let (openai, _peer) = stream(&served, &upstream).await;
    let talk = messages();
    let mut anthropic = ask(&served, talk.path, talk.question).await;
    let mut second = upstream.accept().await;
    second.request().await;
    second.send(STREAM).await;
    for event in &talk.events[..2] {
        second.send(&chunk(event)).await;
    }
    anthropic.sees("piece-01").await;
    let waiting = ask(&served, PATH, PLAIN).await;
    let mut third = upstream.accept().await;
    third.request().await;
    let queued = ask(&served, PATH, PLAIN).await;
    let page = || async { served.page("/metrics").await.1 };
    within("the fourth to wait", async {
        while !page()
            .await
            .contains("outrigger_queue_waiting{tenant=\"acme\"} 1\n")
        {}
    })
    .await;

    served.signal(Signal::SIGTERM);
    let got = String::from_utf8(openai.rest().await).expect("a text");
    assert!(
        got.contains("piece-01") && got.contains("\n\ndata: {\"error\":{"),
        "{got}"
    );
    assert!(got.contains("\"code\":\"cut\""), "{got}");
    let got = String::from_utf8(anthropic.rest().await).expect("a text");
    assert!(
        got.contains("piece-01") && got.contains("\n\nevent: error\ndata: {"),
        "{got}"
    );
    for refused in [waiting, queued] {
        let got = String::from_utf8(refused.rest().await).expect("a text");
        assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
        assert!(got.contains("outrigger-code: draining"), "{got}");
    }
    assert_eq!(served.end().await.code(), Some(0));
    let lines = served.lines();
    let requests = messages_of(&lines, "request");
    assert_eq!(requests.len(), 4, "{requests:?}");
    for line in &requests {
        assert_eq!(line["ending"], "drained", "{line}");
        // What has begun is cut; what has no answer yet is refused.
        let begun = line["status"] == 200;
        let code = if begun { "cut" } else { "draining" };
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["cause"] == "draining", begun, "{line}");
    }
    assert_eq!(messages_of(&lines, "drained")[0]["cut"], 4);
}

#[tokio::test]
async fn a_second_signal_means_now() {
    let upstream = Upstream::bind().await;
    let mut served = Served::start(&config(&upstream, "timeout = \"1h\"\nidle = \"1h\"")).await;
    let (caller, _peer) = stream(&served, &upstream).await;
    served.signal(Signal::SIGTERM);
    not_ready(&served).await;
    served.signal(Signal::SIGTERM);
    assert_eq!(served.end().await.code(), Some(0));
    let got = String::from_utf8(caller.rest().await).expect("a text");
    assert!(got.contains("\"code\":\"cut\""), "{got}");
    let requests = served.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0]["ending"], "drained");
}

#[tokio::test]
async fn the_operator_reloads_looks_and_drains() {
    let upstream = Upstream::bind().await;
    let mut served = Served::start(&config(&upstream, "timeout = \"60s\"\nidle = \"50ms\"")).await;
    let socket = served.home.path().join("state/admin.sock");
    let mode = |path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(socket.clone()), 0o600);
    assert_eq!(mode(served.home.path().join("state")), 0o700);

    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let health = served.ctl("health").await;
    assert_eq!(health.status.code(), Some(0), "{health:?}");
    let reload = served.ctl("reload").await;
    assert_eq!(reload.status.code(), Some(0));
    assert!(said(&reload).contains("\"unchanged\""), "{}", said(&reload));

    let file = served.home.path().join("outrigger.toml");
    let good = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(&file, format!("{good}limits.stream = 1\n")).expect("a file");
    let reload = served.ctl("reload").await;
    assert_eq!(reload.status.code(), Some(1));
    let why = String::from_utf8_lossy(&reload.stderr);
    assert!(why.contains("did you mean `streams`"), "a hint: {why}");
    let config = served.ctl("config").await;
    let state: Value = serde_json::from_slice(&config.stdout).expect("a document");
    assert_eq!(state["generation"], 1);
    assert!(
        state["rejected"]["problems"]
            .as_str()
            .is_some_and(|text| text.contains("did you mean `streams`"))
    );
    let page = served.page("/metrics").await.1;
    assert!(
        page.contains("\noutrigger_config_last_reload_successful 0\n"),
        "{page}"
    );

    std::fs::write(&file, good.replace("streams = 3", "streams = 4")).expect("a file");
    served.signal(Signal::SIGHUP);
    within("the reload", async {
        while !served
            .page("/metrics")
            .await
            .1
            .contains("\noutrigger_config_last_reload_successful 1\n")
        {}
    })
    .await;
    let state: Value =
        serde_json::from_slice(&served.ctl("config").await.stdout).expect("a document");
    assert!(state["generation"].as_u64() > Some(1), "{state}");
    assert_eq!(state["rejected"], Value::Null);

    let drain = served.ctl("drain").await;
    assert_eq!(drain.status.code(), Some(0), "{drain:?}");
    assert_eq!(served.end().await.code(), Some(0));
    assert!(!socket.exists(), "the socket is left behind");
    let gone = served.ctl("health").await;
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
    let calls = served.lines();
    let calls = messages_of(&calls, "admin call");
    assert_eq!(calls.len(), 6, "{calls:?}");
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_file_would_let_it_in() {
    const NOBODY: u32 = 65_534;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let upstream = Upstream::bind().await;
    let served = Served::start(&config(&upstream, "")).await;
    let program = served.home.path().join("outrigger");
    std::fs::copy(env!("CARGO_BIN_EXE_outrigger"), &program).expect("a copy");
    let ctl = || {
        let mut command = outrigger(served.home.path());
        let as_std = command.as_std_mut();
        let mut other = std::process::Command::new(&program);
        other.envs(
            as_std
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let mut other = tokio::process::Command::from(other);
        other
            .args(["ctl", "--state", "state", "drain"])
            .current_dir(served.home.path())
            .uid(NOBODY)
            .gid(NOBODY);
        other
    };
    let open = |path: &str, mode| {
        let path = served.home.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    open("", 0o755);
    open("outrigger", 0o755);
    // Another test's child may hold the copy open for writing until its exec.
    let shut = within("ctl", async {
        loop {
            match ctl().output().await {
                Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => return other,
            }
        }
    });
    let shut = shut.await.expect("the program");
    assert_eq!(
        shut.status.code(),
        Some(69),
        "kept out by the file: {shut:?}"
    );

    open("state", 0o755);
    open("state/admin.sock", 0o666);
    let denied = within("ctl", ctl().output()).await.expect("the program");
    assert_eq!(denied.status.code(), Some(1), "{denied:?}");
    until("the call in the log", || {
        let lines = served.lines();
        messages_of(&lines, "admin call").iter().any(|line| {
            line["outcome"] == "denied"
                && line["who"] == format!("uid:{NOBODY}")
                && line["verb"] == "drain"
        })
    })
    .await;
    assert!(
        served.page("/readyz").await.0.starts_with("HTTP/1.1 200 "),
        "it still serves"
    );
}

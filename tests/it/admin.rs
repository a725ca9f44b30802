//! The operator's hand on a running sidecar: a tenant suspended, resumed and cut, and nobody else touched.
//! Must never cut by ending a connection: the caller is told in its dialect's own words.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use outrigger::app::Source;

use crate::serve::{Served, outrigger};
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Talk, Upstream, WHOLE, chat, chunk, field, hash_of,
    json, messages, responses, sum, until, within,
};

/// Two tenants with a key each; `acme` has one slot and a queue.
async fn two() -> Stage {
    let upstream = Upstream::bind().await;
    let at = upstream.at;
    let text = format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{at}\"\n\
         [upstreams.anthropic]\ndialect = \"anthropic\"\nurl = \"http://{at}\"\n\
         [tenants.acme]\nkeys = [\"{}\"]\nlimits = {{ streams = 3, queue = 5, queue_wait = \"1m\" }}\n\
         [tenants.globex]\nkeys = [\"{}\"]\n",
        hash_of("key-of-acme"),
        hash_of("key-of-globex"),
    );
    Stage::with(upstream, Source::Text("test", text))
}

async fn ask(stage: &Stage, tenant: &str, path: &str, question: &str) -> Caller {
    let mut caller = stage.caller().await;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-of-{tenant}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{question}",
        question.len()
    );
    caller.send(request.as_bytes()).await;
    caller
}

/// A stream of which the caller has the first event.
async fn stream(stage: &Stage, tenant: &str, talk: &Talk) -> (Caller, Peer) {
    let mut caller = ask(stage, tenant, talk.path, talk.question).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("data: {").await;
    (caller, peer)
}

async fn finish(talk: &Talk, mut caller: Caller, mut peer: Peer) -> String {
    for event in &talk.events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    caller.finish().await;
    String::from_utf8(caller.got()).expect("a text")
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_what_it_has_under_way_goes_on_and_nobody_else_notices() {
    let mut stage = two().await;
    let talk = chat();
    let (caller, peer) = stream(&stage, "acme", &talk).await;

    stage.account("acme").suspend();
    let (head, body) = ask(&stage, "acme", talk.path, PLAIN).await.answer().await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(field(&head, "outrigger-code"), Some("tenant-suspended"));
    assert_eq!(field(&head, "x-should-retry"), Some("false"));
    assert_eq!(field(&head, "retry-after"), None);
    assert!(body.contains("\"type\":\"permission_error\""), "{body}");
    let (head, body) = ask(&stage, "acme", messages().path, messages().question)
        .await
        .answer()
        .await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(body.contains("\"type\":\"error\""), "{body}");

    let mut neighbour = ask(&stage, "globex", talk.path, PLAIN).await;
    let mut second = stage.upstream.accept().await;
    second.request().await;
    second.send(&json(WHOLE)).await;
    assert!(neighbour.answer().await.0.starts_with("HTTP/1.1 200 "));

    let got = finish(&talk, caller, peer).await;
    assert!(got.contains("piece-03") && got.contains("[DONE]"), "{got}");

    stage.account("acme").resume();
    let mut back = ask(&stage, "acme", talk.path, PLAIN).await;
    let mut third = stage.upstream.accept().await;
    third.request().await;
    third.send(&json(WHOLE)).await;
    assert!(back.answer().await.0.starts_with("HTTP/1.1 200 "));

    stage.ended(5).await;
    let refused: Vec<_> = stage
        .lines()
        .into_iter()
        .filter(|line| line["code"] == "tenant-suspended")
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for line in refused {
        assert_eq!(line["tenant"], "acme");
        assert_eq!(line["ending"], "refused");
        assert_eq!(line["ended_in"], "admit");
    }
}

/// In the middle of a stream of each dialect, before an answer, and in the queue: all of one tenant, none of another.
#[tokio::test]
async fn a_cut_ends_whatever_one_tenant_has_under_way_and_nothing_of_another() {
    let mut stage = two().await;
    let talks = [chat(), responses(), messages()];
    let mut cut = Vec::new();
    for talk in &talks[..2] {
        cut.push(stream(&stage, "acme", talk).await);
    }
    let mut unanswered = ask(&stage, "acme", talks[2].path, talks[2].question).await;
    let mut silent = stage.upstream.accept().await;
    silent.request().await;
    let mut queued = ask(&stage, "acme", chat().path, PLAIN).await;
    let account = stage.account("acme");
    until("the wait", || account.waiting() == 1).await;
    let spared = stream(&stage, "globex", &talks[2]).await;

    account.suspend();
    account.cut();
    stage.sidecar.nudge();
    // Whoever resumes at once spares nothing.
    account.resume();
    for (mut caller, peer) in cut {
        caller.finish().await;
        let got = String::from_utf8(caller.got()).expect("a text");
        assert!(got.contains("\"outrigger\":{\"code\":\"cut\""), "{got}");
        assert!(!got.contains("[DONE]"), "a happy ending: {got}");
        peer.gone().await;
    }
    for caller in [&mut unanswered, &mut queued] {
        let (head, _) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert_eq!(field(&head, "outrigger-code"), Some("tenant-suspended"));
    }
    silent.gone().await;

    let (caller, peer) = spared;
    let got = finish(&talks[2], caller, peer).await;
    assert!(got.contains("message_stop"), "{got}");
    assert!(!got.contains("\"cut\""), "{got}");

    stage.ended(5).await;
    let lines = stage.lines();
    let of = |tenant: &str, code: &str| {
        let is_it = |line: &&serde_json::Value| line["tenant"] == *tenant && line["code"] == *code;
        lines.iter().filter(is_it).count()
    };
    assert_eq!(of("acme", "cut"), 2, "{lines:?}");
    assert_eq!(of("acme", "tenant-suspended"), 2, "{lines:?}");
    for line in lines.iter().filter(|line| line["tenant"] == "acme") {
        assert_eq!(line["ending"], "cut-off", "{line}");
        let cause = (line["code"] == "cut").then_some("tenant-suspended");
        assert_eq!(line["cause"].as_str(), cause, "{line}");
    }
    let spared = lines.iter().find(|line| line["tenant"] == "globex");
    assert_eq!(spared.expect("a line")["ending"], "complete");
}

#[tokio::test]
async fn a_connection_that_a_cut_passed_by_serves_on() {
    let mut stage = two().await;
    let mut idle = ask(&stage, "globex", chat().path, PLAIN).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    idle.answer().await;
    for _ in 0..3 {
        stage.account("acme").cut();
        stage.sidecar.nudge();
    }
    idle.send(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let (head, _) = idle.answer().await;
    assert!(!head.contains("connection: close"), "{head}");
    stage.ended(2).await;
    stage.lines();
}

const READ: &str = "read-token-0123456789abcdef";
const OPERATE: &str = "operate-token-0123456789abc";

/// A serving process with an admin port and a token for each role, and where the port is.
async fn with_port(added: &str) -> (Served, SocketAddr) {
    let tokens = tempfile::TempDir::new().expect("a directory");
    let file = |name: &str, token: &str| {
        let path = tokens.path().join(name);
        std::fs::write(&path, format!("{token}\n")).expect("a file");
        format!(
            "[admin.tokens.{name}]\nrole = \"{name}\"\ntoken = \"${{file:{}}}\"\n",
            path.display()
        )
    };
    let config = format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = [\"unix:admin.sock\", \"127.0.0.1:0\"]\n\
         [reload]\nwatch = \"off\"\npoll = \"off\"\n[drain]\nidle = \"10ms\"\n{}{}\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n{added}",
        file("read", READ),
        file("operate", OPERATE),
    );
    let mut served = Served::start(&config).await;
    served.keeps(tokens);
    let at = served.at("admin");
    (served, at)
}

/// One request with these fields; the head of the answer and its body.
async fn knock(at: SocketAddr, line: &str, fields: &str) -> (String, String) {
    let mut caller = Caller::connect(at).await;
    caller
        .send(format!("{line} HTTP/1.1\r\n{fields}\r\n").as_bytes())
        .await;
    caller.answer().await
}

fn bearer(token: &str) -> String {
    format!("host: localhost\r\nauthorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_token_has_a_role_and_without_one_nothing_is_said() {
    let (served, at) = with_port("[tenants.acme]\n").await;
    let status = async |line: &str, fields: &str| {
        let (head, _) = knock(at, line, fields).await;
        head[9..12].to_owned()
    };
    let (read, operate) = (bearer(READ), bearer(OPERATE));
    assert_eq!(status("GET /health", &read).await, "200");
    assert_eq!(status("GET /config", &read).await, "200");
    assert_eq!(status("POST /reload", &read).await, "403");
    assert_eq!(status("POST /reload", &operate).await, "200");
    assert_eq!(status("PUT /loglevel?level=debug", &operate).await, "200");
    assert_eq!(status("GET /reload", &operate).await, "405");
    assert_eq!(status("DELETE /tenants/acme", &operate).await, "405");
    assert_eq!(status("GET /nowhere", &operate).await, "404");
    assert_eq!(status("GET /nowhere", "host: localhost\r\n").await, "401");
    let twice = format!("{read}authorization: Bearer {OPERATE}\r\n");
    for wrong in [
        bearer(&READ[1..]),
        bearer(""),
        "host: localhost\r\n".to_owned(),
        format!("host: localhost\r\nauthorization: {READ}\r\n"),
        twice,
    ] {
        let (head, body) = knock(at, "GET /config", &wrong).await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{wrong}: {head}");
        assert_eq!(field(&head, "www-authenticate"), Some("Bearer"));
        assert!(!body.contains("generation"), "{body}");
    }
    let page = served.page("/metrics").await.1;
    let calls = |verb: &str, result: &str| {
        let labels = format!("{{verb=\"{verb}\",result=\"{result}\"}}");
        sum(&page, "outrigger_admin_calls_total", &labels)
    };
    assert_eq!(calls("config", "denied"), 5, "{page}");
    assert_eq!(calls("reload", "denied"), 1);
    assert_eq!(calls("reload", "done"), 1);
    assert_eq!(calls("unknown", "denied"), 1);
    let lines = served.lines();
    let told = |who: &str, verb: &str, outcome: &str| {
        lines.iter().any(|line| {
            line["message"] == "admin call"
                && line["who"] == *who
                && line["verb"] == *verb
                && line["outcome"] == *outcome
        })
    };
    assert!(told("token:read", "reload", "denied"), "{lines:?}");
    assert!(told("token:operate", "reload", "done"));
    assert!(told("nobody", "config", "denied"));
    for line in &lines {
        assert!(!line.to_string().contains("token-0123"), "{line}");
    }
}

/// A page cannot make a browser ask anything, whatever it can make it send along.
#[tokio::test]
async fn pages_are_refused_at_every_door_of_the_sidecar() {
    let (served, at) = with_port("").await;
    let operate = bearer(OPERATE);
    let doors = [
        (at, "POST /reload", operate.as_str()),
        (served.telemetry, "GET /metrics", "host: localhost\r\n"),
    ];
    for (door, line, fields) in doors {
        assert!(knock(door, line, fields).await.0.contains(" 200 "));
        let typed = format!("{fields}sec-fetch-site: none\r\n");
        assert!(knock(door, line, &typed).await.0.contains(" 200 "));
        let rebound = fields.replace("host: localhost", "host: evil.example");
        let twice = format!("{fields}host: evil.example\r\n");
        for page in [
            format!("{fields}origin: http://localhost\r\n"),
            format!("{fields}origin: null\r\ncontent-type: text/plain\r\n"),
            format!("{fields}sec-fetch-site: cross-site\r\n"),
            format!("{fields}sec-fetch-site: same-origin\r\n"),
            rebound,
            twice,
        ] {
            let (head, _) = knock(door, line, &page).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{page}: {head}");
        }
        let (head, _) = knock(door, "GET http://evil.example/metrics", fields).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    }
    let lines = served.lines();
    let unchanged = |line: &&serde_json::Value| line["message"] == "config unchanged";
    assert_eq!(lines.iter().filter(unchanged).count(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_token_is_changed_by_changing_its_file() {
    let (served, at) = with_port("").await;
    let config = std::fs::read_to_string(served.home.path().join("outrigger.toml")).unwrap();
    let path = config
        .lines()
        .filter_map(|line| line.strip_prefix("token = \"${file:"))
        .find_map(|path| path.strip_suffix("/read}\""))
        .expect("the tokens' directory");
    let fresh = "another-token-9876543210abc";
    std::fs::write(format!("{path}/read"), fresh).expect("a file");
    let health = async |token: &str| knock(at, "GET /health", &bearer(token)).await.0;
    assert!(health(READ).await.contains(" 200 "), "not read yet");
    let reload = served.ctl("reload").await;
    assert_eq!(reload.status.code(), Some(0), "{reload:?}");
    assert!(health(fresh).await.contains(" 200 "));
    assert!(health(READ).await.contains(" 401 "), "the old one is void");
    std::fs::write(format!("{path}/read"), "short").expect("a file");
    assert_eq!(served.ctl("reload").await.status.code(), Some(1));
    assert!(health(fresh).await.contains(" 200 "), "what ran goes on");
}

#[tokio::test]
async fn who_crowds_the_port_keeps_nobody_from_the_socket() {
    let (served, at) = with_port("").await;
    let mut crowd = Vec::new();
    for _ in 0..16 {
        let mut caller = Caller::connect(at).await;
        caller.send(b"GET /health HTTP/1.1\r\n").await;
        crowd.push(caller);
    }
    within("the port to be full", async {
        loop {
            let got = Caller::connect(at).await.rest().await;
            if got.starts_with(b"HTTP/1.1 503 ") {
                let text = String::from_utf8_lossy(&got).into_owned();
                let (head, body) = text.split_once("\r\n\r\n").expect("a head");
                assert_eq!(
                    field(head, "content-length"),
                    Some(&*body.len().to_string())
                );
                return;
            }
        }
    })
    .await;
    assert_eq!(served.ctl("health").await.status.code(), Some(0));
    drop(crowd);
    within("a place", async {
        while !knock(at, "GET /health", &bearer(READ))
            .await
            .0
            .contains(" 200 ")
        {}
    })
    .await;
}

#[tokio::test]
async fn a_head_without_end_and_a_body_that_nobody_wants_are_bounded() {
    let (_served, at) = with_port("").await;
    let mut caller = Caller::connect(at).await;
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(64 * 1024));
    caller.send(long.as_bytes()).await;
    let got = caller.rest().await;
    assert!(
        got.is_empty() || got.starts_with(b"HTTP/1.1 4"),
        "{}",
        got.escape_ascii()
    );
    let mut caller = Caller::connect(at).await;
    let post = format!(
        "POST /reload HTTP/1.1\r\n{}content-length: 1000000000\r\n\r\n",
        bearer(OPERATE)
    );
    caller.send(post.as_bytes()).await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "not waited for: {head}");
}

/// Piece by piece, in the order of their ids, whole or from where one left off.
#[tokio::test]
async fn ten_thousand_tenants_are_listed() {
    const MANY: usize = 10_000;
    let tenants: String = (0..MANY).fold(String::new(), |mut text, number| {
        let hash = hash_of(&format!("key-{number}"));
        let _ = write!(
            text,
            "[tenants.t{number:05}]\nkeys = [\"{hash}\"]\nlimits.streams = 3\n"
        );
        text
    });
    let (served, _) = with_port(&tenants).await;
    let listed = async |args: &[&str]| {
        let mut command = outrigger(served.home.path());
        command.args(["ctl", "--json", "--state", "state", "tenants"]);
        let output = within("the list", command.args(args).output()).await;
        let text = String::from_utf8(output.expect("the program").stdout).expect("a text");
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a document"))
            .collect::<Vec<_>>()
    };
    let all = listed(&[]).await;
    assert_eq!(all.len(), MANY);
    for (number, tenant) in all.iter().enumerate() {
        assert_eq!(tenant["tenant"], format!("t{number:05}"));
        assert_eq!(tenant["limits"]["streams"]["left"], 3);
    }
    let page = listed(&["--after", "t00099", "--limit", "2"]).await;
    let ids: Vec<_> = page.iter().map(|tenant| &tenant["tenant"]).collect();
    assert_eq!(ids, ["t00100", "t00101"]);
    assert_eq!(listed(&["t09999"]).await.len(), 1);
}

#[tokio::test]
async fn others_may_call_through_the_socket_as_far_as_they_are_named() {
    const LOOKS: u32 = 64_001;
    const ACTS: u32 = 64_002;
    const STRANGER: u32 = 64_003;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let place = tempfile::TempDir::new().expect("a directory");
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    open(place.path(), 0o755);
    let socket = place.path().join("run/admin.sock");
    std::fs::create_dir(place.path().join("run")).expect("a directory");
    open(&place.path().join("run"), 0o755);
    let _served = Served::start(&format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"unix:{}\"\n\
         [admin]\nread = [\"uid:{LOOKS}\"]\noperate = [\"gid:{ACTS}\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n",
        socket.display()
    ))
    .await;
    let program = place.path().join("outrigger");
    std::fs::copy(env!("CARGO_BIN_EXE_outrigger"), &program).expect("a copy");
    open(&program, 0o755);
    let code = async |id: u32, verb: &str| {
        within("ctl", async {
            loop {
                let mut command = tokio::process::Command::new(&program);
                command.args(["ctl", "--admin"]).arg(&socket).arg(verb);
                match command.uid(id).gid(id).output().await {
                    // Another test's child may hold the copy open for writing until its exec.
                    Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                    other => return other.expect("the program").status.code(),
                }
            }
        })
        .await
    };
    assert_eq!(code(LOOKS, "health").await, Some(0));
    assert_eq!(code(LOOKS, "reload").await, Some(1));
    assert_eq!(code(ACTS, "reload").await, Some(0));
    assert_eq!(code(STRANGER, "health").await, Some(1));
}

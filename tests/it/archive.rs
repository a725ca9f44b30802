//! What was done and what it cost, over the admin door: all of it for who may see all, and one tenant's own for who is its.
//! Must never believe a filter because a list is empty: the same question of another caller has an answer.

use std::net::SocketAddr;

use serde_json::Value;

use crate::serve::Served;
use crate::stage::{Caller, Upstream, field, hash_of, json, sum, until, within};

const ALL: &str = "sees-all-0123456789abcdef";
const OPERATES: &str = "operates-0123456789abcdef";
const ACME: &str = "sees-acme-0123456789abcde";

/// Two tenants, of which each has made one call.
async fn two() -> (Served, SocketAddr) {
    let upstream = Upstream::bind().await;
    let config = format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = [\"unix:admin.sock\", \"127.0.0.1:0\"]\n\
         [journal]\n[reload]\nwatch = \"off\"\npoll = \"off\"\n[drain]\nidle = \"10ms\"\n\
         [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\n\
         [tenants.acme]\nkeys = [\"{}\"]\nrevenue = \"0 USD/month\"\n\
         [tenants.globex]\nkeys = [\"{}\"]\n\
         [admin.tokens.all]\nrole = \"read\"\ntoken = \"{ALL}\"\n\
         [admin.tokens.operates]\nrole = \"operate\"\ntoken = \"{OPERATES}\"\n\
         [admin.tokens.acme]\nrole = \"read\"\ntoken = \"{ACME}\"\ntenant = \"acme\"\n",
        upstream.at,
        hash_of("key-of-acme"),
        hash_of("key-of-globex"),
    );
    let served = Served::start(&config).await;
    for tenant in ["acme", "globex"] {
        let body = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
        let request = format!(
            "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-of-{tenant}\r\n\
             outrigger-agent: agent-of-{tenant}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut caller = Caller::connect(served.proxy).await;
        caller.send(request.as_bytes()).await;
        let mut peer = upstream.accept().await;
        peer.request().await;
        let usage = r#"{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}"#;
        peer.send(&json(&format!(
            r#"{{"id":"c","model":"m","choices":[],"usage":{usage}}}"#
        )))
        .await;
        peer.close_after().await;
        caller.answer().await;
    }
    until("both records", || served.requests().len() == 2).await;
    let at = served.at("admin");
    // Ends wait a moment for somebody to take them along.
    let mut ends = 0;
    while ends < 2 {
        let (_, body) = ask(at, ALL, "/audit").await;
        ends = lines(&body)
            .iter()
            .filter(|line| line["kind"] == "end")
            .count();
    }
    (served, at)
}

async fn ask(at: SocketAddr, token: &str, target: &str) -> (String, String) {
    call(at, token, &format!("GET {target}")).await
}

async fn call(at: SocketAddr, token: &str, line: &str) -> (String, String) {
    let mut caller = Caller::connect(at).await;
    let request =
        format!("{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    caller.send(request.as_bytes()).await;
    caller.finish().await;
    let answer = String::from_utf8(caller.got()).expect("a text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The documents of an answer, in chunks or not.
fn lines(body: &str) -> Vec<Value> {
    let documents = body.lines().filter(|line| line.starts_with('{'));
    documents
        .map(|line| serde_json::from_str(line).expect("a document"))
        .collect()
}

async fn status(at: SocketAddr, token: &str, target: &str) -> String {
    ask(at, token, target).await.0[9..12].to_owned()
}

#[tokio::test]
async fn each_caller_sees_its_own_scope_of_costs_and_records() {
    let (served, at) = two().await;
    let tenants = |documents: &[Value]| {
        let mut names: Vec<_> = documents
            .iter()
            .filter_map(|line| line["tenant"].as_str().map(str::to_owned))
            .collect();
        names.dedup();
        names
    };
    let all = lines(&ask(at, ALL, "/costs").await.1);
    assert_eq!(tenants(&all), ["acme", "globex"], "{all:?}");
    assert_eq!(all[0]["total_nano_usd"], 25_000_000);
    assert_eq!(all[0]["margin"], "subsidised");
    assert_eq!(all[1].get("margin"), None, "of globex nothing is said");
    let by = "/costs?by=agent,day&since=2020-01-01&tenant=globex";
    let one = lines(&ask(at, ALL, by).await.1);
    assert_eq!(one.len(), 1, "{one:?}");
    assert_eq!(one[0]["agent"], "agent-of-globex");

    let own = lines(&ask(at, ACME, "/costs").await.1);
    assert_eq!(tenants(&own), ["acme"], "{own:?}");
    assert_eq!(own[0]["total_nano_usd"], 25_000_000);
    assert_eq!(
        own[0].get("margin"),
        None,
        "its own margin is not its to see"
    );
    for target in [
        "/audit",
        "/audit?after=0-0",
        "/audit?tenant=acme",
        "/costs?by=agent",
    ] {
        let (head, body) = ask(at, ACME, target).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        assert!(!body.contains("globex") && body.contains("acme"), "{body}");
    }
    for target in ["/tenants", "/tenants?limit=9", "/tenants/acme", "/budgets"] {
        let (head, body) = ask(at, ACME, target).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        assert!(!body.contains("globex"), "{body}");
    }
    for target in ["/health", "/config", "/loglevel", "/audit/verify"] {
        assert_eq!(status(at, ACME, target).await, "403", "{target}");
        assert_eq!(status(at, ALL, target).await, "200", "{target}");
    }
    for path in ["/tenants/", "/budgets/", "/costs?tenant=", "/audit?tenant="] {
        let (head, there) = ask(at, ACME, &format!("{path}globex")).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        let (_, nowhere) = ask(at, ACME, &format!("{path}nobody-there")).await;
        assert_eq!(there, nowhere, "whether it exists is not said");
    }
    for target in ["/costs?by=weather", "/audit?after=x", "/costs?since=soon"] {
        assert_eq!(status(at, ALL, target).await, "400", "{target}");
    }
    let page = served.page("/metrics").await.1;
    let calls = |labels: &str| sum(&page, "outrigger_admin_calls_total", labels);
    assert_eq!(calls("{verb=\"verify\",result=\"denied\"}"), 1, "{page}");
    assert_eq!(calls("{verb=\"costs\",result=\"done\"}"), 4);
}

#[tokio::test]
async fn who_goes_on_where_the_last_answer_ended_sees_every_record_once() {
    let (_served, at) = two().await;
    let (mut after, mut seen) = ("0-0".to_owned(), Vec::new());
    loop {
        let target = format!("/audit?limit=1&after={after}");
        let (head, body) = ask(at, ALL, &target).await;
        let records = lines(&body);
        let Some(record) = records.first() else { break };
        assert_eq!(records.len(), 1);
        seen.push((record["tenant_number"].clone(), record["seq"].clone()));
        after = field(&head, "outrigger-next").expect("a place").to_owned();
    }
    let whole = lines(&ask(at, ALL, "/audit?after=0-0").await.1);
    assert_eq!(seen.len(), whole.len());
    assert!(
        seen.len() >= 5,
        "a start, and two records of each: {seen:?}"
    );
    let mut once = seen.clone();
    once.sort_by_key(|(number, seq)| format!("{number} {seq}"));
    once.dedup();
    assert_eq!(once.len(), seen.len());
    let verdict = lines(&ask(at, ALL, "/audit/verify").await.1);
    assert_eq!(verdict[0]["validity"], "valid", "{verdict:?}");
}

#[tokio::test]
async fn an_erased_tenant_cannot_be_read_and_still_adds_up() {
    let (served, at) = two().await;
    for (token, target) in [
        (ALL, "/audit/acme/erase?sure=true"),
        (ACME, "/audit/acme/erase?sure=true"),
        (OPERATES, "/audit/acme/erase"),
        (OPERATES, "/audit/nobody-there/erase?sure=true"),
    ] {
        let (head, _) = call(at, token, &format!("POST {target}")).await;
        assert!(head.starts_with("HTTP/1.1 40"), "{target}: {head}");
    }
    let before = lines(&ask(at, ALL, "/audit?tenant=acme").await.1);
    assert!(before.iter().all(|line| line["entry"].is_object()));
    // A second sidecar's worth of hands: the verb finds the journal in use, and asks.
    let mut erase = crate::serve::outrigger(served.home.path());
    erase.args([
        "audit", "erase", "--state", "state", "--tenant", "acme", "--yes",
    ]);
    let erased = erase.output().await.expect("the program");
    assert_eq!(erased.status.code(), Some(0), "{erased:?}");
    let after = lines(&ask(at, ALL, "/audit?tenant=acme").await.1);
    let told = after
        .iter()
        .find(|line| line["kind"] == "erase")
        .expect("a record");
    let by = told["entry"]["by"].as_str().expect("who");
    assert!(by.starts_with("uid:"), "{told}");
    let rest = after.iter().filter(|line| line["kind"] != "erase");
    assert!(
        rest.clone().all(|line| line["entry"].is_null()),
        "{after:?}"
    );
    assert_eq!(rest.count(), before.len());
    let mut show = crate::serve::outrigger(served.home.path());
    show.args(["audit", "show", "--state", "state", "--tenant", "acme"]);
    let shown = show.output().await.expect("the program").stdout;
    let shown = String::from_utf8(shown).expect("a text");
    assert!(shown.contains(&format!("erase: erase, by {by}")), "{shown}");
    let costs = lines(&ask(at, ALL, "/costs").await.1);
    assert_eq!(costs[0]["total_nano_usd"], 25_000_000, "{costs:?}");
    let others = lines(&ask(at, ALL, "/audit?tenant=globex").await.1);
    assert!(others.iter().all(|line| line["entry"].is_object()));
    let verdict = lines(&ask(at, ALL, "/audit/verify").await.1);
    assert_eq!(verdict[0]["validity"], "valid", "{verdict:?}");
}

/// A file that whoever reads it waits for, until somebody lets it go.
fn trap(served: &Served, name: &str) -> std::path::PathBuf {
    let path = served.home.path().join("state/journal/segments").join(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    path
}

/// Who reads it, if anybody does, is held until this is dropped.
fn holds(trap: &std::path::Path) -> Option<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let at_once = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut how = std::fs::OpenOptions::new();
    how.write(true).custom_flags(at_once).open(trap).ok()
}

/// The journal has one reader at a time; one whose caller has gone stops before its next file.
#[tokio::test]
async fn a_verification_keeps_others_out_and_ends_with_who_asked_for_it() {
    let (served, at) = two().await;
    // The newest is read first; then the others, one after the other.
    let (first, second) = (
        trap(&served, "0000000000000009.points"),
        trap(&served, "0000000000000002.points"),
    );
    let mut caller = Caller::connect(at).await;
    let request = format!(
        "GET /audit/verify HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ALL}\r\n\r\n"
    );
    caller.send(request.as_bytes()).await;
    let mut held = None;
    until("the verification to begin", || {
        held = holds(&first);
        held.is_some()
    })
    .await;
    let (head, body) = ask(at, ALL, "/costs").await;
    let refusal = head + &body;
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert!(refusal.contains("\"error\":\"busy\""), "{refusal}");
    let page = served.page("/metrics").await.1;
    let refused = sum(
        &page,
        "outrigger_admin_calls_total",
        "{verb=\"costs\",result=\"busy\"}",
    );
    assert_eq!(refused, 1, "{page}");

    drop(caller);
    within("the caller to be gone", async {
        let open = |page: &str| sum(page, "outrigger_tasks", "{task=\"admin-connection\"}");
        while open(&served.page("/metrics").await.1) > 0 {}
    })
    .await;
    drop(held);
    let head = within("the next one's turn", async {
        loop {
            let (head, _) = ask(at, ALL, "/costs").await;
            if !head.starts_with("HTTP/1.1 503 ") {
                return head;
            }
        }
    })
    .await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(holds(&second).is_none(), "nobody reads on");
}

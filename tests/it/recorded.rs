//! What is on record: an intent before anything leaves, an end when it is over, and budgets that a new process knows of.

use std::ops::ControlFlow;
use std::path::Path;

use outrigger::app::Source;
use outrigger::journal::{Kind, Reader, Wanted, verify};
use serde_json::Value;

use crate::stage::{END, STREAM, Stage, Upstream, chunk, config, field, json, post, until};

const CHAT: &str = "/openai/v1/chat/completions";

const PRICED: &str = "budgets.total = { amount = \"1 USD\", per = \"total\" }\n[journal]\n\
    [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n";

fn question(cap: u64) -> String {
    format!(
        r#"{{"model":"m","max_tokens":{cap},"messages":[{{"role":"user","content":"a secret"}}]}}"#
    )
}

fn answer(input: u64, output: u64) -> String {
    format!(
        r#"{{"id":"c","model":"m","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
        input + output
    )
}

async fn stage(state: &Path) -> Stage {
    stage_with(state, PRICED).await
}

async fn stage_with(state: &Path, added: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, added);
    Stage::keeping(upstream, Source::Text("test", text), state)
}

/// Every record of `acme`: its kind, its amount, what it says.
fn records(state: &Path) -> Vec<(Kind, u64, Value)> {
    let mut records = Vec::new();
    let wanted = Wanted {
        tenant: Some("acme".parse().expect("an id")),
        ..Wanted::default()
    };
    Reader::open(&state.join("journal")).read(&wanted, &mut |line| {
        let payload = line.payload.filter(|payload| !payload.is_empty());
        let payload = payload.map_or(Value::Null, |payload| {
            serde_json::from_slice(payload).expect("a document")
        });
        records.push((line.frame.head.kind, line.frame.head.whole.0, payload));
        ControlFlow::Continue(())
    });
    records
}

#[tokio::test]
async fn nothing_leaves_before_its_intent_and_nothing_ends_without_an_end() {
    let state = tempfile::tempdir().expect("a directory");
    let mut stage = stage(state.path()).await;
    let body = question(100);
    let mut caller = stage.caller().await;
    caller.send(&post(CHAT, &body)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    let most = body.len() as u64 * 1_000_000 + 100 * 2_000_000;
    let seen = records(state.path());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((seen[0].0, seen[0].1), (Kind::Intent, most));
    assert_eq!(seen[0].2["model"], "m");
    assert_eq!(seen[0].2["tenant"], "acme");
    assert_eq!(seen[0].2["identity"], "fixed");
    peer.send(&json(&answer(11, 7))).await;
    peer.close_after().await;
    caller.answer().await;
    let line = stage.record().await;
    until("the end to be written", || records(state.path()).len() == 2).await;
    let (kind, amount, end) = records(state.path()).remove(1);
    assert_eq!((kind, amount), (Kind::End, 25_000_000));
    assert_eq!(end["cost_lines"]["input"], "11000000000");
    assert_eq!(end["cost_lines"]["output"], "14000000000");
    for member in [
        "request_id",
        "ending",
        "input_tokens",
        "output_tokens",
        "usage",
        "cost_nano_usd",
        "took_us",
    ] {
        assert_eq!(end[member], line[member], "{member}");
    }
    stage.sidecar.close();
    let verdict = verify(&state.path().join("journal"), None, "");
    assert!(verdict.invalid.is_empty(), "{verdict:?}");
    // What was said is nowhere.
    for file in walk(&state.path().join("journal")) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(
            crate::stage::find(&bytes, b"a secret").is_none(),
            "{}",
            file.display()
        );
        assert!(
            crate::stage::find(&bytes, b"completions").is_none(),
            "sealed: {}",
            file.display()
        );
    }
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn a_new_process_knows_what_was_spent_and_settles_what_was_open() {
    let state = tempfile::tempdir().expect("a directory");
    {
        let stage = stage(state.path()).await;
        let mut caller = stage.caller().await;
        caller.send(&post(CHAT, &question(100))).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(&json(&answer(300, 200))).await;
        peer.close_after().await;
        caller.answer().await;
        stage.ended(1).await;
        stage.sidecar.close();
    }
    let mut stage = stage(state.path()).await;
    let state_of = stage
        .account("acme")
        .budgets(outrigger::units::Wall(1_800_000_000_000))
        .remove(0);
    assert_eq!(state_of.spent.0, 700_000_000);
    let mut caller = stage.caller().await;
    caller.send(&post(CHAT, &question(200))).await;
    let mut peer = stage.upstream.accept().await;
    let (_, body) = peer.request().await;
    let body: Value = serde_json::from_slice(&body).expect("a document");
    let left = 300 - question(200).len() as u64;
    assert_eq!(
        body["max_tokens"],
        left / 2,
        "what is left pays for that much"
    );
    drop(peer);
    caller.answer().await;
    stage.record().await;
}

#[tokio::test]
async fn a_refusal_is_on_record_too_and_so_is_who_proved_nothing() {
    let state = tempfile::tempdir().expect("a directory");
    let mut stage = stage(state.path()).await;
    let mut caller = stage.caller().await;
    caller.send(&post(CHAT, r#"{"messages":[]}"#)).await;
    let (head, _) = caller.answer().await;
    assert_eq!(field(&head, "outrigger-code"), Some("model-missing"));
    stage.record().await;
    until("the refusal to be written", || {
        !records(state.path()).is_empty()
    })
    .await;
    let (kind, amount, told) = records(state.path()).remove(0);
    assert_eq!((kind, amount), (Kind::Refusal, 0));
    assert_eq!(told["code"], "model-missing");
    assert_eq!(told["ending"], "refused");
}

#[tokio::test]
async fn what_a_stream_goes_on_to_hold_is_on_record_before_it_goes_on() {
    let state = tempfile::tempdir().expect("a directory");
    let stage = stage_with(state.path(), &PRICED.replace("1 USD", "9 USD")).await;
    let mut caller = stage.caller().await;
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    caller.send(&post(CHAT, body)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    let text = "words ".repeat(300);
    let delta = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    );
    for _ in 0..4 {
        if !peer.try_send(&chunk(&delta)).await {
            break;
        }
    }
    peer.try_send(END).await;
    caller.sees("0\r\n\r\n").await;
    stage.ended(1).await;
    until("the end to be written", || {
        records(state.path())
            .iter()
            .any(|record| record.0 == Kind::End)
    })
    .await;
    let seen = records(state.path());
    let extended: Vec<u64> = seen
        .iter()
        .filter(|record| record.0 == Kind::Extend)
        .map(|record| record.1)
        .collect();
    assert!(!extended.is_empty() && extended.is_sorted(), "{seen:?}");
    let settled = seen
        .iter()
        .find(|record| record.0 == Kind::End)
        .expect("an end")
        .1;
    let held = extended.last().copied().unwrap_or(seen[0].1);
    assert!(settled <= held, "{settled} of {held}: {seen:?}");
}

/// What is asked, what is decided, and the rule: its key, and what its line in the configuration begins with.
const DECISIONS: [[&str; 4]; 5] = [
    [CHAT, "allowed", "models.allow", "models.allow"],
    [
        "/openai/v1/audio/speech",
        "refused",
        "endpoints.allow",
        "endpoints.allow",
    ],
    [
        "/openai/v1/files",
        "allowed",
        "endpoints.allow",
        "\"files\"",
    ],
    ["/openai/v1/models", "allowed", "", ""],
    [CHAT, "refused", "", ""],
];

#[tokio::test]
async fn each_record_says_what_was_decided_and_by_which_rule() {
    let state = tempfile::tempdir().expect("a directory");
    let added = "policy = \"p\"\nlimits.requests = \"4/h\"\nlimits.queue = 0\n[journal]\n[policies.p]\n\
        models.allow = [\"m\"]\nendpoints.allow = [\n\"chat-completions\",\n\"files\",\n]\n";
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, added);
    let source = Source::Text("test", text.clone());
    let mut stage = Stage::keeping(upstream, source, state.path());
    let mut expected = Vec::new();
    for [path, decision, key, sign] in DECISIONS {
        let mut caller = stage.caller().await;
        let get = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        match path {
            "/openai/v1/files" | "/openai/v1/models" => caller.send(get.as_bytes()).await,
            _ => caller.send(&post(path, &question(5))).await,
        }
        if decision == "allowed" {
            let mut peer = stage.upstream.accept().await;
            peer.sees(b"\r\n\r\n").await;
            peer.send(&json(r#"{"data":[]}"#)).await;
            peer.close_after().await;
        }
        caller.answer().await;
        let rule = (!key.is_empty()).then(|| {
            let line = text.lines().position(|line| line.starts_with(sign));
            let line = line.expect("a line") + 1;
            format!("policies.p.{key} (test:{line})")
        });
        // What let a call pass is for the journal only.
        let told = stage.record().await;
        let refused_by = rule.clone().filter(|_| decision == "refused");
        assert_eq!(told["rule"].as_str(), refused_by.as_deref(), "{told}");
        if decision == "allowed" {
            expected.push((Kind::Intent, decision, rule.clone()));
            expected.push((Kind::End, decision, rule));
        } else {
            expected.push((Kind::Refusal, decision, rule));
        }
    }
    stage.sidecar.close();
    let seen = records(state.path());
    let seen: Vec<_> = seen
        .iter()
        .map(|(kind, _, told)| {
            let decision = told["decision"].as_str().expect("a decision");
            (*kind, decision, told["rule"].as_str().map(str::to_owned))
        })
        .collect();
    assert_eq!(seen, expected);
}

//! A tenant is taken out while it has something under way: by its policy that comes to its end, or is ended, and nobody
//! else's is.

use std::fmt::Write as _;
use std::path::Path;

use super::PATH;
use crate::serve::Served;
use crate::stage::{Caller, END, PLAIN, Peer, STREAM, Upstream, chat, chunk, hash_of, until};

fn text(upstream: &Upstream, tenants: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\npoll = \"off\"\n[identity]\naccept = [\"key\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\n\
         [policies.finish]\n[policies.cut]\non_revoke = \"cut\"\n",
        upstream.at
    );
    for (tenant, policy) in tenants {
        let key = hash_of(&format!("key-{tenant}"));
        let _ = write!(
            text,
            "[tenants.{tenant}]\npolicy = \"{policy}\"\nkeys = [\"{key}\"]\n"
        );
    }
    text
}

async fn ask(served: &Served, tenant: &str, question: &str) -> Caller {
    let mut caller = Caller::connect(served.proxy).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-{tenant}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{question}",
        question.len()
    );
    caller.send(head.as_bytes()).await;
    caller
}

async fn stream(served: &Served, upstream: &Upstream, tenant: &str) -> (Caller, Peer) {
    let talk = chat();
    let mut caller = ask(served, tenant, talk.question).await;
    let mut peer = upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("piece-01").await;
    (caller, peer)
}

async fn finish((mut caller, mut peer): (Caller, Peer)) {
    for event in &chat().events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    let got = caller.sees("0\r\n\r\n").await;
    assert!(
        got.contains("piece-03") && !got.contains("\"error\""),
        "{got}"
    );
}

fn write(at: &Path, text: String) {
    std::fs::write(at.join("outrigger.toml"), text).expect("a file");
}

#[tokio::test]
async fn who_is_taken_out_finishes_or_is_cut_as_its_policy_says() {
    let upstream = Upstream::bind().await;
    let all = [("gone", "cut"), ("left", "finish"), ("stays", "cut")];
    let served = Served::start(&text(&upstream, &all)).await;
    let gone = stream(&served, &upstream, "gone").await;
    let left = stream(&served, &upstream, "left").await;
    let stays = stream(&served, &upstream, "stays").await;
    // One that waits for its answer, too.
    let mut waits = ask(&served, "gone", PLAIN).await;
    let mut silent = upstream.accept().await;
    silent.request().await;

    write(served.home.path(), text(&upstream, &all[2..]));
    let (mut caller, _peer) = gone;
    let got = caller.sees("\"code\":\"cut\"").await;
    assert!(got.contains("piece-01"), "{got}");
    let (head, _) = waits.answer().await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    finish(left).await;
    finish(stays).await;
    for (tenant, status) in [("gone", "401"), ("left", "401")] {
        let head = ask(&served, tenant, PLAIN).await.answer().await.0;
        assert_eq!(&head[9..12], status, "{tenant}");
    }
    until("the records", || served.requests().len() == 6).await;
    let mut endings: Vec<_> = served
        .requests()
        .iter()
        .map(|line| format!("{} {}", line["tenant"], line["ending"]))
        .collect();
    endings.sort_unstable();
    let expected = [
        "\"_nobody\" \"refused\"",
        "\"_nobody\" \"refused\"",
        "\"gone\" \"cut-off\"",
        "\"gone\" \"cut-off\"",
        "\"left\" \"complete\"",
        "\"stays\" \"complete\"",
    ];
    assert_eq!(endings, expected);
    // Who comes back is not cut again.
    write(served.home.path(), text(&upstream, &all));
    served.shows(&["outrigger_config_generation 3"]).await;
    let back = stream(&served, &upstream, "gone").await;
    finish(back).await;
}

//! One tenant's load changes no other tenant's outcome: the same calls of a quiet tenant, alone and beside a neighbour who
//! floods, hangs, breaks off and is refused, leave the same answers, the same records and the same meters.

use outrigger::app::Source;
use outrigger::host::{self, ProcessFacts};
use serde_json::Value;

use crate::stage::{
    Caller, PLAIN, STREAM, Stage, Upstream, WHOLE, chat, chunk, hash_of, json, post,
};

const PATH: &str = "/openai/v1/chat/completions";

fn config(upstream: &Upstream) -> String {
    let limits = "limits.requests = \"15/h\"\nlimits.tokens = \"100k/h\"\nlimits.streams = 2\nlimits.queue = 2\nlimits.queue_wait = \"1s\"\n";
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n[identity]\naccept = [\"key\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\nkey = \"provider\"\n\
         [tenants.quiet]\nkeys = [\"{}\"]\n{limits}[tenants.loud]\nkeys = [\"{}\"]\n{limits}",
        upstream.at,
        hash_of("key-quiet"),
        hash_of("key-loud"),
    )
}

fn request(key: &str, question: &str) -> Vec<u8> {
    let request = String::from_utf8(post(PATH, question)).expect("a text");
    request
        .replacen(
            "\r\n\r\n",
            &format!("\r\nauthorization: Bearer {key}\r\n\r\n"),
            1,
        )
        .into_bytes()
}

/// Answers what is quiet, and lets what is loud hang in the middle of its stream.
async fn play(upstream: Upstream) {
    loop {
        let mut peer = upstream.accept_any().await;
        host::spawn("test-upstream", async move {
            while let Some(asked) = peer.asked().await {
                if find(&asked, "quiet") {
                    peer.try_send(&json(WHOLE)).await;
                } else {
                    peer.try_send(STREAM).await;
                    peer.try_send(&chunk(&chat().events[0])).await;
                }
            }
        });
    }
}

fn find(asked: &[u8], word: &str) -> bool {
    crate::stage::find(asked, word.as_bytes()).is_some()
}

/// Everything that a tenant could notice.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<(String, String)>,
    lines: Vec<Value>,
    meters: Vec<String>,
    left: String,
}

/// The quiet tenant's day: calls that pass, one that is denied, and more than its rate allows.
async fn day(neighbour: bool) -> Outcome {
    let upstream = Upstream::bind().await;
    let text = config(&upstream);
    let mut stage = Stage::with(upstream, Source::Text("test", text));
    let upstream = stage.take_upstream().await;
    host::spawn("test-upstream", play(upstream));
    let mut crowd = Vec::new();
    let mut answers = Vec::new();
    for number in 0..25 {
        if neighbour {
            flood(&stage, number, &mut crowd).await;
        }
        let question = PLAIN.replace("twelve bytes", "quiet");
        let question = if number % 5 == 3 {
            question.replace("\"model\":\"m\",", "")
        } else {
            question
        };
        let mut caller = stage.caller().await;
        caller.send(&request("key-quiet", &question)).await;
        let (head, body) = caller.answer().await;
        answers.push((without_ids(&head), without_ids(&body)));
        crate::stage::until("the quiet trip to end", || {
            stage.account("quiet").in_flight() == 0
        })
        .await;
    }
    let left = format!(
        "{:?}",
        stage
            .account("quiet")
            .levels(stage.sidecar.ground.clock.boot())
    );
    drop(crowd);
    stage.at_rest().await;
    let mut lines = stage.lines();
    lines.retain(|line| line["tenant"] == "quiet");
    for line in &mut lines {
        line.as_object_mut().expect("a line").remove("request_id");
    }
    let page = stage
        .sidecar
        .ground
        .registry
        .render(&ProcessFacts::default(), &[], None);
    let mut meters: Vec<String> = page
        .lines()
        .filter(|line| line.contains("tenant=\"quiet\""))
        .map(str::to_owned)
        .collect();
    meters.sort();
    Outcome {
        answers,
        lines,
        meters,
        left,
    }
}

/// What a bad neighbour does: streams that hang, more than its slots and queue hold, bodies that break off, and nonsense.
async fn flood(stage: &Stage, number: usize, crowd: &mut Vec<Caller>) {
    let talk = chat();
    for _ in 0..3 {
        let mut caller = stage.caller().await;
        caller.send(&request("key-loud", talk.question)).await;
        crowd.push(caller);
    }
    let mut broken = stage.caller().await;
    let half = request("key-loud", PLAIN);
    broken.send(&half[..half.len() - 9]).await;
    let mut nonsense = stage.caller().await;
    nonsense
        .send(&request("key-loud", "{\"model\":\"a\",\"model\":\"b\"}"))
        .await;
    let mut stranger = stage.caller().await;
    stranger.send(&request("key-nobody", PLAIN)).await;
    if number.is_multiple_of(2) {
        drop(broken);
    } else {
        crowd.push(broken);
    }
    if number % 7 == 6 {
        // All hang up at once.
        crowd.clear();
    }
}

/// Ids and dates differ from run to run.
fn without_ids(text: &str) -> String {
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with("outrigger-request-id:") || line.starts_with("date:") {
            continue;
        }
        match line.split_once("\"request_id\":\"") {
            Some((before, after)) => {
                kept.push_str(before);
                kept.push_str(&after[36..]);
            }
            None => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}

#[tokio::test]
async fn a_bad_neighbour_changes_nothing_for_a_quiet_tenant() {
    let alone = day(false).await;
    let beside = day(true).await;
    assert_eq!(alone.lines.len(), 25);
    for ending in ["complete", "refused"] {
        assert!(
            alone.lines.iter().any(|line| line["ending"] == ending),
            "{ending}"
        );
    }
    assert!(
        alone
            .answers
            .iter()
            .any(|(head, _)| head.starts_with("HTTP/1.1 429 "))
    );
    assert_eq!(alone, beside);
}

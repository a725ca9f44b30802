//! What the views add up is what the budgets have spent: a sidecar works, its journal is read while it does, and read again
//! after it has ended. Must never compare a sum with itself.

use std::path::Path;

use outrigger::app::Source;
use outrigger::units::Wall;
use outrigger::views::{By, Costs, Instances, Query};
use serde_json::Value;

use crate::stage::{Stage, Upstream, config, json, post, until};

const CHAT: &str = "/openai/v1/chat/completions";

const PRICED: &str = "budgets.total = { amount = \"9 USD\", per = \"total\" }\n[journal]\n\
    [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n";

async fn stage(state: &Path) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, PRICED);
    Stage::keeping(upstream, Source::Text("test", text), state)
}

fn question(model: &str) -> Vec<u8> {
    let body = format!(r#"{{"model":"{model}","max_tokens":100,"messages":[]}}"#);
    post(CHAT, &body)
}

fn answer(model: &str, input: u64, output: u64) -> Vec<u8> {
    json(&format!(
        r#"{{"id":"c","model":"{model}","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
        input + output
    ))
}

fn costs(state: &Path, by: &[By]) -> Costs {
    let mut instances = Instances::open(&[state.to_path_buf()]).expect("a journal");
    Costs::sum(&mut instances, &Query::default(), by)
}

fn spent(stage: &Stage) -> i128 {
    let budgets = stage.account("acme").budgets(Wall(1_800_000_000_000));
    assert_eq!(budgets[0].held.0, 0, "nothing is held");
    i128::from(budgets[0].spent.0)
}

/// One that is answered, one whose upstream fails, one whose caller hangs up, one that is refused, one without a price.
async fn work(stage: &Stage) {
    let mut caller = stage.caller().await;
    for (input, output) in [(11, 7), (300, 200)] {
        caller.send(&question("m")).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        peer.send(&answer("m", input, output)).await;
        peer.close_after().await;
        caller.answer().await;
    }
    caller.send(&question("m")).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.reset();
    caller.answer().await;
    caller.send(&post(CHAT, r#"{"messages":[]}"#)).await;
    caller.answer().await;
    caller.send(&question("nobody-knows-its-price")).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&answer("nobody-knows-its-price", 5, 5)).await;
    peer.close_after().await;
    caller.answer().await;
    let mut fickle = stage.caller().await;
    fickle.send(&question("m")).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    drop(fickle);
    peer.gone().await;
    stage.ended(6).await;
}

#[tokio::test]
async fn what_the_views_add_up_is_what_the_budgets_spent() {
    let state = tempfile::tempdir().expect("a directory");
    let first = stage(state.path()).await;
    work(&first).await;
    let spent_first = spent(&first);
    until("the ends to be written", || {
        let costs = costs(state.path(), &[By::Tenant]);
        let total = costs.total();
        total.calls + total.refused == 6 && total.held == 0
    })
    .await;
    let by_tenant = costs(state.path(), &[By::Tenant]);
    assert_eq!(by_tenant.total().total(), spent_first, "{by_tenant:?}");
    let total = by_tenant.total();
    assert_eq!((total.calls, total.refused), (5, 1));
    assert_eq!(total.unpriced_calls, 1, "{total:?}");
    assert!(total.input >= 311 && total.output >= 207, "{total:?}");
    first.sidecar.close();
    // However it is told apart, and whoever asks after the end.
    for by in [By::Model, By::Upstream, By::Agent, By::Day] {
        let costs = costs(state.path(), &[by]);
        assert_eq!(costs.total().total(), spent_first, "{by:?}");
        let rows: i128 = costs.rows().map(|(_, bill)| bill.total()).sum();
        assert_eq!(rows, spent_first, "{by:?}");
    }
    let documents = by_tenant.documents();
    let document: Value = serde_json::from_str(&documents[0]).expect("a document");
    assert_eq!(
        i128::from(document["total_nano_usd"].as_u64().expect("a number")),
        spent_first
    );
    // What was settled is what its lines come to; each call is rounded once.
    let lines = document["cost_lines"].as_object().expect("lines");
    let pico: i128 = lines
        .values()
        .map(|amount| {
            amount
                .as_str()
                .and_then(|text| text.parse::<i128>().ok())
                .expect("an amount")
        })
        .sum();
    let rounded = total.total() * 1_000 - pico;
    assert!(rounded.abs() <= 5 * 500, "{rounded}: {document}");
    // And what a new process knows of.
    let second = stage(state.path()).await;
    assert_eq!(spent(&second), spent_first);
}

//! Callers that hang up: what becomes of their calls under each word of `hang_up`, what that is charged and how sure it is, and
//! where the reading of an answer that nobody waits for ends. One token of input costs a thousandth of a dollar here, one of
//! output two.

use std::ops::ControlFlow;

use outrigger::app::Source;
use outrigger::config::render;
use outrigger::host;
use outrigger::journal::{Kind, Reader, Wanted, verify};
use outrigger::limits::BudgetState;
use outrigger::units::Wall;
use serde_json::Value;

use crate::prices::compiled;
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Talk, Upstream, WHOLE, chat, chunk, config, find,
    json, messages, post, responses, until,
};

const CHAT: &str = "/openai/v1/chat/completions";

/// What 11 tokens of input and 9 of output cost.
const BILL: u64 = 29_000_000;

/// One slot, a budget, and a policy that says this.
fn says(policy: &str, budget: &str) -> String {
    format!(
        "policy = \"p\"\nlimits.streams = 1\nlimits.queue = 5\nlimits.tokens = \"1M/h\"\n\
         budgets.total = {{ amount = \"{budget}\", per = \"total\" }}\n[policies.p]\n{policy}\n\
         [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n\
         [prices.models.\"anthropic/m\"]\ninput = \"1000\"\noutput = \"2000\"\n"
    )
}

async fn stage(policy: &str) -> Stage {
    Stage::open(&says(policy, "900 USD")).await
}

const DRAIN: &str = "hang_up = \"drain\"";

fn budget(stage: &Stage) -> BudgetState {
    let mut states = stage.account("acme").budgets(Wall(1_800_000_000_000));
    states.remove(0)
}

fn cost(line: &Value) -> u64 {
    line["cost_nano_usd"].as_u64().expect("a cost")
}

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, value) in members {
        assert_eq!(line[name].as_str(), Some(*value), "`{name}` of {line}");
    }
}

/// Asks; over a connection that the sidecar has kept, if there is one.
async fn ask(stage: &Stage, talk: (&str, &str), kept: Option<Peer>) -> (Caller, Peer) {
    let mut caller = stage.caller().await;
    caller.send(&post(talk.0, talk.1)).await;
    let mut peer = match kept {
        Some(peer) => peer,
        None => stage.upstream.accept().await,
    };
    peer.request().await;
    (caller, peer)
}

/// Asks, and has the first `count` events of the answer.
async fn streaming(stage: &Stage, talk: &Talk, count: usize, kept: Option<Peer>) -> (Caller, Peer) {
    let (mut caller, mut peer) = ask(stage, (talk.path, talk.question), kept).await;
    peer.send(STREAM).await;
    caller.sees("\r\n\r\n").await;
    for event in &talk.events[..count] {
        peer.send(&chunk(event)).await;
    }
    let pieces = talk.events[..count].iter();
    let pieces = pieces.filter(|event| event.contains("piece-")).count();
    if pieces > 0 {
        caller.sees(&format!("piece-0{pieces}")).await;
    }
    (caller, peer)
}

/// The caller leaves, and its call goes on.
async fn leaves(stage: &Stage, caller: Caller) {
    let before = stage.sidecar.ground.shutdown.tails().open();
    drop(caller);
    until("the call to go on alone", || {
        stage.sidecar.ground.shutdown.tails().open() > before
    })
    .await;
}

async fn no_tails(stage: &Stage) {
    until("the tasks to end", || {
        stage.sidecar.ground.shutdown.tails().open() == 0
    })
    .await;
}

#[tokio::test]
async fn who_leaves_after_any_event_pays_what_the_provider_reports_if_that_is_waited_for() {
    for talk in [chat(), responses(), messages()] {
        let mut stage = stage(DRAIN).await;
        let mut kept = None;
        let mut spent = 0;
        for count in 0..=talk.events.len() {
            let (caller, mut peer) = streaming(&stage, &talk, count, kept).await;
            let heard = stage.metric("outrigger_bytes_total", "direction=\"response\"");
            leaves(&stage, caller).await;
            until("the connection to be gone", || {
                stage.metric("outrigger_connections_open", "") == 0
            })
            .await;
            assert_eq!(stage.account("acme").in_flight(), 1, "the slot stays taken");
            assert!(budget(&stage).held.0 > 0, "and so does the money");
            assert_eq!(stage.metric("outrigger_open_requests", ""), 1);
            for event in &talk.events[count..] {
                peer.send(&chunk(event)).await;
            }
            peer.send(END).await;
            let line = stage.record().await;
            assert_members(
                &line,
                &[
                    ("ending", "caller-gone"),
                    ("ended_in", "meter"),
                    ("hang_up", "drained"),
                    ("usage", "reported"),
                ],
            );
            assert_eq!(cost(&line), BILL, "{line}");
            assert_eq!(line.get("code"), None, "nothing failed: {line}");
            let unheard = line["unheard_bytes"].as_u64().unwrap_or(0);
            assert_eq!(unheard > 0, count < talk.events.len(), "{line}");
            let passed = stage.metric("outrigger_bytes_total", "direction=\"response\"");
            assert!(passed >= heard && passed - heard < 2_000, "{line}");
            spent += BILL;
            let state = budget(&stage);
            assert_eq!((state.spent.0, state.held.0), (spent, 0));
            // And its connection serves the next.
            kept = Some(peer);
        }
        let times = u64::try_from(talk.events.len() + 1).expect("few");
        let counted = stage.metric("outrigger_hang_ups_total", "outcome=\"drained\"");
        assert_eq!(counted, times);
        no_tails(&stage).await;
    }
}

#[tokio::test]
async fn only_who_waits_is_counted_as_waiting() {
    let mut stage = stage(DRAIN).await;
    let talk = chat();
    let counted = |stage: &Stage| {
        ["request_duration", "first_token"].map(|of| {
            let count = format!("outrigger_{of}_seconds_count");
            stage.metric(&count, "tenant=\"acme\"")
        })
    };
    // How many events the caller hears of, and what is counted of it: its end, its beginning.
    let heard = [(talk.events.len(), [1, 1]), (0, [0, 0]), (4, [0, 1])];
    let (mut kept, mut expected) = (None, [0, 0]);
    for (at, (count, adds)) in heard.into_iter().enumerate() {
        let (mut caller, mut peer) = streaming(&stage, &talk, count, kept).await;
        if at == 0 {
            peer.send(END).await;
            caller.sees("0\r\n\r\n").await;
        } else {
            leaves(&stage, caller).await;
            for event in &talk.events[count..] {
                peer.send(&chunk(event)).await;
            }
            peer.send(END).await;
        }
        let line = stage.record().await;
        let alone = (at > 0).then_some("drained");
        assert_eq!(line["hang_up"].as_str(), alone, "{line}");
        expected = [expected[0] + adds[0], expected[1] + adds[1]];
        assert_eq!(counted(&stage), expected, "after {count} events: {line}");
        kept = Some(peer);
    }
}

#[tokio::test]
async fn who_leaves_after_any_event_pays_what_came_or_all_that_was_held() {
    for policy in ["", "hang_up = \"estimate\""] {
        for talk in [chat(), responses(), messages()] {
            let mut stage = stage(policy).await;
            for count in 0..=talk.events.len() {
                let (caller, peer) = streaming(&stage, &talk, count, None).await;
                let held = budget(&stage).held.0;
                let spent = budget(&stage).spent.0;
                drop(caller);
                peer.gone().await;
                let line = stage.record().await;
                assert_members(&line, &[("ending", "caller-gone"), ("ended_in", "meter")]);
                let outcome = line["hang_up"].as_str();
                if line["usage"] == "reported" {
                    assert_eq!(cost(&line), BILL, "{line}");
                } else if policy.is_empty() {
                    assert_eq!(outcome, Some("cancelled"), "{line}");
                    assert!(cost(&line) >= 3_000_000, "its input at least: {line}");
                    assert!(cost(&line) <= held, "{held}: {line}");
                } else {
                    assert_eq!(outcome, Some("estimated"), "{line}");
                    // Or more: the input may have been told, and be more than what it was taken for.
                    let most = held + 8_000_000;
                    assert!((held..=most).contains(&cost(&line)), "{held}: {line}");
                    assert!(line["output_tokens"].as_u64() >= Some(64), "{line}");
                }
                let state = budget(&stage);
                assert_eq!(
                    (state.spent.0 - spent, state.held.0),
                    (cost(&line), 0),
                    "{line}"
                );
            }
            assert_eq!(stage.sidecar.ground.shutdown.tails().open(), 0);
        }
    }
}

#[tokio::test]
async fn who_leaves_before_an_answer_begins_pays_what_it_reports_if_that_is_waited_for() {
    let mut stage = stage(DRAIN).await;
    let whole = json(WHOLE);
    let head = find(&whole, b"\r\n\r\n").expect("a head") + 4;
    let mut kept = None;
    for begun in [0, 1, head - 1, head, head + 30, whole.len() - 1] {
        let (mut caller, mut peer) = ask(&stage, (CHAT, PLAIN), kept).await;
        peer.send(&whole[..begun]).await;
        if begun > head {
            caller.sees("\r\n\r\n{").await;
        }
        leaves(&stage, caller).await;
        peer.send(&whole[begun..]).await;
        let line = stage.record().await;
        assert_members(
            &line,
            &[
                ("ending", "caller-gone"),
                ("ended_in", "meter"),
                ("hang_up", "drained"),
                ("usage", "reported"),
            ],
        );
        assert_eq!(cost(&line), BILL, "{line}");
        kept = Some(peer);
    }
    // A stream that had not begun is no other case.
    for talk in [chat(), responses(), messages()] {
        let same = (talk.path != "/anthropic/v1/messages")
            .then_some(())
            .and(kept);
        let (caller, mut peer) = ask(&stage, (talk.path, talk.question), same).await;
        leaves(&stage, caller).await;
        peer.send(STREAM).await;
        for event in &talk.events {
            peer.send(&chunk(event)).await;
        }
        peer.send(END).await;
        let line = stage.record().await;
        assert_members(&line, &[("hang_up", "drained"), ("usage", "reported")]);
        assert_eq!(cost(&line), BILL, "{line}");
        kept = Some(peer);
    }
    no_tails(&stage).await;
    assert_eq!(budget(&stage).held.0, 0);
}

#[tokio::test]
async fn who_leaves_before_an_answer_begins_pays_for_the_question_or_all_that_was_held() {
    for (policy, outcome) in [("", "cancelled"), ("hang_up = \"estimate\"", "estimated")] {
        let mut stage = stage(policy).await;
        // Nothing is free, not even a question without a word in it.
        for question in [PLAIN, r#"{"model":"m","messages":[]}"#] {
            let (caller, peer) = ask(&stage, (CHAT, question), None).await;
            let held = budget(&stage).held.0;
            drop(caller);
            peer.gone().await;
            let line = stage.record().await;
            assert_members(
                &line,
                &[
                    ("ending", "caller-gone"),
                    ("ended_in", "forward"),
                    ("hang_up", outcome),
                    ("usage", "estimated"),
                ],
            );
            let least = if policy.is_empty() { 1_000_000 } else { held };
            assert!((least..=held).contains(&cost(&line)), "{held}: {line}");
        }
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_waited_for_only_so_long() {
    let mut stage = stage("hang_up = \"drain\"\ndrain_for = \"30ms\"").await;
    let (caller, peer) = ask(&stage, (CHAT, PLAIN), None).await;
    drop(caller);
    peer.gone().await;
    let line = stage.record().await;
    let timed_out = [
        ("ending", "caller-gone"),
        ("hang_up", "timed-out"),
        ("usage", "estimated"),
    ];
    assert_members(&line, &timed_out);
    assert_members(&line, &[("ended_in", "forward")]);
    assert!(cost(&line) >= 3_000_000, "{line}");
    for talk in [chat(), responses(), messages()] {
        let (caller, peer) = streaming(&stage, &talk, 2, None).await;
        drop(caller);
        peer.gone().await;
        let line = stage.record().await;
        assert_members(&line, &timed_out);
        assert!(cost(&line) > 3_000_000, "{line}");
    }
    no_tails(&stage).await;
    stage.hung_up().await;
    let counted = stage.metric("outrigger_hang_ups_total", "outcome=\"timed-out\"");
    assert_eq!(counted, 4);
}

/// A piece of chat of some 300 tokens.
fn long_piece() -> Vec<u8> {
    let text = "words ".repeat(200);
    chunk(&format!(
        "data: {{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    ))
}

#[tokio::test]
async fn what_nobody_hears_is_read_only_so_far() {
    let mut stage = stage("hang_up = \"drain\"\ndrain_bytes = \"4 KiB\"").await;
    let (caller, mut peer) = streaming(&stage, &chat(), 1, None).await;
    leaves(&stage, caller).await;
    let mut sent = 0;
    while peer.try_send(&long_piece()).await {
        sent += 1;
        assert!(sent < 100_000, "it is read for ever");
    }
    let line = stage.record().await;
    assert_members(&line, &[("hang_up", "too-large"), ("usage", "estimated")]);
    let output = line["output_tokens"].as_u64().expect("an estimate");
    assert!((900..3_000).contains(&output), "what was read: {line}");
    no_tails(&stage).await;
}

#[tokio::test]
async fn so_many_are_read_without_their_callers_and_no_more() {
    let policy = "hang_up = \"drain\"\ndrain_calls = 1";
    let added = says(policy, "900 USD").replace("streams = 1", "streams = 9");
    let mut stage = Stage::open(&added).await;
    let (first, mut stays) = streaming(&stage, &chat(), 1, None).await;
    let (second, goes) = streaming(&stage, &chat(), 1, None).await;
    let (third, goes_too) = ask(&stage, (CHAT, PLAIN), None).await;
    leaves(&stage, first).await;
    drop(second);
    goes.gone().await;
    drop(third);
    goes_too.gone().await;
    for event in &chat().events[1..] {
        stays.send(&chunk(event)).await;
    }
    stays.send(END).await;
    stage.ended(3).await;
    let mut lines = stage.lines();
    lines.sort_by_key(|line| line["hang_up"].as_str().map(str::to_owned));
    for line in &lines[..2] {
        assert_members(line, &[("hang_up", "crowded"), ("usage", "estimated")]);
        assert!(cost(line) >= 3_000_000, "{line}");
    }
    assert_members(&lines[2], &[("hang_up", "drained"), ("usage", "reported")]);
    let crowded = stage.metric("outrigger_hang_ups_total", "outcome=\"crowded\"");
    assert_eq!(crowded, 2);
}

#[tokio::test]
async fn a_budget_that_is_used_up_ends_what_nobody_hears() {
    let mut stage = Stage::open(&says(DRAIN, "5 USD")).await;
    let (caller, mut peer) = streaming(&stage, &chat(), 1, None).await;
    leaves(&stage, caller).await;
    let mut sent = 0;
    while peer.try_send(&long_piece()).await {
        sent += 1;
        assert!(sent < 100_000, "it is read for ever");
    }
    let line = stage.record().await;
    assert_members(
        &line,
        &[
            ("ending", "caller-gone"),
            ("hang_up", "cut-short"),
            ("cause", "budget-exhausted"),
            ("usage", "estimated"),
        ],
    );
    let state = budget(&stage);
    assert_eq!((state.spent.0, state.held.0), (cost(&line), 0));
    // What came in the piece that was one too many.
    let beyond = state.spent.0.saturating_sub(5_000_000_000);
    assert!(beyond <= 1_024 * 2_000_000, "{line}");
    assert!(cost(&line) > 3_000_000_000, "{line}");
}

#[tokio::test]
async fn an_upstream_that_fails_when_nobody_listens_is_told_on_record_alone() {
    let mut stage = stage(DRAIN).await;
    for begun in [false, true] {
        let (caller, peer) = if begun {
            streaming(&stage, &chat(), 2, None).await
        } else {
            ask(&stage, (CHAT, PLAIN), None).await
        };
        leaves(&stage, caller).await;
        peer.reset();
        let line = stage.record().await;
        assert_members(
            &line,
            &[
                ("ending", "caller-gone"),
                ("hang_up", "cut-short"),
                ("usage", "estimated"),
            ],
        );
        assert!(line["cause"].is_string(), "{line}");
        assert!(cost(&line) >= 3_000_000, "{line}");
    }
    // A provider that refuses bills nothing.
    let (caller, mut peer) = ask(&stage, (CHAT, PLAIN), None).await;
    leaves(&stage, caller).await;
    peer.send(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    let line = stage.record().await;
    assert_members(&line, &[("hang_up", "drained")]);
    assert_eq!(line.get("cost_nano_usd"), None, "{line}");
    no_tails(&stage).await;
}

#[tokio::test]
async fn a_call_that_goes_on_alone_keeps_its_slot_and_no_connection() {
    let policy = says(DRAIN, "900 USD");
    let added = policy.replace(
        "limits.queue = 5",
        "limits.queue = 5\nlimits.connections = 1",
    );
    let mut stage = Stage::open(&added).await;
    for begun in [true, false] {
        let (caller, mut peer) = if begun {
            streaming(&stage, &chat(), 1, None).await
        } else {
            ask(&stage, (CHAT, PLAIN), None).await
        };
        leaves(&stage, caller).await;
        until("the place to be free", || {
            stage.account("acme").connections() == 0
        })
        .await;
        let mut next = stage.caller().await;
        next.send(&post(CHAT, PLAIN)).await;
        let account = stage.account("acme");
        until("the next to wait for the slot", || account.waiting() == 1).await;
        if begun {
            for event in &chat().events[1..] {
                peer.send(&chunk(event)).await;
            }
            peer.send(END).await;
        } else {
            peer.send(&json(WHOLE)).await;
        }
        peer.request().await;
        peer.send(&json(WHOLE)).await;
        peer.close_after().await;
        let (head, body) = next.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
        drop(next);
        stage.ended(2).await;
        let lines = stage.lines();
        assert_members(&lines[0], &[("hang_up", "drained"), ("usage", "reported")]);
        assert_members(&lines[1], &[("ending", "complete")]);
        stage.hung_up().await;
    }
}

#[tokio::test]
async fn whoever_runs_the_sidecar_ends_what_nobody_hears() {
    for begun in [true, false] {
        for shuts_down in [true, false] {
            let mut stage = stage(DRAIN).await;
            let (caller, peer) = if begun {
                streaming(&stage, &chat(), 2, None).await
            } else {
                ask(&stage, (CHAT, PLAIN), None).await
            };
            leaves(&stage, caller).await;
            let cause = if shuts_down {
                stage.sidecar.cut().await;
                // It has waited for the record.
                assert_eq!(stage.sidecar.ground.shutdown.open(), 0);
                "draining"
            } else {
                stage.account("acme").cut();
                stage.sidecar.nudge();
                "tenant-suspended"
            };
            peer.gone().await;
            let line = stage.record().await;
            assert_members(
                &line,
                &[
                    ("ending", "caller-gone"),
                    ("hang_up", "cut-short"),
                    ("cause", cause),
                    ("usage", "estimated"),
                ],
            );
            assert!(cost(&line) >= 3_000_000, "{line}");
            no_tails(&stage).await;
        }
    }
}

#[tokio::test]
async fn a_sidecar_that_drains_waits_for_what_nobody_hears() {
    let mut stage = stage(DRAIN).await;
    let (caller, mut peer) = streaming(&stage, &chat(), 2, None).await;
    leaves(&stage, caller).await;
    let rest = async {
        for event in &chat().events[2..] {
            peer.send(&chunk(event)).await;
        }
        peer.send(END).await;
    };
    let (cut, ()) = tokio::join!(stage.sidecar.drain(), rest);
    assert_eq!(cut, 0);
    let line = stage.record().await;
    assert_members(&line, &[("hang_up", "drained"), ("usage", "reported")]);
}

#[tokio::test]
async fn a_bug_ends_what_nobody_hears_once() {
    let mut stage = stage(DRAIN).await;
    let (caller, mut peer) = ask(&stage, (CHAT, PLAIN), None).await;
    leaves(&stage, caller).await;
    stage.clock.trap_after(0);
    peer.send(&json(WHOLE)).await;
    let line = stage.record().await;
    assert!(stage.clock.sprung(), "{line}");
    assert_members(&line, &[("ending", "broken"), ("code", "internal")]);
    peer.gone().await;
    no_tails(&stage).await;
    assert_eq!(stage.metric("outrigger_panics_total", ""), 1);
    assert_eq!(budget(&stage).held.0, 0);
}

#[tokio::test]
async fn an_estimate_takes_the_cap_where_no_money_is_budgeted() {
    let mut stage = Stage::open("policy = \"p\"\n[policies.p]\nhang_up = \"estimate\"").await;
    let capped = r#"{"model":"m","max_tokens":77,"messages":[]}"#;
    for (question, output) in [(capped, 77), (PLAIN, 4_096)] {
        let (caller, peer) = ask(&stage, (CHAT, question), None).await;
        drop(caller);
        peer.gone().await;
        let line = stage.record().await;
        assert_members(&line, &[("hang_up", "estimated"), ("usage", "estimated")]);
        assert_eq!(line["output_tokens"], output, "{line}");
    }
}

/// A caller that left while it was still in the queue, or whose question has not left, asked for nothing.
#[tokio::test]
async fn who_leaves_before_anything_has_left_pays_nothing() {
    let mut stage = stage(DRAIN).await;
    let (caller, mut peer) = ask(&stage, (CHAT, PLAIN), None).await;
    let mut waits = stage.caller().await;
    waits.send(&post(CHAT, PLAIN)).await;
    let account = stage.account("acme");
    until("a place in the queue", || account.waiting() == 1).await;
    drop(waits);
    until("it to be given up", || account.waiting() == 0).await;
    assert_eq!(stage.sidecar.ground.shutdown.tails().open(), 0);
    peer.send(&json(WHOLE)).await;
    let mut caller = caller;
    caller.answer().await;
    stage.ended(2).await;
    let line = stage.lines().remove(0);
    assert_members(&line, &[("ending", "caller-gone"), ("ended_in", "admit")]);
    assert_eq!((line.get("hang_up"), line.get("usage")), (None, None));
    assert_eq!(stage.metric("outrigger_hang_ups_total", ""), 0);
}

#[tokio::test]
async fn the_journal_has_one_end_that_says_how_sure_it_is() {
    for (policy, outcome, sure) in [
        (DRAIN, "drained", "reported"),
        ("", "cancelled", "estimated"),
        ("hang_up = \"estimate\"", "estimated", "estimated"),
    ] {
        let state = tempfile::tempdir().expect("a directory");
        let upstream = Upstream::bind().await;
        let added = format!("{}\n[journal]\n", says(policy, "900 USD"));
        let text = config(upstream.at, &added);
        let mut stage = Stage::keeping(upstream, Source::Text("test", text), state.path());
        let (caller, mut peer) = streaming(&stage, &chat(), 2, None).await;
        if outcome == "drained" {
            leaves(&stage, caller).await;
            for event in &chat().events[2..] {
                peer.send(&chunk(event)).await;
            }
            peer.send(END).await;
        } else {
            drop(caller);
            peer.gone().await;
        }
        let line = stage.record().await;
        stage.sidecar.close();
        let mut ends = Vec::new();
        let directory = state.path().join("journal");
        let wanted = Wanted {
            tenant: Some("acme".parse().expect("an id")),
            ..Wanted::default()
        };
        Reader::open(&directory).read(&wanted, &mut |line| {
            if line.frame.head.kind == Kind::End {
                let payload = line.payload.expect("a payload");
                let told: Value = serde_json::from_slice(payload).expect("a document");
                ends.push((line.frame.head.whole.0, told));
            }
            ControlFlow::Continue(())
        });
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(ends[0].0, cost(&line));
        assert_members(
            &ends[0].1,
            &[
                ("ending", "caller-gone"),
                ("hang_up", outcome),
                ("usage", sure),
            ],
        );
        let verdict = verify(&directory, None, "");
        assert!(verdict.invalid.is_empty(), "{verdict:?}");
    }
}

#[test]
fn bounds_of_what_is_never_read_are_told() {
    let text = "[upstreams.openai]\ndialect = \"openai\"\nurl = \"https://api.openai.com\"\n\
                [policies.p]\nhang_up = \"estimate\"\ndrain_bytes = \"1MiB\"\n\
                [policies.q]\nhang_up = \"drain\"\ndrain_for = \"1s\"\n";
    let (loaded, compiled) = compiled(text);
    assert_eq!(
        render::lines(&compiled.warnings, &loaded.sources),
        "outrigger.toml:6:15: warning[OUT-0022]: no answer of this policy is read when its caller has hung up (set `hang_up = \"drain\"`)\n"
    );
}

/// Answers what is asked with that talk, in pieces, until it is dropped with the runtime.
fn answering(upstream: Upstream) {
    host::spawn("test-upstream", async move {
        loop {
            let mut peer = upstream.accept_any().await;
            host::spawn("test-upstream-connection", async move {
                while peer.asked().await.is_some() {
                    if !peer.try_send(STREAM).await {
                        return;
                    }
                    for event in chat().events {
                        tokio::task::yield_now().await;
                        if !peer.try_send(&chunk(&event)).await {
                            return;
                        }
                    }
                    if !peer.try_send(END).await {
                        return;
                    }
                }
            });
        }
    });
}

/// Many at once, each gone at another byte of its answer or before it, or not at all: the sum is what the provider bills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_leaves_at_any_byte_is_billed_to_the_last_token() {
    const CALLS: u64 = 240;
    let policy = "hang_up = \"drain\"\ndrain_calls = 4096";
    let added = says(policy, "9000 USD")
        .replace("limits.streams = 1\n", "")
        .replace("1M/h", "100M/h");
    let mut stage = Stage::open(&added).await;
    answering(stage.take_upstream().await);
    let at = stage.sidecar.proxy[0];
    let calls = (0..CALLS).map(|call| {
        host::spawn("test-caller", async move {
            let mut caller = Caller::connect(at).await;
            let talk = chat();
            caller.send(&post(talk.path, talk.question)).await;
            // Every third byte or so of some twelve hundred, in no order.
            let bytes = usize::try_from(call * 7_919 % 1_300).expect("few");
            caller.has(bytes).await;
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("a call");
    }
    // Whoever left before the question was read, asked nothing.
    until("all to be over", || {
        stage.metric("outrigger_connections_open", "") == 0
    })
    .await;
    stage.at_rest().await;
    no_tails(&stage).await;
    let lines = stage.lines();
    let mut spent = 0;
    let mut left = 0;
    for line in &lines {
        match line["ending"].as_str() {
            Some("complete") => {}
            // Of what never left there is nothing to say.
            Some("caller-gone") if line.get("hang_up").is_none() => {
                assert_eq!(line.get("usage"), None, "{line}");
                continue;
            }
            Some("caller-gone") => {
                assert_members(line, &[("hang_up", "drained")]);
                left += 1;
            }
            _ => panic!("{line}"),
        }
        assert_members(line, &[("usage", "reported")]);
        assert_eq!(cost(line), BILL, "{line}");
        spent += BILL;
    }
    assert!(left > CALLS / 4, "{left} left");
    let state = budget(&stage);
    assert_eq!((state.spent.0, state.held.0), (spent, 0));
}

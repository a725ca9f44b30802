//! A panic ends one trip, once: 500 if nothing has left yet, a cut if the head has; one record, nothing held, and every
//! other connection goes on. Panics are provoked through the clock, which almost every step of a trip reads.

use std::process::Command;

use outrigger::app::{Logging, Options, Sidecar, Source, control};
use outrigger::host::{self, JoinHandle, Signal, Signals};
use outrigger::process::{panicked_at, watch_panics};
use outrigger::spine::{LogFormat, log};
use tokio::sync::mpsc;

use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Talk, Upstream, WHOLE, chat, chunk, json, messages,
    post,
};

/// Answers everything that comes, until it is dropped with the runtime.
fn answering(upstream: Upstream, answer: Vec<u8>) -> JoinHandle<()> {
    host::spawn("test-upstream", async move {
        loop {
            let mut peer = upstream.accept_any().await;
            let answer = answer.clone();
            host::spawn("test-upstream-connection", async move {
                while peer.asked().await.is_some() {
                    peer.try_send(&answer).await;
                }
            });
        }
    })
}

fn streamed(talk: &Talk) -> Vec<u8> {
    let mut answer = STREAM.to_vec();
    for event in &talk.events {
        answer.extend(chunk(event));
    }
    answer.extend(END);
    answer
}

/// Sets the trap ever later, until a trip comes through.
async fn every_reading(path: &str, question: &str, answer: Vec<u8>, last: &str) -> (u32, u32) {
    let mut stage = Stage::open("limits.streams = 1\nlimits.tokens = \"1M/h\"").await;
    let _upstream = answering(stage.take_upstream().await, answer);
    let (mut refused, mut cut) = (0, 0);
    for skip in 0.. {
        let mut caller = stage.caller().await;
        stage.clock.trap_after(skip);
        caller.send(&post(path, question)).await;
        caller.finish().await;
        let sprung = stage.clock.sprung();
        let got = String::from_utf8_lossy(&caller.got()).into_owned();
        let line = stage.record().await;
        if !sprung {
            assert_eq!(line["ending"], "complete", "after {skip}: {line}");
            assert!(got.contains(last), "{got}");
            assert_eq!(stage.metric("outrigger_panics_total", ""), skip);
            break;
        }
        assert_eq!(line["ending"], "broken", "after {skip}: {line}");
        if got.starts_with("HTTP/1.1 500 ") {
            assert!(got.contains("outrigger-code: internal"), "{got}");
            assert_eq!(line["status"], 500, "{line}");
            assert_eq!(line["code"], "internal", "after {skip}: {line}");
            refused += 1;
        } else {
            let whole = got.ends_with("0\r\n\r\n") && !got.contains("\"code\":\"cut\"");
            assert!(!whole, "a happy ending after {skip}: {got}");
            assert_eq!(line["status"], 200, "{line}");
            assert_eq!(line["code"], "cut", "after {skip}: {line}");
            assert_eq!(line["cause"], "internal", "after {skip}: {line}");
            cut += 1;
        }
        assert!(!got.contains("trap"), "the panic's text is nobody's: {got}");
    }
    (refused, cut)
}

#[tokio::test]
async fn a_panic_at_any_reading_of_the_clock_ends_a_stream_once() {
    for talk in [chat(), messages()] {
        let last = if talk.path.contains("chat") {
            "[DONE]"
        } else {
            "message_stop"
        };
        let (refused, cut) = every_reading(talk.path, talk.question, streamed(&talk), last).await;
        assert!(refused >= 3 && cut >= 2, "{refused} and {cut}");
    }
}

#[tokio::test]
async fn a_panic_at_any_reading_of_the_clock_ends_a_whole_answer_once() {
    let (refused, _) =
        every_reading("/openai/v1/chat/completions", PLAIN, json(WHOLE), WHOLE).await;
    assert!(refused >= 3, "{refused}");
}

#[tokio::test]
async fn a_panic_of_one_trip_leaves_the_others_alone() {
    let mut stage = Stage::open("limits.streams = 2").await;
    let talk = chat();
    let (mut other, mut peer) = begin(&stage, &talk).await;

    // The same connection serves on after the 500.
    let mut caller = stage.caller().await;
    stage.clock.trap_after(0);
    caller
        .send(&post("/openai/v1/chat/completions", PLAIN))
        .await;
    let (head, _) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(stage.clock.sprung());
    caller
        .send(&post("/openai/v1/chat/completions", PLAIN))
        .await;
    let mut second = stage.upstream.accept().await;
    second.request().await;
    second.send(&json(WHOLE)).await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, WHOLE);

    for event in &talk.events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    other.sees("[DONE]").await;
    other.sees("0\r\n\r\n").await;
    stage.ended(3).await;
    let endings: Vec<_> = stage
        .lines()
        .into_iter()
        .map(|line| line["ending"].clone())
        .collect();
    assert_eq!(endings, ["broken", "complete", "complete"]);
}

async fn begin(stage: &Stage, talk: &Talk) -> (Caller, Peer) {
    let mut caller = stage.caller().await;
    caller.send(&post(talk.path, talk.question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("piece-01").await;
    (caller, peer)
}

/// What a slicing panic would print.
const PROMPT: &str = "écoute: a prompt of a tenant";

#[test]
#[ignore = "the other half of the next test: it changes what all panics of its process say"]
fn the_process_that_panics() {
    watch_panics();
    for _ in 0..2 {
        let end = PROMPT.len().min(1);
        let caught = std::panic::catch_unwind(|| PROMPT[..end].len());
        assert!(caught.is_err());
        let at = panicked_at();
        assert!(at.starts_with("tests/it/panic.rs:"), "{at}");
        assert_eq!(panicked_at(), "an unknown place", "said once");
    }
}

#[test]
fn a_panic_says_where_it_was_and_not_what_it_says() {
    let out = Command::new(std::env::current_exe().expect("this test"))
        .args(["panic::the_process_that_panics", "--exact"])
        .args(["--ignored", "--nocapture"])
        .output()
        .expect("a process");
    let err = String::from_utf8(out.stderr).expect("a text");
    assert!(out.status.success(), "{err}");
    let said = err.lines().filter(|line| {
        line.starts_with(
            "error: thread `panic::the_process_that_panics` panicked at tests/it/panic.rs:",
        )
    });
    assert_eq!(said.count(), 2, "{err}");
    assert!(!err.contains("prompt"), "{err}");
}

#[tokio::test]
async fn a_task_that_must_not_end_ends_the_process_after_the_drain() {
    let text = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n\
        [drain]\nidle = \"1ms\"\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n";
    let (queue, _writer) = log(10, LogFormat::Json);
    let prepared = Sidecar::prepare(Options::new(Source::Text("test", text.to_owned())));
    let mut sidecar = prepared
        .expect("a good configuration")
        .start(&Logging::over(queue))
        .expect("a sidecar");
    assert!(sidecar.ended.try_recv().is_err(), "all is well");
    let (ended, ends) = mpsc::channel(1);
    sidecar.ended = ends;
    ended.try_send("proxy-listener").expect("room");
    let mut signals = Signals::listen(&[Signal::User2]).expect("signals");
    let error = control(sidecar, &mut signals).await.expect_err("an end");
    assert_eq!(error.exit_code(), 70, "{error}");
    assert!(error.to_string().contains("proxy-listener"), "{error}");
}

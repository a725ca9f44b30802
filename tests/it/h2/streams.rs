//! Streams beside each other: one is given up, one stands still, one is refused, and the others do not notice.

use std::time::Duration;

use super::wire::{CANCEL, DATA, END_HEADERS, End, HEADERS, REFUSED_STREAM, block};
use super::{
    Client, PATH, assert_members, connect, finish, get, head, listening, served, streaming,
};
use crate::stage::{END, PLAIN, Stage, WHOLE, chat, chunk, json, until};

#[tokio::test]
async fn a_stream_given_up_is_a_hang_up_of_that_trip_alone() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let mut client = connect(&stage).await;
    let first = streaming(&stage, &mut client, 1).await;
    let mut second = streaming(&stage, &mut client, 3).await;
    client.reset(1).await;
    first.gone().await;
    let line = stage_line(&mut stage, 1).await;
    assert_members(&line, &[("ending", "caller-gone"), ("usage", "estimated")]);
    finish(&mut client, 3, &mut second).await;
    let line = stage_line(&mut stage, 1).await;
    assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
    // Before its answer, and before its question is whole.
    client.ask(5, &head(PATH, &[]), Some(PLAIN)).await;
    let mut third = second;
    third.request().await;
    client.reset(5).await;
    third.gone().await;
    assert_members(
        &stage_line(&mut stage, 1).await,
        &[("ending", "caller-gone")],
    );
    let half = block(&head(PATH, &[]));
    client.frame(HEADERS, END_HEADERS, 7, &half).await;
    client.frame(DATA, 0, 7, &PLAIN.as_bytes()[..9]).await;
    client.settle().await;
    client.reset(7).await;
    assert_members(&stage.record().await, &[("ending", "caller-gone")]);
}

/// The one line since the last look, while other trips may go on.
async fn stage_line(stage: &mut Stage, count: usize) -> serde_json::Value {
    let mut lines = Vec::new();
    until("a record", || {
        lines.extend(stage.lines());
        lines.len() >= count
    })
    .await;
    assert_eq!(lines.len(), count, "{lines:?}");
    lines.remove(0)
}

/// Both before its answer and within it; and the connection's other streams go on.
#[tokio::test]
async fn a_stream_given_up_is_read_to_its_end_where_the_policy_says_so() {
    let policy = "policy = \"p\"\nlimits.connections = 1\n[policies.p]\nhang_up = \"drain\"";
    let mut stage = Stage::open(policy).await;
    let ground = std::sync::Arc::clone(&stage.sidecar.ground);
    let mut client = connect(&stage).await;
    let mut first = streaming(&stage, &mut client, 1).await;
    client.ask(3, &head(PATH, &[]), Some(PLAIN)).await;
    let mut second = stage.upstream.accept().await;
    second.request().await;
    client.reset(1).await;
    client.reset(3).await;
    until("both to go on alone", || {
        ground.shutdown.tails().open() == 2
    })
    .await;
    served(&stage, &mut client, 5).await;
    assert_members(
        &stage_line(&mut stage, 1).await,
        &[("ending", "complete"), ("usage", "reported")],
    );
    // Nor does the end of the connection end them, and its place is another's.
    drop(client);
    until("the place to be free", || {
        stage.account("acme").connections() == 0
    })
    .await;
    let client = connect(&stage).await;
    second.send(&json(WHOLE)).await;
    let drained = [
        ("ending", "caller-gone"),
        ("hang_up", "drained"),
        ("usage", "reported"),
    ];
    assert_members(&stage_line(&mut stage, 1).await, &drained);
    for event in &chat().events[1..] {
        first.send(&chunk(event)).await;
    }
    first.send(END).await;
    assert_members(&stage_line(&mut stage, 1).await, &drained);
    drop(client);
    stage.at_rest().await;
    assert_eq!(ground.shutdown.tails().open(), 0);
}

#[tokio::test]
async fn a_connection_that_ends_ends_all_its_trips() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    for breaks in [false, true] {
        let mut client = connect(&stage).await;
        let first = streaming(&stage, &mut client, 1).await;
        let second = streaming(&stage, &mut client, 3).await;
        if breaks {
            client.break_off();
        } else {
            drop(client);
        }
        first.gone().await;
        second.gone().await;
        stage.ended(2).await;
        for line in stage.lines() {
            assert_members(&line, &[("ending", "caller-gone"), ("usage", "estimated")]);
        }
    }
}

#[tokio::test]
async fn a_client_that_is_gone_with_its_question_has_begun_its_trips() {
    let mut stage = Stage::open("limits.tokens = \"1M/h\"").await;
    let mut client = connect(&stage).await;
    client.settle().await;
    client.ask(1, &head(PATH, &[]), Some(PLAIN)).await;
    client.ask(3, &get("/openai/v1/models"), None).await;
    drop(client);
    stage.ended(2).await;
    for line in stage.lines() {
        assert_members(&line, &[("tenant", "acme"), ("ending", "caller-gone")]);
    }
    // Who breaks off may be gone before anybody could be asked for whom it was.
    let mut client = connect(&stage).await;
    client.settle().await;
    client.ask(1, &head(PATH, &[]), Some(PLAIN)).await;
    client.ask(3, &get("/openai/v1/models"), None).await;
    client.frame(HEADERS, END_HEADERS, 5, b"").await;
    drop(client);
    stage.ended(3).await;
    for line in stage.lines() {
        assert!(
            line["ending"] == "caller-gone" || line["code"] == "head-malformed",
            "{line}"
        );
    }
    stage.no_record().await;
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused_one_by_one() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let half = block(&head(PATH, &[]));
    for number in 0..101 {
        client
            .frame(HEADERS, END_HEADERS, 2 * number + 1, &half)
            .await;
    }
    let refused = client.answer(201).await;
    assert_eq!(refused.end, End::Reset(REFUSED_STREAM));
    let line = stage_line(&mut stage, 1).await;
    assert_members(&line, &[("tenant", "_nobody"), ("code", "overloaded")]);
    // One less, and there is room again.
    client.reset(1).await;
    client.settle().await;
    served(&stage, &mut client, 203).await;
    drop(client);
    stage.ended(101).await;
}

#[tokio::test]
async fn a_client_that_never_opens_its_window_loses_the_stream_and_no_other() {
    let mut stage = listening("write_timeout = \"100ms\"", "limits.tokens = \"1M/h\"").await;
    let mut client = Client::with(stage.sidecar.proxy[0], &[(4, 0)]).await;
    let talk = crate::stage::chat();
    // This one reads.
    client
        .ask(1, &head(talk.path, &[]), Some(talk.question))
        .await;
    let mut moving = stage.upstream.accept().await;
    moving.request().await;
    client.open(1, 1 << 20).await;
    // This one does not.
    client
        .ask(3, &head(talk.path, &[]), Some(talk.question))
        .await;
    let mut stuck = stage.upstream.accept().await;
    stuck.request().await;
    stuck.send(crate::stage::STREAM).await;
    stuck.send(&crate::stage::chunk(&talk.events[0])).await;
    assert_eq!(client.status(3).await, 200);
    assert_eq!(client.rest(3).await, (String::new(), End::Reset(CANCEL)));
    stuck.gone().await;
    let line = stage_line(&mut stage, 1).await;
    assert_members(
        &line,
        &[
            ("ending", "cut-off"),
            ("code", "cut"),
            ("cause", "caller-stalled"),
        ],
    );
    let severed = stage.metric("outrigger_callers_severed_total", "caller-stalled");
    assert_eq!(severed, 1);
    moving.send(crate::stage::STREAM).await;
    moving.send(&crate::stage::chunk(&talk.events[0])).await;
    assert_eq!(client.status(1).await, 200);
    finish(&mut client, 1, &mut moving).await;
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

#[tokio::test]
async fn a_cut_reaches_a_stream_whose_caller_takes_nothing() {
    let mut stage = listening("", "limits.tokens = \"1M/h\"").await;
    let mut client = Client::with(stage.sidecar.proxy[0], &[(4, 0)]).await;
    let talk = crate::stage::chat();
    client
        .ask(1, &head(talk.path, &[]), Some(talk.question))
        .await;
    let mut stuck = stage.upstream.accept().await;
    stuck.request().await;
    stuck.send(crate::stage::STREAM).await;
    stuck.send(&crate::stage::chunk(&talk.events[0])).await;
    assert_eq!(client.status(1).await, 200);
    // A nudge for another's sake changes nothing.
    stage.sidecar.nudge();
    client.settle().await;
    stage.account("acme").cut();
    stage.sidecar.nudge();
    assert_eq!(client.rest(1).await, (String::new(), End::Reset(CANCEL)));
    stuck.gone().await;
    let line = stage.record().await;
    assert_members(
        &line,
        &[
            ("ending", "cut-off"),
            ("code", "cut"),
            ("cause", "tenant-suspended"),
        ],
    );
    // What the tenant asks next has not been cut.
    client.open(0, 1 << 20).await;
    client.ask(3, &get("/nowhere"), None).await;
    client.open(3, 1 << 20).await;
    assert_eq!(client.answer(3).await.status, 404);
    stage.record().await;
}

#[tokio::test]
async fn a_refusal_that_nobody_takes_goes_too() {
    let mut stage = listening("write_timeout = \"50ms\"", "").await;
    let mut client = Client::with(stage.sidecar.proxy[0], &[(4, 0)]).await;
    client.ask(1, &get("/nowhere"), None).await;
    assert_eq!(client.status(1).await, 404);
    assert_eq!(client.rest(1).await, (String::new(), End::Reset(CANCEL)));
    stage.record().await;
}

#[tokio::test]
async fn a_slow_reader_is_no_stalled_one() {
    let mut stage = listening("write_timeout = \"200ms\"", "").await;
    let mut client = Client::with(stage.sidecar.proxy[0], &[(4, 1)]).await;
    client.opens_windows = false;
    client.ask(1, &get("/openai/v1/models"), None).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    // Two pieces, so that the body is asked for again while the client takes its time.
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n012345")
        .await;
    assert_eq!(client.status(1).await, 200);
    let mut body = Vec::new();
    for number in 0..12 {
        if number == 6 {
            peer.send(b"678901").await;
        }
        let piece = client.next_of(1).await.expect("a byte");
        assert_eq!(piece.kind, DATA, "{piece:?}");
        body.extend(piece.payload);
        tokio::time::sleep(Duration::from_millis(30)).await;
        client.open(1, 1).await;
    }
    assert_eq!(body, b"012345678901");
    assert_members(&stage.record().await, &[("ending", "complete")]);
}

#[tokio::test]
async fn an_upload_that_nobody_reads_keeps_no_other_stream_waiting() {
    let policy =
        "policy = \"p\"\n[policies.p]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"";
    let stage = listening("", policy).await;
    let mut client = connect(&stage).await;
    let files = block(&head("/openai/v1/files", &[]));
    client.frame(HEADERS, END_HEADERS, 1, &files).await;
    let _unread = stage.upstream.accept().await;
    // As much as the stream may send: until its window stays shut, the connection's own is open.
    let piece = vec![b'x'; 16_384];
    let mut window = 65_535_usize;
    let mut shut = false;
    while !shut {
        while window > 0 {
            let now = window.min(piece.len());
            client.frame(DATA, 0, 1, &piece[..now]).await;
            window -= now;
        }
        shut = true;
        let reading = async {
            while let Some(frame) = client.any().await {
                if frame.kind == super::wire::WINDOW_UPDATE && frame.stream == 1 {
                    let by = frame.payload.try_into().expect("four bytes");
                    return u32::from_be_bytes(by);
                }
                if frame.kind == super::wire::SETTINGS && frame.flags == 0 {
                    client.frame(super::wire::SETTINGS, 1, 0, b"").await;
                }
            }
            0
        };
        let opened = tokio::time::timeout(Duration::from_millis(300), reading).await;
        if let Ok(by) = opened {
            window += by as usize;
            shut = false;
        }
    }
    served(&stage, &mut client, 3).await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_question_is_whole() {
    let policy = "policy = \"p\"\n[policies.p]\nbody = \"1KiB\"\nendpoints.allow = [\"files\"]\nreferences = \"allow\"";
    let mut stage = Stage::open(policy).await;
    let mut client = connect(&stage).await;
    // A refusal: too large, seen in the middle.
    client
        .frame(HEADERS, END_HEADERS, 1, &block(&head(PATH, &[])))
        .await;
    client.frame(DATA, 0, 1, &[b' '; 2000]).await;
    let refused = client.answer(1).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    stage.record().await;
    // The upstream's own, while the upload goes on.
    let files = block(&head("/openai/v1/files", &[]));
    client.frame(HEADERS, END_HEADERS, 3, &files).await;
    client.frame(DATA, 0, 3, b"begin").await;
    let mut peer = stage.upstream.accept().await;
    peer.sees(b"begin").await;
    peer.send(&json("{\"early\":true}")).await;
    let answer = client.answer(3).await;
    assert_eq!((answer.status, &*answer.body), (200, "{\"early\":true}"));
    assert_members(&stage.record().await, &[("ending", "complete")]);
    // Neither has cost the connection.
    served(&stage, &mut client, 5).await;
}

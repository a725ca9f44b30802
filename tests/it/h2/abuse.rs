//! Clients that send what no client needs: the connection is closed, what was begun is recorded, nothing is held.

use super::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, length,
};
use super::{Client, PATH, assert_members, connect, get, head, listening, served, streaming};
use crate::stage::Stage;

/// Sends this over and over until the connection is closed; gives the reason, if one was heard.
async fn flood(client: &mut Client, bytes: &[u8]) -> Option<u32> {
    let much = bytes.repeat(4096 / bytes.len() + 1);
    let mut rounds = 0;
    while rounds < 10_000 && client.try_send(&much).await {
        rounds += 1;
        tokio::task::yield_now().await;
    }
    assert!(rounds < 10_000, "the flood goes on");
    client.farewell().await
}

#[tokio::test]
async fn floods_of_frames_end_the_connection_and_are_counted() {
    for (what, bytes) in [
        ("pings", frame(PING, 0, 0, b"too much")),
        ("settings", frame(SETTINGS, 0, 0, b"")),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("priorities", frame(2, 0, 7, &[0, 0, 0, 0, 1])),
        ("unknown kinds", frame(0xee, 0, 0, b"")),
    ] {
        let mut stage = Stage::open("").await;
        let mut client = connect(&stage).await;
        let peer = streaming(&stage, &mut client, 1).await;
        let reason = flood(&mut client, &bytes).await;
        // The farewell may be lost: what was not read when a socket is closed resets it.
        assert!(
            matches!(reason, None | Some(ENHANCE_YOUR_CALM)),
            "{what}: {reason:?}"
        );
        peer.gone().await;
        let line = stage.record().await;
        assert_members(
            &line,
            &[
                ("ending", "cut-off"),
                ("code", "cut"),
                ("cause", "connection-flooded"),
            ],
        );
        let severed = stage.metric("outrigger_callers_severed_total", "connection-flooded");
        assert_eq!(severed, 1, "{what}");
        // Who comes next is served.
        let mut next = connect(&stage).await;
        served(&stage, &mut next, 1).await;
    }
}

#[tokio::test]
async fn a_flood_of_empty_pieces_ends_the_connection() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    client
        .frame(HEADERS, END_HEADERS, 1, &block(&head(PATH, &[])))
        .await;
    client.settle().await;
    flood(&mut client, &frame(DATA, 0, 1, b"")).await;
    let line = stage.record().await;
    assert_ne!(line["ending"], "complete");
    stage.upstream.unused().await;
}

#[tokio::test]
async fn streams_given_up_as_fast_as_they_are_opened_end_the_connection() {
    // At once: seen before any of them is begun.
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    client.settle().await;
    let block = block(&head(PATH, &[]));
    let mut bytes = Vec::new();
    for number in 0..1000 {
        let stream = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &block));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = client.try_send(&bytes).await;
    let reason = client.farewell().await;
    assert!(
        matches!(reason, None | Some(ENHANCE_YOUR_CALM)),
        "{reason:?}"
    );
    stage.at_rest().await;
    let begun = stage.lines().len();
    assert!(begun <= 250, "{begun} records");

    // With care: each is begun before it is given up.
    let mut client = connect(&stage).await;
    let mut number = 0;
    loop {
        let stream = 2 * number + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &block);
        bytes.extend(frame(PING, 0, 0, b"are they"));
        if !client.try_send(&bytes).await {
            break;
        }
        let Some(_pong) = client.next().await else {
            break;
        };
        client
            .try_send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()))
            .await;
        number += 1;
        assert!(number < 1000, "the flood goes on");
    }
    assert!(number > 64, "a few are nobody's harm: {number}");
    stage.at_rest().await;
    let severed = stage.metric("outrigger_callers_severed_total", "connection-flooded");
    assert!(severed >= 1, "{severed}");
    for line in stage.lines() {
        let ending = line["ending"].as_str().expect("an ending");
        // The last may have come with what was too much.
        let unasked = line["code"] == "connection-flooded" && line["tenant"] == "_nobody";
        assert!(
            unasked || matches!(ending, "caller-gone" | "cut-off"),
            "{line}"
        );
    }
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_client_that_cancels_now_and_then_is_no_flood() {
    let stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    let block = block(&head(PATH, &[]));
    for number in 0..100 {
        client
            .frame(HEADERS, END_HEADERS, 2 * number + 1, &block)
            .await;
        client.settle().await;
        client.reset(2 * number + 1).await;
    }
    served(&stage, &mut client, 201).await;
}

#[tokio::test]
async fn a_head_without_an_end_ends_the_connection() {
    let mut stage = listening("head_timeout = \"100ms\"", "").await;
    // Fast: more pieces than the largest head has.
    for piece in [&b""[..], b"\0\x01x\x01y"] {
        let mut client = connect(&stage).await;
        client.settle().await;
        let begin = block(&head(PATH, &[]));
        client.frame(HEADERS, END_STREAM, 1, &begin).await;
        let reason = flood(&mut client, &frame(CONTINUATION, 0, 1, piece)).await;
        assert!(
            matches!(reason, None | Some(ENHANCE_YOUR_CALM | 9)),
            "{reason:?}"
        );
        let line = stage.record().await;
        assert_members(&line, &[("tenant", "_nobody"), ("ending", "refused")]);
        let code = line["code"].as_str().expect("a code");
        assert!(
            matches!(code, "head-malformed" | "connection-flooded"),
            "{line}"
        );
    }
    // Slow: until the time for a head is over.
    let mut client = connect(&stage).await;
    client.settle().await;
    client
        .frame(HEADERS, END_STREAM, 1, &block(&head(PATH, &[])))
        .await;
    let reason = client.farewell().await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    let severed = stage.metric("outrigger_callers_severed_total", "head-timeout");
    assert_eq!(severed, 1);
    let late = [
        ("tenant", "_nobody"),
        ("ending", "refused"),
        ("code", "head-timeout"),
    ];
    assert_members(&stage.record().await, &late);
    // Half a frame is half a head.
    let mut client = connect(&stage).await;
    client.settle().await;
    client
        .send(&frame(HEADERS, END_HEADERS, 1, &[0; 9])[..12])
        .await;
    assert_eq!(client.farewell().await, Some(ENHANCE_YOUR_CALM));
    assert_members(&stage.record().await, &late);
    stage.upstream.unused().await;
    stage.no_record().await;
}

#[tokio::test]
async fn a_head_that_grows_when_it_is_read_costs_nothing_but_itself() {
    let mut stage = Stage::open("").await;
    let mut client = connect(&stage).await;
    client.settle().await;
    // One field of 4,000 bytes goes into the table, and is then named by one byte, over and over.
    let mut bomb = block(&get("/openai/v1/models"));
    bomb.extend_from_slice(b"\x40\x06x-bomb");
    length(4_000, &mut bomb);
    bomb.extend_from_slice(&[b'b'; 4_000]);
    bomb.extend_from_slice(&[0xbe; 10_000]);
    client
        .frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)
        .await;
    let first = client.next().await;
    // 40 MB of head: refused, and most likely the connection with it.
    let refused = match &first {
        None => true,
        Some(frame) if frame.kind == HEADERS => frame.status() == 431,
        Some(frame) => frame.reason() == ENHANCE_YOUR_CALM,
    };
    assert!(refused, "{first:?}");
    stage.upstream.unused().await;
    drop(client);
    assert_members(
        &stage.record().await,
        &[("tenant", "_nobody"), ("ending", "refused")],
    );
    stage.no_record().await;
}

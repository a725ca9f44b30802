//! The terms on which a provider works, where they show in the answer: a model that ran elsewhere than it may is stopped
//! before its first word, or before the end of an answer that is not a stream.

use crate::stage::{END, STREAM, Stage, chunk, json, messages, post};

const US: &str = "policy = \"p\"\n[policies.p]\ninference_geo.allow = [\"us\"]";

fn opening(place: &str) -> String {
    format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"m1\",\"model\":\"m\",\"usage\":{{\"input_tokens\":11,\"output_tokens\":1,\"inference_geo\":\"{place}\"}}}}}}\n\n"
    )
}

const PLAIN: &str = r#"{"model":"m","max_tokens":64,"messages":[]}"#;

fn whole(place: &str) -> String {
    format!(
        r#"{{"id":"m1","type":"message","model":"m","content":[{{"type":"text","text":"piece-01"}}],"stop_reason":"end_turn","usage":{{"input_tokens":11,"output_tokens":9,"inference_geo":"{place}"}}}}"#
    )
}

#[tokio::test]
async fn a_stream_from_elsewhere_is_cut_before_its_first_word() {
    let mut stage = Stage::open(US).await;
    let talk = messages();
    let mut caller = stage.caller().await;
    caller.send(&post(talk.path, talk.question)).await;
    let mut peer = stage.upstream.accept().await;
    let (_, body) = peer.request().await;
    let body = String::from_utf8(body).expect("text");
    assert!(body.contains(r#""inference_geo":"us""#), "{body}");
    let first = [STREAM, &chunk(&opening("global"))].concat();
    let rest: String = talk.events[1..].concat();
    // Whatever the upstream says behind its place is no longer heard.
    peer.try_send(&[&first, chunk(&rest).as_slice(), END].concat())
        .await;
    let got = caller.sees("0\r\n\r\n").await;
    assert!(!got.contains("piece-01"), "{got}");
    assert!(got.contains("event: error"), "{got}");
    assert!(!got.contains("message_stop"), "{got}");
    stage.ended(1).await;
    let line = stage.record().await;
    for (name, value) in [
        ("ending", "cut-off"),
        ("code", "cut"),
        ("cause", "region-denied"),
        ("inference_geo", "global"),
    ] {
        assert_eq!(line[name].as_str(), Some(value), "{line}");
    }
    assert_eq!(
        stage.metric("outrigger_inference_geo_mismatches_total", "elsewhere"),
        1
    );
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_never_whole() {
    for pieces in [1, 40] {
        let mut stage = Stage::open(US).await;
        let mut caller = stage.caller().await;
        caller.send(&post("/anthropic/v1/messages", PLAIN)).await;
        let mut peer = stage.upstream.accept().await;
        peer.request().await;
        let answer = json(&whole("eu"));
        for piece in answer.chunks(answer.len().div_ceil(pieces)) {
            peer.try_send(piece).await;
        }
        let got = String::from_utf8(caller.rest().await).expect("text");
        assert!(!got.ends_with("}}"), "{got}");
        stage.ended(1).await;
        let line = stage.record().await;
        assert_eq!(line["inference_geo"].as_str(), Some("eu"), "{line}");
        assert_eq!(line["ending"].as_str(), Some("cut-off"), "{line}");
        // What was generated elsewhere is paid for all the same.
        assert_eq!(line["output_tokens"].as_u64(), Some(9), "{line}");
    }
}

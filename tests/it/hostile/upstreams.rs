//! Upstreams that misbehave: their answers are neither believed blindly nor does one hold up the next request.

use std::io::Write;

use super::house::{ACME, House, PLAIN, Reply, post_with, wait_for};

const CHAT: &str = "/openai/v1/chat/completions";

fn odd(house: &House, kind: &str) -> Reply {
    let fields = format!("x-api-key: {ACME}\r\nx-odd: {kind}\r\n");
    house.send(&post_with(
        CHAT,
        &fields,
        "{\"model\":\"m\",\"messages\":[\"some text\"]}",
    ))
}

fn fine(house: &House) -> Reply {
    house.send(&post_with(
        CHAT,
        &format!("x-api-key: {ACME}\r\n"),
        "{\"model\":\"m\"}",
    ))
}

#[test]
fn an_answer_that_comes_before_the_request_is_sent_holds_nobody_up() {
    let house = House::with(&format!(
        "{PLAIN}[policies.standard]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"\n"
    ));
    let mut slow = house.connect();
    let head = format!(
        "POST /openai/v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nx-odd: early\r\ncontent-length: 1000000\r\n\r\nsome"
    );
    slow.write_all(head.as_bytes()).expect("sent");
    assert!(wait_for(|| (house.upstream.count() == 1).then_some(())).is_some());
    house.log(1);
    let begun = std::time::Instant::now();
    let reply = fine(&house);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    drop(slow);
}

#[test]
fn a_compressed_answer_does_not_count_as_nothing() {
    let house = House::plain();
    let reply = odd(&house, "gzip");
    assert_eq!(reply.status, 200, "{reply:?}");
    let log = house.log(1);
    let line = log
        .iter()
        .find(|line| line.contains("\"message\":\"request\""))
        .expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["usage"], "estimated", "{line}");
    assert!(line["output_tokens"].as_u64() > Some(0), "{line}");
    assert!(line["input_tokens"].as_u64() > Some(0), "{line}");
}

#[test]
fn an_answer_framed_twice_is_read_one_way_or_not_at_all() {
    let house = House::plain();
    let reply = odd(&house, "framed twice");
    match reply.status {
        200 => {
            assert!(reply.field("content-length").is_none(), "{reply:?}");
            let text = String::from_utf8_lossy(&reply.extra).into_owned();
            assert!(
                text.starts_with("8\r\n{\"a\":12}") || text.starts_with("5\r\n{\"a\":\r\n3\r\n12}"),
                "{text}"
            );
            let log = house.log(1);
            assert!(
                log.iter()
                    .any(|line| line.contains("\"ending\":\"complete\"")),
                "{log:#?}"
            );
        }
        status => assert_eq!(status, 502, "{reply:?}"),
    }
}

#[test]
fn an_upstream_cannot_switch_protocols_or_answer_the_next_request() {
    let house = House::plain();
    let reply = odd(&house, "switching");
    assert_eq!(
        (reply.status, reply.field("outrigger-code")),
        (502, Some("upstream-invalid")),
        "{reply:?}"
    );
    let reply = odd(&house, "two answers");
    assert_eq!((reply.status, &*reply.body), (200, "{}"), "{reply:?}");
    for _ in 0..3 {
        let reply = fine(&house);
        assert!(
            reply.status == 200 && !reply.body.contains("stale"),
            "{reply:?}"
        );
    }
}

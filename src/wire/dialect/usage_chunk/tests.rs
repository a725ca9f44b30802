//! Streams with and without a usage chunk, in every split.

use bytes::Bytes;
use proptest::prelude::*;

use super::{HOLD_CAP, UsageChunkFilter};

const TEXT: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"Hi \\\"usage\\\":{}\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
const AZURE: &str = "data: {\"choices\":[],\"prompt_filter_results\":[{\"usage\":{}}]}\n\n";
const CUMULATIVE: &str = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn filtered(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (String, u64) {
    let mut filter = UsageChunkFilter::default();
    let mut out = Vec::new();
    for piece in pieces {
        filter.push(&Bytes::copy_from_slice(piece.as_ref()), &mut out);
        assert!(filter.held_len <= HOLD_CAP);
        assert_eq!(
            filter.held_len,
            filter.held.iter().map(Bytes::len).sum::<usize>()
        );
    }
    filter.finish(&mut out);
    assert!(out.iter().all(|piece| !piece.is_empty()));
    (
        String::from_utf8(out.concat()).expect("utf-8"),
        filter.dropped(),
    )
}

fn in_every_split(stream: &str) -> (String, u64) {
    let whole = filtered([stream.as_bytes()]);
    for cut in 0..=stream.len() {
        let (left, right) = stream.as_bytes().split_at(cut);
        assert_eq!(
            filtered([left, right]),
            whole,
            "{:?} | {:?}",
            &stream.get(..cut),
            &stream.get(cut..)
        );
    }
    assert_eq!(filtered(stream.as_bytes().chunks(1)), whole);
    whole
}

#[test]
fn exactly_the_usage_chunk_goes() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let cr = |text: &str| text.replace('\n', "\r");
    let table = [
        (
            format!("{TEXT}{TEXT}{USAGE}{DONE}"),
            format!("{TEXT}{TEXT}{DONE}"),
            1,
        ),
        (
            format!("{AZURE}{TEXT}{CUMULATIVE}{DONE}"),
            format!("{AZURE}{TEXT}{CUMULATIVE}{DONE}"),
            0,
        ),
        (format!("{USAGE}{USAGE}"), String::new(), 2),
        (
            crlf(&format!("{TEXT}{USAGE}{DONE}")),
            crlf(&format!("{TEXT}{DONE}")),
            1,
        ),
        (
            cr(&format!("{TEXT}{USAGE}{DONE}")),
            cr(&format!("{TEXT}{DONE}")),
            1,
        ),
        (
            format!(": hi\n\n{TEXT}: ho\r\n: he\n{USAGE}{DONE}"),
            format!(": hi\n\n{TEXT}: ho\r\n: he\n{DONE}"),
            1,
        ),
        (format!("\u{feff}{USAGE}{DONE}"), DONE.to_owned(), 1),
        (
            "event: x\nid: 1\ndata: {\"choices\":[],\ndata: \"usage\":{}}\n\nid: 2\n\n".to_owned(),
            "id: 2\n\n".to_owned(),
            1,
        ),
        (USAGE.trim_end().to_owned(), USAGE.trim_end().to_owned(), 0),
        (
            "data: {\"usage\":{},\"choices\":null}\n\n".to_owned(),
            "data: {\"usage\":{},\"choices\":null}\n\n".to_owned(),
            0,
        ),
        (
            "data: {\"usage\":{}}\n\n".to_owned(),
            "data: {\"usage\":{}}\n\n".to_owned(),
            0,
        ),
        (
            "data: {\"choices\":[],\"usage\":{}\n\n".to_owned(),
            "data: {\"choices\":[],\"usage\":{}\n\n".to_owned(),
            0,
        ),
    ];
    for (stream, expected, dropped) in table {
        assert_eq!(in_every_split(&stream), (expected, dropped), "{stream:?}");
    }
}

#[test]
fn nothing_is_held_once_choices_are_known() {
    let mut filter = UsageChunkFilter::default();
    let mut out = Vec::new();
    filter.push(&Bytes::from_static(b"data: {\"id\":\"1\",\"choi"), &mut out);
    assert!(out.is_empty());
    filter.push(&Bytes::from_static(b"ces\":[{\"delta\""), &mut out);
    assert_eq!(out.concat(), b"data: {\"id\":\"1\",\"choices\":[{\"delta\"");
    out.clear();
    filter.push(&Bytes::from_static(b":{}"), &mut out);
    assert_eq!(out.concat(), b":{}");
    out.clear();
    filter.push(&Bytes::from_static(b"}]}\n\ndata: [D"), &mut out);
    assert_eq!(out.concat(), b"}]}\n\ndata: [D");
    out.clear();
    filter.push(&Bytes::from_static(b"ONE]\n\n: keep-alive\n"), &mut out);
    assert_eq!(out.concat(), b"ONE]\n\n: keep-alive\n");
}

#[test]
fn an_event_too_long_to_hold_is_let_through_and_flagged() {
    let mut filter = UsageChunkFilter::default();
    let mut out = Vec::new();
    let head = Bytes::from_static(b"data: {\"pad\":\"");
    filter.push(&head, &mut out);
    let pad = Bytes::from(vec![b'x'; 1000]);
    for _ in 0..(HOLD_CAP / 1000 + 2) {
        filter.push(&pad, &mut out);
    }
    assert!(filter.overflowed());
    assert_eq!(filter.held_len, 0);
    let passed: usize = out.iter().map(Bytes::len).sum();
    assert_eq!(passed, head.len() + 1000 * (HOLD_CAP / 1000 + 2));
}

#[test]
fn a_chunk_that_passes_is_not_copied() {
    let chunk = Bytes::copy_from_slice(format!("{TEXT}{TEXT}").as_bytes());
    let mut out = Vec::new();
    UsageChunkFilter::default().push(&chunk, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr(), chunk.as_ptr());
}

proptest! {
    #[test]
    fn any_split_passes_the_same(
        events in proptest::collection::vec(prop_oneof![
            Just(TEXT), Just(USAGE), Just(AZURE), Just(DONE), Just(CUMULATIVE), Just(": c\n"), Just("\n"), Just("\r"),
            Just("\r\n"), Just("id: 1\n"), Just("data: {\"choices\":[],\"usage\":{}}\r\n\r\n"), Just("data: x"), Just(":"),
        ], 0..12),
        size in 1..20_usize,
    ) {
        let stream = events.concat();
        let whole = filtered([stream.as_bytes()]);
        prop_assert_eq!(filtered(stream.as_bytes().chunks(size)), whole);
    }
}

//! Tables and properties of the event scanner.

use proptest::prelude::*;

use super::fuzz::{fuzz_sse, told};
use super::{Event, Scanner};

fn events(stream: &str) -> Vec<(String, String)> {
    told(&[stream.as_bytes()], 1 << 20)
        .into_iter()
        .map(|event| {
            let (name, data) = event.expect("readable");
            (
                String::from_utf8(name).expect("utf-8"),
                String::from_utf8(data).expect("utf-8"),
            )
        })
        .collect()
}

#[test]
fn reads_what_the_standard_says() {
    let table: [(&str, &[(&str, &str)]); 14] = [
        ("data: a\n\n", &[("", "a")]),
        ("data:a\n\n", &[("", "a")]),
        ("data:  a\n\n", &[("", " a")]),
        ("data: a\r\n\r\n", &[("", "a")]),
        ("data: a\r\r", &[("", "a")]),
        ("data: a\ndata: b\n\n", &[("", "a\nb")]),
        ("data\ndata\n\n", &[("", "\n")]),
        ("data:\n\n", &[("", "")]),
        ("event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
        ("data: a\nevent: x\n\n", &[("x", "a")]),
        ("event: x\nevent: y\ndata: a\n\n", &[("y", "a")]),
        (
            ": comment\n\nid: 1\nretry: 5\nevent: x\n\ndata: a\n\n",
            &[("", "a")],
        ),
        ("\u{feff}data: a\n\n", &[("", "a")]),
        (
            "datax: a\ndat: b\n data: c\ndataaaaaaa: d\ndata: e\n\ndata: cut",
            &[("", "e")],
        ),
    ];
    for (stream, expected) in table {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(n, d)| (n.to_owned(), d.to_owned()))
            .collect();
        assert_eq!(events(stream), expected, "{stream:?}");
    }
}

#[test]
fn an_event_over_the_cap_is_counted_and_passed_over() {
    let mut scanner = Scanner::new(4);
    let mut seen = Vec::new();
    for chunk in [&b"data: 12"[..], b"345\n\nda", b"ta: 1234\n", b"\n"] {
        scanner.push(chunk, &mut |event| {
            seen.push(match event {
                Event::Message { data, .. } => data.to_vec(),
                Event::Unreadable { .. } => b"!".to_vec(),
            });
        });
    }
    assert_eq!(seen, [b"!".to_vec(), b"1234".to_vec()]);
    assert_eq!(scanner.unreadable(), 1);
}

#[test]
fn end_is_where_the_blank_line_ends() {
    let stream = b": hi\r\ndata: a\r\n\r\ndata: b\n\n";
    let mut ends = Vec::new();
    Scanner::default().push(stream, &mut |event| {
        if let Event::Message { end, .. } = event {
            ends.push(end);
        }
    });
    assert_eq!(ends, [17, 26]);
}

#[test]
fn an_event_inside_one_chunk_is_not_copied() {
    let stream = b"event: x\ndata: abc\n\n";
    let range = stream.as_ptr_range();
    let mut borrowed = false;
    Scanner::default().push(stream, &mut |event| {
        if let Event::Message { data, .. } = event {
            borrowed = range.contains(&data.as_ptr());
        }
    });
    assert!(borrowed);
}

proptest! {
    #[test]
    fn any_split_tells_the_same(pieces in proptest::collection::vec(
        prop_oneof![
            Just("data:".to_owned()), Just("data: {\"a\":1}".to_owned()), Just("event: ping".to_owned()),
            Just("\n".to_owned()), Just("\r".to_owned()), Just("\r\n".to_owned()), Just("\n\n".to_owned()),
            Just("\u{feff}".to_owned()), Just(":".to_owned()), Just(" ".to_owned()), Just("é𝄞".to_owned()),
            "[a-z: \r\n]{0,300}",
        ], 0..40), cut in any::<u8>()) {
        let mut bytes = vec![cut];
        bytes.extend_from_slice(pieces.concat().as_bytes());
        fuzz_sse(&bytes);
    }

    #[test]
    fn any_bytes_tell_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_sse(&bytes);
    }
}

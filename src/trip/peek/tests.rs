//! How a body is held, and which content types are JSON for everybody.

use super::*;

#[test]
fn a_body_in_small_pieces_costs_what_it_is_long() {
    let mut held = Held::default();
    let mut whole = Vec::new();
    for at in 0..300_000_u32 {
        let byte = at.to_le_bytes()[0];
        whole.push(byte);
        held.push(Bytes::copy_from_slice(&[byte]));
        if at % 50_000 == 0 {
            let large = vec![byte; OWN_PIECE];
            whole.extend_from_slice(&large);
            held.push(large.into());
        }
    }
    let pieces = held.into_pieces();
    assert!(pieces.len() < 25, "{}", pieces.len());
    let joined: Vec<u8> = pieces.iter().flatten().copied().collect();
    assert!(joined == whole);
}

#[test]
fn a_body_in_one_piece_is_not_copied() {
    let body = Bytes::from_static(b"{}");
    let mut held = Held::default();
    held.push(body.clone());
    let pieces = held.into_pieces();
    assert_eq!(pieces[0].as_ptr(), body.as_ptr());
}

#[test]
fn content_types() {
    for (kind, expected) in [
        ("application/json", true),
        ("APPLICATION/JSON", true),
        ("application/json; charset=utf-8", true),
        ("application/json;charset=\"UTF-8\"", true),
        ("application/json ; version=1", true),
        ("application/vnd.api+json", true),
        ("", true),
        ("application/json; charset=utf-16", false),
        ("application/json; charset =utf-16", false),
        ("application/json; v=1; Charset=latin1", false),
        ("application/json; charset", false),
        ("application/jsonx", false),
        ("text/plain", false),
        ("multipart/form-data; boundary=a", false),
        ("application/x-www-form-urlencoded", false),
    ] {
        assert_eq!(is_json(kind.as_bytes()), expected, "{kind}");
    }
}

//! What the scanner finds, refuses and leaves alone.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::compile(&[
        "$.model",
        "$.stream",
        "$.stream_options.include_usage",
        "$.metadata",
        "$.metadata.user_id",
        "$.tools[*].type",
        "$.tools[*]",
        "$.messages[*].content[*].source.file_id",
        "$.max_tokens",
        "$.task",
        "$.stop[*]",
    ])
});

fn id(name: &str) -> PathId {
    PATHS.id(name).unwrap()
}

fn scan_with(rules: Rules, chunks: &[&[u8]]) -> Result<Scan, Fault> {
    let mut scanner = Scanner::new(&PATHS, rules);
    for chunk in chunks {
        scanner.push(chunk)?;
    }
    scanner.finish()
}

/// Scans in one piece and byte by byte; both must agree.
fn scan(rules: Rules, text: &[u8]) -> Result<Scan, Fault> {
    let whole = scan_with(rules, &[text]);
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(
        whole,
        scan_with(rules, &bytes),
        "{}",
        String::from_utf8_lossy(text)
    );
    whole
}

fn strict(text: &str) -> Result<Scan, Fault> {
    scan(Rules::STRICT, text.as_bytes())
}

fn lenient(text: &str) -> Result<Scan, Fault> {
    scan(Rules::LENIENT, text.as_bytes())
}

fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    &text[range.clone()]
}

#[test]
fn finds_members_with_their_exact_bytes() {
    let text = r#" { "model" : "gpt-4\u00e9" , "stream":true,"max_tokens":12,
        "metadata":{"user_id":"u","x":[{"model":1}]}, "task":null } "#;
    let scan = strict(text).unwrap();
    let model = scan.get(id("$.model")).unwrap();
    assert_eq!(slice(text, &model.key), r#""model""#);
    assert_eq!(slice(text, &model.value), r#""gpt-4\u00e9""#);
    assert_eq!(scan.text(model), Some("gpt-4é"));
    assert_eq!(scan.string_at(id("$.model")), Some("gpt-4é"));
    assert_eq!(scan.get(id("$.stream")).unwrap().kind, Kind::True);
    assert_eq!(scan.integer_at(id("$.max_tokens")), Some(12));
    assert_eq!(scan.get(id("$.task")).unwrap().kind, Kind::Null);
    let metadata = scan.get(id("$.metadata")).unwrap();
    assert_eq!(
        slice(text, &metadata.value),
        r#"{"user_id":"u","x":[{"model":1}]}"#
    );
    assert_eq!(metadata.kind, Kind::Object);
    assert!(!metadata.empty);
    assert_eq!(scan.string_at(id("$.metadata.user_id")), Some("u"));
    assert_eq!(scan.members().len(), 6);
    assert_eq!(scan.root, Some(Kind::Object));
    assert_eq!(&text[scan.inside - 1..scan.inside], "{");
    assert_eq!(scan.len, text.len());
    assert!(!scan.root_empty);
}

#[test]
fn the_same_name_elsewhere_is_content() {
    let text = r#"{"tools":[{"type":"function","parameters":{"model":"x","MODEL":"y","model":"z","type":3}}],
        "x":{"model":"a","model":"b"},"model":"m"}"#;
    let scan = strict(text).unwrap();
    assert_eq!(scan.all(id("$.model")).count(), 1);
    assert_eq!(scan.string_at(id("$.model")), Some("m"));
    assert_eq!(scan.all(id("$.tools[*].type")).count(), 1);
}

#[test]
fn elements_tell_their_index_and_container() {
    let text = r#"{"messages":[{"content":"t"},{"content":[{},{"source":{"file_id":"f"}}]}],
        "tools":[{"type":"a"},{"type":"b"}],"stop":["x","y"]}"#;
    let scan = strict(text).unwrap();
    let file = scan
        .get(id("$.messages[*].content[*].source.file_id"))
        .unwrap();
    assert_eq!((file.outer, file.index), (1, 1));
    let tools: Vec<_> = scan.all(id("$.tools[*].type")).collect();
    assert_eq!((tools[0].index, tools[1].index), (0, 1));
    assert_ne!(tools[0].parent, tools[1].parent);
    let stops: Vec<_> = scan.all(id("$.stop[*]")).collect();
    assert_eq!((stops[0].index, stops[1].index), (0, 1));
    assert_eq!(stops[0].parent, stops[1].parent);
    assert!(stops[0].key.is_empty());
    assert_eq!(scan.text(stops[1]), Some("y"));
}

#[test]
fn escaped_keys_are_found() {
    for key in [
        r"mod\u0065l",
        r"\u006dodel",
        r"\u006D\u006f\u0064\u0065\u006C",
    ] {
        let scan = strict(&format!(r#"{{"{key}":"m"}}"#)).unwrap();
        assert_eq!(scan.string_at(id("$.model")), Some("m"), "{key}");
    }
}

#[test]
fn duplicates_are_faults_only_in_requests() {
    let cases = [
        (r#"{"model":1,"model":2}"#, "model", 11),
        (r#"{"model":1,"m\u006fdel":2}"#, "model", 11),
        (
            r#"{"stream_options":{},"stream_options":{}}"#,
            "stream_options",
            21,
        ),
        (r#"{"tools":[{"type":1,"type":2}]}"#, "type", 20),
        (r#"{"metadata":{"user_id":1,"user_id":2}}"#, "user_id", 25),
    ];
    for (text, name, position) in cases {
        match strict(text) {
            Err(Fault::Duplicate { key, at, .. }) => assert_eq!((key, at), (name, position)),
            other => panic!("{text}: {other:?}"),
        }
        assert!(lenient(text).is_ok(), "{text}");
    }
    let scan = lenient(r#"{"model":"a","model":"b","MODEL":"c"}"#).unwrap();
    assert_eq!(scan.string_at(id("$.model")), Some("b"));
}

#[test]
fn letter_case_variants_are_faults_only_in_requests() {
    let cases = [
        (r#"{"Model":1}"#, "model"),
        (r#"{"MODEL":1}"#, "model"),
        (r#"{"\u004dodel":1}"#, "model"),
        ("{\"\u{17f}tream\":1}", "stream"),
        (r#"{"\u017ftream":1}"#, "stream"),
        ("{\"tas\u{212a}\":1}", "task"),
        (r#"{"tas\u212A":1}"#, "task"),
        (r#"{"Stream_Options":1}"#, "stream_options"),
        (r#"{"model":1,"Model":1}"#, "model"),
    ];
    for (text, name) in cases {
        assert!(
            matches!(strict(text), Err(Fault::Variant { key, .. }) if key == name),
            "{text}: {:?}",
            strict(text)
        );
        assert_eq!(
            lenient(text).unwrap().all(id("$.stream")).count(),
            0,
            "{text}"
        );
    }
    for text in [
        "{\"\u{212a}\":1}",
        r#"{"modèl":1,"modell":2,"mode":3,"":4}"#,
    ] {
        assert!(strict(text).unwrap().members().is_empty(), "{text}");
    }
}

#[test]
fn lone_surrogates_are_allowed_in_content_only() {
    assert!(strict(r#"{"x":"\ud800","\udfff":1,"y":{"\ud800":1}}"#).is_err());
    assert!(strict(r#"{"x":"\ud800","y":{"\ud800":1}}"#).is_ok());
    assert!(strict(r#"{"model":"\ud800x"}"#).is_err());
    assert!(strict(r#"{"model":"\ud83d\u0041"}"#).is_err());
    assert_eq!(
        strict(r#"{"model":"\ud83d\ude00"}"#)
            .unwrap()
            .string_at(id("$.model")),
        Some("😀")
    );
    let scan = lenient(r#"{"\udfff":1,"model":"\ud800x"}"#).unwrap();
    assert_eq!(
        scan.get(id("$.model")).map(|member| scan.text(member)),
        Some(None)
    );
}

#[test]
fn the_grammar_is_rfc_8259() {
    let good = [
        "0",
        "-0",
        "1.5e-3",
        "1E+9",
        "[]",
        "{}",
        " [ ] ",
        "\"\"",
        "true",
        "[null,false]",
        "\r\n\t 1 ",
        r#""\"\\\/\b\f\n\r\t\u0000""#,
        "\"\u{7f}\u{80}\u{10ffff}\"",
        r#"{"":0,"":1}"#,
    ];
    for text in good {
        assert!(strict(text).is_ok(), "{text}: {:?}", strict(text));
    }
    let bad = [
        "",
        " ",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "NaN",
        "Infinity",
        "tru",
        "truE",
        "nulll",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1]]",
        "[1}",
        "{]",
        "{\"a\":1",
        "[",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "1 2",
        "{} x",
        "// c\n1",
        "\u{feff}1",
        "\"\n\"",
        "\"\u{0}\"",
        "\u{a0}1",
        "1,",
        "]",
        "}",
        ",",
        ":",
        "{1:2}",
        "--1",
        "0x1",
        "1_0",
    ];
    for text in bad {
        assert!(
            matches!(strict(text), Err(Fault::Malformed { .. })),
            "{text}: {:?}",
            strict(text)
        );
    }
}

#[test]
fn faults_carry_the_offset() {
    let cases = [
        ("[1,]", 3),
        ("{\"a\" 1}", 5),
        ("\"ab\ncd\"", 3),
        ("[1", 2),
        ("truX", 3),
        ("[1] x", 4),
        ("\"\\u12x4\"", 5),
    ];
    for (text, at) in cases {
        assert_eq!(strict(text).unwrap_err().at(), at, "{text}");
    }
}

#[test]
fn utf8_is_checked_in_requests() {
    let bad: [&[u8]; 7] = [
        b"\"\xff\"",
        b"\"a\xc3\"",
        b"\"\xe2\x82\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xc0\xaf\"",
        b"\"\xf0\x9f\x98",
        b"\"\xf4\x90\x80\x80\"",
    ];
    for text in bad {
        assert!(
            matches!(scan(Rules::STRICT, text), Err(Fault::Malformed { .. })),
            "{text:?}"
        );
    }
    assert_eq!(scan(Rules::STRICT, b"\"ab\xe2\x82x\"").unwrap_err().at(), 3);
    assert!(scan(Rules::LENIENT, b"\"\xff\x01\"").is_ok());
    let found = scan(Rules::LENIENT, b"{\"model\":\"\xff\"}").unwrap();
    assert_eq!(found.string_at(id("$.model")), None);
}

#[test]
fn depth_is_bounded() {
    for (depth, fine) in [(512, true), (513, false)] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(strict(&text).is_ok(), fine, "{depth}");
    }
    assert_eq!(strict(&"[".repeat(600)), Err(Fault::TooDeep { at: 512 }));
    let rules = Rules {
        max_depth: u16::MAX,
        ..Rules::STRICT
    };
    let deep = "[".repeat(2000);
    assert_eq!(
        scan(rules, deep.as_bytes()),
        Err(Fault::TooDeep { at: 1024 })
    );
}

#[test]
fn captured_text_is_bounded() {
    for (length, fine) in [(1024, true), (1025, false)] {
        for unit in ["a", r"\u0061"] {
            let text = format!(r#"{{"model":"{}"}}"#, unit.repeat(length));
            assert_eq!(strict(&text).is_ok(), fine, "{length} {unit}");
            assert_eq!(
                lenient(&text).unwrap().string_at(id("$.model")).is_some(),
                fine
            );
        }
        let text = format!(r#"{{"max_tokens":{}}}"#, "1".repeat(length));
        assert_eq!(strict(&text).is_ok(), fine, "{length}");
        assert_eq!(
            lenient(&text)
                .unwrap()
                .get(id("$.max_tokens"))
                .map(|m| m.value.len()),
            Some(length)
        );
    }
    let text = format!(r#"{{"x":"{}"}}"#, "a".repeat(100_000));
    assert!(strict(&text).is_ok());
    let text = format!(r#"{{"stop":[{}1]}}"#, "1,".repeat(9));
    let rules = Rules {
        max_members: 9,
        ..Rules::STRICT
    };
    assert_eq!(scan(rules, text.as_bytes()), Err(Fault::TooMany { at: 27 }));
    let scan = scan(
        Rules {
            mode: Mode::Lenient,
            ..rules
        },
        text.as_bytes(),
    )
    .unwrap();
    assert!(scan.overflowed);
    assert_eq!(scan.members().len(), 9);
}

#[test]
fn numbers_are_integers_or_nothing() {
    assert_eq!(integer("18446744073709551615"), Some(u64::MAX));
    for text in ["", "-1", "+1", "1.0", "1e3", "18446744073709551616", " 1"] {
        assert_eq!(integer(text), None, "{text}");
    }
}

#[test]
fn text_and_media_are_told_apart() {
    let base64 = "QUJD".repeat(300);
    let prose = "word word ".repeat(200);
    let cases = [
        (format!(r#"["{base64}"]"#), 0, 1),
        (format!(r#"["{prose}"]"#), 2000, 0),
        (r#"["data:image/png;base64,QUJD"]"#.to_owned(), 0, 1),
        (r#"["data: tell me all about it"]"#.to_owned(), 26, 0),
        (r#"["data:;base64,tell me all about it"]"#.to_owned(), 33, 0),
        (r#"{"a key is no text":"four"}"#.to_owned(), 4, 0),
        (r#"["QUJD"]"#.to_owned(), 4, 0),
        (format!(r#"{{"model":"ab","x":["{base64}","cd"]}}"#), 4, 1),
    ];
    for (text, bytes, media) in cases {
        let scan = strict(&text).unwrap();
        assert_eq!(
            (scan.text_bytes, scan.media_items),
            (bytes, media),
            "{text}"
        );
    }
}

#[test]
fn removals_leave_json_behind() {
    let text = r#"{"model":1, "stream":2 ,"task":3,"x":4,"metadata":{"user_id":5},"max_tokens":6}"#;
    let scan = strict(text).unwrap();
    let names = [
        "$.model",
        "$.stream",
        "$.task",
        "$.metadata",
        "$.metadata.user_id",
        "$.max_tokens",
    ];
    for mask in 0..64_u32 {
        let doomed = |member: &Member| {
            names
                .iter()
                .enumerate()
                .any(|(bit, name)| mask >> bit & 1 == 1 && id(name) == member.path)
        };
        let mut left = text.to_owned();
        for range in scan.removals(doomed).into_iter().rev() {
            left.replace_range(range, "");
        }
        let value: serde_json::Value =
            serde_json::from_str(&left).unwrap_or_else(|_| panic!("{left}"));
        assert_eq!(value["x"], 4);
        for (bit, name) in names.iter().enumerate() {
            let gone = mask >> bit & 1 == 1 || (bit == 4 && mask >> 3 & 1 == 1);
            let pointer = name[1..].replace('.', "/");
            assert_eq!(value.pointer(&pointer).is_none(), gone, "{left} {name}");
        }
    }
}

#[test]
fn half_a_document_can_be_looked_at() {
    let mut scanner = Scanner::new(&PATHS, Rules::LENIENT);
    scanner
        .push(br#"{"model":"m","metadata":{"user_id":"u","x":"#)
        .unwrap();
    assert_eq!(scanner.so_far().string_at(id("$.model")), Some("m"));
    assert_eq!(
        scanner.so_far().string_at(id("$.metadata.user_id")),
        Some("u")
    );
    let open = scanner.so_far().get(id("$.metadata")).unwrap();
    assert!(open.value.is_empty());
    assert!(scanner.end().is_err());
    scanner.reset();
    scanner.push(br#"{"stream":false}"#).unwrap();
    let scan = scanner.end().unwrap();
    assert_eq!(scan.members().len(), 1);
    assert_eq!(scan.get(id("$.stream")).unwrap().kind, Kind::False);
}

#[test]
fn a_fault_is_final() {
    let mut scanner = Scanner::new(&PATHS, Rules::STRICT);
    let fault = scanner.push(b"[x").unwrap_err();
    assert_eq!(scanner.push(b"1]"), Err(fault));
    assert_eq!(scanner.finish(), Err(fault));
}

#[test]
fn empty_roots_and_places_to_insert_are_told() {
    let scan = strict(" { } ").unwrap();
    assert_eq!((scan.inside, scan.root_empty), (2, true));
    let scan = strict(r#"{"metadata":{ }}"#).unwrap();
    assert_eq!((scan.inside, scan.root_empty), (1, false));
    assert!(scan.get(id("$.metadata")).unwrap().empty);
}

/// Documents in which governed names turn up at governed places and elsewhere.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|n| format!("{n:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u00e9\ud83d\ude00\/""#.to_owned()),
    ];
    let key = prop_oneof![
        Just("model".to_owned()),
        Just("m\\u006fdel".to_owned()),
        Just("tools".to_owned()),
        Just("type".to_owned()),
        Just("metadata".to_owned()),
        Just("user_id".to_owned()),
        Just("stop".to_owned()),
        "[a-z]{0,6}",
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("\r\n\t")];
    scalar.prop_recursive(6, 64, 6, move |inner| {
        let pair = (key.clone(), space.clone(), inner.clone());
        prop_oneof![
            (prop::collection::vec(inner, 0..5), space.clone()).prop_map(|(items, space)| format!(
                "[{space}{}]",
                items.join(&format!(",{space}"))
            )),
            prop::collection::vec(pair, 0..6).prop_map(|pairs| {
                let parts: Vec<_> = pairs
                    .iter()
                    .map(|(key, space, value)| format!("{space}\"{key}\"{space}:{value}"))
                    .collect();
                format!("{{{}}}", parts.join(","))
            }),
        ]
    })
}

/// What a skim says of a member.
fn said<'a>(scan: &'a Scan, member: &Member) -> Seen<'a> {
    match member.kind {
        Kind::String => Seen::Text(scan.text(member)),
        Kind::Number => scan
            .integer(member)
            .map_or(Seen::Scalar(Kind::Number), Seen::Integer),
        kind @ (Kind::Object | Kind::Array) => Seen::Container(kind, member.empty),
        kind => Seen::Scalar(kind),
    }
}

#[test]
fn most_documents_are_skimmed_without_a_doubt() {
    for text in [
        r#"{"model":"m","choices":[{"text":"say \"usage\": {}, \\","n":-1.5e3}],"max_tokens":7}"#,
        "{ \"choices\" :\n\t[ {\"é\": \"\\u00e9\\ud83d\\ude00 ü 世界\"} ] , \"tools\": [ ] }",
        r#"{"temperature":1.0,"top_p":0.98,"x":[[],{},[{"a":[1,2,"]}"]}]],"stream":false}"#,
        r#"{"metadata":{"user_id":"u"},"long":"0123456789012345678901234567890123456789012345678901234567890\\\\"}"#,
    ] {
        for pad in 0..130 {
            let bytes = [" ".repeat(pad).as_bytes(), text.as_bytes()].concat();
            let mut seen = Vec::new();
            let skimmed = skim(&PATHS, &bytes, &mut |path, what| seen.push((path, what)));
            let scan = scan(Rules::LENIENT, &bytes).unwrap();
            let scanned = scan.members().iter();
            let scanned: Vec<_> = scanned.map(|one| (one.path, said(&scan, one))).collect();
            assert_eq!((skimmed, seen), (Some(()), scanned), "{pad} {text}");
        }
    }
}

#[test]
fn what_is_no_json_in_a_string_is_left_to_the_scanner() {
    for text in [
        "{\"a\":\"\t\"}",
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"b}"#,
        r#"{\"a":1}"#,
        r#"{"m\u006fdel":"b"}"#,
    ] {
        for pad in 0..70 {
            let bytes = [" ".repeat(pad).as_bytes(), text.as_bytes()].concat();
            assert_eq!(skim(&PATHS, &bytes, &mut |_, _| ()), None, "{pad} {text}");
        }
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same(text in document(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        for rules in [Rules::STRICT, Rules::LENIENT] {
            let whole = scan(rules, text.as_bytes());
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in at {
                chunks.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            chunks.push(&text.as_bytes()[from..]);
            prop_assert_eq!(whole, scan_with(rules, &chunks));
        }
    }

    #[test]
    fn valid_documents_pass_and_members_agree_with_serde(text in document()) {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let scan = scan(Rules { max_text: u16::MAX, ..Rules::LENIENT }, text.as_bytes()).unwrap();
        if let Some(member) = scan.get(id("$.model")) {
            let slice: serde_json::Value = serde_json::from_str(slice(&text, &member.value)).unwrap();
            prop_assert_eq!(Some(&slice), value.get("model"));
            if let Some(found) = slice.as_str() {
                prop_assert_eq!(scan.text(member), Some(found));
            }
        } else {
            prop_assert!(value.get("model").is_none());
        }
        for member in scan.members() {
            let key = slice(&text, &member.key);
            if !key.is_empty() {
                let key: String = serde_json::from_str(key).unwrap();
                let suffix = format!(".{key}");
                prop_assert!(PATHS.name(member.path).ends_with(&suffix));
            }
        }
    }

    #[test]
    fn broken_documents_are_judged_as_serde_does(
        text in document(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(br#"[]{},:"\/u0123-+.eEtfn "#.to_vec())],
        insert in any::<bool>(),
    ) {
        static NOTHING: LazyLock<Paths> = LazyLock::new(|| Paths::compile(&[]));
        let mut bytes = text.into_bytes();
        let index = at.index(bytes.len());
        if insert {
            bytes.insert(index, byte);
        } else {
            bytes[index] = byte;
        }
        let mut scanner = Scanner::new(&NOTHING, Rules::STRICT);
        let ours = scanner.push(&bytes).and_then(|()| scanner.finish());
        let grammar = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes);
        let theirs = grammar.is_ok() && std::str::from_utf8(&bytes).is_ok();
        prop_assert_eq!(ours.is_ok(), theirs, "{:?} {:?}", ours, grammar);
    }

    #[test]
    fn what_is_skimmed_is_what_is_scanned(
        text in document(),
        pad in 0..70_usize,
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = " ".repeat(pad).into_bytes();
        bytes.extend_from_slice(text.as_bytes());
        if let Some((at, byte)) = change {
            let index = at.index(bytes.len());
            bytes[index] = byte;
        }
        let mut seen = Vec::new();
        let skimmed = skim(&PATHS, &bytes, &mut |path, what| seen.push((path, what)));
        if let (Some(()), Ok(scan)) = (skimmed, scan(Rules::LENIENT, &bytes)) {
            let scanned: Vec<_> = scan.members().iter().map(|member| (member.path, said(&scan, member))).collect();
            prop_assert_eq!(seen, scanned);
        }
    }

    #[test]
    fn any_bytes_hold_the_invariants(data in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::fuzz_json_scan(&data);
    }

    #[test]
    fn near_json_holds_the_invariants(data in r#"[\x00-\xff]?([\[\]{},:"\\0-9.eE+-]|null|true|"model"|"k"|"stream"|\\u00e9|é|😀| ){0,40}"#) {
        fuzz::fuzz_json_scan(data.as_bytes());
    }
}

//! Every edit on every kind of body: the result is JSON in which exactly the named members changed.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Edit, apply, splices};
use crate::units::{Dialect, Endpoint};
use crate::wire::dialect::asked::Governed;
use crate::wire::json_scan::{Rules, Scanner};

fn edited(dialect: Dialect, endpoint: Endpoint, body: &str, edits: &[Edit]) -> String {
    let governed = Governed::of(dialect, endpoint).expect("governed");
    let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
    scanner.push(body.as_bytes()).expect("json");
    let asked = governed
        .read(scanner.finish().expect("json"))
        .expect("readable");
    let splices = splices(&asked, edits);
    let mut end = 0;
    for splice in &splices {
        assert!(
            splice.at.start >= end && splice.at.end <= body.len(),
            "{splices:?}"
        );
        end = splice.at.end;
    }
    let mut wholes = Vec::new();
    for size in [body.len(), 1, 7] {
        let frames = body.as_bytes().chunks(size).map(Bytes::copy_from_slice);
        let (pieces, length) = apply(frames, &splices);
        let whole = String::from_utf8(pieces.concat()).expect("utf-8");
        assert_eq!(whole.len() as u64, length);
        wholes.push(whole);
    }
    assert!(wholes.iter().all(|whole| *whole == wholes[0]));
    wholes.swap_remove(0)
}

fn stamp() -> Edit {
    Edit::Stamp {
        pseudonym: "p\"1".to_owned(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn edits_are_comma_exact() {
    let model = || Edit::Model("new".to_owned());
    let table: [(Endpoint, &str, Vec<Edit>, &str); 20] = [
        (
            Endpoint::ChatCompletions,
            r#"{"model":"old"}"#,
            vec![model()],
            r#"{"model":"new"}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{ "model" : null }"#,
            vec![model()],
            r#"{ "model" : "new" }"#,
        ),
        (
            Endpoint::ChatCompletions,
            "{}",
            vec![model()],
            r#"{"model":"new"}"#,
        ),
        (
            Endpoint::ChatCompletions,
            "{ }",
            vec![model(), stamp()],
            r#"{"model":"new","safety_identifier":"p\"1" }"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"n":1}"#,
            vec![model()],
            r#"{"model":"new","n":1}"#,
        ),
        (Endpoint::ChatCompletions, "{}", vec![], "{}"),
        (
            Endpoint::ChatCompletions,
            r#"{"max_tokens":9,"max_completion_tokens":4}"#,
            vec![Edit::OutputCap(5)],
            r#"{"max_tokens":5,"max_completion_tokens":4}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"max_tokens":null}"#,
            vec![Edit::OutputCap(5)],
            r#"{"max_tokens":5}"#,
        ),
        (
            Endpoint::Responses,
            r#"{"a":1}"#,
            vec![Edit::OutputCap(5)],
            r#"{"max_output_tokens":5,"a":1}"#,
        ),
        (
            Endpoint::Embeddings,
            r#"{"a":1}"#,
            vec![Edit::OutputCap(5), Edit::IncludeUsage],
            r#"{"a":1}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"stream":true}"#,
            vec![Edit::IncludeUsage],
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"stream_options":{}}"#,
            vec![Edit::IncludeUsage],
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"stream_options":{"x":1}}"#,
            vec![Edit::IncludeUsage],
            r#"{"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"stream_options":{"include_usage":false}}"#,
            vec![Edit::IncludeUsage],
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"user":"me"}"#,
            vec![stamp()],
            r#"{"safety_identifier":"p\"1"}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"a":1,"user":"me","safety_identifier":"x"}"#,
            vec![stamp()],
            r#"{"a":1,"safety_identifier":"p\"1"}"#,
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"metadata":{"tenant":"x","b":"1","tenantId":"y"}}"#,
            vec![stamp()],
            r#"{"safety_identifier":"p\"1","metadata":{"b":"1"}}"#,
        ),
        (
            Endpoint::Embeddings,
            r#"{"safety_identifier":"x"}"#,
            vec![stamp()],
            r#"{"user":"p\"1"}"#,
        ),
        (
            Endpoint::Moderations,
            r#"{"user":"me","safety_identifier":"x"}"#,
            vec![stamp()],
            "{}",
        ),
        (
            Endpoint::ChatCompletions,
            r#"{"prompt_cache_key":"k"}"#,
            vec![Edit::CacheKeyPrefix("\"t:".to_owned())],
            r#"{"prompt_cache_key":"\"t:k"}"#,
        ),
    ];
    for (endpoint, body, edits, expected) in table {
        assert_eq!(
            edited(Dialect::OpenAi, endpoint, body, &edits),
            expected,
            "{body} {edits:?}"
        );
    }
    let table = [
        (
            Endpoint::Messages,
            r#"{"max_tokens":1}"#,
            r#"{"metadata":{"user_id":"p\"1"},"max_tokens":1}"#,
        ),
        (
            Endpoint::Messages,
            r#"{"metadata":null}"#,
            r#"{"metadata":{"user_id":"p\"1"}}"#,
        ),
        (
            Endpoint::Messages,
            r#"{"metadata":{"user_id":"me"},"a":[]}"#,
            r#"{"metadata":{"user_id":"p\"1"},"a":[]}"#,
        ),
        (
            Endpoint::CountTokens,
            r#"{"a":1,"metadata":{}}"#,
            r#"{"a":1}"#,
        ),
    ];
    for (endpoint, body, expected) in table {
        assert_eq!(
            edited(Dialect::Anthropic, endpoint, body, &[stamp()]),
            expected,
            "{body}"
        );
    }
    let both = [stamp(), Edit::Model("m".to_owned())];
    let body = r#"{"metadata":{}}"#;
    assert_eq!(
        edited(Dialect::Anthropic, Endpoint::CountTokens, body, &both),
        r#"{"model":"m"}"#
    );
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a\"\\\\\u{e9}\u{1F600},}{:]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}|model|user", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Root members in any order, governed ones with a kind they can have.
fn body() -> impl Strategy<Value = Vec<(String, Value)>> {
    let text = || prop_oneof![Just(Value::Null), "[a\"\\\\é]{0,4}".prop_map(Value::from)];
    let number = || prop_oneof![Just(Value::Null), (0..20_u64).prop_map(Value::from)];
    let member = prop_oneof![
        text().prop_map(|value| ("model".to_owned(), value)),
        text().prop_map(|value| ("user".to_owned(), value)),
        text().prop_map(|value| ("safety_identifier".to_owned(), value)),
        text().prop_map(|value| ("prompt_cache_key".to_owned(), value)),
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from)]
            .prop_map(|value| ("store".to_owned(), value)),
        text().prop_map(|value| ("service_tier".to_owned(), value)),
        number().prop_map(|value| ("max_tokens".to_owned(), value)),
        number().prop_map(|value| ("max_completion_tokens".to_owned(), value)),
        prop_oneof![
            Just(Value::Null),
            proptest::collection::btree_map("x|y|tenant|tenant_id|TenantId", value(), 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
        .prop_map(|value| ("metadata".to_owned(), value)),
        prop_oneof![
            Just(json!(null)),
            Just(json!({})),
            Just(json!({"x": 1})),
            Just(json!({"include_usage": false, "x": []})),
            Just(json!({"include_usage": null})),
            Just(json!({"a": {}, "include_usage": true}))
        ]
        .prop_map(|value| ("stream_options".to_owned(), value)),
        ("[p-z]{1,3}", value()),
    ];
    proptest::collection::vec(member, 0..9).prop_map(|members| {
        let mut seen = std::collections::BTreeSet::new();
        members
            .into_iter()
            .filter(|(key, _)| seen.insert(key.clone()))
            .collect()
    })
}

fn written(members: &[(String, Value)], gap: &str) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("{gap}{}{gap}:{gap}{value}{gap}", Value::from(key.as_str())))
        .collect();
    format!("{gap}{{{gap}{}}}{gap}", members.join(","))
}

/// The edits, on the parsed document.
fn model_of(mut root: Map<String, Value>, edits: &[Edit]) -> Value {
    for edit in edits {
        match edit {
            Edit::Model(model) => drop(root.insert("model".to_owned(), json!(model))),
            Edit::OutputCap(cap) => {
                let keys = ["max_tokens", "max_completion_tokens"];
                let given = keys
                    .iter()
                    .any(|key| root.get(*key).is_some_and(Value::is_u64));
                for key in keys {
                    if let Some(value) = root
                        .get_mut(key)
                        .filter(|value| value.as_u64() > Some(*cap))
                    {
                        *value = json!(cap);
                    }
                }
                if !given {
                    let free: Vec<_> = keys.iter().filter(|key| root.contains_key(**key)).collect();
                    // With both `null`, the first in the document; the caller of this accepts either.
                    let key = free.first().map_or("max_completion_tokens", |key| **key);
                    root.insert(key.to_owned(), json!(cap));
                }
            }
            Edit::IncludeUsage => {
                let options = root.entry("stream_options").or_insert(Value::Null);
                if options.is_null() {
                    *options = json!({});
                }
                options["include_usage"] = json!(true);
            }
            Edit::Stamp { pseudonym } => {
                root.remove("user");
                root.insert("safety_identifier".to_owned(), json!(pseudonym));
                if let Some(Value::Object(metadata)) = root.get_mut("metadata") {
                    metadata.retain(|key, _| {
                        !["tenant", "tenant_id", "TenantId"].contains(&key.as_str())
                    });
                }
            }
            Edit::CacheKeyPrefix(prefix) => {
                if let Some(Value::String(key)) = root.get_mut("prompt_cache_key") {
                    key.insert_str(0, prefix);
                }
            }
            Edit::NoStore => drop(root.insert("store".to_owned(), json!(false))),
            Edit::ServiceTier(tier) => drop(root.insert("service_tier".to_owned(), json!(tier))),
            Edit::InferenceGeo(geo) => drop(root.insert("inference_geo".to_owned(), json!(geo))),
        }
    }
    Value::Object(root)
}

proptest! {
    #[test]
    fn exactly_the_named_members_change(
        members in body(),
        gap in prop_oneof![Just(""), Just(" "), Just("\r\n\t")],
        picks in any::<[bool; 7]>(),
        text in "[a\"\\\\\u{0}\u{1f}\u{7f}é😀/]{0,6}",
        cap in 0..20_u64,
    ) {
        let all = [
            Edit::Model(text.clone()),
            Edit::OutputCap(cap),
            Edit::IncludeUsage,
            Edit::Stamp { pseudonym: text.clone() },
            Edit::CacheKeyPrefix(text),
            Edit::NoStore,
            Edit::ServiceTier("default"),
        ];
        let edits: Vec<_> = all.into_iter().zip(picks).filter(|&(_, pick)| pick).map(|(edit, _)| edit).collect();
        let both_null = ["max_tokens", "max_completion_tokens"]
            .iter()
            .all(|cap| members.iter().any(|(key, value)| key == cap && value.is_null()));
        prop_assume!(!both_null);
        let body = written(&members, gap);
        let result = edited(Dialect::OpenAi, Endpoint::ChatCompletions, &body, &edits);
        let result: Value = serde_json::from_str(&result).map_err(|error| TestCaseError::fail(format!("{error}: {body} -> {result}")))?;
        prop_assert_eq!(result, model_of(members.into_iter().collect(), &edits), "{}", body);
    }
}

#[test]
fn frames_are_sliced_not_copied() {
    let frame = Bytes::from_static(br#"{"model":"old","messages":[]}"#);
    let governed = Governed::of(Dialect::OpenAi, Endpoint::ChatCompletions).expect("governed");
    let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
    scanner.push(&frame).expect("json");
    let asked = governed
        .read(scanner.finish().expect("json"))
        .expect("readable");
    let (pieces, _) = apply(
        [frame.clone()].into_iter(),
        &splices(&asked, &[Edit::Model("new".to_owned())]),
    );
    let range = frame.as_ptr_range();
    let inside: Vec<_> = pieces
        .iter()
        .map(|piece| range.contains(&piece.as_ptr()))
        .collect();
    assert_eq!(inside, [true, false, true]);
}

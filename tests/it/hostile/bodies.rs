//! Bodies that two parsers could read differently, that cannot be read, or that are too much.

use std::fmt::Write as _;

use outrigger::units::{Dialect, Endpoint};
use outrigger::wire::dialect::asked::Governed;

use super::house::{ACME, After, House, SMALL, Shape, Trial, post, post_with};

const ENDPOINTS: [(Dialect, Endpoint, &str); 16] = [
    (
        Dialect::OpenAi,
        Endpoint::ChatCompletions,
        "/openai/v1/chat/completions",
    ),
    (Dialect::OpenAi, Endpoint::Responses, "/openai/v1/responses"),
    (
        Dialect::OpenAi,
        Endpoint::Embeddings,
        "/openai/v1/embeddings",
    ),
    (
        Dialect::Anthropic,
        Endpoint::Messages,
        "/anthropic/v1/messages",
    ),
    (
        Dialect::Anthropic,
        Endpoint::CountTokens,
        "/anthropic/v1/messages/count_tokens",
    ),
    (
        Dialect::OpenAi,
        Endpoint::ResponsesCompact,
        "/openai/v1/responses/compact",
    ),
    (
        Dialect::OpenAi,
        Endpoint::ResponsesInputTokens,
        "/openai/v1/responses/input_tokens",
    ),
    (
        Dialect::OpenAi,
        Endpoint::Completions,
        "/openai/v1/completions",
    ),
    (
        Dialect::OpenAi,
        Endpoint::Moderations,
        "/openai/v1/moderations",
    ),
    (Dialect::OpenAi, Endpoint::Decisions, "/openai/v1/decisions"),
    (
        Dialect::OpenAi,
        Endpoint::ImageGenerations,
        "/openai/v1/images/generations",
    ),
    (
        Dialect::OpenAi,
        Endpoint::ImageEdits,
        "/openai/v1/images/edits",
    ),
    (Dialect::OpenAi, Endpoint::Speech, "/openai/v1/audio/speech"),
    (
        Dialect::OpenAi,
        Endpoint::Transcriptions,
        "/openai/v1/audio/transcriptions",
    ),
    (
        Dialect::OpenAi,
        Endpoint::ClientSecrets,
        "/openai/v1/realtime/client_secrets",
    ),
    (
        Dialect::Anthropic,
        Endpoint::Complete,
        "/anthropic/v1/complete",
    ),
];

/// Those that take forms too.
const FORMS: [Endpoint; 2] = [Endpoint::ImageEdits, Endpoint::Transcriptions];

/// A sidecar whose tenants may use all of them.
fn opened() -> House {
    House::with(&format!(
        "{}[policies.standard]\nendpoints.allow = [\"*\", \"client-secrets\"]\nreferences = \"allow\"\n\
         [policies.tight.endpoints]\nallow = [\"*\", \"client-secrets\"]\n",
        super::house::PLAIN
    ))
}

fn shape(dialect: Dialect) -> Shape {
    match dialect {
        Dialect::OpenAi => Shape::OpenAi,
        Dialect::Anthropic => Shape::Anthropic,
    }
}

/// Every governed path of the endpoint, as the table writes it.
fn paths(dialect: Dialect, endpoint: Endpoint) -> Vec<&'static str> {
    let table = Governed::of(dialect, endpoint)
        .expect("it is governed")
        .paths();
    (0..u16::MAX)
        .map(|index| table.name(outrigger::wire::json_scan::PathId(index)))
        .take_while(|name| !name.is_empty())
        .filter(|name| *name != "$")
        .collect()
}

/// A document that holds `members` in the object in which the last key of `path` stands, and that key.
fn document(path: &str, members: impl Fn(&str) -> String) -> Option<String> {
    if path.contains('\'') {
        return None;
    }
    let steps: Vec<&str> = path.strip_prefix('$')?.split('.').skip(1).collect();
    let (last, before) = steps.split_last()?;
    let mut text = match last.strip_suffix("[*]") {
        // An element has no key of its own; its array's is another row of the table.
        Some(_) => return None,
        None => format!("{{{}}}", members(last)),
    };
    for step in before.iter().rev() {
        let arrays = step.matches("[*]").count();
        let key = step.trim_end_matches("[*]");
        text = format!(
            "{{\"{key}\":{}{text}{}}}",
            "[".repeat(arrays),
            "]".repeat(arrays)
        );
    }
    Some(text)
}

/// The same key, in letters that only some parsers take for the same.
fn variants(key: &str) -> Vec<String> {
    let upper = key.to_ascii_uppercase();
    let mut capital = key.to_owned();
    capital[..1].make_ascii_uppercase();
    let mut all = vec![upper, capital];
    if key.contains('s') {
        all.push(key.replacen('s', "\u{17f}", 1));
        all.push(key.replacen('s', "\\u017f", 1));
    }
    if key.contains('k') {
        all.push(key.replacen('k', "\u{212a}", 1));
        all.push(key.replacen('k', "\\u212A", 1));
    }
    all.retain(|one| one != key);
    all
}

fn escaped(key: &str) -> String {
    let mut out = String::new();
    for unit in key.encode_utf16() {
        write!(out, "\\u{unit:04x}").expect("text");
    }
    out
}

#[test]
fn a_governed_path_stands_once_and_in_one_spelling() {
    let mut trial = Trial::of(opened());
    let ambiguous = (400, "body-ambiguous");
    let mut tried = 0;
    for (dialect, endpoint, route) in ENDPOINTS {
        let all = paths(dialect, endpoint);
        for path in &all {
            let mut bodies = Vec::new();
            bodies.extend(document(path, |key| {
                format!("\"{key}\":null,\"{key}\":null")
            }));
            bodies.extend(document(path, |key| {
                format!(
                    "\"{key}\":null,\"x\":[{{\"{key}\":1}}],\"{}\":null",
                    escaped(key)
                )
            }));
            bodies.extend(document(path, |key| {
                format!(
                    "\"{}\":null,\"\\u{:04x}{}\":null",
                    escaped(key),
                    key.as_bytes()[0],
                    &key[1..]
                )
            }));
            let Some(key) = path.rsplit('.').next() else {
                continue;
            };
            for variant in variants(key) {
                // A spelling that is governed itself is told by the duplicate rule instead.
                let itself = all.iter().any(|other| {
                    other.rsplit_once('.').map(|(_, last)| last) == Some(variant.as_str())
                });
                if !itself {
                    bodies.extend(document(path, |_| format!("\"{variant}\":null")));
                    bodies.extend(document(path, |key| {
                        format!("\"{key}\":null,\"{variant}\":null")
                    }));
                }
            }
            for body in bodies {
                tried += 1;
                trial.refuses(
                    &format!("{route} {path} {body}"),
                    &post(route, ACME, &body),
                    ambiguous,
                    shape(dialect),
                    After::Closed,
                );
            }
        }
    }
    assert!(tried > 500, "{tried}");
    trial.end(500);
}

#[test]
fn a_key_hidden_behind_much_text_is_found() {
    let mut trial = Trial::of(House::plain());
    let text = "lorem ipsum ".repeat(20 * 1024 * 1024 / 12);
    for (route, first, last, code) in [
        (
            "/openai/v1/chat/completions",
            "\"model\":\"m\",",
            ",\"model\":\"n\"",
            (400, "body-ambiguous"),
        ),
        (
            "/openai/v1/chat/completions",
            "\"model\":\"m\",",
            ",\"web_search_options\":{}",
            (403, "hosted-tool-denied"),
        ),
        (
            "/anthropic/v1/messages",
            "\"model\":\"m\",\"max_tokens\":1,",
            ",\"mcp_servers\":[{}]",
            (403, "hosted-tool-denied"),
        ),
    ] {
        let body =
            format!("{{{first}\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]{last}}}");
        let dialect = if route.contains("anthropic") {
            Shape::Anthropic
        } else {
            Shape::OpenAi
        };
        trial.refuses(
            last,
            &post(route, ACME, &body),
            code,
            dialect,
            After::Either,
        );
    }
    trial.end(3);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut trial = Trial::of(opened());
    let malformed = (400, "body-malformed");
    let encoding = (415, "body-encoding");
    let deep = |depth: usize| {
        format!(
            "{{\"model\":\"m\",\"x\":{}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let fine = "{\"model\":\"m\",\"messages\":[]}";
    for (dialect, endpoint, route) in ENDPOINTS {
        let shape = shape(dialect);
        let cases: Vec<(&str, String, (u16, &str))> = vec![
            ("nothing", String::new(), malformed),
            ("not an object", "[]".into(), malformed),
            ("trailing garbage", format!("{fine} x"), malformed),
            ("two documents", format!("{fine}{fine}"), malformed),
            ("trailing nul", format!("{fine}\0"), malformed),
            ("a byte order mark", format!("\u{feff}{fine}"), malformed),
            ("cut off", fine[..20].into(), malformed),
            ("trailing comma", "{\"model\":\"m\",}".into(), malformed),
            (
                "a comment",
                "{/*\"model\":\"n\",*/\"model\":\"m\"}".into(),
                malformed,
            ),
            ("single quotes", "{'model':'m'}".into(), malformed),
            ("nan", "{\"model\":\"m\",\"x\":NaN}".into(), malformed),
            ("a control byte", "{\"model\":\"m\u{1}\"}".into(), malformed),
            (
                "a lone surrogate",
                "{\"model\":\"m\\ud800\"}".into(),
                malformed,
            ),
            (
                "a key with a lone surrogate",
                "{\"model\\ud800\":\"m\"}".into(),
                malformed,
            ),
            (
                "a model that is no text",
                "{\"model\":[\"m\"]}".into(),
                malformed,
            ),
            (
                "a model of 2 KiB",
                format!("{{\"model\":\"{}\"}}", "m".repeat(2048)),
                malformed,
            ),
            ("513 levels", deep(512), (400, "body-too-deep")),
            ("100,000 levels", deep(100_000), (400, "body-too-deep")),
        ];
        for (name, body, expected) in cases {
            trial.refuses(
                &format!("{route} {name}"),
                &post(route, ACME, &body),
                expected,
                shape,
                After::Either,
            );
        }
        let utf16: Vec<u8> = fine.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            utf16.len()
        );
        trial.refuses(
            &format!("{route} utf-16"),
            &[head.as_bytes(), &utf16].concat(),
            malformed,
            shape,
            After::Either,
        );
        let bearer = format!("authorization: Bearer {ACME}\r\n");
        for coding in [
            "gzip",
            "br",
            "GZIP",
            "identity, gzip",
            "deflate",
            "zstd",
            "x",
        ] {
            let bytes = post_with(
                route,
                &format!("{bearer}content-encoding: {coding}\r\n"),
                fine,
            );
            trial.refuses(
                &format!("{route} {coding}"),
                &bytes,
                encoding,
                shape,
                After::Closed,
            );
        }
        for kind in [
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json;charset=\"ibm037\"",
            "application/x-www-form-urlencoded",
            // Where forms are taken, this is none.
            "multipart/form-data; boundary=x",
            "text/plain",
        ] {
            let is_form = FORMS.contains(&endpoint) && kind.starts_with("multipart");
            let expected = if is_form { malformed } else { encoding };
            let bytes = String::from_utf8(post_with(route, &bearer, fine)).expect("text");
            let bytes = bytes.replace(
                "content-type: application/json",
                &format!("content-type: {kind}"),
            );
            trial.refuses(
                &format!("{route} {kind}"),
                bytes.as_bytes(),
                expected,
                shape,
                After::Closed,
            );
        }
        for kind in [
            "application/json; charset=utf-8",
            "Application/JSON;charset=UTF-8",
            "application/vnd.api+json",
        ] {
            let bytes = String::from_utf8(post_with(route, &bearer, fine)).expect("text");
            let bytes = bytes.replace(
                "content-type: application/json",
                &format!("content-type: {kind}"),
            );
            trial.passes(&format!("{route} {kind}"), bytes.as_bytes());
        }
    }
    let (house, cases) = trial.end(150);
    let log = house.log(cases);
    assert!(
        log.iter().all(|line| line.contains("\"tenant\":\"acme\"")
            || !line.contains("\"message\":\"request\"")),
        "{log:#?}"
    );
}

#[test]
fn what_is_too_large_is_refused_declared_or_not() {
    let mut trial = Trial::of(opened());
    let large = (413, "body-too-large");
    for (dialect, _, route) in ENDPOINTS {
        let shape = shape(dialect);
        let head = |key: &str, framing: &str| {
            format!(
                "POST {route} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
            )
        };
        let declared = head(ACME, "content-length: 33554433");
        trial.refuses(
            &format!("{route} declared"),
            declared.as_bytes(),
            large,
            shape,
            After::Closed,
        );
        let huge = head(ACME, "content-length: 9223372036854775807");
        trial.refuses(
            &format!("{route} declared, the most"),
            huge.as_bytes(),
            large,
            shape,
            After::Closed,
        );
        let small = post(
            route,
            SMALL,
            &format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "x".repeat(1010)),
        );
        trial.refuses(
            &format!("{route} a little too large"),
            &small,
            large,
            shape,
            After::Closed,
        );
        let mut chunked = head(SMALL, "transfer-encoding: chunked");
        chunked.push_str("d\r\n{\"model\":\"m\",\r\n");
        for _ in 0..1100 {
            chunked.push_str("1\r\n \r\n");
        }
        trial.refuses(
            &format!("{route} in small chunks"),
            chunked.as_bytes(),
            large,
            shape,
            After::Closed,
        );
        let whole =
            head(SMALL, "transfer-encoding: chunked") + "ffffffffffffffff\r\n" + &" ".repeat(5000);
        trial.refuses(
            &format!("{route} in one chunk"),
            whole.as_bytes(),
            large,
            shape,
            After::Closed,
        );
        let broken = head(ACME, "transfer-encoding: chunked") + "5\r\n{\"a\":\r\n" + "zz\r\n";
        trial.refuses(
            &format!("{route} broken chunks"),
            broken.as_bytes(),
            (400, "framing-conflict"),
            if dialect == Dialect::Anthropic {
                Shape::Anthropic
            } else {
                Shape::OpenAi
            },
            After::Closed,
        );
    }
    trial.end(30);
}

//! Requests that come as forms: judged by their parts as others are by their members, changed in nothing but what a policy
//! changes, and refused wherever two readers could see two things.

use crate::stage::{Caller, Stage, field, json};

const TRANSCRIBE: &str = "/openai/v1/audio/transcriptions";
const EDIT: &str = "/openai/v1/images/edits";

const POLICY: &str = "policy = \"p\"\n[policies.p]\nendpoints.allow = [\"*\"]\nmodels.allow = [\"whisper-*\", \"gpt-image-*\"]\n\
    models.rewrite = { \"gpt-4o-*\" = \"whisper-1\" }\n";

/// Parts of a form, each its head and content.
fn form(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| {
        format!("--XyZ\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let parts: Vec<_> = parts.iter().map(part).collect();
    format!("{}--XyZ--\r\n", parts.concat())
}

const FILE: (&str, &str) = (
    "name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav",
    "RIFF\r\n--Xy\r\n\0--X",
);

fn send(path: &str, kinds: &[&str], body: &str) -> Vec<u8> {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|kind| format!("content-type: {kind}\r\n"))
        .collect();
    let kinds = kinds.concat();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{kinds}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const KIND: &str = "multipart/form-data; boundary=XyZ";

/// The head and body that arrive upstream, whose answer is the text.
async fn passes(stage: &Stage, path: &str, body: &str, answer: &str) -> (String, String) {
    let mut caller = stage.caller().await;
    caller.send(&send(path, &[KIND], body)).await;
    let mut peer = stage.upstream.accept().await;
    let (head, body) = peer.request().await;
    peer.send(&json(answer)).await;
    peer.close_after().await;
    caller.answer().await;
    (head, String::from_utf8(body).expect("text"))
}

/// The code of the refusal; nothing may arrive upstream, which the next one that does would show.
async fn refused(stage: &Stage, path: &str, kinds: &[&str], body: &str) -> String {
    let mut caller: Caller = stage.caller().await;
    caller.try_send(&send(path, kinds, body)).await;
    let (head, _) = caller.answer().await;
    field(&head, "outrigger-code")
        .expect("a refusal")
        .to_owned()
}

#[tokio::test]
async fn a_form_passes_as_it_came_and_is_counted() {
    let mut stage = Stage::open(POLICY).await;
    let body = form(&[
        ("name=\"model\"", "whisper-1"),
        FILE,
        ("name=prompt", "some words"),
    ]);
    let answer = r#"{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":101,"total_tokens":115}}"#;
    let (head, arrived) = passes(&stage, TRANSCRIBE, &body, answer).await;
    assert_eq!(arrived, body);
    assert_eq!(field(&head, "content-type"), Some(KIND));
    let line = stage.record().await;
    for (name, value) in [
        ("endpoint", "transcriptions"),
        ("model", "whisper-1"),
        ("ending", "complete"),
    ] {
        assert_eq!(line[name].as_str(), Some(value), "{line}");
    }
    let usage = ["input_tokens", "output_tokens"].map(|name| line[name].as_u64());
    assert_eq!(usage, [Some(14), Some(101)], "{line}");
}

#[tokio::test]
async fn the_model_is_replaced_in_its_part_or_put_before_all_others() {
    let stage = Stage::open(&format!("{POLICY}models.default = \"gpt-image-1\"\n")).await;
    let body = form(&[
        FILE,
        ("name=\"model\"", "gpt-4o-transcribe"),
        ("name=\"language\"", "en"),
    ]);
    let (head, arrived) = passes(&stage, TRANSCRIBE, &body, "{}").await;
    assert_eq!(arrived, body.replace("gpt-4o-transcribe", "whisper-1"));
    assert_eq!(
        field(&head, "content-length"),
        Some(arrived.len().to_string().as_str())
    );
    let image = [
        ("name=\"image[]\"; filename=\"a.png\"", "PNG"),
        ("name=\"prompt\"", "a boat"),
    ];
    let (_, arrived) = passes(&stage, EDIT, &form(&image), "{}").await;
    let with = [("name=\"model\"", "gpt-image-1"), image[0], image[1]];
    assert_eq!(arrived, form(&with));
}

#[tokio::test]
async fn a_stamp_takes_the_place_of_the_callers_own() {
    let text = "policy = \"p\"\n[policies.p]\nendpoints.allow = [\"*\"]\n";
    let upstream = crate::stage::Upstream::bind().await;
    let config = crate::stage::config(upstream.at, text).replace(
        "dialect = \"openai\"\n",
        "dialect = \"openai\"\nkey = \"sk-ours\"\nstamp = \"provider\"\n",
    );
    let stage = Stage::with(upstream, outrigger::app::Source::Text("test", config));
    let model = ("name=\"model\"", "m");
    let body = form(&[model, ("name=\"user\"", "globex")]);
    let (_, arrived) = passes(&stage, EDIT, &body, "{}").await;
    let mark = arrived
        .split("name=\"user\"\r\n\r\n")
        .nth(1)
        .expect("a mark");
    let mark = mark.lines().next().expect("a line").to_owned();
    assert!(
        mark.starts_with("or-") && !arrived.contains("globex"),
        "{arrived}"
    );
    let (_, arrived) = passes(&stage, EDIT, &form(&[model]), "{}").await;
    assert_eq!(arrived, form(&[("name=\"user\"", &mark), model]));
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_or_is_not_allowed_stays_here() {
    let stage = Stage::open(POLICY).await;
    let model = |name: &str| ("name=\"model\"", name.to_owned());
    let one = |(head, value): (&str, String)| form(&[(head, &value), FILE]);
    let good = one(model("whisper-1"));
    for (body, code) in [
        (one(model("tts-1")), "model-denied"),
        (form(&[FILE]), "model-missing"),
        (
            form(&[("name=\"model\"", "whisper-1"), ("name=\"model\"", "tts-1")]),
            "body-ambiguous",
        ),
        (
            form(&[("name=\"model\"", "whisper-1"), ("name=\"MODEL\"", "tts-1")]),
            "body-ambiguous",
        ),
        (
            form(&[("name=\"model\"; filename=m", "whisper-1")]),
            "body-ambiguous",
        ),
        (
            form(&[
                ("name=\"models[]\"", "tts-1"),
                ("name=\"model\"", "whisper-1"),
            ]),
            "body-ambiguous",
        ),
        (
            good.replace("RIFF\r\n", "RIFF\n--XyZ\r\n"),
            "body-ambiguous",
        ),
        (
            good.replace("name=\"file\"", "name=\"a\\\""),
            "body-malformed",
        ),
        (good.replace("--XyZ--\r\n", ""), "body-malformed"),
        (format!("{good}more"), "body-malformed"),
        (one(("name=\"stream\"", "yes".to_owned())), "body-malformed"),
        ("{\"model\":\"whisper-1\"}".to_owned(), "body-malformed"),
    ] {
        assert_eq!(
            refused(&stage, TRANSCRIBE, &[KIND], &body).await,
            code,
            "{body}"
        );
    }
    for (kinds, code) in [
        (
            &[KIND, "multipart/form-data; boundary=Abc"][..],
            "head-malformed",
        ),
        (&["multipart/form-data"][..], "body-encoding"),
        (
            &["multipart/form-data; boundary=XyZ; boundary=Abc"],
            "body-encoding",
        ),
        (&["multipart/mixed; boundary=XyZ"][..], "body-encoding"),
    ] {
        assert_eq!(
            refused(&stage, TRANSCRIBE, kinds, &good).await,
            code,
            "{kinds:?}"
        );
    }
    // Where no forms are taken, they still are none.
    let chat = refused(&stage, "/openai/v1/chat/completions", &[KIND], &good).await;
    assert_eq!(chat, "body-encoding");
    let (_, arrived) = passes(&stage, TRANSCRIBE, &good, "{}").await;
    assert_eq!(arrived, good, "the first that arrived");
}

#[tokio::test]
async fn it_takes_a_word_of_the_policy() {
    let stage = Stage::open("policy = \"p\"\n[policies.p]\nendpoints.allow = [\"audio\"]\n").await;
    let body = form(&[("name=\"model\"", "whisper-1"), FILE]);
    assert_eq!(
        refused(&stage, TRANSCRIBE, &[KIND], &body).await,
        "endpoint-denied"
    );
}

//! What is said: one chat request of 2 KiB, one plain answer of 1 KiB, one stream of 50 chunks.
//!
//! Both ends take the bytes from here, so both can tell when anything between them changed a byte. It must
//! never differ between two runs.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// Bytes of a request body.
pub(crate) const REQUEST_BYTES: usize = 2048;
/// Bytes of a plain answer's body.
pub(crate) const ANSWER_BYTES: usize = 1024;
/// Chunks of a streamed answer: role, text, usage and `[DONE]`.
pub(crate) const CHUNKS: usize = 50;
/// Requests that can be in flight at once; each carries the number of its slot.
pub(crate) const SLOTS: usize = 256;
/// Tenants in the config of Outrigger; slot n speaks as tenant n modulo this.
pub(crate) const TENANTS: usize = 100;
/// The upstream's own key, which only Outrigger knows.
pub(crate) const UPSTREAM_KEY: &str = "sk-bench";
/// The path, the same for everybody.
pub(crate) const PATH: &str = "/openai/v1/chat/completions";
/// What is asked for; matched by the last of the twenty globs.
pub(crate) const MODEL: &str = "gpt-5.6-mini-2026-08-01";

/// Plain or streamed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    Plain,
    Stream,
}

/// An answer's body and where each of its chunks ends.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

/// The virtual key of a tenant.
pub(crate) fn tenant_key(tenant: usize) -> String {
    format!("sk-or-bench-{tenant:03}-c1a0f3d27b5e4968")
}

/// The body of a request: 2 KiB, the slot's number always at the same place.
pub(crate) fn request_body(ask: Ask, slot: usize) -> Vec<u8> {
    let head = format!("{REQUEST_HEAD}{slot:0SLOT_DIGITS$}. You are a careful agent. ");
    let tail = match ask {
        Ask::Plain => r#""}],"temperature":0.2,"max_completion_tokens":256,"stream":false}"#,
        Ask::Stream => {
            r#""}],"temperature":0.2,"max_completion_tokens":256,"stream":true,"stream_options":{"include_usage":true}}"#
        }
    };
    let turn = r#""},{"role":"user","content":""#;
    let room = REQUEST_BYTES - head.len() - turn.len() - tail.len();
    let prose: String = PROSE.chars().cycle().take(room).collect();
    // An escape must not be cut in two where the prose is divided or ends.
    let (system, user) = prose.split_at(room / 3);
    let (system, user) = (whole_escapes(system), whole_escapes(user));
    format!("{head}{system}{turn}{user}{tail}").into_bytes()
}

/// Reads back ask and slot; nothing unless every byte is as it was sent.
pub(crate) fn recognise(body: &[u8]) -> Option<(Ask, usize)> {
    let digits = body.get(REQUEST_HEAD.len()..REQUEST_HEAD.len() + SLOT_DIGITS)?;
    let slot = std::str::from_utf8(digits).ok()?.parse::<usize>().ok()?;
    let ask = if memchr::memmem::find(body, br#""stream":true"#).is_some() {
        Ask::Stream
    } else {
        Ask::Plain
    };
    let template = match ask {
        Ask::Plain => &*PLAIN_REQUEST,
        Ask::Stream => &*STREAM_REQUEST,
    };
    let after = REQUEST_HEAD.len() + SLOT_DIGITS;
    let same = body.len() == template.len()
        && body.get(..REQUEST_HEAD.len()) == template.get(..REQUEST_HEAD.len())
        && body.get(after..) == template.get(after..);
    (same && slot < SLOTS).then_some((ask, slot))
}

/// What a client must receive.
pub(crate) fn expected(ask: Ask) -> &'static Expected {
    match ask {
        Ask::Plain => &PLAIN_ANSWER,
        Ask::Stream => &STREAM_ANSWER,
    }
}

const REQUEST_HEAD: &str =
    r#"{"model":"gpt-5.6-mini-2026-08-01","messages":[{"role":"system","content":"slot "#;
const SLOT_DIGITS: usize = 4;
const PROSE: &str = "Read the ticket below, then answer in two short sentences.\\nThe customer writes: \
    \\\"since Tuesday the export stops after page 3, and the log says `timeout`\\\". They are on the \
    team plan, in Lisbon, and have asked twice. Do not promise a date; name what they can try today. ";

static PLAIN_REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| request_body(Ask::Plain, 0));
static STREAM_REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| request_body(Ask::Stream, 0));
static PLAIN_ANSWER: LazyLock<Expected> = LazyLock::new(plain_answer);
static STREAM_ANSWER: LazyLock<Expected> = LazyLock::new(stream_answer);

/// A trailing half of an escape is made a full stop, so that the length stays.
fn whole_escapes(text: &str) -> String {
    let slashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let mut text = text.to_owned();
    if slashes % 2 == 1 {
        text.pop();
        text.push('.');
    }
    text
}

fn plain_answer() -> Expected {
    let head = format!(
        r#"{{"id":"chatcmpl-Bx0000000000000000000000000001","object":"chat.completion","created":1787000000,"model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":""#
    );
    let tail = r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":512,"completion_tokens":128,"total_tokens":640,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}"#;
    let room = ANSWER_BYTES - head.len() - tail.len();
    let prose: String = PROSE.chars().cycle().take(room).collect();
    let bytes = format!("{head}{}{tail}", whole_escapes(&prose)).into_bytes();
    let ends = vec![bytes.len()];
    Expected { bytes, ends }
}

fn stream_answer() -> Expected {
    let mut text = String::new();
    let mut ends = Vec::with_capacity(CHUNKS);
    for index in 0..CHUNKS {
        let (choices, usage) = match index {
            0 => (
                choice(
                    r#"{"role":"assistant","content":"","refusal":null}"#,
                    "null",
                ),
                "null",
            ),
            47 => (choice("{}", r#""stop""#), "null"),
            48 => (
                String::new(),
                r#"{"prompt_tokens":512,"completion_tokens":46,"total_tokens":558,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
            ),
            _ => (
                choice(&format!(r#"{{"content":" word{index:02}"}}"#), "null"),
                "null",
            ),
        };
        if index == CHUNKS - 1 {
            text.push_str("data: [DONE]\n\n");
        } else {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "data: {{\"id\":\"chatcmpl-Bx0000000000000000000000000001\",\"object\":\"chat.completion.chunk\",\"created\":1787000000,\"model\":\"{MODEL}\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{choices}],\"usage\":{usage}}}\n\n"
            );
        }
        ends.push(text.len());
    }
    Expected {
        bytes: text.into_bytes(),
        ends,
    }
}

fn choice(delta: &str, finish: &str) -> String {
    format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#)
}

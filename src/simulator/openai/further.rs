//! The endpoints that a policy has to open: decisions, images, speech, compaction, counting, and secrets of sessions. Each
//! says just enough to be read by the official SDKs.

use serde_json::Value;

use super::is_streamed;
use super::small::base64;
use crate::simulator::answer::{Asked, Written, event};
use crate::simulator::complaint::Complaint;
use crate::simulator::json::{CREATED, Obj};
use crate::simulator::reply::weight;
use crate::simulator::route::Dialect;

/// Tokens of a text as the simulator counts them.
fn tokens(text: Option<&Value>) -> u64 {
    text.map_or(1, weight).div_ceil(4).max(1)
}

fn usage(input: u64, output: u64) -> String {
    Obj::new()
        .num("input_tokens", input)
        .num("output_tokens", output)
        .num("total_tokens", input + output)
        .done()
}

pub(in crate::simulator) fn decision(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let questions = asked
        .json
        .get("questions")
        .and_then(Value::as_array)
        .ok_or_else(|| Complaint::missing(Dialect::OpenAi, "questions"))?;
    let input = tokens(asked.json.get("input"));
    let output = u64::try_from(questions.len()).unwrap_or(u64::MAX);
    let body = Obj::new()
        .str("id", &asked.digest.id("dec_", 32))
        .str("object", "decision")
        .num("created_at", CREATED)
        .str("model", asked.model)
        .list("results", &[])
        .raw("usage", &usage(input, output));
    Ok(Written::Plain(body.done()))
}

/// One grey dot for each image asked for, streamed as a single event each.
pub(in crate::simulator) fn image(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let prompt = asked.json.get("prompt");
    if prompt.is_none() {
        return Err(Complaint::missing(Dialect::OpenAi, "prompt"));
    }
    let count = asked
        .json
        .get("n")
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .clamp(1, 10);
    let dot = base64(b"\x89PNG\r\n\x1a\n a grey dot");
    let (input, output) = (tokens(prompt), 16 * count);
    if is_streamed(asked.json) {
        let done = Obj::new()
            .str("type", "image_generation.completed")
            .str("b64_json", &dot)
            .num("created_at", CREATED)
            .raw("usage", &usage(input, output));
        let frames = vec![event(done, "image_generation.completed")];
        return Ok(Written::openai_stream(frames));
    }
    let images: Vec<String> = (0..count)
        .map(|_| Obj::new().str("b64_json", &dot).done())
        .collect();
    let body = Obj::new()
        .num("created", CREATED)
        .list("data", &images)
        .raw("usage", &usage(input, output));
    Ok(Written::Plain(body.done()))
}

/// Silence, as a WAV file without samples.
pub(in crate::simulator) fn speech(asked: &Asked<'_>) -> Result<Written, Complaint> {
    if asked.json.get("input").is_none() {
        return Err(Complaint::missing(Dialect::OpenAi, "input"));
    }
    Ok(Written::Sound(String::from("RIFF\u{4}\0\0\0WAVE")))
}

pub(in crate::simulator) fn compaction(asked: &Asked<'_>) -> Written {
    let input = tokens(asked.json.get("input"));
    let item = Obj::new()
        .str("type", "compaction")
        .str("id", &asked.digest.id("cmp_", 32))
        .str("encrypted_content", "c2ltdWxhdGVk");
    let body = Obj::new()
        .str("id", &asked.digest.id("resp_", 32))
        .str("object", "response.compaction")
        .num("created_at", CREATED)
        .list("output", &[item.done()])
        .raw("usage", &usage(input, 1));
    Written::Plain(body.done())
}

pub(in crate::simulator) fn input_tokens(asked: &Asked<'_>) -> Written {
    let body = Obj::new()
        .str("object", "response.input_tokens")
        .num("input_tokens", tokens(asked.json.get("input")));
    Written::Plain(body.done())
}

pub(in crate::simulator) fn client_secret(asked: &Asked<'_>) -> Written {
    let session = asked.json.get("session").map(ToString::to_string);
    let body = Obj::new()
        .str("value", &asked.digest.id("ek_", 32))
        .num("expires_at", CREATED + 600)
        .raw("session", session.as_deref().unwrap_or("{}"));
    Written::Plain(body.done())
}

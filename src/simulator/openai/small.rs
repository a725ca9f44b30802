//! The endpoints that say little: embeddings, moderations, models, and the legacy completions.

use serde_json::Value;

use super::{is_streamed, told_among, used};
use crate::simulator::answer::{Asked, Written};
use crate::simulator::complaint::Complaint;
use crate::simulator::json::{CREATED, Digest, Obj, listed};
use crate::simulator::reply::{Calls, Choice, End, Form, Reply, Wish, pieces, weight, words};
use crate::simulator::route::Dialect;

/// The models that the list names; every other name answers too.
const MODELS: [&str; 3] = ["gpt-sim", "gpt-sim-mini", "text-embedding-sim"];
/// As the smaller embedding models have it.
const DIMENSIONS: u64 = 1536;
const MOST_DIMENSIONS: u64 = 4096;
/// The most texts in one embeddings request, as the provider has it.
const MOST_INPUTS: usize = 2048;
/// What a plain completion has besides its text.
const OVERHEAD: usize = 268;

pub(in crate::simulator) fn embeddings(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let input = asked
        .json
        .get("input")
        .ok_or_else(|| Complaint::missing(Dialect::OpenAi, "input"))?;
    let list = input.as_array().map(Vec::as_slice).unwrap_or_default();
    // A list of numbers is one text that was tokenized already.
    let tokenized = list.first().is_some_and(Value::is_number);
    let texts = if list.is_empty() || tokenized {
        std::slice::from_ref(input)
    } else {
        list
    };
    let dimensions = asked
        .json
        .get("dimensions")
        .and_then(Value::as_u64)
        .unwrap_or(DIMENSIONS);
    if texts.len() > MOST_INPUTS || !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(Complaint::bad_request(
            "Invalid value for 'input' or 'dimensions'.",
        ));
    }
    let coded = asked.json.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data: Vec<String> = texts
        .iter()
        .zip(0..)
        .map(|(text, index)| embedding(text, index, dimensions, coded))
        .collect();
    let tokens = if tokenized {
        u64::try_from(list.len()).unwrap_or(u64::MAX)
    } else {
        weight(input).div_ceil(4).max(1)
    };
    let usage = Obj::new()
        .num("prompt_tokens", tokens)
        .num("total_tokens", tokens)
        .done();
    let body = Obj::new()
        .str("object", "list")
        .list("data", &data)
        .str("model", asked.model);
    let body = used(asked.script.usage, body, &usage);
    Ok(Written::Plain(body.done()))
}

/// Equal texts have equal vectors, of length near one.
fn embedding(text: &Value, index: u64, dimensions: u64, coded: bool) -> String {
    let noise = Digest::of(text.to_string().as_bytes()).noise();
    // Any sign and mantissa with one exponent: 1/64 to 1/32 either way.
    let numbers = noise.zip(0..dimensions).map(|(noise, _)| {
        let bits = u32::try_from(noise >> 32).unwrap_or(0);
        f32::from_bits((bits & 0x807f_ffff) | 0x3c80_0000)
    });
    let vector = if coded {
        let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        format!("\"{}\"", base64(&bytes))
    } else {
        listed(&numbers.map(|number| number.to_string()).collect::<Vec<_>>())
    };
    Obj::new()
        .str("object", "embedding")
        .num("index", index)
        .raw("embedding", &vector)
        .done()
}

/// Standard base64 with padding (RFC 4648 §4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| usize::from(group.get(index).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) & 63];
            out.push(if place <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

/// Flags nothing but what says `sim-flagged`.
pub(in crate::simulator) fn moderation(asked: &Asked<'_>) -> Result<Written, Complaint> {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let input = asked
        .json
        .get("input")
        .ok_or_else(|| Complaint::missing(Dialect::OpenAi, "input"))?;
    let flagged = input.to_string().contains("sim-flagged");
    let each = |value: &str| {
        CATEGORIES
            .iter()
            .fold(Obj::new(), |object, name| object.raw(name, value))
            .done()
    };
    let result = Obj::new()
        .raw("flagged", if flagged { "true" } else { "false" })
        .raw("categories", &each(if flagged { "true" } else { "false" }))
        .raw(
            "category_scores",
            &each(if flagged { "0.9" } else { "0.0001" }),
        )
        .raw("category_applied_input_types", &each(r#"["text"]"#))
        .done();
    let body = Obj::new()
        .str("id", &asked.digest.id("modr-", 32))
        .str("model", asked.model)
        .list("results", &[result]);
    Ok(Written::Plain(body.done()))
}

/// The list, or one model's card.
pub(in crate::simulator) fn models(id: Option<&str>) -> String {
    let card = |id: &str| {
        Obj::new()
            .str("id", id)
            .str("object", "model")
            .num("created", CREATED)
            .str("owned_by", "simulator")
            .done()
    };
    match id {
        Some(id) => card(id),
        None => Obj::new()
            .str("object", "list")
            .list("data", &MODELS.map(card))
            .done(),
    }
}

pub(in crate::simulator) fn completion(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let prompt = asked
        .json
        .get("prompt")
        .ok_or_else(|| Complaint::missing(Dialect::OpenAi, "prompt"))?;
    let streamed = is_streamed(asked.json);
    let wish = Wish {
        said: words(prompt),
        tool_result: None,
        tools: Vec::new(),
        choice: Choice::Never,
        calls: Calls::One,
        form: Form::Prose,
        cap: Some(
            asked
                .json
                .get("max_tokens")
                .and_then(Value::as_u64)
                .unwrap_or(16),
        ),
        input_bytes: weight(prompt),
        overhead: if streamed { 0 } else { OVERHEAD },
    };
    let reply = Reply::to(&wish, &asked.script);
    let usage = Obj::new()
        .num("prompt_tokens", reply.input)
        .num("completion_tokens", reply.output)
        .num("total_tokens", reply.input + reply.output)
        .done();
    let finish = if reply.end == End::CutShort {
        "\"length\""
    } else {
        "\"stop\""
    };
    if !streamed {
        return Ok(Written::Plain(
            used(
                asked.script.usage,
                text_completion(asked, &[(&reply.text, finish)]),
                &usage,
            )
            .done(),
        ));
    }
    let counted = asked.json.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    let framed = |chunk: Obj| format!("data: {}\n\n", chunk.done());
    let plain = |chunk: Obj| framed(if counted { chunk.null("usage") } else { chunk });
    let mut frames: Vec<String> = pieces(&reply.text, asked.script.chunks)
        .iter()
        .map(|piece| plain(text_completion(asked, &[(*piece, "null")])))
        .collect();
    frames.push(plain(text_completion(asked, &[("", finish)])));
    let mut last = vec![String::from("data: [DONE]\n\n")];
    if counted {
        let told = framed(text_completion(asked, &[]).raw("usage", &usage));
        told_among(asked.script.usage, told, &mut last);
    }
    frames.extend(last);
    Ok(Written::openai_stream(frames))
}

fn text_completion(asked: &Asked<'_>, choices: &[(&str, &str)]) -> Obj {
    let choices: Vec<String> = choices
        .iter()
        .zip(0..)
        .map(|((text, finish), index)| {
            Obj::new()
                .str("text", text)
                .num("index", index)
                .null("logprobs")
                .raw("finish_reason", finish)
                .done()
        })
        .collect();
    Obj::new()
        .str("id", &asked.digest.id("cmpl-", 29))
        .str("object", "text_completion")
        .num("created", CREATED)
        .str("model", asked.model)
        .list("choices", &choices)
}

//! Chat completions, streamed and not. Usage in a stream comes only when `stream_options.include_usage` asks for it:
//! null in every chunk, then one chunk without choices.

use serde_json::Value;

use super::{calls, choice, form, functions, is_streamed, obfuscation, tier, told_among, used};
use crate::simulator::answer::{Asked, Written};
use crate::simulator::complaint::Complaint;
use crate::simulator::json::{CREATED, Obj};
use crate::simulator::reply::{Call, End, Reply, Wish, pieces, tokens, weight, words};
use crate::simulator::route::Dialect;

/// The most answers to one request.
const MOST_CHOICES: u64 = 128;
/// The most that one request may make the simulator write, in tokens of four bytes: together 64 MiB.
const MOST_WRITTEN: u64 = 16 * 1024 * 1024;
/// What a delta costs besides its text, in the same measure.
const DELTA_TOKENS: u64 = 64;
/// What a plain body has besides its text.
const OVERHEAD: usize = 611;

pub(in crate::simulator) fn answer(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let choices = match asked.json.get("n").filter(|n| !n.is_null()) {
        None => 1,
        Some(n) => n
            .as_u64()
            .filter(|n| (1..=MOST_CHOICES).contains(n))
            .ok_or_else(|| Complaint::bad_request("Invalid value for 'n'."))?,
    };
    let reply = Reply::to(&wish(asked.json)?, &asked.script);
    let deltas = u64::from(asked.script.chunks.unwrap_or(0)) * DELTA_TOKENS;
    if choices.saturating_mul(tokens(reply.text.len()) + deltas) > MOST_WRITTEN {
        return Err(Complaint::bad_request(
            "'n' answers of this size are too many to simulate.",
        ));
    }
    let chat = Chat {
        asked,
        reply,
        choices,
    };
    Ok(if is_streamed(asked.json) {
        chat.streamed()
    } else {
        Written::Plain(chat.plain())
    })
}

fn wish(request: &Value) -> Result<Wish<'_>, Complaint> {
    let missing = || Complaint::missing(Dialect::OpenAi, "messages");
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .ok_or_else(missing)?;
    let role =
        |message: &Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
    let content = |message: &Value| message.get("content").map(words).unwrap_or_default();
    let said = messages
        .iter()
        .rev()
        .find(|message| role(message, "user"))
        .map(content)
        .unwrap_or_default();
    let tool_result = messages
        .last()
        .filter(|message| role(message, "tool"))
        .map(content);
    let read = ["messages", "tools"]
        .iter()
        .filter_map(|key| request.get(key))
        .map(weight)
        .sum();
    let cap = ["max_completion_tokens", "max_tokens"]
        .iter()
        .find_map(|key| request.get(key)?.as_u64());
    let overhead = if is_streamed(request) { 0 } else { OVERHEAD };
    Ok(Wish {
        said,
        tool_result,
        tools: functions(request),
        choice: choice(request),
        calls: calls(request),
        form: form(request.get("response_format"), "/json_schema/schema"),
        cap,
        input_bytes: read,
        overhead,
    })
}

struct Chat<'a> {
    asked: &'a Asked<'a>,
    reply: Reply,
    choices: u64,
}

impl Chat<'_> {
    fn plain(&self) -> String {
        let choices: Vec<String> = (0..self.choices)
            .map(|index| {
                Obj::new()
                    .num("index", index)
                    .raw("message", &self.message())
                    .null("logprobs")
                    .str("finish_reason", self.finish())
                    .done()
            })
            .collect();
        let chat = self.envelope("chat.completion").list("choices", &choices);
        used(self.asked.script.usage, chat, &self.usage())
            .str("service_tier", tier(self.asked.json))
            .str("system_fingerprint", "fp_simulator")
            .done()
    }

    fn message(&self) -> String {
        let message = Obj::new().str("role", "assistant");
        let message = if self.reply.calls.is_empty() {
            message.str("content", &self.reply.text)
        } else {
            message.null("content")
        };
        let message = message.null("refusal").raw("annotations", "[]");
        if self.reply.calls.is_empty() {
            return message.done();
        }
        let calls: Vec<String> = self
            .reply
            .calls
            .iter()
            .enumerate()
            .map(|(number, call)| self.call(Obj::new(), number, call, &call.arguments))
            .collect();
        message.list("tool_calls", &calls).done()
    }

    fn call(&self, object: Obj, number: usize, call: &Call, arguments: &str) -> String {
        object
            .str("id", &self.asked.digest.numbered("call_", 24, number))
            .str("type", "function")
            .raw(
                "function",
                &Obj::new()
                    .str("name", &call.name)
                    .str("arguments", arguments)
                    .done(),
            )
            .done()
    }

    fn streamed(&self) -> Written {
        let mut frames = Vec::new();
        for index in 0..self.choices {
            let opening = if self.reply.calls.is_empty() {
                r#"{"role":"assistant","content":"","refusal":null}"#
            } else {
                r#"{"role":"assistant","content":null}"#
            };
            frames.push(self.chunk(index, opening, None, frames.len()));
            for piece in pieces(&self.reply.text, self.asked.script.chunks) {
                frames.push(self.chunk(
                    index,
                    &Obj::new().str("content", piece).done(),
                    None,
                    frames.len(),
                ));
            }
            for (number, call) in self.reply.calls.iter().enumerate() {
                self.call_chunks(index, number, call, &mut frames);
            }
            frames.push(self.chunk(index, "{}", Some(self.finish()), frames.len()));
        }
        let mut last = vec![String::from("data: [DONE]\n\n")];
        if self.option("include_usage") == Some(true) {
            let told = self
                .chunk_envelope()
                .raw("choices", "[]")
                .raw("usage", &self.usage());
            let told = self.sealed(told, frames.len());
            told_among(self.asked.script.usage, told, &mut last);
        }
        frames.extend(last);
        Written::openai_stream(frames)
    }

    /// The call's name with no arguments, then the arguments in pieces, all under the call's index.
    fn call_chunks(&self, index: u64, number: usize, call: &Call, frames: &mut Vec<String>) {
        let begun = |number: usize| Obj::new().num("index", u64::try_from(number).unwrap_or(0));
        let opening = Obj::new()
            .list("tool_calls", &[self.call(begun(number), number, call, "")])
            .done();
        frames.push(self.chunk(index, &opening, None, frames.len()));
        for piece in pieces(&call.arguments, self.asked.script.chunks.or(Some(4))) {
            let piece = begun(number)
                .raw("function", &Obj::new().str("arguments", piece).done())
                .done();
            frames.push(self.chunk(
                index,
                &Obj::new().list("tool_calls", &[piece]).done(),
                None,
                frames.len(),
            ));
        }
    }

    fn chunk(&self, index: u64, delta: &str, finish: Option<&str>, number: usize) -> String {
        let choice = Obj::new()
            .num("index", index)
            .raw("delta", delta)
            .null("logprobs")
            .maybe("finish_reason", finish);
        let chunk = self.chunk_envelope().list("choices", &[choice.done()]);
        let chunk = if self.option("include_usage") == Some(true) {
            chunk.null("usage")
        } else {
            chunk
        };
        self.sealed(chunk, number)
    }

    fn sealed(&self, chunk: Obj, number: usize) -> String {
        let hidden = self.option("include_obfuscation") != Some(false);
        let chunk = if hidden {
            chunk.str("obfuscation", &obfuscation(self.asked.digest, number))
        } else {
            chunk
        };
        format!("data: {}\n\n", chunk.done())
    }

    fn chunk_envelope(&self) -> Obj {
        self.envelope("chat.completion.chunk")
            .str("service_tier", tier(self.asked.json))
            .str("system_fingerprint", "fp_simulator")
    }

    fn envelope(&self, object: &str) -> Obj {
        Obj::new()
            .str("id", &self.asked.digest.id("chatcmpl-", 29))
            .str("object", object)
            .num("created", CREATED)
            .str("model", self.asked.model)
    }

    fn option(&self, name: &str) -> Option<bool> {
        self.asked.json.get("stream_options")?.get(name)?.as_bool()
    }

    fn finish(&self) -> &'static str {
        match self.reply.end {
            End::Said => "stop",
            End::Called => "tool_calls",
            End::CutShort => "length",
        }
    }

    fn usage(&self) -> String {
        let output = self.reply.output * self.choices;
        let input_details = Obj::new()
            .num("cached_tokens", self.reply.cached)
            .num("cache_write_tokens", 0)
            .num("audio_tokens", 0);
        let output_details = Obj::new()
            .num("reasoning_tokens", self.reply.reasoning * self.choices)
            .num("audio_tokens", 0)
            .num("accepted_prediction_tokens", 0)
            .num("rejected_prediction_tokens", 0);
        Obj::new()
            .num("prompt_tokens", self.reply.input)
            .num("completion_tokens", output)
            .num("total_tokens", self.reply.input + output)
            .raw("prompt_tokens_details", &input_details.done())
            .raw("completion_tokens_details", &output_details.done())
            .done()
    }
}

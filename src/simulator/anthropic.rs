//! The Anthropic dialect: messages, streamed and not, token counts and models. `input_tokens` is what did *not* come
//! from the cache, and the usage in a stream is cumulative. It must never know the OpenAI dialect.

use http::HeaderMap;
use serde_json::Value;

use super::answer::{Asked, Written, event};
use super::complaint::Complaint;
use super::json::Obj;
use super::reply::{Call, Calls, Choice, End, Form, Reply, Tool, Wish, pieces, weight, words};
use super::route::Dialect;
use super::script::Telling;

/// The models that the list names; every other name answers too.
const MODELS: [&str; 2] = ["claude-sim", "claude-sim-haiku"];
/// What a plain body has besides its text.
const OVERHEAD: usize = 489;
/// Members that make up what the model reads.
const READ: [&str; 3] = ["system", "messages", "tools"];

pub(super) fn messages(asked: &Asked<'_>) -> Result<Written, Complaint> {
    check_version(asked)?;
    asked
        .json
        .get("max_tokens")
        .and_then(Value::as_u64)
        .ok_or_else(|| Complaint::missing(Dialect::Anthropic, "max_tokens"))?;
    let wish = wish(asked.json)?;
    let message = Message {
        asked,
        reply: Reply::to(&wish, &asked.script),
    };
    if is_streamed(asked.json) {
        return Ok(Written::anthropic_stream(message.streamed()));
    }
    Ok(Written::Plain(message.object(
        &message.blocks(),
        Some(message.stop()),
        message.reply.output,
    )))
}

pub(super) fn count_tokens(asked: &Asked<'_>) -> Result<Written, Complaint> {
    check_version(asked)?;
    let wish = wish(asked.json)?;
    Ok(Written::Plain(
        Obj::new()
            .num("input_tokens", Reply::to(&wish, &asked.script).input)
            .done(),
    ))
}

/// The list, or one model's card.
pub(super) fn models(id: Option<&str>) -> String {
    let card = |id: &str| {
        Obj::new()
            .str("type", "model")
            .str("id", id)
            .str("display_name", id)
            .str("created_at", "2026-01-01T00:00:00Z")
            .num("max_input_tokens", 200_000)
            .num("max_tokens", 64_000)
            .null("capabilities")
            .done()
    };
    if let Some(id) = id {
        return card(id);
    }
    let [first, last] = MODELS;
    Obj::new()
        .list("data", &MODELS.map(card))
        .raw("has_more", "false")
        .str("first_id", first)
        .str("last_id", last)
        .done()
}

/// The header is required; from 2026-10-21 on there are no sampling parameters.
fn check_version(asked: &Asked<'_>) -> Result<(), Complaint> {
    let Some(version) = version(asked.headers) else {
        return Err(Complaint::bad_request(
            "anthropic-version: header is required",
        ));
    };
    let sampling = ["temperature", "top_p", "top_k"]
        .into_iter()
        .find(|name| asked.json.get(name).is_some_and(|value| !value.is_null()));
    match sampling {
        Some(name) if version >= "2026-10-21" => Err(Complaint::bad_request(&format!(
            "{name}: not supported in this API version"
        ))),
        _ => Ok(()),
    }
}

fn version(headers: &HeaderMap) -> Option<&str> {
    headers.get("anthropic-version")?.to_str().ok()
}

fn is_streamed(request: &Value) -> bool {
    request.get("stream") == Some(&Value::Bool(true))
}

fn wish(request: &Value) -> Result<Wish<'_>, Complaint> {
    let missing = || Complaint::missing(Dialect::Anthropic, "messages");
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .ok_or_else(missing)?;
    let user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    let content = messages
        .iter()
        .rev()
        .find(user)
        .and_then(|message| message.get("content"));
    let result = content.and_then(Value::as_array).and_then(|blocks| {
        let result =
            |block: &&Value| block.get("type").and_then(Value::as_str) == Some("tool_result");
        blocks
            .iter()
            .find(result)
            .map(|block| block.get("content").map(words).unwrap_or_default())
    });
    let choice = request.get("tool_choice");
    let one = choice.and_then(|choice| choice.get("disable_parallel_tool_use"))
        == Some(&Value::Bool(true));
    let schema = request.pointer("/output_config/format/schema");
    Ok(Wish {
        said: content.map(words).unwrap_or_default(),
        tool_result: result,
        tools: tools(request),
        choice: choice.map_or(Choice::Auto, chosen),
        calls: if one { Calls::One } else { Calls::Several },
        form: schema.map_or(Form::Prose, Form::Schema),
        cap: request.get("max_tokens").and_then(Value::as_u64),
        input_bytes: READ
            .iter()
            .filter_map(|key| request.get(key))
            .map(weight)
            .sum(),
        overhead: if is_streamed(request) { 0 } else { OVERHEAD },
    })
}

fn chosen(choice: &Value) -> Choice<'_> {
    match (
        choice.get("type").and_then(Value::as_str),
        choice.get("name").and_then(Value::as_str),
    ) {
        (Some("tool"), Some(name)) => Choice::Only(name),
        (Some("any"), _) => Choice::Any,
        (Some("none"), _) => Choice::Never,
        _ => Choice::Auto,
    }
}

/// The tools that the caller runs: those with no type, or the type `custom`.
fn tools(request: &Value) -> Vec<Tool<'_>> {
    let tools = request
        .get("tools")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let own = |tool: &&Value| {
        tool.get("type")
            .and_then(Value::as_str)
            .is_none_or(|kind| kind == "custom")
    };
    tools
        .iter()
        .filter(own)
        .filter_map(|tool| {
            let name = tool.get("name")?.as_str()?;
            Some(Tool {
                name,
                schema: tool.get("input_schema").unwrap_or(&Value::Null),
            })
        })
        .collect()
}

struct Message<'a> {
    asked: &'a Asked<'a>,
    reply: Reply,
}

impl Message<'_> {
    fn object(&self, content: &[String], stop: Option<&str>, output: u64) -> String {
        let message = Obj::new()
            .str("id", &self.asked.digest.id("msg_01", 22))
            .str("type", "message")
            .str("role", "assistant")
            .str("model", self.asked.model)
            .list("content", content);
        let message = stopped(message, stop);
        let usage = self.usage(output);
        match self.asked.script.usage {
            Telling::Missing => message,
            Telling::Twice if stop.is_some() => message.raw("usage", &usage).raw("usage", &usage),
            Telling::Once | Telling::Late | Telling::Twice => message.raw("usage", &usage),
        }
        .done()
    }

    fn blocks(&self) -> Vec<String> {
        if self.reply.calls.is_empty() {
            return vec![text_block(&self.reply.text)];
        }
        self.reply
            .calls
            .iter()
            .enumerate()
            .map(|(number, call)| self.call_block(number, call, &call.arguments))
            .collect()
    }

    fn streamed(&self) -> Vec<String> {
        let opening = self.object(&[], None, 1);
        let mut frames = vec![event(
            Obj::typed("message_start").raw("message", &opening),
            "message_start",
        )];
        if self.reply.calls.is_empty() {
            let deltas: Vec<String> = pieces(&self.reply.text, self.asked.script.chunks)
                .iter()
                .map(|piece| Obj::typed("text_delta").str("text", piece).done())
                .collect();
            block_events(0, &text_block(""), &deltas, &mut frames);
        }
        for (number, call) in self.reply.calls.iter().enumerate() {
            let mut deltas = vec![
                Obj::typed("input_json_delta")
                    .str("partial_json", "")
                    .done(),
            ];
            deltas.extend(
                pieces(&call.arguments, self.asked.script.chunks.or(Some(4)))
                    .iter()
                    .map(|piece| {
                        Obj::typed("input_json_delta")
                            .str("partial_json", piece)
                            .done()
                    }),
            );
            block_events(
                number,
                &self.call_block(number, call, "{}"),
                &deltas,
                &mut frames,
            );
        }
        let delta = stopped(Obj::new(), Some(self.stop())).done();
        let details = Obj::new()
            .num("thinking_tokens", self.reply.reasoning)
            .done();
        let usage = Obj::new()
            .num("output_tokens", self.reply.output)
            .raw("output_tokens_details", &details)
            .done();
        let delta = Obj::typed("message_delta").raw("delta", &delta);
        let untold = event(delta.clone(), "message_delta");
        let told = event(delta.raw("usage", &usage), "message_delta");
        let stop = event(Obj::typed("message_stop"), "message_stop");
        frames.extend(match self.asked.script.usage {
            Telling::Once => vec![told, stop],
            Telling::Missing => vec![untold, stop],
            Telling::Late => vec![untold, stop, told],
            Telling::Twice => vec![told.clone(), told, stop],
        });
        frames
    }

    fn call_block(&self, number: usize, call: &Call, input: &str) -> String {
        Obj::typed("tool_use")
            .str("id", &self.asked.digest.numbered("toolu_01", 22, number))
            .str("name", &call.name)
            .raw("input", input)
            .done()
    }

    fn stop(&self) -> &'static str {
        match self.reply.end {
            End::Said => "end_turn",
            End::Called => "tool_use",
            End::CutShort => "max_tokens",
        }
    }

    fn usage(&self, output: u64) -> String {
        let created = Obj::new()
            .num("ephemeral_5m_input_tokens", 0)
            .num("ephemeral_1h_input_tokens", 0)
            .done();
        let geo = self
            .asked
            .json
            .get("inference_geo")
            .and_then(Value::as_str)
            .unwrap_or("global");
        let speed = self
            .asked
            .json
            .get("speed")
            .and_then(Value::as_str)
            .unwrap_or("standard");
        Obj::new()
            .num("input_tokens", self.reply.input - self.reply.cached)
            .num("cache_creation_input_tokens", 0)
            .num("cache_read_input_tokens", self.reply.cached)
            .raw("cache_creation", &created)
            .num("output_tokens", output)
            .null("server_tool_use")
            .str("service_tier", "standard")
            .str("inference_geo", geo)
            .str("speed", speed)
            .done()
    }
}

fn block_events(number: usize, opening: &str, deltas: &[String], frames: &mut Vec<String>) {
    let index = u64::try_from(number).unwrap_or(0);
    let placed = |name: &str| Obj::typed(name).num("index", index);
    frames.push(event(
        placed("content_block_start").raw("content_block", opening),
        "content_block_start",
    ));
    if number == 0 {
        frames.push(event(Obj::typed("ping"), "ping"));
    }
    for delta in deltas {
        frames.push(event(
            placed("content_block_delta").raw("delta", delta),
            "content_block_delta",
        ));
    }
    frames.push(event(placed("content_block_stop"), "content_block_stop"));
}

fn stopped(object: Obj, stop: Option<&str>) -> Obj {
    object
        .maybe("stop_reason", stop)
        .null("stop_sequence")
        .null("stop_details")
}

fn text_block(text: &str) -> String {
    Obj::typed("text").str("text", text).done()
}

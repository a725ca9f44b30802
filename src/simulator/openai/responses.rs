//! The Responses endpoint, streamed and not. A stream is named events with a running number, and ends in exactly one
//! terminal event that carries the whole response.

use serde_json::Value;

use super::{calls, choice, form, functions, is_streamed, obfuscation, tier};
use crate::simulator::answer::{Asked, Written, event};
use crate::simulator::complaint::Complaint;
use crate::simulator::json::{CREATED, Obj, listed};
use crate::simulator::reply::{Call, End, Reply, Wish, pieces, weight, words};
use crate::simulator::route::Dialect;
use crate::simulator::script::Telling;

/// What a plain body has besides its text.
const OVERHEAD: usize = 1044;

pub(in crate::simulator) fn answer(asked: &Asked<'_>) -> Result<Written, Complaint> {
    let reply = Reply::to(&wish(asked.json)?, &asked.script);
    let response = Respond { asked, reply };
    if !is_streamed(asked.json) {
        return Ok(Written::Plain(
            response.object(response.status(), &response.items()),
        ));
    }
    let mut events = Events { frames: Vec::new() };
    response.stream(&mut events);
    let broken = Obj::typed("error")
        .str("code", "server_error")
        .str(
            "message",
            "The server had an error while processing your request. Sorry about that!",
        )
        .null("param")
        .num(
            "sequence_number",
            u64::try_from(events.frames.len() / 2).unwrap_or(0),
        );
    Ok(Written::Stream {
        frames: events.frames,
        broken: event(broken, "error"),
    })
}

fn wish(request: &Value) -> Result<Wish<'_>, Complaint> {
    let input = request
        .get("input")
        .filter(|input| !input.is_null())
        .ok_or_else(|| Complaint::missing(Dialect::OpenAi, "input"))?;
    let items = input.as_array().map(Vec::as_slice).unwrap_or_default();
    let user = |item: &&Value| item.get("role").and_then(Value::as_str) == Some("user");
    let said = if let Value::String(text) = input {
        text.clone()
    } else {
        let last = items.iter().rev().find(user);
        last.and_then(|item| item.get("content"))
            .map(words)
            .unwrap_or_default()
    };
    let result = |item: &&Value| {
        item.get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.ends_with("_call_output"))
    };
    let tool_result = items
        .last()
        .filter(result)
        .map(|item| item.get("output").map(words).unwrap_or_default());
    let read = ["input", "instructions", "tools"]
        .iter()
        .filter_map(|key| request.get(key))
        .map(weight)
        .sum();
    let overhead = if is_streamed(request) { 0 } else { OVERHEAD };
    Ok(Wish {
        said,
        tool_result,
        tools: functions(request),
        choice: choice(request),
        calls: calls(request),
        form: form(request.pointer("/text/format"), "/schema"),
        cap: request.get("max_output_tokens").and_then(Value::as_u64),
        input_bytes: read,
        overhead,
    })
}

/// The events of one stream; each one's number is its place.
struct Events {
    frames: Vec<String>,
}

impl Events {
    /// The beginning of the next event; what `write` adds comes after its type and number.
    fn say(&mut self, name: &str, write: impl FnOnce(Obj) -> Obj) {
        let number = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        self.frames.push(event(
            write(Obj::typed(name).num("sequence_number", number)),
            name,
        ));
    }
}

struct Respond<'a> {
    asked: &'a Asked<'a>,
    reply: Reply,
}

impl Respond<'_> {
    fn stream(&self, events: &mut Events) {
        let begun = self.object("in_progress", &[]);
        events.say("response.created", |event| event.raw("response", &begun));
        events.say("response.in_progress", |event| {
            event.raw("response", &begun)
        });
        if self.reply.calls.is_empty() {
            self.text_events(events);
        }
        for (number, call) in self.reply.calls.iter().enumerate() {
            self.call_events(events, number, call);
        }
        let name = if self.reply.end == End::CutShort {
            "response.incomplete"
        } else {
            "response.completed"
        };
        // Late: the first says nothing of usage, the second does.
        let times = match self.asked.script.usage {
            Telling::Once | Telling::Missing => 1,
            Telling::Late | Telling::Twice => 2,
        };
        for time in 1..=times {
            let mut response = self.object(self.status(), &self.items());
            if self.asked.script.usage == Telling::Late && time == 1 {
                response = response.replace(&self.usage(), "null");
            }
            events.say(name, |event| event.raw("response", &response));
        }
    }

    fn text_events(&self, events: &mut Events) {
        let id = self.message_id();
        let placed = |event: Obj| {
            event
                .str("item_id", &id)
                .num("output_index", 0)
                .num("content_index", 0)
        };
        let item = self.message("in_progress", &[]);
        events.say("response.output_item.added", |event| {
            event.num("output_index", 0).raw("item", &item)
        });
        events.say("response.content_part.added", |event| {
            placed(event).raw("part", &part(""))
        });
        for piece in pieces(&self.reply.text, self.asked.script.chunks) {
            let padding = obfuscation(self.asked.digest, events.frames.len());
            events.say("response.output_text.delta", |event| {
                placed(event)
                    .str("delta", piece)
                    .raw("logprobs", "[]")
                    .str("obfuscation", &padding)
            });
        }
        events.say("response.output_text.done", |event| {
            placed(event)
                .str("text", &self.reply.text)
                .raw("logprobs", "[]")
        });
        let whole = part(&self.reply.text);
        events.say("response.content_part.done", |event| {
            placed(event).raw("part", &whole)
        });
        let item = self.message(self.status(), &[whole]);
        events.say("response.output_item.done", |event| {
            event.num("output_index", 0).raw("item", &item)
        });
    }

    fn call_events(&self, events: &mut Events, number: usize, call: &Call) {
        let id = self.call_item_id(number);
        let index = u64::try_from(number).unwrap_or(0);
        let placed = |event: Obj| event.str("item_id", &id).num("output_index", index);
        let begun = self.call(number, call, "in_progress", "");
        events.say("response.output_item.added", |event| {
            event.num("output_index", index).raw("item", &begun)
        });
        for piece in pieces(&call.arguments, self.asked.script.chunks.or(Some(4))) {
            let padding = obfuscation(self.asked.digest, events.frames.len());
            events.say("response.function_call_arguments.delta", |event| {
                placed(event)
                    .str("delta", piece)
                    .str("obfuscation", &padding)
            });
        }
        events.say("response.function_call_arguments.done", |event| {
            placed(event)
                .str("name", &call.name)
                .str("arguments", &call.arguments)
        });
        let whole = self.call(number, call, "completed", &call.arguments);
        events.say("response.output_item.done", |event| {
            event.num("output_index", index).raw("item", &whole)
        });
    }

    fn items(&self) -> Vec<String> {
        if self.reply.calls.is_empty() {
            return vec![self.message(self.status(), &[part(&self.reply.text)])];
        }
        self.reply
            .calls
            .iter()
            .enumerate()
            .map(|(number, call)| self.call(number, call, "completed", &call.arguments))
            .collect()
    }

    fn message(&self, status: &str, content: &[String]) -> String {
        Obj::new()
            .str("id", &self.message_id())
            .str("type", "message")
            .str("status", status)
            .list("content", content)
            .str("role", "assistant")
            .done()
    }

    fn call(&self, number: usize, call: &Call, status: &str, arguments: &str) -> String {
        Obj::new()
            .str("id", &self.call_item_id(number))
            .str("type", "function_call")
            .str("status", status)
            .str("arguments", arguments)
            .str("call_id", &self.asked.digest.numbered("call_", 24, number))
            .str("name", &call.name)
            .done()
    }

    fn message_id(&self) -> String {
        self.asked.digest.id("msg_", 48)
    }

    fn call_item_id(&self, number: usize) -> String {
        self.asked.digest.numbered("fc_", 48, number)
    }

    fn status(&self) -> &'static str {
        if self.reply.end == End::CutShort {
            "incomplete"
        } else {
            "completed"
        }
    }

    /// The whole response: the request's own settings, the output so far, and the usage once it is over.
    fn object(&self, status: &str, output: &[String]) -> String {
        let request = self.asked.json;
        let over = status != "in_progress";
        let incomplete = if status == "incomplete" {
            r#"{"reason":"max_output_tokens"}"#
        } else {
            "null"
        };
        Obj::new()
            .str("id", &self.asked.digest.id("resp_", 48))
            .str("object", "response")
            .num("created_at", CREATED)
            .str("status", status)
            .raw("background", "false")
            .raw("completed_at", if over { "1767225601" } else { "null" })
            .null("error")
            .raw("incomplete_details", incomplete)
            .echo("instructions", request, "null")
            .echo("max_output_tokens", request, "null")
            .echo("max_tool_calls", request, "null")
            .str("model", self.asked.model)
            .raw("output", &listed(output))
            .echo("parallel_tool_calls", request, "true")
            .echo("previous_response_id", request, "null")
            .echo("prompt_cache_key", request, "null")
            .raw("reasoning", r#"{"effort":null,"summary":null}"#)
            .echo("safety_identifier", request, "null")
            .str("service_tier", if over { tier(request) } else { "auto" })
            .echo("store", request, "true")
            .raw("temperature", "1.0")
            .echo(
                "text",
                request,
                r#"{"format":{"type":"text"},"verbosity":"medium"}"#,
            )
            .echo("tool_choice", request, "\"auto\"")
            .echo("tools", request, "[]")
            .raw("top_p", "1.0")
            .echo("truncation", request, "\"disabled\"")
            .raw(
                "usage",
                &if over && self.asked.script.usage != Telling::Missing {
                    self.usage()
                } else {
                    String::from("null")
                },
            )
            .echo("user", request, "null")
            .echo("metadata", request, "{}")
            .done()
    }

    fn usage(&self) -> String {
        let reply = &self.reply;
        Obj::new()
            .num("input_tokens", reply.input)
            .raw(
                "input_tokens_details",
                &Obj::new()
                    .num("cached_tokens", reply.cached)
                    .num("cache_write_tokens", 0)
                    .done(),
            )
            .num("output_tokens", reply.output)
            .raw(
                "output_tokens_details",
                &Obj::new().num("reasoning_tokens", reply.reasoning).done(),
            )
            .num("total_tokens", reply.input + reply.output)
            .done()
    }
}

fn part(text: &str) -> String {
    Obj::typed("output_text")
        .raw("annotations", "[]")
        .raw("logprobs", "[]")
        .str("text", text)
        .done()
}

//! The OpenAI dialect: chat completions, responses, and the small endpoints, each in a file. What they share is
//! here. It must never know the Anthropic dialect.

pub(super) mod chat;
pub(super) mod further;
pub(super) mod responses;
pub(super) mod small;

use serde_json::Value;

use crate::simulator::json::{Digest, Obj};
use crate::simulator::reply::{Calls, Choice, Form, Tool};
use crate::simulator::script::Telling;

/// The tier that the answer is billed as; `fast` is sold as `priority`.
fn tier(request: &Value) -> &str {
    match request.get("service_tier").and_then(Value::as_str) {
        None | Some("auto") => "default",
        Some("fast") => "priority",
        Some(tier) => tier,
    }
}

fn calls(request: &Value) -> Calls {
    if request.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        Calls::One
    } else {
        Calls::Several
    }
}

/// `tool_choice`, whose named form is flat in responses and nested in chat.
fn choice(request: &Value) -> Choice<'_> {
    match request.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::Never,
        Some(Value::String(word)) if word == "required" => Choice::Any,
        Some(choice) => {
            let name = choice
                .get("name")
                .or_else(|| choice.pointer("/function/name"))
                .and_then(Value::as_str);
            name.map_or(Choice::Auto, Choice::Only)
        }
        None => Choice::Auto,
    }
}

/// The function tools among `tools`; hosted ones run at the provider and are none of the caller's.
fn functions(request: &Value) -> Vec<Tool<'_>> {
    let tools = request
        .get("tools")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let function = |tool: &&Value| tool.get("type").and_then(Value::as_str) == Some("function");
    tools
        .iter()
        .filter(function)
        .filter_map(|tool| {
            let definition = tool.get("function").unwrap_or(tool);
            let name = definition.get("name")?.as_str()?;
            Some(Tool {
                name,
                schema: definition.get("parameters").unwrap_or(&Value::Null),
            })
        })
        .collect()
}

/// The form of the answer; `schema` is where the dialect's format object has it.
fn form<'a>(format: Option<&'a Value>, schema: &str) -> Form<'a> {
    let Some(format) = format else {
        return Form::Prose;
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Form::Json,
        Some("json_schema") => format.pointer(schema).map_or(Form::Json, Form::Schema),
        _ => Form::Prose,
    }
}

fn is_streamed(request: &Value) -> bool {
    request.get("stream") == Some(&Value::Bool(true))
}

/// Padding as the provider adds it to the deltas of a stream, so that their sizes tell nothing.
fn obfuscation(digest: Digest, number: usize) -> String {
    digest.numbered("", 8 + number % 8, number)
}

/// A plain answer with its usage, as often as the script says.
fn used(telling: Telling, answer: Obj, usage: &str) -> Obj {
    match telling {
        Telling::Missing => answer,
        Telling::Once | Telling::Late => answer.raw("usage", usage),
        Telling::Twice => answer.raw("usage", usage).raw("usage", usage),
    }
}

/// Puts the usage chunk before the end of a stream, or where the script says.
fn told_among(telling: Telling, chunk: String, last: &mut Vec<String>) {
    match telling {
        Telling::Once => last.insert(0, chunk),
        Telling::Missing => {}
        Telling::Late => last.push(chunk),
        Telling::Twice => last.splice(0..0, [chunk.clone(), chunk]).for_each(drop),
    }
}

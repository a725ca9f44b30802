//! What the model says, in terms no dialect owns: a text or tool calls, and their tokens. It must never know how an
//! answer is written; the dialects ask with a [`Wish`] and write the [`Reply`] in their own words.

use serde_json::Value;

use super::sample::sample;
use super::script::Script;

/// Bytes of text to one token, near enough for both providers.
const BYTES_PER_TOKEN: u64 = 4;
/// Prompts shorter than this many tokens are never cached, and the cached part is a multiple of [`CACHE_STEP`].
const CACHE_FROM: u64 = 1024;
const CACHE_STEP: u64 = 128;
/// How many bytes of what was said are quoted back.
const QUOTED: usize = 80;
/// What a long answer is made of.
const FILLER: &str = "The outrigger keeps the canoe level while the crew paddles, and the longer the trip the more it matters. ";

/// What a request asks of the model.
pub(super) struct Wish<'a> {
    /// The last text of the user.
    pub(super) said: String,
    /// The result of a tool, when it is the last thing in the conversation.
    pub(super) tool_result: Option<String>,
    /// The tools that the caller would run.
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Choice<'a>,
    pub(super) calls: Calls,
    pub(super) form: Form<'a>,
    /// The most output tokens.
    pub(super) cap: Option<u64>,
    /// Bytes of text in everything the model reads.
    pub(super) input_bytes: u64,
    /// How much of a body that should have a given size is not text.
    pub(super) overhead: usize,
}

pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    /// A tool is called when the user names it.
    Auto,
    Never,
    /// Some tool must be called: the one that is named, else the first.
    Any,
    Only(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    One,
    Several,
}

#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    Prose,
    /// Some JSON object.
    Json,
    Schema(&'a Value),
}

/// What the model says, and what it cost.
pub(super) struct Reply {
    /// Empty when there are calls.
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) input: u64,
    /// The part of `input` that came from the cache.
    pub(super) cached: u64,
    /// Reasoning included.
    pub(super) output: u64,
    pub(super) reasoning: u64,
    pub(super) end: End,
}

pub(super) struct Call {
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Said,
    Called,
    /// The cap was reached.
    CutShort,
}

impl Reply {
    pub(super) fn to(wish: &Wish<'_>, script: &Script) -> Self {
        let calls = calls(wish);
        let (mut text, mut end) = (String::new(), End::Called);
        if calls.is_empty() {
            (text, end) = capped(sized(wish, script), wish.cap);
        }
        let said: u64 = calls
            .iter()
            .map(|call| tokens(call.name.len() + call.arguments.len()))
            .sum::<u64>()
            + tokens(text.len());
        let reasoning = u64::from(script.reasoning);
        let input = wish.input_bytes.div_ceil(BYTES_PER_TOKEN).max(1);
        let cached = match script.cached {
            Some(cached) => u64::from(cached).min(input),
            None if input >= CACHE_FROM => input / 2 / CACHE_STEP * CACHE_STEP,
            None => 0,
        };
        Self {
            text,
            calls,
            input,
            cached,
            output: said.max(1) + reasoning,
            reasoning,
            end,
        }
    }
}

/// A text in the deltas of a stream: as many as the script says, else one per word.
pub(super) fn pieces(text: &str, chunks: Option<u32>) -> Vec<&str> {
    let Some(chunks) = chunks.and_then(|chunks| usize::try_from(chunks).ok()) else {
        return text.split_inclusive(' ').collect();
    };
    let (mut pieces, mut rest) = (Vec::with_capacity(chunks), text);
    for left in (1..=chunks).rev() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(rest.len().div_ceil(left)));
        if !piece.is_empty() {
            pieces.push(piece);
        }
        rest = after;
    }
    pieces
}

/// The text of a message or of a list of content blocks.
pub(super) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks
                .iter()
                .filter_map(|block| block.get("text")?.as_str())
                .collect();
            texts.join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Bytes of text anywhere in a value: what the model would read.
pub(super) fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.values().map(weight).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .div_ceil(BYTES_PER_TOKEN)
}

fn calls(wish: &Wish<'_>) -> Vec<Call> {
    if wish.tool_result.is_some() {
        return Vec::new();
    }
    let named = |tool: &&Tool<'_>| wish.said.contains(tool.name);
    let mut chosen: Vec<&Tool<'_>> = match wish.choice {
        Choice::Never => Vec::new(),
        Choice::Only(name) => wish.tools.iter().filter(|tool| tool.name == name).collect(),
        Choice::Auto | Choice::Any => wish.tools.iter().filter(named).collect(),
    };
    if chosen.is_empty() && wish.choice == Choice::Any {
        chosen.extend(wish.tools.first());
    }
    if wish.calls == Calls::One {
        chosen.truncate(1);
    }
    chosen
        .iter()
        .map(|tool| Call {
            name: tool.name.to_owned(),
            arguments: sample(tool.schema).to_string(),
        })
        .collect()
}

/// The text before any cap: long enough for the size and the number of chunks that the script asks for.
fn sized(wish: &Wish<'_>, script: &Script) -> String {
    let mut text = match (wish.form, &wish.tool_result) {
        (Form::Schema(schema), _) => return sample(schema).to_string(),
        (Form::Json, _) => return String::from(r#"{"answer":"simulated"}"#),
        (Form::Prose, Some(result)) => format!("The tool answered: {}", head_of(result)),
        (Form::Prose, None) => format!("This is a simulated answer to: {}", head_of(&wish.said)),
    };
    let least = script
        .chunks
        .map_or(0, |chunks| to_usize(chunks).saturating_mul(4));
    let wanted = script
        .bytes
        .map_or(text.len(), |bytes| {
            to_usize(bytes).saturating_sub(wish.overhead).max(1)
        })
        .max(least);
    if text.len() < wanted {
        text.push(' ');
        text.extend(
            FILLER
                .chars()
                .cycle()
                .take(wanted.saturating_sub(text.len())),
        );
    }
    text.truncate(text.floor_char_boundary(wanted));
    text
}

fn capped(mut text: String, cap: Option<u64>) -> (String, End) {
    let most = cap
        .and_then(|cap| usize::try_from(cap.saturating_mul(BYTES_PER_TOKEN)).ok())
        .unwrap_or(usize::MAX);
    if text.len() <= most {
        return (text, End::Said);
    }
    text.truncate(text.floor_char_boundary(most));
    (text, End::CutShort)
}

fn head_of(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(QUOTED)).0
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

//! What the simulator is told to do: a default for the whole process, and the words by which one request changes it.
//! It must never fail a request because of a word it does not know: that is somebody's ordinary model name.
//!
//! A request steers with its model name, words joined by `+` (`sim-slow-20ms+sim-chunks-50`), so that an unmodified
//! SDK can do it, or with headers `x-sim-<verb>: <value>`:
//!
//! | verb | value | does |
//! |---|---|---|
//! | `slow` | time | waits before the head of the answer |
//! | `first` | time | waits after the head, before the first byte of a stream |
//! | `pace` | time, `yield` | waits between the frames of a stream (`yield`: each is a write of its own) |
//! | `chunks` | count | cuts the text of a stream into that many deltas |
//! | `bytes` | count | makes the body (of a stream: the text) about that long |
//! | `cached` | count | reports that many input tokens as read from the cache |
//! | `reasoning` | count | reports that many more output tokens, spent on thinking |
//! | `fault` | status, or a word of [`Fault::WORDS`] | see [`Fault`] |
//! | `usage` | `missing`, `late`, `twice` | see [`Telling`] |
//! | `coding` | `gzip` | sends the answer so, if `accept-encoding` names it |
//! | `flaky` | status | as `fault`, but only while `x-stainless-retry-count` is absent or 0 |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderMap;

/// The longest text that can be asked for, in bytes: one request must not cost the process its memory.
const MOST_BYTES: u32 = 16 * 1024 * 1024;
/// The most deltas that can be asked for.
const MOST_CHUNKS: u32 = 65_536;
/// The longest single wait that can be asked for.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How the simulator answers. The default is at once, whole and well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// How long it waits before the head of an answer.
    pub latency: Duration,
    /// How long it waits between the head and the first byte of a stream.
    pub first_token_delay: Duration,
    /// How the frames of a stream follow each other.
    pub pace: Pace,
    /// Into how many deltas the text of a stream is cut; `None` is one per word.
    pub chunks: Option<u32>,
    /// About how many bytes a plain body has, or the text of a stream; `None` is a short sentence.
    pub bytes: Option<u32>,
    /// Input tokens reported as read from the cache; `None` follows the providers' rule (half of a long prompt).
    pub cached: Option<u32>,
    /// Output tokens reported as reasoning, beyond those of the text.
    pub reasoning: u32,
    /// How the body is sent to those who accept it so.
    pub coding: Coding,
    /// How often usage is told.
    pub usage: Telling,
    /// What goes wrong, if anything.
    pub fault: Option<Fault>,
    /// The status answered to a first attempt; retries are answered well.
    pub flaky: Option<u16>,
    /// Whether a request must bring a credential.
    pub credentials: Credentials,
}

/// How the frames of a stream follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken; several may leave in one write.
    #[default]
    AtOnce,
    /// Each in a write of its own, with no timer.
    Yield,
    /// With this long between them.
    Every(Duration),
}

/// The content coding of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    #[default]
    Identity,
    /// Gzip, where `accept-encoding` names it.
    Gzip,
}

/// How often an answer tells what it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Once, where the provider does.
    #[default]
    Once,
    /// Not at all.
    Missing,
    /// After the event that ends a stream; a plain answer has it where it always is.
    Late,
    /// Twice the same.
    Twice,
}

/// What goes wrong with an answer, or is only odd about it. Half way is in the middle of an event, or of a plain body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This error status (400 to 599) in the provider's own shape, with `retry-after` where a provider sends it.
    Status(u16),
    /// Nothing at all is answered, not even a head.
    Hang,
    /// A stream falls silent half way; a plain answer is as with `Hang`.
    Stall,
    /// The connection is dropped half way through the body, between two events.
    Cut,
    /// A stream ends half way in the provider's own error event; a plain answer is a 500.
    Event,
    /// The connection is closed without a byte.
    Drop,
    /// The connection is closed in the middle of the head.
    Head,
    /// The connection is closed half way.
    Torn,
    /// The connection is reset half way.
    Reset,
    /// The answer ends half way, and its framing says that it is whole.
    Half,
    /// The declared length is 7 bytes less than what comes.
    Short,
    /// The declared length is 7 bytes more than what comes before the connection is closed.
    Long,
    /// Half way, a chunk has a size that is no number.
    Chunk,
    /// Behind the whole answer come bytes that are no HTTP.
    Garbage,
    /// Behind the whole answer comes another whole answer, which nobody asked for.
    Twice,
    /// The whole answer comes byte by byte, `pace` apart.
    Trickle,
    /// Two interim answers (100 and 103) come first.
    Interim,
    /// The answer comes before the request's body is read, which then is not; so a model name cannot ask for it.
    Early,
    /// The connection is closed behind the whole answer, which did not say so.
    Close,
    /// Any of [`Fault::WORDS`], drawn anew for each request.
    Any,
}

impl Fault {
    /// Every fault but the statuses and `any`, and its word.
    pub const WORDS: [(&'static str, Self); 17] = [
        ("hang", Self::Hang),
        ("stall", Self::Stall),
        ("cut", Self::Cut),
        ("event", Self::Event),
        ("drop", Self::Drop),
        ("head", Self::Head),
        ("torn", Self::Torn),
        ("reset", Self::Reset),
        ("half", Self::Half),
        ("short", Self::Short),
        ("long", Self::Long),
        ("chunk", Self::Chunk),
        ("garbage", Self::Garbage),
        ("twice", Self::Twice),
        ("trickle", Self::Trickle),
        ("interim", Self::Interim),
        ("close", Self::Close),
    ];

    /// The fault that `draw` falls on.
    pub(super) fn drawn(draw: u64) -> Self {
        let count = u64::try_from(Self::WORDS.len()).unwrap_or(1);
        let at = usize::try_from(draw % count).unwrap_or(0);
        Self::WORDS.get(at).map_or(Self::Drop, |(_, fault)| *fault)
    }
}

/// Whether a request must bring a credential. One whose secret is exactly `sim-invalid` is refused in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// As the providers do: 401 without one.
    #[default]
    Required,
    /// Anything goes.
    Optional,
}

/// A word of a script that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    word: String,
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` is no word of a simulator script; words are like `slow-20ms`, `first-1s`, `pace-yield`, `chunks-50`, \
             `bytes-1024`, `cached-512`, `reasoning-64`, `coding-gzip`, `fault-429`, `fault-stall`, `usage-late`, `flaky-500`, joined by `+`",
            self.word
        )
    }
}

impl std::error::Error for ScriptProblem {}

/// Reads a whole script, as written on a command line; the prefix `sim-` of each word may be left out.
impl FromStr for Script {
    type Err = ScriptProblem;

    fn from_str(text: &str) -> Result<Self, ScriptProblem> {
        Self::default().with(text)
    }
}

impl Script {
    /// This script with these words on top.
    pub(super) fn with(mut self, text: &str) -> Result<Self, ScriptProblem> {
        for word in text.split('+').filter(|word| !word.is_empty()) {
            if !self.obey(word.strip_prefix("sim-").unwrap_or(word)) {
                return Err(ScriptProblem {
                    word: word.to_owned(),
                });
            }
        }
        Ok(self)
    }

    /// This script as one request changes it: first by the words in its model name, then by its `x-sim-*` headers.
    pub(super) fn steered(mut self, model: &str, headers: &HeaderMap) -> Self {
        for word in model.split('+') {
            if let Some(word) = word.strip_prefix("sim-") {
                let _ordinary_name = self.obey(word);
            }
        }
        for (name, value) in headers {
            if let (Some(verb), Ok(value)) = (name.as_str().strip_prefix("x-sim-"), value.to_str())
            {
                let _unknown = self.set(verb, value);
            }
        }
        if let (Some(status), true) = (self.flaky, is_first_try(headers)) {
            self.fault = Some(Fault::Status(status));
        }
        self
    }

    fn obey(&mut self, word: &str) -> bool {
        word.split_once('-')
            .is_some_and(|(verb, value)| self.set(verb, value))
    }

    /// Sets what `verb` names; false, and nothing changed, when either is not understood.
    fn set(&mut self, verb: &str, value: &str) -> bool {
        match verb {
            "slow" => put(&mut self.latency, time(value)),
            "first" => put(&mut self.first_token_delay, time(value)),
            "pace" => put(
                &mut self.pace,
                if value == "yield" {
                    Some(Pace::Yield)
                } else {
                    time(value).map(Pace::Every)
                },
            ),
            "chunks" => put(
                &mut self.chunks,
                count(value, MOST_CHUNKS)
                    .filter(|count| *count > 0)
                    .map(Some),
            ),
            "bytes" => put(&mut self.bytes, count(value, MOST_BYTES).map(Some)),
            "cached" => put(&mut self.cached, count(value, u32::MAX).map(Some)),
            "reasoning" => put(&mut self.reasoning, count(value, u32::MAX)),
            "coding" => put(&mut self.coding, (value == "gzip").then_some(Coding::Gzip)),
            "usage" => put(&mut self.usage, telling(value)),
            "fault" => put(&mut self.fault, fault(value).map(Some)),
            "flaky" => put(&mut self.flaky, status(value).map(Some)),
            _ => false,
        }
    }
}

fn put<T>(place: &mut T, value: Option<T>) -> bool {
    value.map(|value| *place = value).is_some()
}

fn telling(value: &str) -> Option<Telling> {
    match value {
        "missing" => Some(Telling::Missing),
        "late" => Some(Telling::Late),
        "twice" => Some(Telling::Twice),
        _ => None,
    }
}

fn fault(value: &str) -> Option<Fault> {
    let word = Fault::WORDS.iter().find(|(word, _)| *word == value);
    match (word, value) {
        (Some((_, fault)), _) => Some(*fault),
        (None, "early") => Some(Fault::Early),
        (None, "any") => Some(Fault::Any),
        (None, _) => status(value).map(Fault::Status),
    }
}

fn status(value: &str) -> Option<u16> {
    value
        .parse()
        .ok()
        .filter(|status| (400..=599).contains(status))
}

fn count(value: &str, most: u32) -> Option<u32> {
    value.parse().ok().filter(|count| *count <= most)
}

/// `20ms` or `2s`, up to ten minutes.
pub(super) fn time(value: &str) -> Option<Duration> {
    let time = match value.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().ok()?),
        None => Duration::from_secs(value.strip_suffix('s')?.parse().ok()?),
    };
    (time <= LONGEST_WAIT).then_some(time)
}

/// Both SDKs count their own retries in this header, from 0.
fn is_first_try(headers: &HeaderMap) -> bool {
    headers
        .get("x-stainless-retry-count")
        .is_none_or(|count| count.as_bytes() == b"0")
}

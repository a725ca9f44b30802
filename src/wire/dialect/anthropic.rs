//! Anthropic's tables: endpoints, governed request members, where answers report usage.
//! Must never hold logic that OpenAI needs too.

use std::sync::LazyLock;

use http::Method;

use super::asked::{Governed, ReferenceKind, Role};
use super::needle::{Needle, Needles, Says};
use super::tally::{Answer, Count, Fact, Word};
use crate::units::{Dialect, Endpoint};

/// The endpoint of a method and the first three path segments after `/v1` (empty where there are fewer).
pub(super) fn endpoint(method: &Method, segments: &[&str; 3]) -> Endpoint {
    let post = method == Method::POST;
    match *segments {
        ["messages", "", ""] if post => Endpoint::Messages,
        ["messages", "count_tokens", ""] if post => Endpoint::CountTokens,
        ["messages", "batches", _] => Endpoint::Batches,
        ["models", ..] => super::path::models(method),
        ["complete", "", ""] if post => Endpoint::Complete,
        ["files" | "uploads", ..] => Endpoint::Files,
        ["skills", ..] => Endpoint::Skills,
        [
            "agents" | "sessions" | "environments" | "deployments" | "memory_stores" | "vaults"
            | "tunnels" | "dreams",
            ..,
        ] => Endpoint::ManagedAgents,
        [
            "organizations" | "organization" | "webhook_endpoints" | "safety" | "user_profiles",
            ..,
        ] => Endpoint::Administration,
        _ => Endpoint::Other,
    }
}

/// The governed members of an endpoint's requests.
pub(super) fn governed(endpoint: Endpoint) -> Option<&'static Governed> {
    macro_rules! table {
        ($endpoint:ident) => {{
            static TABLE: LazyLock<Governed> = LazyLock::new(|| {
                Governed::compile(Dialect::Anthropic, Endpoint::$endpoint, &[MESSAGES, FILES])
            });
            Some(&*TABLE)
        }};
    }
    match endpoint {
        Endpoint::Messages => table!(Messages),
        Endpoint::CountTokens => table!(CountTokens),
        Endpoint::Complete => {
            static TABLE: LazyLock<Governed> = LazyLock::new(|| {
                Governed::compile(Dialect::Anthropic, Endpoint::Complete, &[COMPLETE])
            });
            Some(&*TABLE)
        }
        _ => None,
    }
}

/// Whether a tool of this type runs at the provider: all but custom tools and the families that the client
/// executes. Types end in a date that changes.
pub(super) fn is_hosted(kind: &str) -> bool {
    const CLIENT: [&str; 6] = [
        "bash_",
        "text_editor_",
        "memory_",
        "computer_",
        "browser_toolset_",
        "computer_toolset_",
    ];
    kind != "custom" && !CLIENT.iter().any(|family| kind.starts_with(family))
}

type Rows = &'static [(&'static str, Role)];

const MESSAGES: Rows = &[
    ("$.model", Role::Model),
    ("$.stream", Role::Stream),
    ("$.max_tokens", Role::OutputCap),
    ("$.tools", Role::List),
    ("$.tools[*]", Role::Tool),
    ("$.tools[*].type", Role::ToolKind),
    ("$.tools[*].model", Role::OtherModel),
    ("$.mcp_servers", Role::Hosted("mcp_servers")),
    ("$.fallbacks", Role::Fallbacks),
    ("$.fallbacks[*]", Role::Fallback),
    ("$.fallbacks[*].model", Role::OtherModel),
    ("$.fallbacks[*].speed", Role::Speed),
    ("$.service_tier", Role::ServiceTier),
    ("$.speed", Role::Speed),
    ("$.inference_geo", Role::InferenceGeo),
    ("$.billing_policy", Role::Hosted("billing_policy")),
    (
        "$.container",
        Role::ReferenceOrObject(ReferenceKind::Container),
    ),
    ("$.container.id", Role::Reference(ReferenceKind::Container)),
    (
        "$.container.skills[*].skill_id",
        Role::Reference(ReferenceKind::Skill),
    ),
    (
        "$.thread",
        Role::ReferenceOrObject(ReferenceKind::Conversation),
    ),
    ("$.thread.id", Role::Reference(ReferenceKind::Conversation)),
    ("$.metadata", Role::Metadata),
];

const COMPLETE: Rows = &[
    ("$.model", Role::Model),
    ("$.stream", Role::Stream),
    ("$.max_tokens_to_sample", Role::OutputCap),
    ("$.metadata", Role::Metadata),
];

/// File ids: in images and documents, in documents made of blocks, in tool results, in container uploads.
const FILES: Rows = &[
    (
        "$.system[*].source.file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].source.file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].source.content[*].source.file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].content[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].content[*].source.file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].content[*].content[*].source.content[*].source.file_id",
        Role::Reference(ReferenceKind::File),
    ),
];

/// The members of an answer that are read.
pub(super) fn answer() -> &'static Answer {
    static TABLE: LazyLock<Answer> =
        LazyLock::new(|| Answer::compile(&[ANSWER, USAGE, MESSAGE_USAGE]));
    &TABLE
}

type Facts = &'static [(&'static str, Fact)];

const ANSWER: Facts = &[
    ("$", Fact::Root),
    ("$.type", Fact::Type),
    ("$.id", Fact::Id),
    ("$.message.id", Fact::Id),
    ("$.model", Fact::Model),
    ("$.message.model", Fact::Model),
    ("$.error", Fact::Error),
    ("$.delta.stop_reason", Fact::Finish),
];

macro_rules! usage {
    ($at:literal $whole:ident) => {
        &[
            ($at, Fact::$whole),
            (concat!($at, ".input_tokens"), Fact::Count(Count::Input)),
            (concat!($at, ".output_tokens"), Fact::Count(Count::Output)),
            (
                concat!($at, ".cache_read_input_tokens"),
                Fact::Count(Count::CacheRead),
            ),
            (
                concat!($at, ".cache_creation_input_tokens"),
                Fact::Count(Count::CacheWrite),
            ),
            (
                concat!($at, ".cache_creation.ephemeral_5m_input_tokens"),
                Fact::Count(Count::CacheWriteShort),
            ),
            (
                concat!($at, ".cache_creation.ephemeral_1h_input_tokens"),
                Fact::Count(Count::CacheWriteLong),
            ),
            (
                concat!($at, ".output_tokens_details.thinking_tokens"),
                Fact::Count(Count::Reasoning),
            ),
            (
                concat!($at, ".server_tool_use.web_search_requests"),
                Fact::Count(Count::WebSearches),
            ),
            (
                concat!($at, ".server_tool_use.web_fetch_requests"),
                Fact::Count(Count::WebFetches),
            ),
            (concat!($at, ".service_tier"), Fact::Tier),
            (concat!($at, ".inference_geo"), Fact::Geo),
            (concat!($at, ".speed"), Fact::Speed),
            (concat!($at, ".iterations"), Fact::Passes),
            (concat!($at, ".iterations[*]"), Fact::Pass),
            (concat!($at, ".iterations[*].model"), Fact::PassModel),
            (
                concat!($at, ".iterations[*].input_tokens"),
                Fact::PassCount(Count::Input),
            ),
            (
                concat!($at, ".iterations[*].output_tokens"),
                Fact::PassCount(Count::Output),
            ),
            (
                concat!($at, ".iterations[*].cache_read_input_tokens"),
                Fact::PassCount(Count::CacheRead),
            ),
            (
                concat!($at, ".iterations[*].cache_creation_input_tokens"),
                Fact::PassCount(Count::CacheWrite),
            ),
            (
                concat!(
                    $at,
                    ".iterations[*].cache_creation.ephemeral_5m_input_tokens"
                ),
                Fact::PassCount(Count::CacheWriteShort),
            ),
            (
                concat!(
                    $at,
                    ".iterations[*].cache_creation.ephemeral_1h_input_tokens"
                ),
                Fact::PassCount(Count::CacheWriteLong),
            ),
            (
                concat!($at, ".iterations[*].output_tokens_details.thinking_tokens"),
                Fact::PassCount(Count::Reasoning),
            ),
        ]
    };
}

const USAGE: Facts = usage!("$.usage" Usage);
const MESSAGE_USAGE: Facts = usage!("$.message.usage" Opening);

/// What an event of a Messages stream is.
pub(super) fn event(name: &[u8]) -> Word {
    match name {
        b"" => Word::Unnamed,
        b"message_start" | b"message_delta" => Word::Numbers,
        b"message_stop" => Word::Stop,
        b"error" => Word::Error,
        b"content_block_delta" | b"completion" => Word::Text,
        _ => Word::Other,
    }
}

/// The members of a text event whose strings are generated text.
pub(super) static TEXT_NEEDLES: Needles<4> = Needles::new([
    Needle::new("text", Says::Text),
    Needle::new("partial_json", Says::Text),
    Needle::new("thinking", Says::Text),
    // The legacy endpoint's.
    Needle::new("completion", Says::Text),
]);

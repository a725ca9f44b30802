//! OpenAI's tables: endpoints, governed request members, where answers report usage.
//! Compatible servers are read by the same tables. Must never hold logic that Anthropic needs too.

use std::sync::LazyLock;

use http::Method;

use super::asked::{Governed, ReferenceKind, Role};
use super::needle::{Needle, Needles, Says};
use super::tally::Word;
use crate::units::{Dialect, Endpoint};

mod answer;

pub(super) use answer::{answer, document};

/// The endpoint of a method and the first three path segments after `/v1` (empty where there are fewer).
pub(super) fn endpoint(method: &Method, segments: &[&str; 3]) -> Endpoint {
    let post = method == Method::POST;
    match *segments {
        ["chat", "completions", ""] if post => Endpoint::ChatCompletions,
        ["responses", "", ""] if post => Endpoint::Responses,
        ["responses", "compact", ""] if post => Endpoint::ResponsesCompact,
        ["responses", "input_tokens", ""] if post => Endpoint::ResponsesInputTokens,
        // Stored completions are state too: listing, reading, changing and deleting them.
        ["chat", "completions", _] | ["responses" | "conversations", ..] => Endpoint::ResponseState,
        ["embeddings", "", ""] if post => Endpoint::Embeddings,
        ["completions", "", ""] if post => Endpoint::Completions,
        ["moderations", "", ""] if post => Endpoint::Moderations,
        ["decisions", "", ""] if post => Endpoint::Decisions,
        ["images", "generations", ""] if post => Endpoint::ImageGenerations,
        ["images", "edits" | "variations", ""] if post => Endpoint::ImageEdits,
        ["audio", "speech", ""] if post => Endpoint::Speech,
        ["audio", "transcriptions" | "translations", ""] if post => Endpoint::Transcriptions,
        [
            "realtime",
            "client_secrets" | "sessions" | "transcription_sessions",
            "",
        ]
        | ["realtime", "translations", "client_secrets"]
            if post =>
        {
            Endpoint::ClientSecrets
        }
        ["models", ..] => super::path::models(method),
        ["images", ..] => Endpoint::Images,
        ["audio", ..] => Endpoint::Audio,
        ["videos", ..] => Endpoint::Videos,
        ["files" | "uploads", ..] => Endpoint::Files,
        ["vector_stores", ..] => Endpoint::VectorStores,
        ["containers", ..] => Endpoint::Containers,
        ["skills", ..] => Endpoint::Skills,
        ["batches", ..] => Endpoint::Batches,
        ["fine_tuning" | "evals" | "graders", ..] => Endpoint::Training,
        ["realtime" | "live", ..] => Endpoint::Realtime,
        ["assistants" | "threads", ..] => Endpoint::Assistants,
        ["agents" | "chatkit", ..] => Endpoint::ManagedAgents,
        [
            "organization" | "organizations" | "projects" | "webhook_endpoints" | "safety"
            | "user_profiles",
            ..,
        ] => Endpoint::Administration,
        _ => Endpoint::Other,
    }
}

/// The governed members of an endpoint's requests.
pub(super) fn governed(endpoint: Endpoint) -> Option<&'static Governed> {
    macro_rules! table {
        ($endpoint:ident: $($rows:ident)*) => {{
            static TABLE: LazyLock<Governed> = LazyLock::new(|| {
                Governed::compile(Dialect::OpenAi, Endpoint::$endpoint, &[$($rows),*])
            });
            Some(&*TABLE)
        }};
    }
    match endpoint {
        Endpoint::ChatCompletions => {
            table!(ChatCompletions: MODEL STREAM CHAT TIERS TOOLS TAGS CACHE)
        }
        Endpoint::Responses => {
            table!(Responses: MODEL RESPONSES TIERS RESPONSES_TOOLS TOOLS TAGS CACHE)
        }
        Endpoint::ResponsesCompact => {
            table!(ResponsesCompact: MODEL RESPONSES TIERS RESPONSES_TOOLS TOOLS TAGS CACHE)
        }
        Endpoint::ResponsesInputTokens => {
            table!(ResponsesInputTokens: MODEL RESPONSES TIERS RESPONSES_TOOLS TOOLS TAGS CACHE)
        }
        Endpoint::Decisions => table!(Decisions: MODEL DECISIONS TIERS TAGS CACHE),
        Endpoint::ImageGenerations => table!(ImageGenerations: MODEL IMAGES TAGS),
        Endpoint::ImageEdits => table!(ImageEdits: MODEL IMAGES EDITS TAGS),
        Endpoint::Speech => table!(Speech: MODEL TAGS),
        Endpoint::Transcriptions => table!(Transcriptions: MODEL TRANSCRIPTIONS TAGS),
        Endpoint::ClientSecrets => table!(ClientSecrets: SESSIONS),
        Endpoint::Completions => table!(Completions: MODEL STREAM COMPLETIONS TAGS),
        Endpoint::Embeddings => table!(Embeddings: MODEL TAGS),
        Endpoint::Moderations => table!(Moderations: MODEL TAGS),
        _ => None,
    }
}

/// Whether a tool of this type runs at the provider. What is not known to run at the client does; so does
/// `shell`, unless its `environment` says `local`.
pub(super) fn is_hosted(kind: &str) -> bool {
    const CLIENT: [&str; 7] = [
        "function",
        "custom",
        "namespace",
        "apply_patch",
        "local_shell",
        "computer",
        "computer_use_preview",
    ];
    !CLIENT.contains(&kind)
}

type Rows = &'static [(&'static str, Role)];

const MODEL: Rows = &[
    ("$.model", Role::Model),
    // Fallback lists of compatible routers.
    ("$.models", Role::List),
    ("$.models[*]", Role::OtherModel),
    ("$.fallbacks", Role::List),
    ("$.fallbacks[*]", Role::Fallback),
    ("$.fallbacks[*].model", Role::OtherModel),
];

const STREAM: Rows = &[
    ("$.stream", Role::Stream),
    ("$.stream_options", Role::StreamOptions),
    ("$.stream_options.include_usage", Role::IncludeUsage),
    ("$.max_tokens", Role::OutputCap),
    ("$.n", Role::Choices),
];

const CHAT: Rows = &[
    ("$.max_completion_tokens", Role::OutputCap),
    ("$.web_search_options", Role::Hosted("web_search_options")),
    // Hosted searches of compatible servers.
    ("$.search_parameters", Role::Hosted("search_parameters")),
    ("$.plugins", Role::Hosted("plugins")),
    ("$.store", Role::Store),
    (
        "$.messages[*].content[*].file.file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.messages[*].audio.id",
        Role::Reference(ReferenceKind::Audio),
    ),
];

/// What costs more, and the model that reads along.
const TIERS: Rows = &[
    ("$.service_tier", Role::ServiceTier),
    ("$.moderation.model", Role::OtherModel),
];

const COMPLETIONS: Rows = &[("$.best_of", Role::Choices)];

const TOOLS: Rows = &[
    ("$.tools", Role::List),
    ("$.tools[*]", Role::Tool),
    ("$.tools[*].type", Role::ToolKind),
    ("$.tools[*].tools[*].type", Role::NestedToolKind),
];

const RESPONSES: Rows = &[
    ("$.stream", Role::Stream),
    ("$.max_output_tokens", Role::OutputCap),
    ("$.prompt", Role::StoredPrompt),
    ("$.background", Role::Background),
    (
        "$.background_options.continuation_id",
        Role::Reference(ReferenceKind::Continuation),
    ),
    ("$.store", Role::Store),
    (
        "$.previous_response_id",
        Role::Reference(ReferenceKind::Response),
    ),
    (
        "$.conversation",
        Role::ReferenceOrObject(ReferenceKind::Conversation),
    ),
    (
        "$.conversation.id",
        Role::Reference(ReferenceKind::Conversation),
    ),
    ("$.input[*].type", Role::ItemKind),
    ("$.input[*].id", Role::ItemId),
    ("$.input[*].encrypted_content?", Role::ItemContent),
    (
        "$.input[*].content[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.input[*].output[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.input[*].output.file_id",
        Role::Reference(ReferenceKind::File),
    ),
];

const RESPONSES_TOOLS: Rows = &[
    // Tools that an item of the input brings along.
    ("$.input[*].tools[*].type", Role::NestedToolKind),
    ("$.input[*].tools[*].tools[*].type", Role::NestedToolKind),
    ("$.input[*].tools[*].model", Role::OtherModel),
    ("$.input[*].tools[*].svg.model", Role::OtherModel),
    (
        "$.input[*].tools[*].vector_store_ids",
        Role::Reference(ReferenceKind::VectorStore),
    ),
    (
        "$.input[*].tools[*].container",
        Role::ReferenceOrObject(ReferenceKind::Container),
    ),
    (
        "$.input[*].tools[*].container.file_ids",
        Role::Reference(ReferenceKind::File),
    ),
    ("$.tools[*].model", Role::OtherModel),
    ("$.tools[*].svg.model", Role::OtherModel),
    (
        "$.tools[*].vector_store_ids",
        Role::Reference(ReferenceKind::VectorStore),
    ),
    (
        "$.tools[*].container",
        Role::ReferenceOrObject(ReferenceKind::Container),
    ),
    (
        "$.tools[*].container.file_ids",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.tools[*].container.skills[*].skill_id",
        Role::Reference(ReferenceKind::Skill),
    ),
    ("$.tools[*].environment.type", Role::ShellPlace),
    (
        "$.tools[*].environment.container_id",
        Role::Reference(ReferenceKind::Container),
    ),
    (
        "$.tools[*].environment.file_ids",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.tools[*].environment.skills[*].skill_id",
        Role::Reference(ReferenceKind::Skill),
    ),
    (
        "$.tools[*].input_image_mask.file_id",
        Role::Reference(ReferenceKind::File),
    ),
];

const DECISIONS: Rows = &[
    (
        "$.input[*].content[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.input[*].output[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
    (
        "$.questions[*].instructions[*].file_id",
        Role::Reference(ReferenceKind::File),
    ),
];

const IMAGES: Rows = &[
    ("$.n", Role::Choices),
    ("$.stream", Role::Stream),
    ("$.svg.model", Role::OtherModel),
];

/// As JSON, the images are named by id or address.
const EDITS: Rows = &[
    ("$.images[*].file_id", Role::Reference(ReferenceKind::File)),
    ("$.mask.file_id", Role::Reference(ReferenceKind::File)),
];

const TRANSCRIPTIONS: Rows = &[("$.stream", Role::Stream)];

/// Every model that a session made with a secret may start with, and what it may start with besides.
const SESSIONS: Rows = &[
    ("$.model", Role::OtherModel),
    ("$.prompt", Role::StoredPrompt),
    ("$.tools[*].type", Role::NestedToolKind),
    ("$.audio.input.transcription.model", Role::OtherModel),
    ("$.input_audio_transcription.model", Role::OtherModel),
    ("$.session.model", Role::OtherModel),
    ("$.session.prompt", Role::StoredPrompt),
    ("$.session.tools[*].type", Role::NestedToolKind),
    (
        "$.session.audio.input.transcription.model",
        Role::OtherModel,
    ),
    (
        "$.session.input_audio_transcription.model",
        Role::OtherModel,
    ),
];

const CACHE: Rows = &[
    ("$.prompt_cache_key", Role::CacheKey),
    ("$.prompt_cache_retention", Role::CacheLife),
    ("$.prompt_cache_options.ttl", Role::CacheLife),
    (
        "$.prompt_cache_options.comparison_response_id",
        Role::Reference(ReferenceKind::Response),
    ),
];

/// Who the end user is, and every common spelling of a tenant in `metadata`; any other spelling that differs
/// only in letter case is ambiguous.
const TAGS: Rows = &[
    ("$.user", Role::User),
    ("$.safety_identifier", Role::SafetyIdentifier),
    ("$.metadata", Role::Metadata),
    ("$.metadata.tenant", Role::TenantMetadata),
    ("$.metadata.Tenant", Role::TenantMetadata),
    ("$.metadata.TENANT", Role::TenantMetadata),
    ("$.metadata.tenant_id", Role::TenantMetadata),
    ("$.metadata.TENANT_ID", Role::TenantMetadata),
    ("$.metadata.tenant-id", Role::TenantMetadata),
    ("$.metadata['tenant.id']", Role::TenantMetadata),
    ("$.metadata.tenantid", Role::TenantMetadata),
    ("$.metadata.tenantId", Role::TenantMetadata),
    ("$.metadata.tenantID", Role::TenantMetadata),
    ("$.metadata.TenantId", Role::TenantMetadata),
    ("$.metadata.TenantID", Role::TenantMetadata),
    ("$.metadata.x-tenant-id", Role::TenantMetadata),
    ("$.metadata.X-Tenant-Id", Role::TenantMetadata),
    ("$.metadata.X-Tenant-ID", Role::TenantMetadata),
    ("$.metadata.x_tenant_id", Role::TenantMetadata),
    ("$.metadata.outrigger-tenant", Role::TenantMetadata),
    ("$.metadata.outrigger_tenant", Role::TenantMetadata),
];

/// What a named event of a Responses stream is.
pub(super) fn event(name: &[u8]) -> Word {
    match name {
        b"" => Word::Unnamed,
        b"response.created" => Word::Numbers,
        b"response.completed"
        | b"response.incomplete"
        | b"image_generation.completed"
        | b"image_edit.completed"
        | b"transcript.text.done"
        | b"speech.audio.done" => Word::Terminal,
        b"response.failed" => Word::Failed,
        b"error" => Word::Error,
        _ if name.ends_with(b".delta") => Word::Text,
        _ => Word::Other,
    }
}

/// What is looked for in chat chunks.
pub(super) static CHAT_NEEDLES: Needles<9> = Needles::new([
    Needle::new("content", Says::Text),
    Needle::new("arguments", Says::Text),
    Needle::new("reasoning_content", Says::Text),
    Needle::new("reasoning", Says::Text),
    Needle::new("refusal", Says::Text),
    Needle::new("text", Says::Text),
    Needle::new("input", Says::Text),
    Needle::new("usage", Says::Usage),
    Needle::new("error", Says::Error),
]);

/// The member of `*.delta` events whose string is generated text.
pub(super) static DELTA_NEEDLES: Needles<1> = Needles::new([Needle::new("delta", Says::Text)]);

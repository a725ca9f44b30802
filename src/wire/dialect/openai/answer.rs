//! Where answers of OpenAI and of servers compatible with it report what they used.
//! Must never hold a path that only Anthropic has.

use std::sync::LazyLock;

use crate::wire::dialect::tally::{Answer, Count, Fact};

/// The members of an answer that are read.
pub(in crate::wire::dialect) fn answer() -> &'static Answer {
    static TABLE: LazyLock<Answer> = LazyLock::new(|| {
        Answer::compile(&[
            DOCUMENT,
            CHOICES,
            USAGE,
            RESPONSE_USAGE,
            GROQ_USAGE,
            TOOL_USAGE,
            RESPONSE_TOOL_USAGE,
        ])
    });
    &TABLE
}

/// The members of an answer that is one document.
pub(in crate::wire::dialect) fn document() -> &'static Answer {
    static TABLE: LazyLock<Answer> = LazyLock::new(|| {
        Answer::compile(&[
            DOCUMENT,
            USAGE,
            RESPONSE_USAGE,
            GROQ_USAGE,
            TOOL_USAGE,
            RESPONSE_TOOL_USAGE,
        ])
    });
    &TABLE
}

type Facts = &'static [(&'static str, Fact)];

const CHOICES: Facts = &[
    ("$.choices", Fact::Choices),
    ("$.choices[*].finish_reason", Fact::Finish),
];

const DOCUMENT: Facts = &[
    ("$", Fact::Root),
    ("$.type", Fact::Type),
    ("$.id", Fact::Id),
    ("$.response.id", Fact::Id),
    ("$.model", Fact::Model),
    ("$.response.model", Fact::Model),
    ("$.service_tier", Fact::Tier),
    ("$.response.service_tier", Fact::Tier),
    ("$.error", Fact::Error),
];

/// What the provider's own tools used, beside the usage.
macro_rules! tools {
    ($at:literal) => {
        &[
            (concat!($at, ".output"), Fact::Items),
            (concat!($at, ".output[*].type"), Fact::Item),
            (
                concat!($at, ".tool_usage.web_search.num_requests"),
                Fact::Count(Count::WebSearches),
            ),
            (
                concat!($at, ".tool_usage.image_gen.input_tokens"),
                Fact::Count(Count::ToolImageInput),
            ),
            (
                concat!($at, ".tool_usage.image_gen.output_tokens"),
                Fact::Count(Count::ToolImageOutput),
            ),
        ]
    };
}

/// Chat's names, Responses' names, sessions' names and `DeepSeek`'s, under one member.
macro_rules! usage {
    ($at:literal) => {
        &[
            ($at, Fact::Usage),
            (concat!($at, ".prompt_tokens"), Fact::Count(Count::Input)),
            (concat!($at, ".input_tokens"), Fact::Count(Count::Input)),
            (
                concat!($at, ".completion_tokens"),
                Fact::Count(Count::Output),
            ),
            (concat!($at, ".output_tokens"), Fact::Count(Count::Output)),
            (concat!($at, ".total_tokens"), Fact::Count(Count::Total)),
            (
                concat!($at, ".prompt_cache_hit_tokens"),
                Fact::Count(Count::CacheRead),
            ),
            (
                concat!($at, ".prompt_tokens_details.cached_tokens"),
                Fact::Count(Count::CacheRead),
            ),
            (
                concat!($at, ".prompt_tokens_details.cache_write_tokens"),
                Fact::Count(Count::CacheWrite),
            ),
            (
                concat!(
                    $at,
                    ".prompt_tokens_details.cache_write_tokens_details.ttl_30m_tokens"
                ),
                Fact::Count(Count::CacheWriteShort),
            ),
            (
                concat!(
                    $at,
                    ".prompt_tokens_details.cache_write_tokens_details.ttl_12h_tokens"
                ),
                Fact::Count(Count::CacheWriteLong),
            ),
            (
                concat!($at, ".prompt_tokens_details.audio_tokens"),
                Fact::Count(Count::AudioInput),
            ),
            (
                concat!($at, ".prompt_tokens_details.image_tokens"),
                Fact::Count(Count::ImageInput),
            ),
            (
                concat!(
                    $at,
                    ".prompt_tokens_details.cached_tokens_details.audio_tokens"
                ),
                Fact::Count(Count::CachedAudio),
            ),
            (
                concat!(
                    $at,
                    ".prompt_tokens_details.cached_tokens_details.image_tokens"
                ),
                Fact::Count(Count::CachedImage),
            ),
            (
                concat!($at, ".input_tokens_details.cached_tokens"),
                Fact::Count(Count::CacheRead),
            ),
            (
                concat!($at, ".input_tokens_details.cache_write_tokens"),
                Fact::Count(Count::CacheWrite),
            ),
            (
                concat!(
                    $at,
                    ".input_tokens_details.cache_write_tokens_details.ttl_30m_tokens"
                ),
                Fact::Count(Count::CacheWriteShort),
            ),
            (
                concat!(
                    $at,
                    ".input_tokens_details.cache_write_tokens_details.ttl_12h_tokens"
                ),
                Fact::Count(Count::CacheWriteLong),
            ),
            (
                concat!($at, ".input_tokens_details.audio_tokens"),
                Fact::Count(Count::AudioInput),
            ),
            (
                concat!($at, ".input_tokens_details.image_tokens"),
                Fact::Count(Count::ImageInput),
            ),
            (
                concat!(
                    $at,
                    ".input_tokens_details.cached_tokens_details.audio_tokens"
                ),
                Fact::Count(Count::CachedAudio),
            ),
            (
                concat!(
                    $at,
                    ".input_tokens_details.cached_tokens_details.image_tokens"
                ),
                Fact::Count(Count::CachedImage),
            ),
            (
                concat!($at, ".input_token_details.cached_tokens"),
                Fact::Count(Count::CacheRead),
            ),
            (
                concat!($at, ".input_token_details.cache_write_tokens"),
                Fact::Count(Count::CacheWrite),
            ),
            (
                concat!(
                    $at,
                    ".input_token_details.cache_write_tokens_details.ttl_30m_tokens"
                ),
                Fact::Count(Count::CacheWriteShort),
            ),
            (
                concat!(
                    $at,
                    ".input_token_details.cache_write_tokens_details.ttl_12h_tokens"
                ),
                Fact::Count(Count::CacheWriteLong),
            ),
            (
                concat!($at, ".input_token_details.audio_tokens"),
                Fact::Count(Count::AudioInput),
            ),
            (
                concat!($at, ".input_token_details.image_tokens"),
                Fact::Count(Count::ImageInput),
            ),
            (
                concat!(
                    $at,
                    ".input_token_details.cached_tokens_details.audio_tokens"
                ),
                Fact::Count(Count::CachedAudio),
            ),
            (
                concat!(
                    $at,
                    ".input_token_details.cached_tokens_details.image_tokens"
                ),
                Fact::Count(Count::CachedImage),
            ),
            (
                concat!($at, ".completion_tokens_details.reasoning_tokens"),
                Fact::Count(Count::Reasoning),
            ),
            (
                concat!($at, ".completion_tokens_details.audio_tokens"),
                Fact::Count(Count::AudioOutput),
            ),
            (
                concat!($at, ".completion_tokens_details.image_tokens"),
                Fact::Count(Count::ImageOutput),
            ),
            (
                concat!($at, ".output_tokens_details.reasoning_tokens"),
                Fact::Count(Count::Reasoning),
            ),
            (
                concat!($at, ".output_tokens_details.audio_tokens"),
                Fact::Count(Count::AudioOutput),
            ),
            (
                concat!($at, ".output_tokens_details.image_tokens"),
                Fact::Count(Count::ImageOutput),
            ),
            (
                concat!($at, ".output_token_details.reasoning_tokens"),
                Fact::Count(Count::Reasoning),
            ),
            (
                concat!($at, ".output_token_details.audio_tokens"),
                Fact::Count(Count::AudioOutput),
            ),
            (
                concat!($at, ".output_token_details.image_tokens"),
                Fact::Count(Count::ImageOutput),
            ),
        ]
    };
}

const USAGE: Facts = usage!("$.usage");
const RESPONSE_USAGE: Facts = usage!("$.response.usage");
const GROQ_USAGE: Facts = usage!("$.x_groq.usage");
const TOOL_USAGE: Facts = tools!("$");
const RESPONSE_TOOL_USAGE: Facts = tools!("$.response");

//! Token counts, and the difference between what a provider reported and what was estimated.
//! Must never turn an estimate into a report.

/// A number of model tokens.
pub type Tokens = u64;

/// A number that says where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted<T> {
    /// The provider said so.
    Reported(T),
    /// Outrigger worked it out from bytes.
    Estimated(T),
}

impl<T: Copy> Counted<T> {
    /// The number, wherever it comes from.
    pub const fn value(self) -> T {
        match self {
            Self::Reported(value) | Self::Estimated(value) => value,
        }
    }

    /// `reported` or `estimated`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Estimated(_) => "estimated",
        }
    }
}

/// What a model call used, in one shape for all dialects. `input` is the whole input, cached and
/// cache-writing tokens included (OpenAI counts so; Anthropic reports the three apart), `output`
/// the whole output, reasoning included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// All input tokens.
    pub input: Tokens,
    /// The part of `input` read from the provider's cache.
    pub cache_read: Tokens,
    /// The part of `input` written to the provider's cache.
    pub cache_write: Tokens,
    /// All output tokens.
    pub output: Tokens,
    /// The part of `output` spent on reasoning.
    pub reasoning: Tokens,
    /// What few answers say.
    pub detail: UsageDetail,
}

/// The finer parts of a usage, and what was used beside tokens. Zero where an answer says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UsageDetail {
    /// The part of `cache_write` that is kept for the longer of the provider's lifetimes.
    pub cache_write_long: Tokens,
    /// The part of `input` that is audio.
    pub audio_input: Tokens,
    /// The part of `audio_input` read from the cache, where it is told apart.
    pub cached_audio: Tokens,
    /// The part of `input` that is images.
    pub image_input: Tokens,
    /// The part of `image_input` read from the cache, where it is told apart.
    pub cached_image: Tokens,
    /// The part of `output` that is audio.
    pub audio_output: Tokens,
    /// The part of `output` that is images.
    pub image_output: Tokens,
    /// Searches of the web that the provider made and bills.
    pub web_searches: u32,
    /// Pages that the provider fetched.
    pub web_fetches: u32,
}

/// A part of a call that some model took on its own, as Anthropic's `usage.iterations` tells: a fallback, an adviser,
/// a compaction. Each is billed at its own model's prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Its model; `None` for the one that the answer names.
    pub model: Option<Box<str>>,
    /// What it used.
    pub usage: Usage,
}

impl Usage {
    /// Input and output together; saturates.
    pub const fn total(self) -> Tokens {
        self.input.saturating_add(self.output)
    }

    /// Both, field by field; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let (a, b) = (self.detail, other.detail);
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            detail: UsageDetail {
                cache_write_long: a.cache_write_long.saturating_add(b.cache_write_long),
                audio_input: a.audio_input.saturating_add(b.audio_input),
                cached_audio: a.cached_audio.saturating_add(b.cached_audio),
                image_input: a.image_input.saturating_add(b.image_input),
                cached_image: a.cached_image.saturating_add(b.cached_image),
                audio_output: a.audio_output.saturating_add(b.audio_output),
                image_output: a.image_output.saturating_add(b.image_output),
                web_searches: a.web_searches.saturating_add(b.web_searches),
                web_fetches: a.web_fetches.saturating_add(b.web_fetches),
            },
        }
    }

    /// What is in this and not in the other, field by field.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        let (a, b) = (self.detail, other.detail);
        Self {
            input: self.input.saturating_sub(other.input),
            cache_read: self.cache_read.saturating_sub(other.cache_read),
            cache_write: self.cache_write.saturating_sub(other.cache_write),
            output: self.output.saturating_sub(other.output),
            reasoning: self.reasoning.saturating_sub(other.reasoning),
            detail: UsageDetail {
                cache_write_long: a.cache_write_long.saturating_sub(b.cache_write_long),
                audio_input: a.audio_input.saturating_sub(b.audio_input),
                cached_audio: a.cached_audio.saturating_sub(b.cached_audio),
                image_input: a.image_input.saturating_sub(b.image_input),
                cached_image: a.cached_image.saturating_sub(b.cached_image),
                audio_output: a.audio_output.saturating_sub(b.audio_output),
                image_output: a.image_output.saturating_sub(b.image_output),
                web_searches: a.web_searches.saturating_sub(b.web_searches),
                web_fetches: a.web_fetches.saturating_sub(b.web_fetches),
            },
        }
    }
}

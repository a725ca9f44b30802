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
}

impl Usage {
    /// Input and output together; saturates.
    pub const fn total(self) -> Tokens {
        self.input.saturating_add(self.output)
    }
}

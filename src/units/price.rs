//! The closed vocabularies of prices: what is billed, and on which terms a call was served.
//! Must never hold a price, nor a word that no provider's bill has.

use std::fmt;

/// One line of a bill. Every token of a call stands in exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// Input tokens that no other line has.
    Input,
    /// Input read from the provider's cache.
    CachedInput,
    /// Input written to the cache for its shorter lifetime (five or thirty minutes).
    CacheWrite,
    /// Input written to the cache for its longer lifetime (one or twelve hours).
    CacheWriteLong,
    /// Audio in the input.
    AudioInput,
    /// Audio in the input that was read from the cache.
    CachedAudio,
    /// Images in the input.
    ImageInput,
    /// Images in the input that were read from the cache.
    CachedImage,
    /// Output tokens that no other line has.
    Output,
    /// Output spent on reasoning.
    Reasoning,
    /// Audio in the output.
    AudioOutput,
    /// Images in the output.
    ImageOutput,
    /// Searches of the web that the provider made.
    WebSearch,
    /// Pages that the provider fetched.
    WebFetch,
    /// The call itself.
    Request,
}

impl Line {
    /// Every line, in the order of a bill.
    pub const ALL: [Self; 15] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::AudioInput,
        Self::CachedAudio,
        Self::ImageInput,
        Self::CachedImage,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
        Self::WebSearch,
        Self::WebFetch,
        Self::Request,
    ];

    /// Every word, in the order of a bill.
    pub const WORDS: &'static [&'static str] = &{
        let mut words = [""; Self::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].as_str();
            at += 1;
        }
        words
    };

    /// The word used in config, records and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWriteLong => "cache_write_long",
            Self::AudioInput => "audio_input",
            Self::CachedAudio => "cached_audio",
            Self::ImageInput => "image_input",
            Self::CachedImage => "cached_image",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::WebSearch => "web_search",
            Self::WebFetch => "web_fetch",
            Self::Request => "request",
        }
    }

    /// The line of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|line| line.as_str() == word)
    }

    /// What its price is for: a million tokens, or one.
    pub const fn unit(self) -> PriceUnit {
        match self {
            Self::Input
            | Self::CachedInput
            | Self::CacheWrite
            | Self::CacheWriteLong
            | Self::AudioInput
            | Self::CachedAudio
            | Self::ImageInput
            | Self::CachedImage
            | Self::Output
            | Self::Reasoning
            | Self::AudioOutput
            | Self::ImageOutput => PriceUnit::Million,
            Self::WebSearch | Self::WebFetch | Self::Request => PriceUnit::Each,
        }
    }

    /// Whether it bills tokens of the input.
    pub const fn is_input(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::CachedInput
                | Self::CacheWrite
                | Self::CacheWriteLong
                | Self::AudioInput
                | Self::CachedAudio
                | Self::ImageInput
                | Self::CachedImage
        )
    }

    /// Whether it bills tokens of the output.
    pub const fn is_output(self) -> bool {
        matches!(
            self,
            Self::Output | Self::Reasoning | Self::AudioOutput | Self::ImageOutput
        )
    }
}

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceUnit {
    /// A million tokens.
    Million,
    /// One call, search or page.
    Each,
}

/// The service tier a call was served at, which sets its prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The list prices.
    Standard,
    /// Asynchronous batches.
    Batch,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster; OpenAI's `fast` is billed like it.
    Priority,
    /// Dearest and fastest.
    Ultrafast,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 5] = [
        Self::Standard,
        Self::Batch,
        Self::Flex,
        Self::Priority,
        Self::Ultrafast,
    ];

    /// The word used in config, records and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The tier that a provider's word names, in a request or in an answer; `None` for a word nobody knows. Capacity
    /// bought beforehand (`scale`) is taken at the list prices, and so is what is left to the account (`auto`).
    pub fn said(word: &str) -> Option<Self> {
        match word {
            "auto" | "default" | "standard" | "standard_only" | "on_demand" | "scale" => {
                Some(Self::Standard)
            }
            "batch" => Some(Self::Batch),
            "flex" => Some(Self::Flex),
            "priority" | "fast" => Some(Self::Priority),
            "ultrafast" => Some(Self::Ultrafast),
            _ => None,
        }
    }
}

/// How fast a model was made to answer; Anthropic bills `fast` at a multiple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speed {
    /// As usual.
    #[default]
    Standard,
    /// Faster, and dearer.
    Fast,
}

impl Speed {
    /// The word used in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fast => "fast",
        }
    }

    /// The speed that a provider's word names. A word nobody knows is taken for the dearer.
    pub fn said(word: &str) -> Self {
        if word == "standard" {
            Self::Standard
        } else {
            Self::Fast
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! The numbers of one report of usage, and the one shape they are brought into.
//! Must never add up what two reports say: of each number the last that was not `null` counts.

use crate::units::{Dialect, Tokens, Usage, UsageDetail};

/// A number of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::dialect) enum Count {
    Input,
    Output,
    Total,
    CacheRead,
    CacheWrite,
    /// The part of it with the shorter lifetime.
    CacheWriteShort,
    /// The part of it with the longer lifetime.
    CacheWriteLong,
    Reasoning,
    AudioInput,
    CachedAudio,
    ImageInput,
    CachedImage,
    AudioOutput,
    ImageOutput,
    WebSearches,
    WebFetches,
    /// What a model of images took in that was called by the one that answered, beside its usage.
    ToolImageInput,
    /// What that model made.
    ToolImageOutput,
}

#[derive(Debug, Default)]
pub(in crate::wire::dialect) struct Numbers {
    pub(super) input: Option<Tokens>,
    pub(super) output: Option<Tokens>,
    total: Option<Tokens>,
    cache_read: Tokens,
    cache_write: Option<Tokens>,
    write_short: Tokens,
    reasoning: Tokens,
    detail: UsageDetail,
    searches: Option<u32>,
    /// How many searches stand in the answer itself, for servers that do not report how many they bill.
    pub(super) searches_counted: u32,
    tool_image_input: Tokens,
    tool_image_output: Tokens,
}

impl Numbers {
    /// Takes over a number, if it is one.
    #[inline]
    pub(super) fn take(&mut self, which: Count, count: Option<u64>) {
        let Some(count) = count else {
            return;
        };
        let few = || u32::try_from(count).unwrap_or(u32::MAX);
        let detail = &mut self.detail;
        match which {
            Count::Input => self.input = Some(count),
            Count::Output => self.output = Some(count),
            Count::Total => self.total = Some(count),
            Count::CacheRead => self.cache_read = count,
            Count::CacheWrite => self.cache_write = Some(count),
            Count::CacheWriteShort => self.write_short = count,
            Count::CacheWriteLong => detail.cache_write_long = count,
            Count::Reasoning => self.reasoning = count,
            Count::AudioInput => detail.audio_input = count,
            Count::CachedAudio => detail.cached_audio = count,
            Count::ImageInput => detail.image_input = count,
            Count::CachedImage => detail.cached_image = count,
            Count::AudioOutput => detail.audio_output = count,
            Count::ImageOutput => detail.image_output = count,
            Count::WebSearches => self.searches = Some(few()),
            Count::WebFetches => detail.web_fetches = few(),
            Count::ToolImageInput => self.tool_image_input = count,
            Count::ToolImageOutput => self.tool_image_output = count,
        }
    }

    /// The usage in the one shape; `None` if neither input nor output was reported.
    pub(super) fn usage(&self, dialect: Dialect) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.total.is_none() {
            return None;
        }
        let cache_write = self.cache_write.unwrap_or(0).max(self.lifetimes());
        let (input, output) = match dialect {
            Dialect::OpenAi => self.openai(),
            // Anthropic's input excludes what went through the cache.
            Dialect::Anthropic => {
                let input = self.input.unwrap_or(0).saturating_add(self.cache_read);
                let output = self.output.unwrap_or(0);
                (input.saturating_add(cache_write), output)
            }
        };
        let (drawn, made) = (self.tool_image_input, self.tool_image_output);
        let detail = self.detail;
        Some(Usage {
            input: input.saturating_add(drawn),
            cache_read: self.cache_read,
            cache_write,
            output: output.saturating_add(made),
            reasoning: self.reasoning,
            detail: UsageDetail {
                image_input: detail.image_input.saturating_add(drawn),
                image_output: detail.image_output.saturating_add(made),
                web_searches: self.searches.unwrap_or(self.searches_counted),
                ..detail
            },
        })
    }

    /// Whether a part is larger than its whole, or the total is not the sum.
    pub(super) fn contradicts(&self, dialect: Dialect) -> bool {
        let torn = self.cache_write.is_some_and(|all| all < self.lifetimes());
        let sums_up = match (dialect, self.input, self.total) {
            (Dialect::OpenAi, Some(input), Some(total)) => {
                let sum = input.saturating_add(self.output.unwrap_or(0));
                total == sum || total == sum.saturating_add(self.reasoning)
            }
            _ => true,
        };
        torn || !sums_up
    }

    fn lifetimes(&self) -> Tokens {
        self.write_short
            .saturating_add(self.detail.cache_write_long)
    }

    /// Input and output. What the total has beyond both is output: some servers count reasoning there alone.
    fn openai(&self) -> (Tokens, Tokens) {
        let output = self.output.unwrap_or(0);
        let Some(total) = self.total else {
            return (self.input.unwrap_or(0), output);
        };
        // Some embedding servers report a total only.
        let input = self.input.unwrap_or_else(|| total.saturating_sub(output));
        (input, output.max(total.saturating_sub(input)))
    }
}

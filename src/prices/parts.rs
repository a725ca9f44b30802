//! A usage taken apart: every token in exactly one line. Must never lose a token, nor find more than were reported
//! unless the report contradicts itself.

use crate::units::{Line, Tokens, Usage};

/// How much of each line a usage has.
pub(super) struct Parts {
    counts: [u64; Line::ALL.len()],
    /// Whether the parts that were reported fit into the whole that was.
    pub(super) consistent: bool,
}

impl Parts {
    /// Takes it apart. Where the parts do not fit into the whole, none is cut: the dearer reading of the report.
    pub(super) fn of(usage: &Usage) -> Self {
        let mut parts = Self {
            counts: [0; Line::ALL.len()],
            consistent: true,
        };
        parts.input(usage);
        parts.output(usage);
        let detail = usage.detail;
        parts.set(Line::WebSearch, u64::from(detail.web_searches));
        parts.set(Line::WebFetch, u64::from(detail.web_fetches));
        parts.set(Line::Request, 1);
        parts
    }

    /// How much of a line there is.
    pub(super) fn count(&self, line: Line) -> u64 {
        self.counts.get(line as usize).copied().unwrap_or(0)
    }

    /// The whole input, by which the prices of long contexts are chosen.
    pub(super) fn prompt(&self) -> Tokens {
        self.sum(Line::is_input)
    }

    fn sum(&self, which: fn(Line) -> bool) -> Tokens {
        let lines = Line::ALL.into_iter().filter(|&line| which(line));
        lines.fold(0, |sum: u64, line| sum.saturating_add(self.count(line)))
    }

    fn set(&mut self, line: Line, count: u64) {
        if let Some(slot) = self.counts.get_mut(line as usize) {
            *slot = count;
        }
    }

    fn input(&mut self, usage: &Usage) {
        let detail = &usage.detail;
        let media = detail.audio_input.saturating_add(detail.image_input);
        let cached_media = detail.cached_audio.saturating_add(detail.cached_image);
        let through_cache = usage.cache_read.saturating_add(usage.cache_write);
        let fits = through_cache <= usage.input
            && media <= usage.input
            && detail.cached_audio <= detail.audio_input
            && detail.cached_image <= detail.image_input
            && cached_media <= usage.cache_read
            && detail.cache_write_long <= usage.cache_write;
        self.consistent &= fits;
        self.set(Line::CachedAudio, detail.cached_audio);
        self.set(Line::CachedImage, detail.cached_image);
        self.set(
            Line::AudioInput,
            detail.audio_input.saturating_sub(detail.cached_audio),
        );
        self.set(
            Line::ImageInput,
            detail.image_input.saturating_sub(detail.cached_image),
        );
        self.set(Line::CacheWriteLong, detail.cache_write_long);
        self.set(
            Line::CacheWrite,
            usage.cache_write.saturating_sub(detail.cache_write_long),
        );
        self.set(
            Line::CachedInput,
            usage.cache_read.saturating_sub(cached_media),
        );
        if !fits {
            self.set(Line::Input, usage.input.saturating_sub(media));
            return;
        }
        let known = self.prompt();
        self.set(Line::Input, usage.input.saturating_sub(known));
        // Audio and images that went through the cache without being told apart stand in two of these. They are
        // billed as what they are, not as cached.
        let mut twice = known.saturating_sub(usage.input);
        for line in [Line::CachedInput, Line::CacheWrite, Line::CacheWriteLong] {
            let taken = twice.min(self.count(line));
            self.set(line, self.count(line) - taken);
            twice -= taken;
        }
    }

    fn output(&mut self, usage: &Usage) {
        let detail = &usage.detail;
        let media = detail.audio_output.saturating_add(detail.image_output);
        let known = media.saturating_add(usage.reasoning);
        let fits = known <= usage.output;
        self.consistent &= fits;
        self.set(Line::Reasoning, usage.reasoning);
        self.set(Line::AudioOutput, detail.audio_output);
        self.set(Line::ImageOutput, detail.image_output);
        let rest = if fits { known } else { media };
        self.set(Line::Output, usage.output.saturating_sub(rest));
    }
}

//! Reads what an answer used, from its bytes as they pass. Must never hold an answer, stop it, or take a
//! number for the provider's that is not.

use crate::units::{Counted, Dialect, Endpoint, Pass, Speed, Tokens, Usage};
use crate::wire::json_scan::{self, PathId, Rules};
pub(super) use numbers::Count;
pub(super) use running::{Answer, Fact};
use running::{Running, Said};

mod chat;
mod named;
mod numbers;
mod running;

/// Reads one answer. It is fed every byte of the body as the upstream sent it, in any pieces.
#[derive(Debug)]
pub struct Meter {
    tally: Tally,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// One document; its scanner is made when it does not come in one piece.
    Json(Option<Box<json_scan::Scanner>>),
    Chat(Box<chat::Chat>),
    Named(Box<named::Named>),
}

impl Meter {
    /// A meter of an answer that is one JSON document.
    pub fn json(dialect: Dialect, endpoint: Endpoint) -> Self {
        Self {
            tally: Tally::new(dialect, endpoint),
            source: Source::Json(None),
        }
    }

    /// A meter of an answer that is a stream of events.
    pub fn sse(dialect: Dialect, endpoint: Endpoint) -> Self {
        let named = dialect == Dialect::Anthropic
            || matches!(
                endpoint,
                Endpoint::Responses
                    | Endpoint::ResponseState
                    | Endpoint::ImageGenerations
                    | Endpoint::ImageEdits
                    | Endpoint::Speech
                    | Endpoint::Transcriptions
            );
        let source = if named {
            Source::Named(Box::new(named::Named::new(dialect)))
        } else {
            Source::Chat(Box::default())
        };
        Self {
            tally: Tally::new(dialect, endpoint),
            source,
        }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.source {
            Source::Json(scanner) => self.tally.json(scanner, bytes),
            Source::Chat(chat) => chat.push(bytes, &mut self.tally),
            Source::Named(named) => named.push(bytes, &mut self.tally),
        }
    }

    /// Whether any generated text was seen.
    pub const fn content_seen(&self) -> bool {
        self.tally.output_bytes > 0
    }

    /// The output tokens that have come so far, as far as can be told: what was reported, or a quarter of the text's
    /// bytes if that is more.
    pub fn output_so_far(&self) -> Tokens {
        let reported = self.tally.running.numbers.output.unwrap_or_default();
        reported.max(self.tally.output_bytes.div_ceil(4))
    }

    /// What is known so far.
    pub fn facts(&self) -> AnswerFacts<'_> {
        let tally = &self.tally;
        AnswerFacts {
            usage: tally.reported(),
            contradicts: tally.running.contradicts(tally.dialect),
            final_usage: tally.final_usage,
            model: tally.running.model.as_deref(),
            service_tier: tally.running.tier.as_deref(),
            inference_geo: tally.running.geo.as_deref(),
            speed: tally.running.speed,
            id: tally.running.id.as_deref(),
            output_bytes: tally.output_bytes,
            content_seen: self.content_seen(),
            finished: tally.finished,
            error: tally.error,
            events: tally.events,
            unreadable: tally.unreadable,
        }
    }

    /// The passes that the answer says it was made in, each to be billed by its own model; none, mostly.
    pub fn passes(&self) -> Vec<Pass> {
        self.tally.running.passes(self.tally.dialect)
    }

    /// The usage to settle on if the answer ends here. Reported only if the provider has said its last word; else
    /// the numbers that are certain, with `input_estimate` and a quarter of the text's bytes, rounded up, for the rest.
    pub fn usage(&self, input_estimate: Tokens) -> Counted<Usage> {
        let tally = &self.tally;
        let reported = tally.reported();
        if tally.endpoint == Endpoint::CountTokens {
            // Counting is free; the number it answers with is not usage.
            return Counted::Reported(Usage::default());
        }
        if let (Some(usage), true) = (reported, tally.final_usage) {
            return Counted::Reported(usage);
        }
        if matches!(self.source, Source::Json(_)) && tally.error && tally.running.id.is_none() {
            // An error document stands for a call that never ran.
            return Counted::Estimated(Usage::default());
        }
        let known = reported.unwrap_or_default();
        let input = if tally.running.numbers.input.is_some() {
            known.input
        } else {
            input_estimate
        };
        let text = if tally.generates() {
            tally.output_bytes.div_ceil(4)
        } else {
            0
        };
        Counted::Estimated(Usage {
            input,
            output: known.output.max(text),
            ..known
        })
    }
}

/// What is known of an answer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the answer"
)]
pub struct AnswerFacts<'a> {
    /// The usage as last reported, whether or not more is to come.
    pub usage: Option<Usage>,
    /// Whether that report contradicts itself: a part is larger than its whole, or a total is not the sum. `usage` is
    /// the larger of what it says.
    pub contradicts: bool,
    /// Whether that report is the provider's last word.
    pub final_usage: bool,
    /// The model that answered.
    pub model: Option<&'a str>,
    /// The service tier that was used.
    pub service_tier: Option<&'a str>,
    /// Where the model ran.
    pub inference_geo: Option<&'a str>,
    /// How fast it was.
    pub speed: Speed,
    /// The answer's id.
    pub id: Option<&'a str>,
    /// Bytes of generated text seen (tool arguments and reasoning included, padding not); the estimate's basis. Those of
    /// a document that reports its usage are not counted.
    pub output_bytes: u64,
    /// Whether any generated text was seen and counted.
    pub content_seen: bool,
    /// Whether the document, or the dialect's terminal event, was seen.
    pub finished: bool,
    /// Whether the answer is an error, or an error event was seen.
    pub error: bool,
    /// Server-sent events so far.
    pub events: u64,
    /// Events or documents that could not be read.
    pub unreadable: u64,
}

/// What an event of a stream with named events is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// No name: the document's `type` has to tell.
    Unnamed,
    /// It carries numbers or names.
    Numbers,
    /// The last event, with all numbers.
    Terminal,
    /// The last event of a failed answer; it may have numbers.
    Failed,
    /// The last event, without numbers.
    Stop,
    /// An error after the head.
    Error,
    /// Generated text.
    Text,
    /// Nothing that is read.
    Other,
}

/// What the sources fill in.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the answer"
)]
struct Tally {
    dialect: Dialect,
    endpoint: Endpoint,
    running: Running,
    usage_seen: bool,
    final_usage: bool,
    output_bytes: u64,
    finished: bool,
    error: bool,
    broken: bool,
    events: u64,
    unreadable: u64,
}

impl Tally {
    fn new(dialect: Dialect, endpoint: Endpoint) -> Self {
        Self {
            dialect,
            endpoint,
            running: Running::default(),
            usage_seen: false,
            final_usage: false,
            output_bytes: 0,
            finished: false,
            error: false,
            broken: false,
            events: 0,
            unreadable: 0,
        }
    }

    /// The usage as reported so far. What makes images or speech makes nothing else.
    fn reported(&self) -> Option<Usage> {
        let mut usage = self.running.usage(self.dialect)?;
        match self.endpoint {
            Endpoint::ImageGenerations => usage.detail.image_output = usage.output,
            Endpoint::Speech => usage.detail.audio_output = usage.output,
            _ => {}
        }
        Some(usage)
    }

    const fn generates(&self) -> bool {
        !matches!(
            self.endpoint,
            Endpoint::Embeddings
                | Endpoint::Moderations
                | Endpoint::ImageGenerations
                | Endpoint::ImageEdits
                | Endpoint::Speech
                | Endpoint::Transcriptions
        )
    }

    fn json(&mut self, scanner: &mut Option<Box<json_scan::Scanner>>, bytes: &[u8]) {
        if self.broken || self.finished || (scanner.is_none() && self.skim(bytes)) {
            return;
        }
        let answer = Answer::of_document(self.dialect);
        let scanner = scanner.get_or_insert_with(|| {
            Box::new(json_scan::Scanner::new(&answer.paths, Rules::LENIENT))
        });
        if scanner.push(bytes).is_err() {
            self.broken = true;
            self.unreadable = 1;
        }
        let scan = scanner.so_far();
        let text_bytes = scan.text_bytes;
        // The root is the first path of every answer table.
        let root = scan.members().first().filter(|member| member.path == ROOT);
        if root.is_some_and(|root| root.value.end > root.value.start) {
            // What follows the document is not looked at.
            let said = self.running.absorb(answer, scan);
            self.ends(said);
        }
        self.output_bytes = if self.reports() { 0 } else { text_bytes };
    }
}

impl Tally {
    /// Reads a document that came in one piece and reports its usage, as most do; whether that is what it was.
    fn skim(&mut self, bytes: &[u8]) -> bool {
        let answer = Answer::of_document(self.dialect);
        let mut said = Said::default();
        let whole = json_scan::skim(&answer.paths, bytes, &mut |path, seen| {
            self.running.take(answer, path, seen, &mut said);
        });
        if whole.is_some() {
            self.ends(said);
            if self.reports() {
                return true;
            }
        }
        // Its text has to be counted, or it is not beyond doubt.
        *self = Self::new(self.dialect, self.endpoint);
        false
    }

    /// Whether the document has told what it used.
    fn reports(&self) -> bool {
        self.final_usage && self.running.usage(self.dialect).is_some()
    }

    fn ends(&mut self, said: Said) {
        self.finished = true;
        self.unreadable = 0;
        self.final_usage = said.usage;
        self.error = said.error;
    }
}

const ROOT: PathId = PathId(0);

#[cfg(test)]
mod tests;

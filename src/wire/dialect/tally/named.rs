//! Streams of named events: OpenAI Responses and Anthropic Messages. The name says whether an event is scanned
//! (as it comes: the last one can be megabytes), looked at for text, or passed over.

use super::{Answer, Tally, Word};
use crate::units::Dialect;
use crate::wire::dialect::{anthropic, needle, openai};
use crate::wire::json_scan::{self, Kind, Rules};
use crate::wire::sse::{Part, Parts};

/// The longest text event that is held until it is whole; a longer one counts with all its bytes.
const TEXT_CAP: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Named {
    parts: Parts,
    json: json_scan::Scanner,
    event: Event,
}

/// The event that is coming.
#[derive(Debug, Default)]
struct Event {
    word: Option<Word>,
    held: Vec<u8>,
    seen: usize,
}

impl Named {
    pub(super) fn new(dialect: Dialect) -> Self {
        let paths = &Answer::of(dialect).paths;
        Self {
            parts: Parts::new(),
            json: json_scan::Scanner::new(paths, Rules::LENIENT),
            event: Event::default(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], tally: &mut Tally) {
        let Self { parts, json, event } = self;
        let mut lone: &[u8] = &[];
        parts.push(bytes, &mut |part| match part {
            Part::Data { name, bytes } => {
                let word = *event.word.get_or_insert_with(|| {
                    json.reset();
                    word(tally.dialect, name)
                });
                match word {
                    Word::Unnamed | Word::Numbers | Word::Terminal | Word::Failed => {
                        // A fault stays with the scanner until the event's end.
                        let _ = json.push(bytes);
                    }
                    Word::Text => event.hold(&mut lone, bytes),
                    Word::Stop | Word::Error | Word::Other => {}
                }
            }
            Part::End { dispatched, .. } => {
                if dispatched {
                    let data = if lone.is_empty() {
                        event.held.as_slice()
                    } else {
                        lone
                    };
                    end(
                        event.word.unwrap_or(Word::Other),
                        data,
                        event.seen,
                        json,
                        tally,
                    );
                }
                lone = &[];
                event.word = None;
                event.seen = 0;
                event.held.clear();
            }
        });
        event.held.extend_from_slice(lone);
    }
}

impl Event {
    /// Keeps a piece of text: by reference while it is the only one.
    fn hold<'a>(&mut self, lone: &mut &'a [u8], bytes: &'a [u8]) {
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen > TEXT_CAP {
            *lone = &[];
            self.held.clear();
        } else if self.held.is_empty() && lone.is_empty() {
            *lone = bytes;
        } else {
            self.held.extend_from_slice(std::mem::take(lone));
            self.held.extend_from_slice(bytes);
        }
    }
}

fn word(dialect: Dialect, name: &[u8]) -> Word {
    match dialect {
        Dialect::OpenAi => openai::event(name),
        Dialect::Anthropic => anthropic::event(name),
    }
}

fn end(named: Word, data: &[u8], seen: usize, json: &mut json_scan::Scanner, tally: &mut Tally) {
    tally.events += 1;
    match named {
        Word::Text if seen > TEXT_CAP => {
            let seen = u64::try_from(seen).unwrap_or(u64::MAX);
            tally.output_bytes = tally.output_bytes.saturating_add(seen);
        }
        Word::Text => {
            let look = match tally.dialect {
                Dialect::OpenAi => needle::look(&openai::DELTA_NEEDLES, data),
                Dialect::Anthropic => needle::look(&anthropic::TEXT_NEEDLES, data),
            };
            tally.output_bytes = tally.output_bytes.saturating_add(look.text_bytes);
        }
        Word::Unnamed => {
            let told = told(json, tally.dialect);
            if told == Word::Text {
                tally.output_bytes = tally.output_bytes.saturating_add(json.so_far().text_bytes);
            }
            settle(told, json, tally);
        }
        Word::Numbers | Word::Terminal | Word::Failed | Word::Stop | Word::Error | Word::Other => {
            settle(named, json, tally);
        }
    }
}

/// What an unnamed event calls itself.
fn told(json: &json_scan::Scanner, dialect: Dialect) -> Word {
    let scan = json.so_far();
    let kind = Answer::of(dialect)
        .paths
        .id("$.type")
        .and_then(|path| scan.string_at(path));
    kind.map_or(Word::Other, |kind| word(dialect, kind.as_bytes()))
}

fn settle(word: Word, json: &mut json_scan::Scanner, tally: &mut Tally) {
    match word {
        Word::Numbers | Word::Terminal | Word::Failed => {
            let last = word != Word::Numbers;
            tally.finished |= last;
            tally.error |= word == Word::Failed;
            if json.end().is_err() || json.so_far().root != Some(Kind::Object) {
                tally.unreadable += 1;
                return;
            }
            let said = tally
                .running
                .absorb(Answer::of(tally.dialect), json.so_far());
            tally.usage_seen |= said.usage;
            if said.usage {
                // Anthropic's last numbers come with the reason the output ended.
                tally.final_usage = last || said.finish;
            }
        }
        Word::Stop => {
            tally.finished = true;
            tally.final_usage = tally.usage_seen;
        }
        Word::Error => tally.error = true,
        Word::Unnamed | Word::Text | Word::Other => {}
    }
}

//! Streams of unnamed events that end in `[DONE]`: OpenAI chat and its kin. Whole events are looked at cheaply;
//! the scanner runs on the first, and on those that may report usage or an error.

use super::{Answer, Tally};
use crate::units::Dialect;
use crate::wire::dialect::needle;
use crate::wire::dialect::openai;
use crate::wire::json_scan::{self, Rules};
use crate::wire::sse::{Event, Scanner};

#[derive(Debug)]
pub(super) struct Chat {
    events: Scanner,
    json: json_scan::Scanner,
}

impl Default for Chat {
    fn default() -> Self {
        let paths = &Answer::of(Dialect::OpenAi).paths;
        Self {
            events: Scanner::default(),
            json: json_scan::Scanner::new(paths, Rules::LENIENT),
        }
    }
}

impl Chat {
    pub(super) fn push(&mut self, bytes: &[u8], tally: &mut Tally) {
        let Self { events, json } = self;
        events.push(bytes, &mut |event| match event {
            Event::Message { data, .. } => take(json, data, tally),
            Event::Unreadable { .. } => {
                tally.events += 1;
                tally.unreadable += 1;
            }
        });
    }
}

fn take(json: &mut json_scan::Scanner, data: &[u8], tally: &mut Tally) {
    let first = tally.events == 0;
    tally.events += 1;
    if data.trim_ascii() == b"[DONE]" {
        tally.finished = true;
        tally.final_usage = tally.running.usage(tally.dialect).is_some();
        return;
    }
    let look = needle::look(&openai::CHAT_NEEDLES, data);
    tally.output_bytes = tally.output_bytes.saturating_add(look.text_bytes);
    // Some servers report the input first: text after a report makes it old.
    tally.final_usage &= look.text_bytes == 0;
    if !first && !look.usage && !look.error {
        return;
    }
    json.reset();
    if json.push(data).is_err() || json.end().is_err() {
        tally.unreadable += 1;
        return;
    }
    let said = tally
        .running
        .absorb(Answer::of(tally.dialect), json.so_far());
    tally.error |= said.error;
    if said.usage {
        // A chunk without choices, or one that says why the output ended, is the last word; a server that
        // reports on every chunk is not there yet.
        tally.final_usage = !said.choices || said.finish;
    }
}

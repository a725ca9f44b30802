//! Transcripts: answers kept as the bytes they were, to be given again as they stand. It must never look into the
//! bytes: a captured answer needs no change to be replayed.
//!
//! Between the bytes may stand lines that begin with `%% `; the line feed before such a line belongs to it.
//!
//! | line | does |
//! |---|---|
//! | `%% answer` | begins the answer to the next request; after the last one it starts over |
//! | `%% wait 20ms` | pauses |
//! | `%% trickle 5ms` | sends the bytes that follow, up to the next such line, one by one, so far apart |
//! | `%% close` | closes the connection |
//! | `%% reset` | breaks it off |
//! | `%% silence` | says nothing more |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::raw::{End, Raw, Step};
use super::script::time;

const MARK: &[u8] = b"%% ";

/// A transcript, and which of its answers is next.
#[derive(Debug)]
pub(super) struct Transcript {
    answers: Vec<Raw>,
    next: AtomicUsize,
}

impl Transcript {
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut answers = Vec::new();
        let mut answer = Raw {
            steps: Vec::new(),
            end: End::Keep,
        };
        let mut apart: Option<Duration> = None;
        let mut rest = text;
        while !rest.is_empty() {
            let (bytes, line, after) = next_mark(rest);
            if !bytes.is_empty() {
                let bytes = Bytes::copy_from_slice(bytes);
                answer.steps.push(match apart.take() {
                    Some(apart) => Step::Trickle(bytes, apart),
                    None => Step::Send(bytes),
                });
            }
            rest = after;
            let Some(line) = line else { break };
            let unknown = || {
                format!(
                    "`%% {line}` is nothing a transcript knows; there are `answer`, `wait TIME`, `trickle TIME`, `close`, `reset` and `silence`"
                )
            };
            match line.split_once(' ').unwrap_or((line, "")) {
                ("answer", "") => {
                    if !answer.steps.is_empty() || !answers.is_empty() || answer.end != End::Keep {
                        answers.push(std::mem::replace(
                            &mut answer,
                            Raw {
                                steps: Vec::new(),
                                end: End::Keep,
                            },
                        ));
                    }
                }
                ("wait", pause) => answer
                    .steps
                    .push(Step::Wait(time(pause).ok_or_else(unknown)?)),
                ("trickle", pause) => apart = Some(time(pause).ok_or_else(unknown)?),
                ("close", "") => answer.end = End::Close,
                ("reset", "") => answer.end = End::Reset,
                ("silence", "") => answer.end = End::Silence,
                _ => return Err(unknown()),
            }
        }
        answers.push(answer);
        Ok(Self {
            answers,
            next: AtomicUsize::new(0),
        })
    }

    /// The answer whose turn it is.
    pub(super) fn next(&self) -> Raw {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.answers.len().max(1);
        self.answers.get(at).cloned().unwrap_or(Raw {
            steps: Vec::new(),
            end: End::Close,
        })
    }
}

/// The bytes before the next mark, its words, and what comes after its line.
fn next_mark(text: &[u8]) -> (&[u8], Option<&str>, &[u8]) {
    let found = if text.starts_with(MARK) {
        Some((0, 0))
    } else {
        let within = |window: &[u8]| window.first() == Some(&b'\n') && window.ends_with(MARK);
        let at = text.windows(MARK.len() + 1).position(within);
        at.map(|at| (at, at + 1))
    };
    let Some((end, line)) = found else {
        return (text, None, &[]);
    };
    let (bytes, rest) = text.split_at(end);
    let rest = rest.get(line - end + MARK.len()..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    let words = std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or("?");
    (
        bytes,
        Some(words.trim_end()),
        rest.get(length + 1..).unwrap_or_default(),
    )
}

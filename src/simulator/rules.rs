//! A file of rules: which requests are answered how, and which transcript is replayed to whom. The first rule whose
//! conditions hold decides. It must never draw a number that the seed does not give.
//!
//! ```text
//! # condition … -> what is done
//! path=/v1/messages nth=2        -> fault-reset
//! model=gpt-slow*                -> slow-200ms+chunks-50
//! every=10                       -> usage-late
//! chance=5%                      -> fault-any
//! path=/v1/responses             -> replay captured.http
//! *                              -> pace-5ms
//! ```
//!
//! | condition | holds for |
//! |---|---|
//! | `path=` | this path; `*` stands for anything |
//! | `model=` | the model of the request's body; `*` stands for anything |
//! | `nth=` | only the request of that number, among those for which the rest of the line holds |
//! | `every=` | each one of that many of them |
//! | `chance=` | that percentage of them, drawn from the seed |
//! | `*` | all |
//!
//! What is done is a script's words, joined by `+`, or `replay` and a file, which is looked for beside the rules.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::json::fnv1a;
use super::replay::Transcript;
use super::script::Script;

/// The rules, and how often each was looked at.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    seed: u64,
    draws: AtomicU64,
}

#[derive(Debug)]
struct Rule {
    path: Option<String>,
    model: Option<String>,
    turn: Turn,
    /// How many requests the patterns have matched.
    matched: AtomicU64,
    deed: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Always,
    Nth(u64),
    Every(u64),
    /// In a hundred.
    Chance(u64),
}

#[derive(Debug)]
enum Deed {
    Words(String),
    Replay(Transcript),
}

/// What the rules make of a request.
pub(super) enum Choice {
    Follow(Script),
    Replay(super::raw::Raw),
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    line: usize,
    what: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for RuleProblem {}

impl Rules {
    /// Reads rules; `fetch` gives the bytes of a transcript, or says why it cannot.
    ///
    /// # Errors
    /// The first line that is no rule.
    pub fn parse(
        text: &str,
        mut fetch: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, RuleProblem> {
        let mut list = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            list.push(rule(text, &mut fetch).map_err(|what| RuleProblem { line, what })?);
        }
        Ok(Self {
            list,
            ..Self::default()
        })
    }

    /// The same rules, drawing from this seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether a rule asks for the model, which stands in the body.
    pub(super) fn need_the_model(&self) -> bool {
        self.list.iter().any(|rule| rule.model.is_some())
    }

    /// What is done with this request, which is counted.
    pub(super) fn choose(&self, base: Script, path: &str, model: &str) -> Choice {
        let rule = self.list.iter().find(|rule| {
            let like = |pattern: &Option<String>, text: &str| {
                pattern
                    .as_ref()
                    .is_none_or(|pattern| is_like(pattern, text))
            };
            like(&rule.path, path) && like(&rule.model, model) && self.is_its_turn(rule)
        });
        match rule.map(|rule| &rule.deed) {
            Some(Deed::Replay(transcript)) => Choice::Replay(transcript.next()),
            // Looked at when the rule was read.
            Some(Deed::Words(words)) => Choice::Follow(base.with(words).unwrap_or(base)),
            None => Choice::Follow(base),
        }
    }

    fn is_its_turn(&self, rule: &Rule) -> bool {
        let number = rule.matched.fetch_add(1, Ordering::Relaxed) + 1;
        match rule.turn {
            Turn::Always => true,
            Turn::Nth(nth) => number == nth,
            Turn::Every(every) => number.is_multiple_of(every),
            Turn::Chance(chance) => self.draw() % 100 < chance,
        }
    }

    /// The next number that the seed gives.
    pub(super) fn draw(&self) -> u64 {
        let number = self.draws.fetch_add(1, Ordering::Relaxed);
        let mixed = fnv1a(&[self.seed.to_le_bytes(), number.to_le_bytes()].concat());
        (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 16
    }
}

fn rule(
    text: &str,
    fetch: &mut impl FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Rule, String> {
    let (conditions, deed) = text
        .split_once("->")
        .ok_or("a rule is `CONDITION … -> WORDS` or `CONDITION … -> replay FILE`")?;
    let deed = deed.trim();
    let deed = if let Some(file) = deed.strip_prefix("replay ") {
        Deed::Replay(Transcript::parse(&fetch(file.trim())?)?)
    } else {
        Script::default()
            .with(deed)
            .map_err(|problem| problem.to_string())?;
        Deed::Words(deed.to_owned())
    };
    let mut rule = Rule {
        path: None,
        model: None,
        turn: Turn::Always,
        matched: AtomicU64::new(0),
        deed,
    };
    for condition in conditions.split_whitespace().filter(|word| *word != "*") {
        let unknown = || {
            format!(
                "`{condition}` is no condition; there are `path=`, `model=`, `nth=`, `every=`, `chance=` and `*`"
            )
        };
        let (name, value) = condition.split_once('=').ok_or_else(unknown)?;
        match name {
            "path" => rule.path = Some(value.to_owned()),
            "model" => rule.model = Some(value.to_owned()),
            _ => rule.turn = turn(name, value).ok_or_else(unknown)?,
        }
    }
    Ok(rule)
}

fn turn(name: &str, value: &str) -> Option<Turn> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    match name {
        "nth" => number(value).map(Turn::Nth),
        "every" => number(value).map(Turn::Every),
        "chance" => number(value.strip_suffix('%')?)
            .filter(|percent| *percent <= 100)
            .map(Turn::Chance),
        _ => None,
    }
}

/// Whether the text is like the pattern, in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some(at) = text.find(middle) else {
            return false;
        };
        text = text.get(at + middle.len()..).unwrap_or_default();
        rest = after;
    }
    text.ends_with(rest)
}

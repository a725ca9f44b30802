//! The numbers of an answer as they come in: for each field the last that was not `null`, never a sum.
//! Must never settle anything; what is final is for the meter to say.

use super::numbers::{Count, Numbers};
use crate::units::{Dialect, Pass, Speed, Usage};
use crate::wire::json_scan::{Kind, PathId, Paths, Scan, Seen};

/// The longest model name, tier or id that is kept.
const NAME_CAP: usize = 256;

/// The members of an answer that are read: the paths to scan for, and what each says.
#[derive(Debug)]
pub(in crate::wire::dialect) struct Answer {
    pub(in crate::wire::dialect) paths: Paths,
    facts: Vec<Fact>,
}

impl Answer {
    pub(in crate::wire::dialect) fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::OpenAi => crate::wire::dialect::openai::answer(),
            Dialect::Anthropic => crate::wire::dialect::anthropic::answer(),
        }
    }

    /// The same for an answer that is one document: without what only streams are read for, which stands around the
    /// text of the answer, so that all of that is passed over at once.
    pub(in crate::wire::dialect) fn of_document(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::OpenAi => crate::wire::dialect::openai::document(),
            Dialect::Anthropic => crate::wire::dialect::anthropic::answer(),
        }
    }

    pub(in crate::wire::dialect) fn compile(tables: &[&[(&'static str, Fact)]]) -> Self {
        let rows = || tables.iter().copied().flatten();
        let names: Vec<&'static str> = rows().map(|&(name, _)| name).collect();
        Self {
            paths: Paths::compile(names.leak()),
            facts: rows().map(|&(_, fact)| fact).collect(),
        }
    }
}

/// What a member of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::dialect) enum Fact {
    /// The document itself, to know when it is over.
    Root,
    /// An event's `type`.
    Type,
    Model,
    Tier,
    /// Where it ran.
    Geo,
    Id,
    Error,
    /// The usage, whole.
    Usage,
    /// The usage an Anthropic stream opens with: its output is a placeholder.
    Opening,
    /// A number of the usage.
    Count(Count),
    /// How fast the model was.
    Speed,
    /// The list of the passes an answer was made in; a later one replaces it.
    Passes,
    /// One pass: what follows belongs to it.
    Pass,
    PassModel,
    PassCount(Count),
    /// The list of an answer's items; a later one replaces it.
    Items,
    /// What an item of the answer is.
    Item,
    /// Chat's list of choices; the usage chunk has an empty one.
    Choices,
    /// Why the output ended: nothing more is generated.
    Finish,
}

/// What one document or event said, beside the numbers.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one event"
)]
pub(super) struct Said {
    pub(super) usage: bool,
    pub(super) error: bool,
    pub(super) choices: bool,
    pub(super) finish: bool,
}

/// The most passes of an answer that are kept.
const PASSES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) numbers: Numbers,
    passes: Vec<(Option<Box<str>>, Numbers)>,
    /// There were more passes than are kept.
    crowded: bool,
    pub(super) model: Option<Box<str>>,
    pub(super) tier: Option<Box<str>>,
    pub(super) geo: Option<Box<str>>,
    pub(super) id: Option<Box<str>>,
    pub(super) speed: Speed,
}

impl Running {
    /// Takes over what a scan found.
    pub(super) fn absorb(&mut self, answer: &Answer, scan: &Scan) -> Said {
        let mut said = Said::default();
        for member in scan.members() {
            let seen = match member.kind {
                Kind::String => Seen::Text(scan.text(member)),
                Kind::Number => scan
                    .integer(member)
                    .map_or(Seen::Scalar(Kind::Number), Seen::Integer),
                kind @ (Kind::Object | Kind::Array) => Seen::Container(kind, member.empty),
                kind @ (Kind::True | Kind::False | Kind::Null) => Seen::Scalar(kind),
            };
            self.take(answer, member.path, seen, &mut said);
        }
        said
    }

    /// Takes over one governed member.
    #[inline]
    pub(super) fn take(&mut self, answer: &Answer, path: PathId, seen: Seen<'_>, said: &mut Said) {
        let Some(&fact) = answer.facts.get(usize::from(path.0)) else {
            return;
        };
        if seen == Seen::Scalar(Kind::Null) {
            return;
        }
        let text = match seen {
            // Azure opens a stream with names that are empty.
            Seen::Text(text) => text.filter(|text| (1..=NAME_CAP).contains(&text.len())),
            _ => None,
        };
        let count = match seen {
            Seen::Integer(count) => Some(count),
            _ => None,
        };
        match fact {
            Fact::Root | Fact::Type | Fact::Opening => {}
            Fact::Model => keep(&mut self.model, text),
            Fact::Tier => keep(&mut self.tier, text),
            Fact::Geo => keep(&mut self.geo, text),
            Fact::Id => keep(&mut self.id, text),
            Fact::Error => said.error = true,
            Fact::Usage => said.usage |= matches!(seen, Seen::Container(Kind::Object, _)),
            Fact::Choices => said.choices = seen == Seen::Container(Kind::Array, false),
            Fact::Finish => said.finish = true,
            Fact::Speed => {
                if let Some(text) = text {
                    self.speed = Speed::said(text);
                }
            }
            Fact::Count(which) => self.numbers.take(which, count),
            Fact::Items => self.numbers.searches_counted = 0,
            Fact::Item => {
                let is_search = text == Some("web_search_call");
                self.numbers.searches_counted += u32::from(is_search);
            }
            Fact::Passes => self.passes.clear(),
            Fact::Pass if self.passes.len() < PASSES => self.passes.push(Default::default()),
            Fact::Pass => self.crowded = true,
            Fact::PassModel => {
                if let Some((model, _)) = self.passes.last_mut() {
                    keep(model, text);
                }
            }
            Fact::PassCount(which) => {
                if let Some((_, numbers)) = self.passes.last_mut() {
                    numbers.take(which, count);
                }
            }
        }
    }

    /// The usage as reported so far, in the one shape; `None` if no number was. Passes that the report leaves out of its
    /// totals are in it.
    pub(super) fn usage(&self, dialect: Dialect) -> Option<Usage> {
        let whole = self.numbers.usage(dialect)?;
        if self.passes.is_empty() {
            return Some(whole);
        }
        let in_passes = self.in_passes(dialect);
        Some(whole.plus(in_passes.minus(whole)))
    }

    /// The passes that the report tells, if it tells any.
    pub(super) fn passes(&self, dialect: Dialect) -> Vec<Pass> {
        let passes = self.passes.iter();
        passes
            .map(|(model, numbers)| Pass {
                model: model.clone(),
                usage: numbers.usage(dialect).unwrap_or_default(),
            })
            .collect()
    }

    fn in_passes(&self, dialect: Dialect) -> Usage {
        let passes = self.passes.iter();
        passes.fold(Usage::default(), |sum, (_, numbers)| {
            sum.plus(numbers.usage(dialect).unwrap_or_default())
        })
    }

    /// Whether the report contradicts itself: the usage is then the larger of what it says.
    pub(super) fn contradicts(&self, dialect: Dialect) -> bool {
        let numbers = std::iter::once(&self.numbers).chain(self.passes.iter().map(|(_, all)| all));
        let torn = numbers
            .into_iter()
            .any(|numbers| numbers.contradicts(dialect));
        let left_out = || {
            let whole = self.numbers.usage(dialect).unwrap_or_default();
            whole.minus(self.in_passes(dialect)).total() > 0
        };
        torn || self.crowded || (!self.passes.is_empty() && left_out())
    }
}

fn keep(slot: &mut Option<Box<str>>, text: Option<&str>) {
    if let Some(text) = text
        && slot.as_deref() != Some(text)
    {
        *slot = Some(text.into());
    }
}

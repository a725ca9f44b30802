//! The numbers of an answer as they come in: for each field the last that was not `null`, never a sum.
//! Must never settle anything; what is final is for the meter to say.

use crate::units::{Dialect, Tokens, Usage};
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
    Usage,
    /// The usage an Anthropic stream opens with: its output is a placeholder.
    Opening,
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Reasoning,
    Total,
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

#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) input: Option<Tokens>,
    pub(super) output: Option<Tokens>,
    cache_read: Option<Tokens>,
    cache_write: Option<Tokens>,
    reasoning: Option<Tokens>,
    total: Option<Tokens>,
    pub(super) model: Option<Box<str>>,
    pub(super) tier: Option<Box<str>>,
    pub(super) geo: Option<Box<str>>,
    pub(super) id: Option<Box<str>>,
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
            Seen::Text(text) => text.filter(|text| text.len() <= NAME_CAP),
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
            Fact::Input => number(&mut self.input, count),
            Fact::Output => number(&mut self.output, count),
            Fact::CacheRead => number(&mut self.cache_read, count),
            Fact::CacheWrite => number(&mut self.cache_write, count),
            Fact::Reasoning => number(&mut self.reasoning, count),
            Fact::Total => number(&mut self.total, count),
        }
    }

    /// The usage as reported so far, in the one shape; `None` if no number was.
    pub(super) fn usage(&self, dialect: Dialect) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.total.is_none() {
            return None;
        }
        let part = |count: Option<Tokens>| count.unwrap_or(0);
        let (cache_read, cache_write) = (part(self.cache_read), part(self.cache_write));
        let reasoning = part(self.reasoning);
        let (input, output) = match dialect {
            Dialect::OpenAi => self.openai(reasoning),
            // Anthropic's input excludes what went through the cache.
            Dialect::Anthropic => {
                let input = part(self.input)
                    .saturating_add(cache_read)
                    .saturating_add(cache_write);
                (input, part(self.output))
            }
        };
        Some(Usage {
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
        })
    }

    fn openai(&self, reasoning: Tokens) -> (Tokens, Tokens) {
        let output = self.output.unwrap_or(0);
        let Some(total) = self.total else {
            return (self.input.unwrap_or(0), output);
        };
        // Some embedding servers report a total only.
        let input = self.input.unwrap_or_else(|| total.saturating_sub(output));
        // xAI counts reasoning beside the output; the total gives it away.
        let beside = total == input.saturating_add(output).saturating_add(reasoning);
        (
            input,
            if beside {
                output.saturating_add(reasoning)
            } else {
                output
            },
        )
    }
}

fn keep(slot: &mut Option<Box<str>>, text: Option<&str>) {
    if let Some(text) = text
        && slot.as_deref() != Some(text)
    {
        *slot = Some(text.into());
    }
}

fn number(slot: &mut Option<Tokens>, value: Option<Tokens>) {
    *slot = value.or(*slot);
}

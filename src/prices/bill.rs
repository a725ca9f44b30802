//! From usage to cost: each line on its own, then one rounding. Must never take a term from the request that the
//! answer has told.

use super::book::{Basis, Book, ProviderId};
use super::parts::Parts;
use super::rates::{Factor, Rates};
use crate::units::{Line, NanoUsd, Pass, PicoSum, Speed, Tier, Usage, Wall};

/// On which terms a call was served, by the answer's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its tier; `None` for one nobody knows, which is billed at the dearest.
    pub tier: Option<Tier>,
    /// Whether the model ran in the United States, as `inference_geo` says.
    pub us: bool,
    /// How fast.
    pub speed: Speed,
    /// Whether the provider was called at a regional address.
    pub regional: bool,
    /// When the call began.
    pub at: Wall,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            tier: Some(Tier::Standard),
            us: false,
            speed: Speed::Standard,
            regional: false,
            at: Wall::default(),
        }
    }
}

impl Terms {
    /// What the words of an answer say; nothing said is the usual.
    pub fn of(tier: Option<&str>, speed: Speed, geo: Option<&str>) -> Self {
        Self {
            tier: tier.map_or(Some(Tier::Standard), Tier::said),
            us: geo == Some("us"),
            speed,
            ..Self::default()
        }
    }

    /// The same, where the answer may have been cut before it told its tier: a stream of Responses opens with `auto` and
    /// names the tier in its last event. Until it does, a dearer tier that was asked for counts, and a cheaper one does not.
    #[must_use]
    pub fn or_asked(self, said: Option<&str>, asked: Option<&str>) -> Self {
        let open = said.is_none_or(|said| said == "auto");
        let asked = asked.map_or(Some(Tier::Standard), Tier::said);
        match asked {
            None | Some(Tier::Priority | Tier::Ultrafast) if open => Self {
                tier: asked,
                ..self
            },
            _ => self,
        }
    }
}

/// What something cost, line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    lines: [PicoSum; Line::ALL.len()],
    /// The sum of the lines, rounded once.
    pub total: NanoUsd,
    /// Whether some of its prices are nobody's word for what was used: of the model, the tier, or a fee.
    pub unpriced: bool,
    /// Whether the report of usage contradicts itself, and was read in the dearer way.
    pub inconsistent: bool,
}

impl Cost {
    /// One line, before the rounding.
    pub fn line(&self, line: Line) -> PicoSum {
        self.lines.get(line as usize).copied().unwrap_or_default()
    }

    /// The lines that are not nothing, in the order of a bill.
    pub fn lines(&self) -> impl Iterator<Item = (Line, PicoSum)> {
        let all = Line::ALL.into_iter().map(|line| (line, self.line(line)));
        all.filter(|(_, sum)| *sum != PicoSum::default())
    }

    /// Both, rounded anew from the lines.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.lines.iter_mut().zip(&other.lines) {
            *mine = *mine + *theirs;
        }
        self.unpriced |= other.unpriced;
        self.inconsistent |= other.inconsistent;
        self.rounded()
    }

    fn rounded(mut self) -> Self {
        self.total = self.lines.iter().copied().sum::<PicoSum>().round();
        self
    }
}

impl Rates {
    /// What a usage costs on these terms.
    pub fn cost(&self, usage: &Usage, terms: &Terms) -> Cost {
        let parts = Parts::of(usage);
        let prompt = parts.prompt();
        let (mut table, own) = self.at(terms.tier, prompt);
        if let Some((hours, off_peak)) = self.off_peak()
            && terms.tier == Some(Tier::Standard)
            && !self.is_long(prompt)
            && hours.cover(terms.at)
        {
            table = off_peak;
        }
        let factor = self.factor(terms);
        let mut cost = Cost {
            unpriced: !own,
            inconsistent: !parts.consistent,
            ..Cost::default()
        };
        for (slot, line) in cost.lines.iter_mut().zip(Line::ALL) {
            let count = parts.count(line);
            if count == 0 {
                continue;
            }
            let price = table.get(line);
            let price = if line.is_of_tokens() {
                factor.of(price)
            } else {
                cost.unpriced |= self.is_assumed(line);
                price
            };
            *slot = price.times(count);
        }
        cost.rounded()
    }

    fn factor(&self, terms: &Terms) -> Factor {
        let times = self.times();
        let mut factor = Factor::ONE;
        if terms.us {
            factor = factor.and(times.us);
        }
        if terms.speed == Speed::Fast {
            factor = factor.and(times.fast);
        }
        if terms.regional {
            factor = factor.and(times.regional);
        }
        factor
    }
}

/// What a call cost, and by whose word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The cost.
    pub cost: Cost,
    /// How the prices of the model that answered were found.
    pub basis: Basis,
}

impl Book {
    /// What a call cost that `model` answered. Where the answer tells the passes it was made in, each is billed at the
    /// prices of its own model, and what of the usage is in none of them at those of `model`.
    pub fn bill(
        &self,
        provider: ProviderId,
        model: &str,
        usage: &Usage,
        passes: &[Pass],
        terms: &Terms,
    ) -> Bill {
        let main = self.find(provider, model);
        let in_passes = passes
            .iter()
            .fold(Usage::default(), |sum, pass| sum.plus(pass.usage));
        let mut cost = main.cost(&usage.minus(in_passes), terms);
        for pass in passes {
            let priced = match &pass.model {
                Some(own) => self.find(provider, own),
                None => main,
            };
            // The fee for the call stands in the bill once.
            let mut part = priced.cost(&pass.usage, terms);
            part.lines[Line::Request as usize] = PicoSum::default();
            cost = cost.plus(&part);
        }
        Bill {
            cost,
            basis: main.basis,
        }
    }
}

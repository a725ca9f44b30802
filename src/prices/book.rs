//! Which prices are a model's. Must never take a name that only begins alike for the same model: `gpt-5.5-pro` costs
//! six times what `gpt-5.5` does. Only a date at its end makes an alias, and a `*` that the book itself has.

use super::bill::{Cost, Terms};
use super::rates::{Draft, Rates};
use crate::units::{Map, Usage};

/// A provider of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderId(u16);

/// What becomes of a call to a model that is not in the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is refused.
    Refuse,
    /// It is billed at its provider's dearest prices, and flagged.
    #[default]
    Dearest,
}

/// How the prices of a model were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// By its name.
    Name,
    /// By its name without the date at its end.
    Alias,
    /// By a name that ends in `*`.
    Pattern,
    /// Not at all: the provider's dearest stand in.
    Unpriced,
}

/// The prices of a model, and how they were found.
#[derive(Clone, Copy, Debug)]
pub struct Priced<'a> {
    /// The prices.
    pub rates: &'a Rates,
    /// How they were found.
    pub basis: Basis,
}

impl Priced<'_> {
    /// Whether the book has prices for the model.
    pub fn is_known(&self) -> bool {
        self.basis != Basis::Unpriced
    }

    /// What a usage costs, flagged if the model is not in the book.
    pub fn cost(&self, usage: &Usage, terms: &Terms) -> Cost {
        let mut cost = self.rates.cost(usage, terms);
        cost.unpriced |= !self.is_known();
        cost
    }
}

/// All prices. Immutable.
#[derive(Debug)]
pub struct Book {
    providers: Vec<Provider>,
    /// What is not in the book.
    pub unknown: Unknown,
}

#[derive(Debug)]
struct Provider {
    name: Box<str>,
    names: Map<Box<str>, Rates>,
    /// The longest first.
    patterns: Vec<(Box<str>, Rates)>,
    dearest: Rates,
}

impl Book {
    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<ProviderId> {
        let at = self
            .providers
            .iter()
            .position(|provider| *provider.name == *name)?;
        u16::try_from(at).ok().map(ProviderId)
    }

    /// The name of a provider.
    pub fn name(&self, id: ProviderId) -> &str {
        self.at(id).map_or("", |provider| &provider.name)
    }

    /// The prices of a provider's model: by its name, by its name without a date, by the longest pattern, or else
    /// the dearest there are. Two lookups at most, and no allocation.
    pub fn find(&self, provider: ProviderId, model: &str) -> Priced<'_> {
        let Some(provider) = self.at(provider).or_else(|| self.providers.first()) else {
            return Priced {
                rates: free(),
                basis: Basis::Unpriced,
            };
        };
        let named = |name: &str, basis| {
            let rates = provider.names.get(name)?;
            Some(Priced { rates, basis })
        };
        let by_pattern = || {
            let mut patterns = provider.patterns.iter();
            let (_, rates) = patterns.find(|(front, _)| model.starts_with(&**front))?;
            let basis = Basis::Pattern;
            Some(Priced { rates, basis })
        };
        named(model, Basis::Name)
            .or_else(|| named(undated(model)?, Basis::Alias))
            .or_else(by_pattern)
            .unwrap_or(Priced {
                rates: &provider.dearest,
                basis: Basis::Unpriced,
            })
    }

    /// How many models have prices, patterns included.
    pub fn len(&self) -> usize {
        self.providers.iter().map(Provider::len).sum()
    }

    /// Whether no model has prices.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of a provider's models have prices.
    pub fn models_of(&self, id: ProviderId) -> usize {
        self.at(id).map_or(0, Provider::len)
    }

    fn at(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(usize::from(id.0))
    }
}

impl Provider {
    fn len(&self) -> usize {
        self.names.len() + self.patterns.len()
    }

    fn all(&self) -> impl Iterator<Item = &Rates> {
        let patterns = self.patterns.iter().map(|(_, rates)| rates);
        self.names.values().chain(patterns)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Rates> {
        let patterns = self.patterns.iter_mut().map(|(_, rates)| rates);
        self.names.values_mut().chain(patterns)
    }
}

/// A book that is being written.
#[derive(Debug, Default)]
pub struct BookBuilder {
    providers: Vec<Provider>,
}

impl BookBuilder {
    /// Makes a provider known, with or without models.
    pub fn provider(&mut self, name: &str) -> usize {
        let found = self
            .providers
            .iter()
            .position(|provider| *provider.name == *name);
        found.unwrap_or_else(|| {
            self.providers.push(Provider {
                name: name.into(),
                names: Map::default(),
                patterns: Vec::new(),
                dearest: free().clone(),
            });
            self.providers.len() - 1
        })
    }

    /// Writes a model's prices, in place of those written before under the same name. A `*` at its end stands for
    /// every name that begins alike.
    pub fn model(&mut self, provider: &str, name: &str, draft: &Draft) {
        let at = self.provider(provider);
        let Some(provider) = self.providers.get_mut(at) else {
            return;
        };
        let rates = Rates::of(draft);
        match name.strip_suffix('*') {
            None => {
                provider.names.insert(name.into(), rates);
            }
            Some(front) => {
                provider.patterns.retain(|(known, _)| **known != *front);
                provider.patterns.push((front.into(), rates));
            }
        }
    }

    /// The book: patterns in order, the dearest prices known, and missing fees taken from them.
    pub fn build(mut self, unknown: Unknown) -> Book {
        let highest = dearest(
            &self
                .providers
                .iter()
                .flat_map(Provider::all)
                .collect::<Vec<_>>(),
        );
        let highest = highest.unwrap_or_else(|| free().clone());
        for provider in &mut self.providers {
            provider
                .patterns
                .sort_by_key(|(front, _)| std::cmp::Reverse(front.len()));
            let own = dearest(&provider.all().collect::<Vec<_>>());
            let mut own = own.unwrap_or_else(|| highest.clone());
            own.assume(&highest);
            provider.all_mut().for_each(|rates| rates.assume(&own));
            provider.dearest = own;
        }
        Book {
            providers: self.providers,
            unknown,
        }
    }
}

/// The dearest of all of them, in everything.
fn dearest(all: &[&Rates]) -> Option<Rates> {
    let mut dearest = Rates::clone(all.first()?);
    // The first once with itself, for what it has beside its tables.
    for rates in all {
        dearest.rise(rates);
    }
    Some(dearest)
}

/// No prices at all: what dearest prices rise from.
fn free() -> &'static Rates {
    static FREE: std::sync::LazyLock<Rates> =
        std::sync::LazyLock::new(|| Rates::of(&Draft::default()));
    &FREE
}

/// The name of a model without the date at its end, or the word for the newest: `-2026-03-05`, `-20251001`,
/// `@20251001`, `-latest`.
fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let bytes = model.as_bytes();
    let ends_like = |shape: &[u8]| {
        let at = bytes.len().checked_sub(shape.len()).filter(|&at| at > 0)?;
        let fits = bytes
            .get(at..)?
            .iter()
            .zip(shape)
            .all(|(byte, &wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => *byte == wanted,
            });
        if fits { model.get(..at) } else { None }
    };
    [&b"-2000-00-00"[..], b"-20000000", b"@20000000"]
        .into_iter()
        .find_map(ends_like)
}

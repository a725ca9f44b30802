//! `[prices]` and the book that comes with the program, to one [`Book`]; and which of its prices an upstream's calls
//! cost. Must never let a name that nothing uses pass for a price.

use super::Bench;
use crate::config::values::Glob;
use crate::config::values::UnknownModel;
use crate::config::{OutCode, Problem, Raw, Sited, defaults, prices::built_in, raw};
use crate::prices::{
    Book, BookBuilder, Draft, Factor, LongDraft, PriceList, ProviderId, Times, Unknown,
};
use crate::snapshot::Pattern;
use crate::units::{Dialect, Tier};

/// Whose prices an upstream's calls cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pricing {
    /// The provider in the book.
    pub provider: ProviderId,
    /// Whether it is called at a regional address, which may multiply them.
    pub regional: bool,
}

/// Where each provider's prices hold.
pub(super) struct Addresses(Vec<Address>);

struct Address {
    provider: Box<str>,
    hosts: Vec<Pattern>,
    regional: Vec<Pattern>,
}

impl Bench<'_> {
    pub(super) fn book(&mut self, all: &Raw) -> Book {
        let mut builder = BookBuilder::default();
        // An upstream whose provider has no prices has the dearest of all.
        for dialect in Dialect::ALL {
            builder.provider(dialect.as_str());
        }
        let named = all
            .upstreams
            .iter()
            .filter_map(|upstream| upstream.provider.as_ref());
        for provider in named {
            builder.provider(provider.value.as_str());
        }
        let own = &all.prices;
        for model in built_in().models.iter().chain(&own.models) {
            let (provider, name) = (model.provider.value.as_str(), &model.model.value);
            builder.model(provider, name, &draft(model));
        }
        let unknown = own.unknown.as_ref().map(|unknown| unknown.value);
        let book = builder.build(match unknown.unwrap_or(defaults::UNKNOWN_MODEL) {
            UnknownModel::Dearest => Unknown::Dearest,
            UnknownModel::Refuse => Unknown::Refuse,
        });
        self.check_providers(all, &book);
        book
    }

    /// A provider that is misspelt in one place has no prices, or gives none.
    fn check_providers(&mut self, all: &Raw, book: &Book) {
        for provider in all
            .upstreams
            .iter()
            .filter_map(|upstream| upstream.provider.as_ref())
        {
            let name = provider.value.as_str();
            let models = book.provider(name).map_or(0, |id| book.models_of(id));
            if models == 0 {
                let message = format!("no model of the provider `{name}` has prices");
                let hint = format!(
                    "write some, for example `[prices.models.\"{name}/*\"]`; until then its calls cost the dearest prices of the book"
                );
                self.problem(
                    Problem::warning(OutCode::Ineffective, provider.site, message).hint(hint),
                );
            }
        }
        let addresses = Addresses::of(all);
        let mut told: Vec<&str> = Vec::new();
        for model in &all.prices.models {
            let name = model.provider.value.as_str();
            let of_dialect = Dialect::ALL.iter().any(|dialect| dialect.as_str() == name);
            let used = all.upstreams.iter().any(|upstream| {
                upstream
                    .provider
                    .as_ref()
                    .is_some_and(|own| own.value.as_str() == name)
                    || addresses
                        .find(upstream.url.value.host().as_str())
                        .is_some_and(|found| &*found.provider == name)
            });
            if used || of_dialect || told.contains(&name) {
                continue;
            }
            told.push(name);
            let message = format!("no upstream's calls cost the prices of the provider `{name}`");
            let hint = format!("write `provider = \"{name}\"` in the upstream that is meant");
            self.problem(
                Problem::warning(OutCode::Ineffective, model.provider.site, message).hint(hint),
            );
        }
    }
}

impl Addresses {
    /// The operator's own first.
    pub(super) fn of(all: &Raw) -> Self {
        let patterns = |hosts: &Option<Sited<Vec<Sited<Glob>>>>| {
            let hosts = hosts.iter().flat_map(|list| &list.value);
            hosts
                .map(|host| Pattern::new(host.value.as_str()))
                .collect()
        };
        let providers = all.prices.providers.iter().chain(&built_in().providers);
        Self(
            providers
                .map(|provider| Address {
                    provider: provider.name.value.as_str().into(),
                    hosts: patterns(&provider.hosts),
                    regional: patterns(&provider.regional_hosts),
                })
                .collect(),
        )
    }

    /// What the calls of an upstream at `host` cost.
    pub(super) fn pricing(
        &self,
        book: &Book,
        provider: Option<&str>,
        host: &str,
        dialect: Dialect,
    ) -> Option<Pricing> {
        let found = self.find(host);
        let name = provider
            .or_else(|| found.map(|found| &*found.provider))
            .unwrap_or(dialect.as_str());
        let regional = self.0.iter().any(|address| {
            &*address.provider == name
                && address.regional.iter().any(|pattern| pattern.matches(host))
        });
        let provider = book
            .provider(name)
            .or_else(|| book.provider(dialect.as_str()))?;
        Some(Pricing { provider, regional })
    }

    fn find(&self, host: &str) -> Option<&Address> {
        let mut addresses = self.0.iter();
        addresses.find(|address| address.hosts.iter().any(|pattern| pattern.matches(host)))
    }
}

fn draft(model: &raw::ModelPrices) -> Draft {
    let mut standard = PriceList::default();
    for (line, price) in &model.list {
        standard.set(*line, price.value);
    }
    let one = Factor::ONE.0;
    Draft {
        standard,
        tiers: tiers(&model.tiers),
        long: model.long.as_ref().map(|long| LongDraft {
            up_to: long.up_to.unwrap_or(u64::MAX),
            standard: list(long),
            tiers: tiers(&model.long_tiers),
        }),
        off_peak: model
            .off_peak
            .as_ref()
            .map(|quiet| (quiet.hours.clone(), list(quiet))),
        times: Times {
            us: Factor(model.times.us.unwrap_or(one)),
            fast: Factor(model.times.fast.unwrap_or(one)),
            regional: Factor(model.times.regional.unwrap_or(one)),
        },
    }
}

fn tiers(tables: &[(Tier, raw::PriceTable)]) -> Vec<(Tier, PriceList)> {
    tables
        .iter()
        .map(|(tier, table)| (*tier, list(table)))
        .collect()
}

fn list(table: &raw::PriceTable) -> PriceList {
    let mut list = PriceList::default();
    for (line, price) in &table.lines {
        list.set(*line, *price);
    }
    list
}

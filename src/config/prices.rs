//! `[prices]`: what the file says about prices, how it is read, and the book that comes with the program, which is
//! a file like any other. Must never bring a price through a float, nor take a missing one for nothing.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use toml::de::DeValue;

use super::keys::{Beside, Kind};
use super::load::{Environment, ReadError, load_text};
use super::node::{Node, article};
use super::parse::{self, Flaw};
use super::problem::{OutCode, Problem};
use super::section::{Context, Section};
use super::setting::Setting;
use super::site::{Site, Sited};
use super::suggest;
use super::values::{Date, Glob, Note, ProviderName, UnknownModel};
use crate::units::{Hours, Line, PicoUsd, PriceUnit, Tier};

pub(super) mod text;

/// `[prices]`: what calls cost.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// What becomes of calls to models without prices.
    pub unknown: Option<Sited<UnknownModel>>,
    /// `[prices.providers.NAME]`, in the order written.
    pub providers: Vec<PriceProvider>,
    /// `[prices.models."PROVIDER/MODEL"]`, in the order written.
    pub models: Vec<ModelPrices>,
}

/// `[prices.providers.NAME]`: whose prices they are, and where they hold.
#[derive(Clone, Debug)]
pub struct PriceProvider {
    /// Its name.
    pub name: Sited<ProviderName>,
    /// The hosts whose calls cost its prices.
    pub hosts: Option<Sited<Vec<Sited<Glob>>>>,
    /// Those of them that are regional.
    pub regional_hosts: Option<Sited<Vec<Sited<Glob>>>>,
    /// Where its prices are from.
    pub source: Option<Sited<Note>>,
    /// When they were read there.
    pub as_of: Option<Sited<Date>>,
}

/// `[prices.models."PROVIDER/MODEL"]`: one model's prices.
#[derive(Clone, Debug)]
pub struct ModelPrices {
    /// The provider.
    pub provider: Sited<ProviderName>,
    /// The model's name, or how it begins and a `*`.
    pub model: Sited<String>,
    /// The list prices.
    pub list: Vec<(Line, Sited<PicoUsd>)>,
    /// Those of the other tiers.
    pub tiers: Vec<(Tier, PriceTable)>,
    /// Those of long contexts; `beyond` is there.
    pub long: Option<PriceTable>,
    /// Those of long contexts at the other tiers.
    pub long_tiers: Vec<(Tier, PriceTable)>,
    /// Those of quiet hours; `hours` is there.
    pub off_peak: Option<PriceTable>,
    /// What multiplies the prices of tokens.
    pub times: FactorTable,
}

/// A table of prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// The prices, in the order written.
    pub lines: Vec<(Line, PicoUsd)>,
    /// The largest input for which they do not hold.
    pub up_to: Option<u64>,
    /// The hours at which they hold.
    pub hours: Hours,
}

/// The multipliers of a model's prices, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactorTable {
    /// Where the model ran in the United States.
    pub us: Option<u64>,
    /// Where it was fast.
    pub fast: Option<u64>,
    /// At a regional address.
    pub regional: Option<u64>,
}

/// The book that comes with the program.
pub const BUILT_IN: &str = include_str!("../../config/prices.toml");

/// The prices of the book that comes with the program.
pub fn built_in() -> &'static Prices {
    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
            Err(ReadError::Missing)
        }

        fn list(&self, _: &Path) -> Result<Vec<PathBuf>, ReadError> {
            Err(ReadError::Missing)
        }
    }

    // A test shows that it has no problems.
    static READ: LazyLock<Prices> =
        LazyLock::new(|| load_text("prices.toml", BUILT_IN, &Nothing).raw.prices);
    &READ
}

/// Reads `[prices]`.
pub(super) fn read(context: &mut Context<'_>, section: &Section<'_>) -> Prices {
    let mut below = |name| {
        let section = section.sub(context, name);
        section.map_or_else(Vec::new, |section| section.named(context))
    };
    let (providers, models) = (below("providers"), below("models"));
    Prices {
        unknown: section.get(context, "unknown"),
        providers: providers
            .iter()
            .filter_map(|(name, section)| provider(context, name, section))
            .collect(),
        models: models
            .iter()
            .filter_map(|(name, section)| model(context, name, section))
            .collect(),
    }
}

fn provider(
    context: &mut Context<'_>,
    name: &Sited<String>,
    section: &Section<'_>,
) -> Option<PriceProvider> {
    let id = provider_name(context, &name.value, name.site);
    let hosts = section.get(context, "hosts");
    let regional_hosts = section.get(context, "regional_hosts");
    let source = section.get(context, "source");
    let as_of = section.get(context, "as_of");
    Some(PriceProvider {
        name: id?,
        hosts,
        regional_hosts,
        source,
        as_of,
    })
}

fn provider_name(context: &mut Context<'_>, name: &str, site: Site) -> Option<Sited<ProviderName>> {
    match text::provider(name) {
        Ok(name) => Some(Sited::new(name, site)),
        Err(flaw) => {
            let shown: String = name.chars().take(60).collect();
            let message = format!("`{}` cannot name a provider", shown.escape_debug());
            context.report(Problem::error(OutCode::BadName, site, message).hint(flaw.hint));
            None
        }
    }
}

/// One model; read for its problems also when its name is no good.
fn model(
    context: &mut Context<'_>,
    name: &Sited<String>,
    section: &Section<'_>,
) -> Option<ModelPrices> {
    let named = model_name(context, name);
    let mut list = Vec::new();
    for line in Line::ALL {
        let price = match line {
            Line::Input | Line::Output => section.require(context, line.as_str()),
            _ => section.get(context, line.as_str()),
        };
        list.extend(price.map(|price| (line, price)));
    }
    let mut table = |name: &str| section.get(context, name).map(|table| table.value);
    let others = [Tier::Batch, Tier::Flex, Tier::Priority, Tier::Ultrafast];
    let mut tables = |front: &str| -> Vec<(Tier, PriceTable)> {
        let table = |tier: Tier| Some((tier, table(&format!("{front}{tier}"))?));
        others.into_iter().filter_map(table).collect()
    };
    let (tiers, long_tiers) = (tables(""), tables("long_context_"));
    let (long, off_peak) = (table("long_context"), table("off_peak"));
    let times = section.get(context, "times").map(|times| times.value);
    if let (None, Some((tier, _))) = (&long, long_tiers.first())
        && !section.has("long_context")
    {
        let key = format!("long_context_{tier}");
        let site = section.name_site(&key).unwrap_or(section.site);
        let message = format!("`{key}` needs `long_context`, which says what is long");
        let hint =
            "for example `long_context = { above = 200000, input = \"4\", output = \"15\" }`";
        context.report(Problem::error(OutCode::MissingKey, site, message).hint(hint));
    }
    let (provider, model) = named?;
    Some(ModelPrices {
        provider,
        model,
        list,
        tiers,
        long,
        long_tiers,
        off_peak,
        times: times.unwrap_or_default(),
    })
}

/// `provider/model`; the model may have slashes of its own, and a `*` at its end.
fn model_name(
    context: &mut Context<'_>,
    name: &Sited<String>,
) -> Option<(Sited<ProviderName>, Sited<String>)> {
    let parts = name.value.split_once('/');
    let good = |model: &&str| {
        parse::model(model.strip_suffix('*').unwrap_or(model)).is_ok() || *model == "*"
    };
    let Some((provider, model)) = parts.filter(|(_, model)| good(model)) else {
        let shown: String = name.value.chars().take(60).collect();
        let message = format!("`{}` cannot name a model's prices", shown.escape_debug());
        let hint = "write the provider, `/` and the model: `\"openai/gpt-5.6-luna\"`; a `*` may stand at the end";
        context.report(Problem::error(OutCode::BadName, name.site, message).hint(hint));
        return None;
    };
    let provider = provider_name(context, provider, name.site)?;
    Some((provider, Sited::new(model.to_owned(), name.site)))
}

impl Setting for PicoUsd {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let Kind::Usd(unit) = node.key.kind else {
            node.wrong_type(context);
            return None;
        };
        price(node, context, unit)
    }
}

/// A price as it is written, whether as a text or as a number: never through a float.
fn price(node: &Node<'_>, context: &mut Context<'_>, unit: PriceUnit) -> Option<Sited<PicoUsd>> {
    decimal(node, context, |text| match unit {
        PriceUnit::Million => text::price_per_million(text),
        PriceUnit::Each => text::price_each(text),
    })
}

fn decimal<T>(
    node: &Node<'_>,
    context: &mut Context<'_>,
    parse: impl Fn(&str) -> Result<T, Flaw>,
) -> Option<Sited<T>> {
    let digits = match node.value {
        DeValue::String(_) => return node.parsed(context, parse),
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        other => {
            let what = format!("expected a decimal number, found {}", article(other));
            node.reject(context, OutCode::WrongType, &what, "for example `\"2.50\"`");
            return None;
        }
    };
    match parse(digits) {
        Ok(value) => Some(Sited::new(value, node.site)),
        Err(flaw) => {
            let what = format!("expected {}, found `{digits}`", flaw.expected);
            node.reject(context, flaw.code, &what, flaw.hint);
            None
        }
    }
}

impl Setting for PriceTable {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let Kind::Prices(beside) = node.key.kind else {
            node.wrong_type(context);
            return None;
        };
        let mut table = Self::default();
        let mut timed = false;
        for (name, entry) in node.entries(context)? {
            match (Line::from_word(&name.value), &*name.value, beside) {
                (Some(line), ..) => {
                    let price = price(&entry, context, line.unit());
                    table.lines.extend(price.map(|price| (line, price.value)));
                }
                (None, "above" | "from", Beside::Threshold) if table.up_to.is_some() => {
                    let what = "`above` and `from` exclude each other";
                    entry.reject(context, OutCode::Conflict, what, "");
                }
                (None, word @ ("above" | "from"), Beside::Threshold) => {
                    let from = word == "from";
                    let count = entry.count(context, u64::from(from), MOST_INPUT);
                    // A broken one is there all the same.
                    let count = count.map_or(MOST_INPUT, |count| count.value);
                    table.up_to = Some(count - u64::from(from));
                }
                (None, "hours", Beside::Hours) => {
                    timed = true;
                    hours(&entry, context, &mut table.hours);
                }
                (None, ..) => stray(&name, &entry, beside, context),
            }
        }
        let (missing, example) = match beside {
            Beside::Threshold if table.up_to.is_none() => ("above", "`above = 200000`"),
            Beside::Hours if !timed => ("hours", "`hours = [\"sat-sun 00:00-24:00\"]`"),
            Beside::Threshold | Beside::Hours | Beside::Nothing => {
                return Some(Sited::new(table, node.site));
            }
        };
        let what = format!("needs `{missing}`, which says when these prices hold");
        let hint = format!("for example {example}");
        node.reject(context, OutCode::MissingKey, &what, &hint);
        None
    }
}

/// More input than any call has.
const MOST_INPUT: u64 = 1 << 40;

fn hours(node: &Node<'_>, context: &mut Context<'_>, hours: &mut Hours) {
    for stretch in node.list(context).unwrap_or_default() {
        let Some(text) = stretch.text(context) else {
            continue;
        };
        if hours.add(&text.value).is_none() {
            let what = format!("expected days and hours of UTC{}", stretch.quote(&text));
            let hint = "write for example `mon-fri 00:00-01:00`, or `sun 10:00-24:00`";
            stretch.reject(context, OutCode::InvalidValue, &what, hint);
        }
    }
}

fn stray(name: &Sited<String>, entry: &Node<'_>, beside: Beside, context: &mut Context<'_>) {
    let more: &[&str] = match beside {
        Beside::Nothing => &[],
        Beside::Threshold => &["above", "from"],
        Beside::Hours => &["hours"],
    };
    let known = Line::WORDS.iter().chain(more).copied();
    let hint = match suggest::nearest(&name.value, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`outrigger explain prices.models` lists what has a price".to_owned(),
    };
    let problem = Problem::error(
        OutCode::UnknownKey,
        name.site,
        format!("unknown key `{}`", entry.shown),
    );
    context.report(problem.hint(hint));
}

impl Setting for FactorTable {
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Sited<Self>> {
        let mut table = Self::default();
        for (name, entry) in node.entries(context)? {
            let slot = match &*name.value {
                "us" => &mut table.us,
                "fast" => &mut table.fast,
                "regional" => &mut table.regional,
                _ => {
                    let problem = format!("unknown key `{}`", entry.shown);
                    let problem = Problem::error(OutCode::UnknownKey, name.site, problem);
                    context.report(problem.hint("there are `us`, `fast` and `regional`"));
                    continue;
                }
            };
            *slot = decimal(&entry, context, text::factor).map(|factor| factor.value);
        }
        Some(Sited::new(table, node.site))
    }
}

#[cfg(test)]
mod tests;

//! The rows about prices: `[prices]`, `[prices.providers.*]` and `[prices.models.*]`.
//! Must never hold a price: those are in `config/prices.toml`.

use super::{is, key};
use crate::config::defaults as d;
use crate::config::keys::{Beside, Fallback, Grammar, Key, Kind, Value};
use crate::config::values::UnknownModel;
use crate::units::PriceUnit;

const fn price(
    path: &'static str,
    without: &'static str,
    example: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Key {
    key(
        path,
        Kind::Usd(PriceUnit::Million),
        Fallback::Unset(without),
        example,
        doc,
        why,
    )
}

const fn fee(
    path: &'static str,
    without: &'static str,
    example: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Key {
    key(
        path,
        Kind::Usd(PriceUnit::Each),
        Fallback::Unset(without),
        example,
        doc,
        why,
    )
}

const fn table(
    path: &'static str,
    beside: Beside,
    without: &'static str,
    example: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Key {
    key(
        path,
        Kind::Prices(beside),
        Fallback::Unset(without),
        example,
        doc,
        why,
    )
}

pub(super) const PRICES: &[Key] = &[
    key(
        "prices.unknown",
        Kind::Word(UnknownModel::WORDS),
        is(Value::Text(d::UNKNOWN_MODEL.as_str())),
        "",
        "what becomes of a call to a model without prices: `dearest` or `refuse`",
        "`dearest` takes the highest price its provider has for anything and flags the record `unpriced`; nothing is ever free because nobody wrote a price.",
    ),
    key(
        "prices.providers.*.hosts",
        Kind::Texts(Grammar::Glob),
        is(Value::Texts(&[])),
        "llm.internal",
        "the hosts whose calls cost its prices; `*` stands for any text",
        "An upstream with such a host needs no `provider` of its own. What is written here goes before what comes with the program.",
    ),
    key(
        "prices.providers.*.regional_hosts",
        Kind::Texts(Grammar::Glob),
        is(Value::Texts(&[])),
        "eu.llm.internal",
        "those of its hosts at which `times.regional` holds",
        "Some providers ask more where they promise a region.",
    ),
    key(
        "prices.providers.*.source",
        Kind::Text(Grammar::Note),
        Fallback::Unset("nobody knows"),
        "contract of 2026-03-01",
        "where its prices are from",
        "For whoever has to check a bill.",
    ),
    key(
        "prices.providers.*.as_of",
        Kind::Text(Grammar::Date),
        Fallback::Unset("nobody knows"),
        "2026-11-24",
        "the day on which they were read there",
        "Prices change; the day says how old these are.",
    ),
    key(
        "prices.models.*.input",
        Kind::Usd(PriceUnit::Million),
        Fallback::Required,
        "0.20",
        "a million tokens of input",
        "The table is named by provider, `/` and model. For one's own server write `provider = \"local\"` in its upstream, and what a million tokens cost there, or 0, in `[prices.models.\"local/*\"]`. A date at the end of a model's name is left out where the name with it has no prices of its own, and a `*` at the end of the table's name stands for every model that begins alike. What is written replaces the whole of what comes with the program for that model. A number or a text, read digit by digit. Zero is a price like any other, and must be written.",
    ),
    price(
        "prices.models.*.cached_input",
        "`input`",
        "0.02",
        "a million tokens of input read from the provider's cache",
        "Most providers take a tenth of the price of input.",
    ),
    price(
        "prices.models.*.cache_write",
        "`input`",
        "0.25",
        "a million tokens of input written to the cache for the shorter lifetime (5 or 30 minutes)",
        "Where a provider does not bill writing apart, leave it out.",
    ),
    price(
        "prices.models.*.cache_write_long",
        "`cache_write`",
        "0.40",
        "a million tokens of input written to the cache for the longer lifetime (1 or 12 hours)",
        "What is not reported by lifetime is taken for the shorter one.",
    ),
    price(
        "prices.models.*.audio_input",
        "`input`",
        "0.70",
        "a million tokens of audio in the input",
        "Models that hear bill audio apart.",
    ),
    price(
        "prices.models.*.cached_audio",
        "`audio_input` if that is written, else `cached_input`",
        "0.07",
        "a million tokens of audio read from the cache",
        "It holds where the answer tells cached audio apart.",
    ),
    price(
        "prices.models.*.image_input",
        "`input`",
        "0.30",
        "a million tokens of images in the input",
        "Models that draw bill images apart.",
    ),
    price(
        "prices.models.*.cached_image",
        "`image_input` if that is written, else `cached_input`",
        "0.03",
        "a million tokens of images read from the cache",
        "It holds where the answer tells cached images apart.",
    ),
    key(
        "prices.models.*.output",
        Kind::Usd(PriceUnit::Million),
        Fallback::Required,
        "0.60",
        "a million tokens of output",
        "Zero for models that make none, such as those of embeddings.",
    ),
    price(
        "prices.models.*.reasoning",
        "`output`",
        "0.60",
        "a million tokens of reasoning",
        "They are part of the output everywhere; few providers have a price of their own for them.",
    ),
    price(
        "prices.models.*.audio_output",
        "`output`",
        "1.40",
        "a million tokens of audio in the output",
        "Models that speak bill audio apart.",
    ),
    price(
        "prices.models.*.image_output",
        "`output`",
        "0.90",
        "a million tokens of images in the output",
        "Models that draw bill images apart.",
    ),
    fee(
        "prices.models.*.web_search",
        "the provider's dearest, flagged `unpriced`",
        "0.01",
        "a search of the web that the provider makes",
        "On top of the tokens that it brings.",
    ),
    fee(
        "prices.models.*.web_fetch",
        "the provider's dearest, flagged `unpriced`",
        "0",
        "a page that the provider fetches",
        "Anthropic bills only the tokens of a page.",
    ),
    fee(
        "prices.models.*.request",
        "nothing",
        "0",
        "a call, whatever it uses",
        "For models that are billed by the call.",
    ),
    table(
        "prices.models.*.batch",
        Beside::Nothing,
        "the list prices",
        "{ input = \"0.10\", output = \"0.30\" }",
        "the prices of the tier `batch`",
        "The tier is the one the answer names. The table has the names above, from `input` to `request`. A price that is left out of a tier's table costs what it is a kind of in that table: `cached_input` costs `input`. Input, output and fees that are left out are the list's.",
    ),
    table(
        "prices.models.*.flex",
        Beside::Nothing,
        "the list prices",
        "{ input = \"0.10\", output = \"0.30\" }",
        "the prices of the tier `flex`",
        "Cheaper and slower.",
    ),
    table(
        "prices.models.*.priority",
        Beside::Nothing,
        "the dearest of the tiers written, flagged `unpriced`",
        "{ input = \"0.40\", output = \"1.20\" }",
        "the prices of the tier `priority`, which is also called `fast`",
        "Dearer and faster.",
    ),
    table(
        "prices.models.*.ultrafast",
        Beside::Nothing,
        "the dearest of the tiers written, flagged `unpriced`",
        "{ input = \"1.20\", output = \"3.60\" }",
        "the prices of the tier `ultrafast`",
        "Dearest and fastest.",
    ),
    table(
        "prices.models.*.long_context",
        Beside::Threshold,
        "one price for contexts of any length",
        "{ above = 200000, input = \"0.40\", output = \"0.90\" }",
        "the prices of calls with a long input, for all of their tokens",
        "`above = 200000` takes an input of 200,001 tokens for long, `from = 200000` one of 200,000; cached tokens count.",
    ),
    table(
        "prices.models.*.long_context_batch",
        Beside::Nothing,
        "the dearer of `batch` and `long_context`",
        "{ input = \"0.20\", output = \"0.45\" }",
        "the same for the tier `batch`",
        "What is left out is as in `batch`.",
    ),
    table(
        "prices.models.*.long_context_flex",
        Beside::Nothing,
        "the dearer of `flex` and `long_context`",
        "{ input = \"0.20\", output = \"0.45\" }",
        "the same for the tier `flex`",
        "What is left out is as in `flex`.",
    ),
    table(
        "prices.models.*.long_context_priority",
        Beside::Nothing,
        "the dearer of `priority` and `long_context`",
        "{ input = \"0.80\", output = \"1.80\" }",
        "the same for the tier `priority`",
        "What is left out is as in `priority`.",
    ),
    table(
        "prices.models.*.long_context_ultrafast",
        Beside::Nothing,
        "the dearer of `ultrafast` and `long_context`",
        "{ input = \"2.40\", output = \"5.40\" }",
        "the same for the tier `ultrafast`",
        "What is left out is as in `ultrafast`.",
    ),
    table(
        "prices.models.*.off_peak",
        Beside::Hours,
        "one price at all hours",
        "{ hours = [\"mon-fri 10:00-24:00\", \"sat-sun 00:00-24:00\"], input = \"0.10\", output = \"0.30\" }",
        "the prices of calls that begin in certain hours, in place of the list prices",
        "Hours are of UTC, as providers count them; the end is not part of a stretch.",
    ),
    key(
        "prices.models.*.times",
        Kind::Factors,
        Fallback::Unset("nothing is multiplied"),
        "{ us = 1.1, fast = 2, regional = 1.1 }",
        "what multiplies the prices of all tokens",
        "`us` where the answer says that the model ran in the United States, `fast` where it says that it was fast, `regional` at a host of `regional_hosts`. Fees stay as they are.",
    ),
];

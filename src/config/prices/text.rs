//! Texts of `[prices]` to values: amounts, multipliers, names and days.
//! Pure. Must never bring an amount through a float.

use crate::config::parse::{Flaw, flaw};
use crate::config::problem::OutCode;
use crate::config::values::{Date, Note, ProviderName};
use crate::units::{AmountFault, PicoUsd, PriceUnit, UpstreamName};

const PROVIDER: Flaw = flaw(
    "the name of a provider",
    "use `[A-Za-z0-9]`, then also `_`, `.` and `-`, up to 128 bytes",
);
const DATE: Flaw = flaw("a day of the calendar", "write for example `2026-11-24`");
const NOTE: Flaw = flaw(
    "a line of text",
    "use 1 to 500 characters, none of them a control",
);
const FACTOR: Flaw = flaw(
    "a factor above 0 and up to 1000",
    "write digits, with a point and up to six more at most: `1.1`",
);
/// US dollars for a million tokens.
pub(in crate::config) fn price_per_million(text: &str) -> Result<PicoUsd, Flaw> {
    PicoUsd::parse_per_million(text).map_err(|fault| price_flaw(fault, PriceUnit::Million))
}

/// US dollars for one.
pub(in crate::config) fn price_each(text: &str) -> Result<PicoUsd, Flaw> {
    PicoUsd::parse_each(text).map_err(|fault| price_flaw(fault, PriceUnit::Each))
}

/// A multiplier, in millionths.
pub(in crate::config) fn factor(text: &str) -> Result<u64, Flaw> {
    let PicoUsd(millionths) = PicoUsd::parse_per_million(text).map_err(|_| FACTOR)?;
    let sane = (1..=1_000_000_000).contains(&millionths);
    sane.then_some(millionths).ok_or(FACTOR)
}

/// The name of a provider: the grammar of an upstream's name.
pub(in crate::config) fn provider(text: &str) -> Result<ProviderName, Flaw> {
    let name = text.parse::<UpstreamName>().map_err(|_| PROVIDER)?;
    Ok(ProviderName::new(name.as_str()))
}

/// `2026-11-24`.
pub(in crate::config) fn date(text: &str) -> Result<Date, Flaw> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u8>().ok();
    let real =
        (1..=12).contains(&part(5..7).unwrap_or(0)) && (1..=31).contains(&part(8..10).unwrap_or(0));
    if shape && real {
        Ok(Date::new(text))
    } else {
        Err(DATE)
    }
}

/// A line for people.
pub(in crate::config) fn note(text: &str) -> Result<Note, Flaw> {
    let good =
        !text.is_empty() && text.chars().count() <= 500 && !text.chars().any(char::is_control);
    if good { Ok(Note::new(text)) } else { Err(NOTE) }
}

/// What is wrong with a text that is no price.
const fn price_flaw(fault: AmountFault, unit: PriceUnit) -> Flaw {
    let hint = match (fault, unit) {
        (AmountFault::NotANumber, _) => "write digits, with a point at most: `\"2.50\"`",
        (AmountFault::TooFine(_), PriceUnit::Million) => {
            "six digits behind the point are exact for a million tokens"
        }
        (AmountFault::TooFine(_), PriceUnit::Each) => "twelve digits behind the point are exact",
        (AmountFault::TooLarge, _) => "it is larger than can be counted",
    };
    Flaw {
        code: OutCode::InvalidValue,
        expected: match unit {
            PriceUnit::Million => "a price in US dollars for a million tokens",
            PriceUnit::Each => "a price in US dollars",
        },
        hint,
    }
}

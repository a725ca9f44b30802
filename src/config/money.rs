//! Amounts of money, the windows they are for, and time zones: texts to values.
//! Pure. Must never go through a float, nor take a currency it cannot count in.

use std::time::Duration;

use super::parse::{self, Flaw, flaw};
use crate::units::NanoUsd;

/// How long a budget lasts before it begins anew (`budgets.*.per`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetWindow {
    /// By the clocks of the zone.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From one day of the month to the next.
    Month,
    /// For ever.
    Total,
    /// The time just past.
    Rolling(Duration),
}

/// What a tenant brings in (`tenants.*.revenue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revenue {
    /// How much.
    pub amount: NanoUsd,
    /// For what.
    pub per: RevenuePer,
}

/// What a tenant pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevenuePer {
    /// Each call that has left.
    Call,
    /// A day.
    Day,
    /// A month of the calendar, however long it is.
    Month,
    /// A year of the calendar.
    Year,
}

/// A name of the time zone database, such as `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneName(Box<str>);

impl ZoneName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetName(Box<str>);

impl std::str::FromStr for BudgetName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        budget_name(text).map_err(|flaw| flaw.hint)
    }
}

impl std::fmt::Display for BudgetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl BudgetName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const AMOUNT: Flaw = flaw(
    "an amount of money",
    "write a decimal number and `USD`: `100 USD`, `0.25 USD`; at most nine digits behind the point",
);
const REVENUE: Flaw = flaw(
    "an amount of money for some time, or for a call",
    "write for example `49 USD/month`, or `/year`, `/day` or `/call`",
);
const WINDOW: Flaw = flaw(
    "`hour`, `day`, `week`, `month`, `total`, or a duration for the time just past",
    "write for example `day`, or `24h` for what was spent within the last 24 hours",
);
const ROLLING: Flaw = flaw(
    "a duration of 1 minute to 366 days",
    "a budget of the time just past is counted in sixtieths of whole seconds",
);
const ZONE: Flaw = flaw(
    "the name of a time zone",
    "write it as the time zone database does: `Europe/Berlin`, `America/New_York`, `UTC`",
);
const NAME: Flaw = flaw(
    "a name",
    "use `[A-Za-z0-9]`, then also `_`, `.` and `-`, up to 64 bytes",
);

/// `100 USD`, `0.25 USD`.
pub(super) fn amount(text: &str) -> Result<NanoUsd, Flaw> {
    let number = text.strip_suffix("USD").ok_or(AMOUNT)?;
    NanoUsd::parse(number.trim()).map_err(|_| AMOUNT)
}

/// `49 USD/month`.
pub(super) fn revenue(text: &str) -> Result<Revenue, Flaw> {
    let (money, per) = text.split_once('/').ok_or(REVENUE)?;
    let per = match per.trim() {
        "call" => RevenuePer::Call,
        "day" => RevenuePer::Day,
        "month" => RevenuePer::Month,
        "year" => RevenuePer::Year,
        _ => return Err(REVENUE),
    };
    let amount = amount(money.trim()).map_err(|_| REVENUE)?;
    Ok(Revenue { amount, per })
}

/// `day`, `24h`.
pub(super) fn window(text: &str) -> Result<BudgetWindow, Flaw> {
    Ok(match text {
        "hour" => BudgetWindow::Hour,
        "day" => BudgetWindow::Day,
        "week" => BudgetWindow::Week,
        "month" => BudgetWindow::Month,
        "total" => BudgetWindow::Total,
        _ => {
            let span = parse::duration(text).map_err(|_| WINDOW)?;
            let whole = span.subsec_nanos() == 0;
            if !whole || span < Duration::from_mins(1) || span > LONGEST {
                return Err(ROLLING);
            }
            BudgetWindow::Rolling(span)
        }
    })
}

const LONGEST: Duration = Duration::from_hours(366 * 24);

/// `Europe/Berlin`. Whether there is such a zone is seen when the configuration is compiled.
pub(super) fn zone(text: &str) -> Result<ZoneName, Flaw> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
    let good = (1..=64).contains(&text.len()) && text.bytes().all(plain);
    good.then(|| ZoneName(text.into())).ok_or(ZONE)
}

/// `daily`.
pub(super) fn budget_name(text: &str) -> Result<BudgetName, Flaw> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let starts = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let good = starts && text.len() <= 64 && text.bytes().all(plain);
    good.then(|| BudgetName(text.into())).ok_or(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_dollars() {
        assert_eq!(amount("100 USD"), Ok(NanoUsd(100_000_000_000)));
        assert_eq!(amount("0.25USD"), Ok(NanoUsd(250_000_000)));
        for wrong in [
            "100",
            "USD",
            "100 EUR",
            "$100",
            "-1 USD",
            "1e3 USD",
            "0.0000000001 USD",
            "100 usd",
        ] {
            assert_eq!(amount(wrong), Err(AMOUNT), "{wrong}");
        }
    }

    #[test]
    fn revenue_is_money_for_something() {
        let month = Revenue {
            amount: NanoUsd(49_500_000_000),
            per: RevenuePer::Month,
        };
        assert_eq!(revenue("49.50 USD/month"), Ok(month));
        assert_eq!(revenue("49.50 USD / month"), Ok(month));
        for wrong in ["49 USD", "49/month", "49 USD/week", "49 EUR/day", "/day"] {
            assert_eq!(revenue(wrong), Err(REVENUE), "{wrong}");
        }
    }

    #[test]
    fn windows_are_words_or_durations() {
        assert_eq!(window("month"), Ok(BudgetWindow::Month));
        assert_eq!(
            window("24h"),
            Ok(BudgetWindow::Rolling(Duration::from_hours(24)))
        );
        assert_eq!(window("30s"), Err(ROLLING));
        assert_eq!(window("90500ms"), Err(ROLLING));
        assert_eq!(window("year"), Err(WINDOW));
    }

    #[test]
    fn names_are_plain() {
        assert!(zone("America/Argentina/Buenos_Aires").is_ok() && zone("Etc/GMT+5").is_ok());
        assert!(zone("").is_err() && zone("../etc/passwd").is_err());
        assert!(
            budget_name("daily.eu-1").is_ok()
                && budget_name("_x").is_err()
                && budget_name("").is_err()
        );
    }
}

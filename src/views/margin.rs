//! What tenants bring in, set against what they cost. Must never round in a tenant's favour, nor guess what a tenant brings
//! in of which nothing was said.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::costs::{Bill, usd};
use crate::config::money::{Revenue, RevenuePer};
use crate::units::{TenantId, Wall};

/// What each tenant brings in, as far as that was said.
pub type Revenues = BTreeMap<TenantId, Revenue>;

/// One tenant's margin. Amounts are nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// What it brought in.
    pub revenue: i128,
    /// What is left of that; below nothing if it cost more.
    pub left: i128,
    /// In a word.
    pub verdict: Verdict,
}

/// A margin in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At least a fifth of what it brought in is left.
    Profitable,
    /// Less is, but it did not cost more than it brought.
    Thin,
    /// It is to bring in nothing, on purpose.
    Subsidised,
    /// It cost more than it brought in.
    Loss,
}

impl Verdict {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profitable => "profitable",
            Self::Thin => "thin",
            Self::Subsidised => "subsidised",
            Self::Loss => "loss",
        }
    }
}

/// Of what a tenant brings in, one in so many is to be left.
const PART: i128 = 5;

impl Margin {
    /// Of what was brought in between two times, and what that came to.
    pub fn of(revenue: Revenue, (since, until): (Wall, Wall), bill: &Bill) -> Self {
        let brought = accrued(revenue, since, until, bill.calls);
        let left = brought - bill.total();
        let verdict = match left {
            _ if revenue.amount.0 == 0 => Verdict::Subsidised,
            ..0 => Verdict::Loss,
            _ if left * PART < brought => Verdict::Thin,
            _ => Verdict::Profitable,
        };
        Self {
            revenue: brought,
            left,
            verdict,
        }
    }

    pub(super) fn cells(margin: Option<&Self>) -> [String; 3] {
        margin.map_or_else(Default::default, |margin| {
            let word = margin.verdict.as_str().to_owned();
            [usd(margin.revenue), usd(margin.left), word]
        })
    }
}

/// The part of a time's revenue that is of a stretch of it; each calendar month or year rounds down by itself.
fn accrued(revenue: Revenue, since: Wall, until: Wall, calls: u64) -> i128 {
    let amount = u128::from(revenue.amount.0);
    let sum = match revenue.per {
        RevenuePer::Call => amount * u128::from(calls),
        RevenuePer::Day => amount * u128::from(until.0.saturating_sub(since.0)) / DAY_MS,
        RevenuePer::Month => by_calendar(amount, since, until, month),
        RevenuePer::Year => by_calendar(amount, since, until, year),
    };
    i128::try_from(sum).unwrap_or(i128::MAX)
}

const DAY_MS: u128 = 86_400_000;

fn by_calendar(
    amount: u128,
    since: Wall,
    until: Wall,
    around: impl Fn(Date) -> Option<(Date, Date)>,
) -> u128 {
    let mut sum = 0;
    let mut at = since;
    while at < until {
        // Beyond the calendar nobody pays.
        let Some((first, next)) = date(at).and_then(&around) else {
            break;
        };
        let (Some(begins), Some(ends)) = (midnight(first), midnight(next)) else {
            break;
        };
        let stop = ends.min(until.0);
        sum += amount * u128::from(stop.saturating_sub(at.0)) / u128::from(ends - begins);
        at = Wall(stop);
    }
    sum
}

fn month(of: Date) -> Option<(Date, Date)> {
    let next = of.last_of_month().tomorrow().ok()?;
    Some((of.first_of_month(), next))
}

fn year(of: Date) -> Option<(Date, Date)> {
    let next = of.last_of_year().tomorrow().ok()?;
    Some((of.first_of_year(), next))
}

fn date(at: Wall) -> Option<Date> {
    let millis = i64::try_from(at.0).ok()?;
    let at = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(TimeZone::UTC.to_datetime(at).date())
}

fn midnight(of: Date) -> Option<u64> {
    let at = TimeZone::UTC.to_timestamp(of.to_datetime(Time::midnight()));
    u64::try_from(at.ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NanoUsd;
    use crate::views::moment;

    fn at(text: &str) -> Wall {
        moment(text).unwrap()
    }

    fn revenue(dollars: u64, per: RevenuePer) -> Revenue {
        let amount = NanoUsd(dollars * 1_000_000_000);
        Revenue { amount, per }
    }

    #[test]
    fn a_stretch_of_time_brings_its_part() {
        use RevenuePer::{Call, Day, Month, Year};
        for (dollars, per, since, until, nano) in [
            (31, Month, "2025-01-01", "2025-02-01", 31_000_000_000),
            (31, Month, "2025-01-01", "2025-01-02", 1_000_000_000),
            (28, Month, "2025-01-31", "2025-02-02", 1_903_225_806),
            (366, Year, "2024-02-29", "2024-03-01", 1_000_000_000),
            (365, Year, "2024-12-31", "2025-01-02", 1_997_267_759),
            (2, Day, "2025-03-01", "2025-03-02T12:00:00Z", 3_000_000_000),
            (1, Call, "2025-03-01", "2025-03-01", 7_000_000_000),
            (1, Month, "2025-03-02", "2025-03-01", 0),
        ] {
            let brought = accrued(revenue(dollars, per), at(since), at(until), 7);
            assert_eq!(brought, nano, "{dollars} {per:?} {since} {until}");
        }
        let for_ever = accrued(revenue(1, Month), Wall(0), Wall(u64::MAX), 0);
        assert!(for_ever > 0, "it ends with the calendar");
    }

    #[test]
    fn the_word_follows_what_is_left() {
        let span = (at("2025-03-01"), at("2025-03-02"));
        for (dollars, cost, verdict) in [
            (10, 0, Verdict::Profitable),
            (10, 8_000_000_000, Verdict::Profitable),
            (10, 8_000_000_001, Verdict::Thin),
            (10, 10_000_000_000, Verdict::Thin),
            (10, 10_000_000_001, Verdict::Loss),
            (0, 0, Verdict::Subsidised),
            (0, 5, Verdict::Subsidised),
        ] {
            let bill = Bill {
                cost,
                ..Bill::default()
            };
            let margin = Margin::of(revenue(dollars, RevenuePer::Day), span, &bill);
            assert_eq!(margin.verdict, verdict, "{dollars} {cost}");
            assert_eq!(margin.left, margin.revenue - cost);
        }
    }
}

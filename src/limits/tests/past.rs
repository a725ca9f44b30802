//! What budgets know of the time before this process: what the record says, whatever the calendar was then, and what must be
//! presumed where it is lost.

use super::super::calendar::{Period, window};
use super::super::{BudgetSpec, OnLost, Scope};
use super::budgets::{HOUR, NOON, broke, budget, cents, claim, with};
use super::*;
use crate::units::{NanoUsd, Wall, WindowId};
use jiff::tz::TimeZone;
use std::time::Duration;

fn seconds(at: Wall) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap()
}

fn spent(account: &Account, at: Wall) -> NanoUsd {
    account.budgets(at)[0].spent
}

/// An account that remembers what was spent in windows of another calendar.
fn moved(before: (Period, &TimeZone), now: BudgetSpec, spent: &[(Wall, u64)]) -> Arc<Account> {
    let account = account(&with(vec![now]));
    for (at, amount) in spent {
        let start = window(before.0, before.1, *at).start;
        let of = WindowId::of("daily", "tenant", "", start);
        account.remember(of, cents(*amount), NanoUsd::ZERO);
    }
    account
}

#[test]
fn another_calendar_forgets_nothing_of_the_window_of_now() {
    let zones =
        ["UTC", "America/New_York", "Asia/Kolkata"].map(|name| TimeZone::get(name).unwrap());
    let yesterday = Wall(NOON.0 - 24 * HOUR);
    let an_hour_ago = Wall(NOON.0 - HOUR);
    let [utc, new_york, kolkata] = &zones;
    let in_zone = |zone: &TimeZone| BudgetSpec {
        zone: zone.clone(),
        ..budget("daily", cents(100), Period::Day)
    };
    for (from, to) in [
        (utc, new_york),
        (new_york, utc),
        (kolkata, utc),
        (utc, kolkata),
    ] {
        let account = moved((Period::Day, from), in_zone(to), &[(an_hour_ago, 30)]);
        assert_eq!(spent(&account, NOON), cents(30));
        let same = moved((Period::Day, from), in_zone(from), &[(yesterday, 30)]);
        assert_eq!(spent(&same, NOON), NanoUsd::ZERO);
    }
    // From days to a month: what was spent on its days.
    let monthly = budget("daily", cents(100), Period::Month(1));
    let account = moved(
        (Period::Day, utc),
        monthly,
        &[
            (yesterday, 30),
            (an_hour_ago, 4),
            (Wall(NOON.0 - 60 * 24 * HOUR), 50),
        ],
    );
    assert_eq!(spent(&account, NOON), cents(34));
}

#[test]
fn what_was_frozen_stays_frozen() {
    let freezes = Account::freezes("daily");
    let once = NanoUsd(1);
    for (frozen, thawed) in [(1, 0), (1, 1), (2, 1), (2, 2)] {
        let spec = with(vec![budget("daily", cents(10), Period::Day)]);
        let account = account(&spec);
        for _ in 0..frozen {
            account.remember(freezes, once, NanoUsd::ZERO);
        }
        for _ in 0..thawed {
            account.remember(freezes, NanoUsd::ZERO, once);
        }
        assert_eq!(account.budgets(NOON)[0].frozen, frozen > thawed);
        assert_eq!(spent(&account, NOON), NanoUsd::ZERO);
    }
    // Also of a budget that comes later.
    let account = account(&with(Vec::new()));
    account.remember(freezes, once, NanoUsd::ZERO);
    account.resize(&with(vec![budget("daily", cents(10), Period::Day)]), START);
    assert!(broke(account.reserve(START, claim(cents(1), NOON))).frozen);
}

fn lost(period: Period, on_lost: OnLost, until: Wall) -> Arc<Account> {
    let spec = BudgetSpec {
        on_lost,
        ..budget("daily", cents(2_400), period)
    };
    let account = account(&with(vec![spec]));
    account.lose(Some(until));
    account
}

#[test]
fn where_the_record_is_lost_there_is_what_was_chosen() {
    let full = lost(Period::Day, OnLost::Full, NOON);
    assert!(full.reserve(START, claim(cents(2_400), NOON)).is_ok());

    let none = lost(Period::Day, OnLost::Refuse, NOON);
    let found = broke(none.reserve(START, claim(NanoUsd(1), NOON)));
    assert!(found.lost && found.resets.is_none() && found.left() == NanoUsd::ZERO);
    assert!(none.budgets(NOON)[0].lost);
    let tomorrow = Wall(NOON.0 + 24 * HOUR);
    assert!(
        none.reserve(START, claim(NanoUsd(1), tomorrow)).is_err(),
        "until it is acknowledged"
    );
    none.lose(None);
    assert!(none.reserve(START, claim(cents(2_400), tomorrow)).is_ok());

    // Half of the day is left at noon.
    let half = lost(Period::Day, OnLost::Fraction, NOON);
    assert_eq!(spent(&half, NOON), cents(1_200));
    assert_eq!(spent(&half, tomorrow), NanoUsd::ZERO);
    // Whoever asks first in a later window finds it whole.
    let later = lost(Period::Day, OnLost::Fraction, NOON);
    assert_eq!(spent(&later, tomorrow), NanoUsd::ZERO);

    let total = lost(Period::Total, OnLost::Fraction, NOON);
    assert!(total.reserve(START, claim(NanoUsd(1), NOON)).is_err());
    assert!(total.top_up("daily", "", cents(5), NOON));
    assert!(total.reserve(START, claim(cents(5), NOON)).is_ok());
}

#[test]
fn a_rolling_budget_that_is_lost_comes_back_evenly() {
    let day = Period::Rolling(Duration::from_hours(24));
    let account = lost(day, OnLost::Fraction, NOON);
    assert_eq!(spent(&account, NOON), cents(2_400));
    for hours in [6, 12, 18] {
        let at = Wall(NOON.0 + hours * HOUR);
        let gone = cents(100 * hours);
        let left = cents(2_400).minus(spent(&account, at));
        // A sixtieth of a day is 24 minutes, and what is partly within counts whole.
        assert!(
            left <= gone && left.plus(cents(80)) >= gone,
            "{hours}: {left}"
        );
    }
    assert_eq!(spent(&account, Wall(NOON.0 + 25 * HOUR)), NanoUsd::ZERO);
}

#[test]
fn what_is_spent_after_a_loss_adds_to_what_is_presumed() {
    let account = lost(Period::Day, OnLost::Fraction, NOON);
    let midnight = window(Period::Day, &TimeZone::UTC, NOON).start;
    assert_eq!(midnight, seconds(NOON) - 12 * 3_600);
    account.remember(
        WindowId::of("daily", Scope::Tenant.as_str(), "", midnight),
        cents(100),
        NanoUsd::ZERO,
    );
    assert_eq!(spent(&account, Wall(NOON.0 + HOUR)), cents(1_300));
}

//! Windows by the calendars of zones that are awkward in different ways. Expected instants are worked out by hand from
//! the zones' published transitions, in UTC.

use super::super::calendar::{Period, Window, window};
use super::schedules::unrecorded;
use crate::units::Wall;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::time::Duration;

fn instant(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn wall(second: i64) -> Wall {
    Wall(u64::try_from(second).unwrap() * 1_000)
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// At `at`, in `name`'s zone, the window is from `start` to `end`.
#[track_caller]
fn is(period: Period, name: &str, at: &str, start: &str, end: &str) {
    let found = window(period, &zone(name), wall(instant(at)));
    let shown = |second| Timestamp::from_second(second).unwrap().to_string();
    assert_eq!(
        (shown(found.start), shown(found.end)),
        (start.to_owned(), end.to_owned()),
        "{period:?} in {name} at {at}"
    );
}

#[test]
fn a_day_is_as_long_as_the_zone_says() {
    use Period::Day;
    // Berlin: 25 hours on 2026-10-25, 23 on 2026-03-29.
    is(
        Day,
        "Europe/Berlin",
        "2026-10-25T12:00:00Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z",
    );
    is(
        Day,
        "Europe/Berlin",
        "2026-03-29T12:00:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
    );
    is(
        Day,
        "Europe/Berlin",
        "2026-03-28T22:59:59Z",
        "2026-03-27T23:00:00Z",
        "2026-03-28T23:00:00Z",
    );
    is(
        Day,
        "Europe/Berlin",
        "2026-03-28T23:00:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
    );
    // New York: 2026-03-08 and 2026-11-01.
    is(
        Day,
        "America/New_York",
        "2026-03-08T20:00:00Z",
        "2026-03-08T05:00:00Z",
        "2026-03-09T04:00:00Z",
    );
    is(
        Day,
        "America/New_York",
        "2026-11-01T20:00:00Z",
        "2026-11-01T04:00:00Z",
        "2026-11-02T05:00:00Z",
    );
}

#[test]
fn a_day_of_an_odd_zone_is_as_long_as_that_says() {
    use Period::Day;
    // Lord Howe moves by half an hour: 2026-04-05 from +11 to +10:30, 2026-10-04 back.
    is(
        Day,
        "Australia/Lord_Howe",
        "2026-04-05T00:00:00Z",
        "2026-04-04T13:00:00Z",
        "2026-04-05T13:30:00Z",
    );
    is(
        Day,
        "Australia/Lord_Howe",
        "2026-10-04T00:00:00Z",
        "2026-10-03T13:30:00Z",
        "2026-10-04T13:00:00Z",
    );
    // Kolkata never moves, and stands half an hour off.
    is(
        Day,
        "Asia/Kolkata",
        "2026-11-24T18:29:59Z",
        "2026-11-23T18:30:00Z",
        "2026-11-24T18:30:00Z",
    );
    is(
        Day,
        "Asia/Kolkata",
        "2026-11-24T18:30:00Z",
        "2026-11-24T18:30:00Z",
        "2026-11-25T18:30:00Z",
    );
    // Sao Paulo skipped midnight itself, 2018-11-04: the day began at 01:00.
    is(
        Day,
        "America/Sao_Paulo",
        "2018-11-04T12:00:00Z",
        "2018-11-04T03:00:00Z",
        "2018-11-05T02:00:00Z",
    );
    // And had the hour before midnight twice, 2018-02-17: that day had 25.
    is(
        Day,
        "America/Sao_Paulo",
        "2018-02-18T02:30:00Z",
        "2018-02-17T02:00:00Z",
        "2018-02-18T03:00:00Z",
    );
    // Apia had no 2011-12-30.
    is(
        Day,
        "Pacific/Apia",
        "2011-12-30T09:59:59Z",
        "2011-12-29T10:00:00Z",
        "2011-12-30T10:00:00Z",
    );
    is(
        Day,
        "Pacific/Apia",
        "2011-12-30T10:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-31T10:00:00Z",
    );
}

#[test]
fn a_week_begins_on_monday() {
    use Period::Week;
    is(
        Week,
        "UTC",
        "2026-11-24T12:00:00Z",
        "2026-11-23T00:00:00Z",
        "2026-11-30T00:00:00Z",
    );
    is(
        Week,
        "UTC",
        "2026-11-23T00:00:00Z",
        "2026-11-23T00:00:00Z",
        "2026-11-30T00:00:00Z",
    );
    is(
        Week,
        "UTC",
        "2026-11-22T23:59:59Z",
        "2026-11-16T00:00:00Z",
        "2026-11-23T00:00:00Z",
    );
    // The week in which Berlin's clocks go back has 169 hours.
    is(
        Week,
        "Europe/Berlin",
        "2026-10-25T12:00:00Z",
        "2026-10-18T22:00:00Z",
        "2026-10-25T23:00:00Z",
    );
    is(
        Week,
        "Asia/Kolkata",
        "2026-01-01T00:00:00Z",
        "2025-12-28T18:30:00Z",
        "2026-01-04T18:30:00Z",
    );
}

#[test]
fn a_month_ends_where_it_ends() {
    use Period::Month;
    is(
        Month(1),
        "UTC",
        "2026-02-28T23:59:59Z",
        "2026-02-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
    );
    is(
        Month(1),
        "UTC",
        "2028-02-29T12:00:00Z",
        "2028-02-01T00:00:00Z",
        "2028-03-01T00:00:00Z",
    );
    is(
        Month(1),
        "America/New_York",
        "2026-03-01T04:59:59Z",
        "2026-02-01T05:00:00Z",
        "2026-03-01T05:00:00Z",
    );
    is(
        Month(1),
        "America/New_York",
        "2026-03-20T00:00:00Z",
        "2026-03-01T05:00:00Z",
        "2026-04-01T04:00:00Z",
    );
    // From the 31st: where a month has none, from its last day.
    is(
        Month(31),
        "UTC",
        "2026-02-15T00:00:00Z",
        "2026-01-31T00:00:00Z",
        "2026-02-28T00:00:00Z",
    );
    is(
        Month(31),
        "UTC",
        "2026-02-28T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
    );
    is(
        Month(31),
        "UTC",
        "2028-02-29T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2028-03-31T00:00:00Z",
    );
    is(
        Month(31),
        "UTC",
        "2026-04-30T12:00:00Z",
        "2026-04-30T00:00:00Z",
        "2026-05-31T00:00:00Z",
    );
    is(
        Month(15),
        "Europe/Berlin",
        "2026-03-30T00:00:00Z",
        "2026-03-14T23:00:00Z",
        "2026-04-14T22:00:00Z",
    );
    is(
        Month(15),
        "UTC",
        "2026-12-20T00:00:00Z",
        "2026-12-15T00:00:00Z",
        "2027-01-15T00:00:00Z",
    );
    is(
        Month(15),
        "UTC",
        "2026-01-14T23:59:59Z",
        "2025-12-15T00:00:00Z",
        "2026-01-15T00:00:00Z",
    );
}

#[test]
fn an_hour_is_never_longer_than_one() {
    use Period::Hour;
    is(
        Hour,
        "UTC",
        "2026-11-24T12:34:56Z",
        "2026-11-24T12:00:00Z",
        "2026-11-24T13:00:00Z",
    );
    // On Kolkata's clocks the hour begins at half past of UTC.
    is(
        Hour,
        "Asia/Kolkata",
        "2026-11-24T12:34:56Z",
        "2026-11-24T12:30:00Z",
        "2026-11-24T13:30:00Z",
    );
    // Berlin's hour from two to three, twice.
    is(
        Hour,
        "Europe/Berlin",
        "2026-10-25T00:59:59Z",
        "2026-10-25T00:00:00Z",
        "2026-10-25T01:00:00Z",
    );
    is(
        Hour,
        "Europe/Berlin",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T02:00:00Z",
    );
    // Lord Howe's clocks go from 02:00 back to 01:30: an hour, and half of it once more.
    is(
        Hour,
        "Australia/Lord_Howe",
        "2026-04-04T14:30:00Z",
        "2026-04-04T14:00:00Z",
        "2026-04-04T15:00:00Z",
    );
    is(
        Hour,
        "Australia/Lord_Howe",
        "2026-04-04T15:10:00Z",
        "2026-04-04T15:00:00Z",
        "2026-04-04T15:30:00Z",
    );
    // And from 02:00 on to 02:30: half an hour.
    is(
        Hour,
        "Australia/Lord_Howe",
        "2026-10-03T15:40:00Z",
        "2026-10-03T15:30:00Z",
        "2026-10-03T16:00:00Z",
    );
}

#[test]
fn what_has_no_calendar_is_one_window() {
    let end = |period| {
        window(
            period,
            &TimeZone::UTC,
            wall(instant("2026-11-24T12:00:00Z")),
        )
        .end
    };
    assert_eq!(end(Period::Total), Window::NEVER);
    let rolling = Period::Rolling(Duration::from_hours(1));
    is(
        rolling,
        "UTC",
        "2026-11-24T12:00:59Z",
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:01:00Z",
    );
    // Beyond the calendar nothing panics, and nothing begins anew.
    for period in [Period::Hour, Period::Day, Period::Week, Period::Month(31)] {
        assert_eq!(
            window(period, &zone("Europe/Berlin"), Wall(u64::MAX)).end,
            Window::NEVER
        );
    }
}

fn any_period() -> impl Strategy<Value = Period> {
    prop_oneof![
        Just(Period::Hour),
        Just(Period::Day),
        Just(Period::Week),
        (1_i8..=31).prop_map(Period::Month),
        (60_u64..1_000_000).prop_map(|span| Period::Rolling(Duration::from_secs(span))),
    ]
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
];

proptest! {
    #![proptest_config(unrecorded())]

    /// Windows partition time: each holds the moment it was asked for, and the next begins where it ends.
    #[test]
    fn windows_follow_one_another(period in any_period(), name in 0..ZONES.len(), second in 0_i64..4_102_444_800) {
        let zone = zone(ZONES[name]);
        let here = window(period, &zone, wall(second));
        prop_assert!(here.start <= second && second < here.end);
        prop_assert_eq!(window(period, &zone, wall(here.end - 1)), here);
        prop_assert_eq!(window(period, &zone, wall(here.end)).start, here.end);
        if here.start >= 0 {
            prop_assert_eq!(window(period, &zone, wall(here.start)), here);
        }
    }
}

//! When the window of a budget begins and ends, by the calendar of a time zone. Pure: the zone's rules are a value, the
//! time is passed in. Must never move a boundary that was worked out once: windows partition time, whatever clocks on
//! walls do.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::units::Wall;

/// How long a budget lasts before it begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From one full hour to the next, on the zone's clocks.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From this day of the month (1 to 31; the last one where a month has none) to the next.
    Month(i8),
    /// For ever.
    Total,
    /// The time just past, at any moment; what was spent falls out of it in sixtieths.
    Rolling(Duration),
}

impl Period {
    /// How the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month(_) => "month",
            Self::Total => "total",
            Self::Rolling(_) => "rolling",
        }
    }
}

/// A stretch of time, in seconds of the Unix epoch: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its first second.
    pub start: i64,
    /// The first second after it; [`Window::NEVER`] if there is none.
    pub end: i64,
}

impl Window {
    /// The end of what does not end.
    pub const NEVER: i64 = i64::MAX;

    /// All time.
    pub const ALWAYS: Self = Self {
        start: 0,
        end: Self::NEVER,
    };

    /// When it ends, if it does.
    pub fn resets(self) -> Option<Wall> {
        let end = (self.end != Self::NEVER).then_some(self.end)?;
        Some(Wall(u64::try_from(end).ok()?.saturating_mul(1_000)))
    }
}

/// Whole seconds of the Unix epoch.
pub(super) fn seconds(at: Wall) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
}

/// The window that holds `at`. What lies beyond the calendar (the year 9999) is one long window.
pub fn window(period: Period, zone: &TimeZone, at: Wall) -> Window {
    let second = seconds(at);
    let found = match period {
        Period::Total => Some(Window::ALWAYS),
        Period::Rolling(span) => Some(sixtieth(span, second)),
        Period::Hour => hour(zone, second),
        Period::Day => days(zone, second, |today| Some((today, today.tomorrow().ok()?))),
        Period::Week => days(zone, second, week),
        Period::Month(day) => days(zone, second, |today| month(today, day)),
    };
    found.unwrap_or(Window {
        start: second,
        end: Window::NEVER,
    })
}

/// The part of a rolling window that holds `second`; sixty of them are the window.
fn sixtieth(span: Duration, second: i64) -> Window {
    let width = i64::try_from(span.as_secs() / 60)
        .unwrap_or(i64::MAX)
        .max(1);
    let start = second - second.rem_euclid(width);
    Window {
        start,
        end: start.saturating_add(width),
    }
}

/// An hour of the zone's clocks. Where clocks are set to another time within it, it is cut there, so that the two
/// parts are two windows and none is ever longer than an hour.
fn hour(zone: &TimeZone, second: i64) -> Option<Window> {
    let at = Timestamp::from_second(second).ok()?;
    let clock = zone.to_datetime(at);
    let into = i64::from(clock.minute()) * 60 + i64::from(clock.second());
    let before_next = at.checked_add(Span::new().nanoseconds(1)).ok()?;
    let changed = zone.preceding(before_next).next();
    let changes = zone.following(at).next();
    let start = second - into;
    let end = start + 3_600;
    Some(Window {
        start: changed.map_or(start, |change| start.max(change.timestamp().as_second())),
        end: changes.map_or(end, |change| end.min(change.timestamp().as_second())),
    })
}

/// The window between the starts of two days, which `of` finds for the day that holds `second`.
fn days(
    zone: &TimeZone,
    second: i64,
    of: impl FnOnce(Date) -> Option<(Date, Date)>,
) -> Option<Window> {
    let at = Timestamp::from_second(second).ok()?;
    let (first, next) = of(zone.to_datetime(at).date())?;
    // A midnight that clocks skip is the moment they skip to; of two, the first.
    let begins = |date: Date| {
        let midnight = date.to_datetime(Time::midnight());
        Some(zone.to_timestamp(midnight).ok()?.as_second())
    };
    Some(Window {
        start: begins(first)?,
        end: begins(next)?,
    })
}

fn week(today: Date) -> Option<(Date, Date)> {
    let since = today.weekday().since(Weekday::Monday);
    let monday = today.checked_sub(Span::new().days(since)).ok()?;
    Some((monday, monday.checked_add(Span::new().days(7)).ok()?))
}

fn month(today: Date, day: i8) -> Option<(Date, Date)> {
    let boundary = |of: Date| {
        let last = of.days_in_month();
        Date::new(of.year(), of.month(), day.clamp(1, last)).ok()
    };
    let first_of_month = today.first_of_month();
    let one = Span::new().months(1);
    let here = boundary(first_of_month)?;
    let from = if today >= here {
        first_of_month
    } else {
        first_of_month.checked_sub(one).ok()?
    };
    Some((boundary(from)?, boundary(from.checked_add(one).ok()?)?))
}

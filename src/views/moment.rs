//! Points in time as people write them. Must never guess a zone: without one, it is UTC.

use crate::units::Wall;

/// A date (`2026-11-24`, its midnight in UTC) or a time of RFC 3339 (`2026-11-24T09:00:00+01:00`).
///
/// # Errors
/// It is neither, or before 1970.
pub fn moment(text: &str) -> Result<Wall, &'static str> {
    const HINT: &str =
        "use a date (`2026-11-24`), a time (`2026-11-24T09:00:00Z`) or how long ago (`24h`)";
    let at = text.parse::<jiff::Timestamp>().or_else(|_| {
        let date = text.parse::<jiff::civil::Date>()?;
        format!("{date}T00:00:00Z").parse()
    });
    let millis = at.map_err(|_| HINT)?.as_millisecond();
    u64::try_from(millis).map(Wall).map_err(|_| HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_and_nothing_else() {
        assert_eq!(moment("1970-01-02"), Ok(Wall(86_400_000)));
        assert_eq!(moment("1970-01-02T01:00:00+01:00"), Ok(Wall(86_400_000)));
        for wrong in ["", "tomorrow", "1969-12-31", "2026-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}

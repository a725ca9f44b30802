//! Points in time as values. The clock itself is injected (`host/` has the real one), so that limits,
//! transcripts and tests decide what time it is. Must never read a clock.

use std::time::Duration;

use super::digits::pair;

/// Nanoseconds on a monotonic clock that counts suspend too (`CLOCK_BOOTTIME`). Rates run on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boot(pub u64);

impl Boot {
    /// The time passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This point, moved forward; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Milliseconds since the Unix epoch, UTC. For logs and ids only; never for rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

impl Wall {
    /// Appends RFC 3339 in UTC with milliseconds: `2026-11-24T13:01:02.007Z`.
    pub fn rfc3339(self, out: &mut Vec<u8>) {
        let [tens, ones] = pair(self.0 % 100);
        let [_, hundreds] = pair(self.0 % 1000 / 100);
        out.extend_from_slice(&self.seconds());
        out.extend_from_slice(&[b'.', hundreds, tens, ones, b'Z']);
    }

    /// RFC 3339 in UTC, in whole seconds: `2026-11-24T13:01:02Z`.
    pub fn rfc3339_seconds(self) -> String {
        let mut out = Vec::with_capacity(20);
        self.write_seconds(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends RFC 3339 in UTC, in whole seconds.
    pub fn write_seconds(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seconds());
        out.push(b'Z');
    }

    /// The date and time of day, by the civil-from-days reckoning of the proleptic Gregorian calendar.
    fn seconds(self) -> [u8; 19] {
        let seconds = self.0 / 1000;
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years begin in March here, so that the leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = *b"0000-00-00T00:00:00";
        for (at, value) in [
            (0, year / 100),
            (2, year),
            (5, month),
            (8, day),
            (11, hour),
            (14, minute),
            (17, second),
        ] {
            text[at..at + 2].copy_from_slice(&pair(value));
        }
        text
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Now, monotonic.
    fn boot(&self) -> Boot;
    /// Now, on the wall.
    fn wall(&self) -> Wall;
}

#[cfg(test)]
mod tests {
    use super::Wall;

    #[test]
    fn times_are_rfc3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut out = Vec::new();
            Wall(millis).rfc3339(&mut out);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
            assert_eq!(
                Wall(millis).rfc3339_seconds(),
                format!("{}Z", &expected[..19])
            );
        }
    }
}

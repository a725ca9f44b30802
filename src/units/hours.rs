//! Hours of the week at which prices differ. They are of UTC, as the providers that have them count.
//! Must never read a clock.

use super::Wall;

/// Stretches of the week, in minutes from Monday 00:00 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours(Vec<(u16, u16)>);

const DAY: u16 = 24 * 60;
const WEEK: u64 = 7 * 24 * 60;
/// The epoch was a Thursday.
const EPOCH_DAY: u64 = 3 * 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    /// Adds what a text such as `mon-fri 00:00-01:00` names; the end is not part of it, and `24:00` is the day's.
    /// `None` if the text names nothing.
    pub fn add(&mut self, text: &str) -> Option<()> {
        let (days, hours) = text.split_once(' ')?;
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = hours.split_once('-')?;
        let (first, last) = (day(first)?, day(last)?);
        let (from, to) = (minute(from)?, minute(to)?);
        if first > last || from >= to {
            return None;
        }
        let stretches = (first..=last).map(|day| (day * DAY + from, day * DAY + to));
        self.0.extend(stretches);
        Some(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a point in time is in them.
    pub fn cover(&self, at: Wall) -> bool {
        let minute = (at.0 / 60_000).wrapping_add(EPOCH_DAY) % WEEK;
        let mut stretches = self.0.iter();
        stretches.any(|&(from, to)| (u64::from(from)..u64::from(to)).contains(&minute))
    }
}

fn day(name: &str) -> Option<u16> {
    let at = DAYS.iter().position(|known| *known == name)?;
    u16::try_from(at).ok()
}

/// `hh:mm`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| digits.parse::<u16>().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

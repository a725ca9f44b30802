//! How much is logged: what the configuration says, and what an operator wants for a while instead.
//! Must never forget to fall back: a sidecar left at `debug` fills a disk.

use std::time::Duration;

use tokio::time::Instant;

use super::logging::Levels;
use crate::config::values::LogLevel;
use crate::process::{ProcessEvent, tell};

/// The level that holds, and until when.
pub struct LevelKeeper {
    levels: Levels,
    configured: LogLevel,
    wanted: Option<(LogLevel, Instant)>,
}

/// How long a wish holds if it does not say.
pub const A_WHILE: Duration = Duration::from_mins(10);

/// How long it may hold at most; a longer one belongs into the configuration.
const LONGEST: Duration = Duration::from_hours(24);

impl LevelKeeper {
    pub(super) fn new(levels: Levels, configured: LogLevel) -> Self {
        levels.set(configured);
        Self {
            levels,
            configured,
            wanted: None,
        }
    }

    /// The level that holds.
    pub fn level(&self) -> LogLevel {
        self.wanted.map_or(self.configured, |(level, _)| level)
    }

    /// What the configuration says.
    pub fn configured(&self) -> LogLevel {
        self.configured
    }

    /// When it falls back, if it does.
    pub fn until(&self) -> Option<Instant> {
        self.wanted.map(|(_, until)| until)
    }

    /// From now on this much, for so long. Told while both levels may tell it.
    pub fn want(&mut self, level: LogLevel, span: Option<Duration>) {
        let span = span.unwrap_or(A_WHILE).min(LONGEST);
        self.wanted = Some((level, Instant::now() + span));
        self.levels.set(level);
        self.told();
    }

    /// The while is over.
    pub fn fall_back(&mut self) {
        if self.wanted.take().is_some() {
            self.told();
            self.levels.set(self.configured);
        }
    }

    /// The configuration may say something else now.
    pub fn configure(&mut self, configured: LogLevel) {
        if std::mem::replace(&mut self.configured, configured) != configured
            && self.wanted.is_none()
        {
            self.levels.set(configured);
        }
    }

    fn told(&self) {
        tell(ProcessEvent::LogLevel {
            level: self.level().as_str(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wish_ends_and_a_reload_does_not_end_it() {
        let mut keeper = LevelKeeper::new(Levels::none(), LogLevel::Info);
        keeper.want(LogLevel::Debug, Some(Duration::from_mins(1)));
        keeper.configure(LogLevel::Warn);
        assert_eq!(keeper.level(), LogLevel::Debug);
        let left = keeper.until().unwrap() - Instant::now();
        assert_eq!(left, Duration::from_mins(1));
        keeper.fall_back();
        assert_eq!(keeper.level(), LogLevel::Warn);
        assert_eq!(keeper.until(), None);
        keeper.want(LogLevel::Error, Some(Duration::MAX));
        let left = keeper.until().unwrap() - Instant::now();
        assert_eq!(left, LONGEST);
    }
}

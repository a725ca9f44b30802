//! What a door knows of a caller that hung up before there was an answer to drop: whether its trip goes on alone, and what
//! is to be recorded if that trip ends without a word of its own. Must never be set on a connection that serves on.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::units::HungUp;

/// One word: the outcome's place in [`HungUp::ALL`], counted from one, and whether the trip goes on. Relaxed throughout: it is
/// alone, and who reads it has been handed the trip by who wrote it.
#[derive(Debug, Default)]
pub(super) struct Gone(AtomicU8);

const ALONE: u8 = 1 << 7;

impl Gone {
    /// The trip goes on without its caller.
    pub(super) fn goes_on(&self) {
        self.0.fetch_or(ALONE, Ordering::Relaxed);
    }

    /// Whether it does.
    pub(super) fn is_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ALONE != 0
    }

    /// If the trip ends now, this has become of it.
    pub(super) fn notes(&self, outcome: HungUp) {
        let place = HungUp::ALL.iter().position(|known| *known == outcome);
        let place = place.map_or(0, |place| place + 1);
        let alone = self.0.load(Ordering::Relaxed) & ALONE;
        let word = alone | u8::try_from(place).unwrap_or_default();
        self.0.store(word, Ordering::Relaxed);
    }

    /// What has become of it, where that was noted.
    pub(super) fn outcome(&self) -> Option<HungUp> {
        let place = usize::from(self.0.load(Ordering::Relaxed) & !ALONE);
        HungUp::ALL.get(place.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Gone;
    use crate::units::HungUp;

    #[test]
    fn what_was_noted_last_is_known_and_whether_it_goes_on() {
        let gone = Gone::default();
        assert_eq!((gone.outcome(), gone.is_alone()), (None, false));
        for outcome in HungUp::ALL {
            gone.notes(outcome);
            assert_eq!((gone.outcome(), gone.is_alone()), (Some(outcome), false));
        }
        gone.goes_on();
        gone.notes(HungUp::TimedOut);
        assert_eq!(
            (gone.outcome(), gone.is_alone()),
            (Some(HungUp::TimedOut), true)
        );
    }
}

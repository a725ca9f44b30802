//! Where the model ran, as far as the policy cares: the answer's own word is waited for and compared, once.
//! Must never take silence for the right place.

use crate::meters::Stray;
use crate::snapshot::GeoRules;
use crate::spine::{Line, name};

/// What is known of the place.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// The policy does not care, or the answer has said that it was the right one.
    #[default]
    Fine,
    /// The answer must say it.
    Awaited,
    /// The answer names one that is not allowed.
    Elsewhere(Box<str>),
    /// The answer is over and named none.
    Untold,
}

impl Place {
    /// Takes what the answer has said so far; true when that has just shown the wrong place.
    pub(super) fn hears(&mut self, said: Option<&str>, rules: Option<&GeoRules>) -> bool {
        let (Self::Awaited, Some(said), Some(rules)) = (&*self, said, rules) else {
            return false;
        };
        if rules.allows(said) {
            *self = Self::Fine;
            return false;
        }
        *self = Self::Elsewhere(super::words::clip(said));
        true
    }

    /// The answer is over; `whole` if it had the chance to say everything.
    pub(super) fn closes(&mut self, whole: bool) -> Option<Stray> {
        if matches!(self, Self::Awaited) && whole {
            *self = Self::Untold;
        }
        match self {
            Self::Fine | Self::Awaited => None,
            Self::Elsewhere(_) => Some(Stray::Elsewhere),
            Self::Untold => Some(Stray::Untold),
        }
    }

    /// Its member of the request line.
    pub(super) fn tell(&self, line: &mut Line<'_>) {
        match self {
            Self::Fine | Self::Awaited => {}
            Self::Elsewhere(place) => line.text(name!("inference_geo"), place),
            Self::Untold => line.word(name!("inference_geo"), "untold"),
        }
    }
}

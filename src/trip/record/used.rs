//! What a trip used, as far as can be told at its end. Must never call an estimate a report.

use super::Run;
use crate::trip::forward::is_metered;
use crate::units::{Counted, Endpoint, Usage};

impl Run {
    /// What was used. An answer of another kind than success, or without tokens, used none; a request that
    /// left and was never answered is taken to have been read.
    pub(super) fn usage(&self) -> Option<Counted<Usage>> {
        match self.hung_up {
            None => self.counted(),
            Some(how) => self.not_heard_out(how),
        }
    }

    /// The same, whoever was there to hear it.
    pub(super) fn counted(&self) -> Option<Counted<Usage>> {
        let input = self.question.input_estimate;
        if self.answer.head_at.is_none() && self.sent.bytes() > 0 && input > 0 {
            return Some(Counted::Estimated(Usage {
                input,
                ..Usage::default()
            }));
        }
        if let Some(meter) = &self.answer.meter {
            return Some(meter.usage(input));
        }
        let succeeded = self.answer.status.is_some_and(|status| status.is_success());
        (succeeded && is_metered(self.endpoint)).then(|| self.unreadable(input))
    }

    /// What an answer is taken to have used that came compressed although it was asked not to.
    fn unreadable(&self, input: u64) -> Counted<Usage> {
        // Compressed text has about two bytes a token; vectors are no output.
        let output = if self.endpoint == Endpoint::Embeddings {
            0
        } else {
            self.answer.bytes.saturating_add(self.answer.unheard) / 2
        };
        Counted::Estimated(Usage {
            input,
            output,
            ..Usage::default()
        })
    }
}

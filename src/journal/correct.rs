//! Corrections: what a call came to after all, by a record of its own. Must never change a record that is written.

use std::sync::Arc;

use super::book::{Book, Obstacle, Record};
use super::error::Refused;
use super::format::{Flags, Kind};
use super::waiting::Written;

impl Book {
    /// Writes that a call came to more, or less, than its end says; `None` if the book has no such record.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn correct(
        self: &Arc<Self>,
        about: u64,
        flags: Flags,
        record: Record<'_>,
    ) -> Result<Option<Written>, Refused> {
        let mut pages = self.pages();
        if about == 0 || about > pages.last().0 {
            return Ok(None);
        }
        match self.enter(&mut pages, Kind::Adjust, flags, about, record, 0) {
            Ok(seq) => {
                let (mode, joins) = (pages.terms().mode, pages.join());
                drop(pages);
                self.shared.queue(self, joins, mode);
                Ok(Some(Written::new(self, seq, mode)))
            }
            Err(Obstacle::Moment(why) | Obstacle::Refused(why)) => Err(why),
        }
    }
}

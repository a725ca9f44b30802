//! Floor 2: what a call costs. A [`Book`] finds the [`Rates`] of a model, and rates turn a usage into a [`Cost`], or
//! into the most that a call can cost. Must never read a file, a clock or a float, and never round twice.

mod bill;
mod book;
mod parts;
mod rates;

pub use bill::{Bill, Cost, Terms};
pub use book::{Basis, Book, BookBuilder, Priced, ProviderId, Unknown};
pub use rates::{Asked, Draft, Factor, LongDraft, PriceList, Rates, TierSet, Times};

#[cfg(test)]
mod tests;

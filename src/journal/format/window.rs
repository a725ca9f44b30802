//! The windows that amounts count in. Must never know how long one is: that is the budget's.

use crate::units::{NanoUsd, WindowId};

/// A window and its amount, in a frame: the budget, the beginning, the amount, eight bytes each.
pub(super) const WINDOW_BYTES: usize = 24;

pub(super) fn write_window(window: WindowId, amount: NanoUsd, out: &mut Vec<u8>) {
    out.extend_from_slice(&window.budget.to_le_bytes());
    out.extend_from_slice(&window.start.to_le_bytes());
    out.extend_from_slice(&amount.0.to_le_bytes());
}

/// What [`write_window`] wrote.
pub(super) fn read_window(entry: &[u8; WINDOW_BYTES]) -> (WindowId, NanoUsd) {
    let window = WindowId {
        budget: u64::from_le_bytes(super::frame::array(entry, 0)),
        start: i64::from_le_bytes(super::frame::array(entry, 8)),
    };
    (
        window,
        NanoUsd(u64::from_le_bytes(super::frame::array(entry, 16))),
    )
}

/// The windows of a frame, in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows<'a>(&'a [u8]);

impl<'a> Windows<'a> {
    /// Over bytes as [`WindowId`]s are written.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Each window with its amount.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (WindowId, NanoUsd)> + 'a {
        let (entries, _) = self.0.as_chunks::<WINDOW_BYTES>();
        entries.iter().map(read_window)
    }
}

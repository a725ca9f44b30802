//! The files as bytes: frames, segments, seals, checkpoints; `FORMAT.md` beside this room draws them. Pure and fuzzed.
//! Must never do IO, and never write what it would not read.

pub mod checkpoint;
pub mod crc;
pub mod frame;
pub mod fuzz;
pub mod scan;
pub mod seal;
pub mod segment;
pub mod window;

#[cfg(test)]
mod tests;

pub use crate::units::WindowId;
pub use checkpoint::{CheckpointLine, Mark};
pub use frame::{
    Chain, Fault, Flags, Frame, Head, InTheClear, Kind, MOST_WINDOWS, Sealing, TAG_BYTES,
    TenantNumber, compose, frame_bytes, hash,
};
pub use scan::{Found, Scan};
pub use seal::{Held, Seal, TenantSum};
pub use segment::{BootId, JournalId, SegmentHead};

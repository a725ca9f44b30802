//! The head of a segment: which one it is, whose, and of which start. Must never be written twice.

use super::crc::crc32c;
use super::frame::{Chain, TenantNumber, array, hash};
use crate::units::Wall;

/// The journal a file belongs to: the first bytes of the hash of its public key, so that a file of another is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId(pub [u8; 16]);

impl JournalId {
    /// Of the journal that this key signs for.
    pub fn of(public_key: &[u8]) -> Self {
        Self(array(&hash(public_key).0, 0))
    }

    /// What a tenant's first record is chained to.
    pub fn genesis(self, tenant: TenantNumber) -> Chain {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..].copy_from_slice(&tenant.0.to_le_bytes());
        hash(&bytes)
    }
}

/// One life of the process: random. Keys are made from it, so that no key ever seals two records of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Counted from 1 on; also its file's name.
    pub number: u64,
    /// Whose.
    pub journal: JournalId,
    /// Who wrote it.
    pub boot: BootId,
    /// When it was begun.
    pub wall: Wall,
}

impl SegmentHead {
    /// Where the first frame stands.
    pub const BYTES: usize = 96;
    const MAGIC: &'static [u8; 20] = b"outrigger-journal/1\n";

    /// As bytes.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..20].copy_from_slice(Self::MAGIC);
        out[24..32].copy_from_slice(&self.number.to_le_bytes());
        out[32..48].copy_from_slice(&self.journal.0);
        out[48..64].copy_from_slice(&self.boot.0);
        out[64..72].copy_from_slice(&self.wall.0.to_le_bytes());
        let sum = crc32c(&out[24..]);
        out[20..24].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// From the beginning of a file, if it is one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.first_chunk()?;
        let sum = u32::from_le_bytes(array(bytes, 20));
        if &bytes[..20] != Self::MAGIC || crc32c(&bytes[24..]) != sum {
            return None;
        }
        Some(Self {
            number: u64::from_le_bytes(array(bytes, 24)),
            journal: JournalId(array(bytes, 32)),
            boot: BootId(array(bytes, 48)),
            wall: Wall(u64::from_le_bytes(array(bytes, 64))),
        })
    }
}

//! One record as bytes: what is in the clear, what is sealed, and what binds it to the record before.
//! Must never allocate to read one, nor believe a length before it has been compared with the bytes.

use aws_lc_rs::digest;

use super::crc::crc32c;
use super::window::{WINDOW_BYTES, Windows, write_window};
use crate::units::WindowId;
use crate::units::{NanoUsd, Wall};

/// The version of the format, in every frame and in every segment.
pub const VERSION: u8 = 1;

/// The largest frame there is, so that a length can be wrong.
pub const MOST_BYTES: usize = 1 << 20;

/// The most windows one record can name.
pub const MOST_WINDOWS: usize = 64;

/// What precedes the windows: see `FORMAT.md`.
pub const HEAD_BYTES: usize = 56;

/// What the sealing adds to a payload.
pub const TAG_BYTES: usize = 16;

const CHAIN_BYTES: usize = 32;

/// The smallest frame: no windows, no payload.
pub const LEAST_BYTES: usize = HEAD_BYTES + CHAIN_BYTES;

/// The hash that binds a tenant's record to all of that tenant's records before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain(pub [u8; CHAIN_BYTES]);

/// A tenant in the clear: random, so that the files name nobody once a key is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantNumber(pub u64);

impl TenantNumber {
    /// The journal's own chain: starts, checkpoints, what was deleted.
    pub const JOURNAL: Self = Self(0);
}

/// What kind of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Something is about to leave; its amounts are held.
    Intent = 1,
    /// More is held for an intent; its amounts are all that is held now.
    Extend = 2,
    /// An intent is over; its amounts are settled, the hold is gone.
    End = 3,
    /// Amounts are corrected afterwards, or topped up.
    Adjust = 4,
    /// So many records could not be written; its amounts are what they settled.
    Gap = 5,
    /// The sidecar started: the journal's own.
    Boot = 6,
    /// The heads of the chains at this place: the journal's own.
    Checkpoint = 7,
    /// The key of everything up to here was forgotten.
    Erase = 8,
    /// The policy changed.
    Policy = 9,
    /// Somebody with authority did something.
    Admin = 10,
    /// Old segments were deleted as agreed: the journal's own.
    Retire = 11,
    /// Something was refused: nothing left, nothing is held.
    Refusal = 12,
}

impl Kind {
    const fn read(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Intent,
            2 => Self::Extend,
            3 => Self::End,
            4 => Self::Adjust,
            5 => Self::Gap,
            6 => Self::Boot,
            7 => Self::Checkpoint,
            8 => Self::Erase,
            9 => Self::Policy,
            10 => Self::Admin,
            11 => Self::Retire,
            12 => Self::Refusal,
            _ => return None,
        })
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Extend => "extend",
            Self::End => "end",
            Self::Adjust => "adjust",
            Self::Gap => "gap",
            Self::Boot => "boot",
            Self::Checkpoint => "checkpoint",
            Self::Erase => "erase",
            Self::Policy => "policy",
            Self::Admin => "admin",
            Self::Retire => "retire",
            Self::Refusal => "refusal",
        }
    }
}

/// What else is true of a record, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The payload is not sealed: the journal's own records, which anybody may check.
    pub const CLEAR: Self = Self(1);
    /// Nobody said how it ended: settled at what was held.
    pub const UNKNOWN: Self = Self(1 << 1);
    /// The payload was larger than allowed and left out.
    pub const CLIPPED: Self = Self(1 << 2);
    /// The clock said less than before; the record repeats the latest time.
    pub const CLOCK_BACK: Self = Self(1 << 3);
    /// Whoever wrote it waited until it was synced.
    pub const STRICT: Self = Self(1 << 4);
    /// Its intent was written, but nothing left.
    pub const VOID: Self = Self(1 << 5);
    /// The amounts are given back instead of taken.
    pub const GIVES_BACK: Self = Self(1 << 6);

    /// Those of amounts that are given back, or taken.
    pub const fn giving(back: bool) -> Self {
        if back { Self::GIVES_BACK } else { Self(0) }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a frame says in the clear, but for its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: Kind,
    /// What else is true.
    pub flags: Flags,
    /// Whose it is.
    pub tenant: TenantNumber,
    /// Which of that tenant's, from 1 on without holes.
    pub seq: u64,
    /// The intent that an end, extension or adjustment is about; 0 for others. A gap says here how many it stands for.
    pub about: u64,
    /// When.
    pub wall: Wall,
    /// The amount as a whole, whatever windows it counts in.
    pub whole: NanoUsd,
}

/// One frame, in place.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it says in the clear.
    pub head: Head,
    /// The windows and the amount in each.
    pub windows: Windows<'a>,
    /// Sealed, with its tag behind it, unless it is [`Flags::CLEAR`].
    pub payload: &'a [u8],
    /// Binds it to what came before.
    pub chain: Chain,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end before it does.
    Short,
    /// Its lengths contradict each other.
    Shape,
    /// A version that is not known here.
    Version,
    /// A kind that is not known here.
    Kind,
    /// The checksum is another.
    Checksum,
}

impl Fault {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "it ends before its length",
            Self::Shape => "its lengths contradict each other",
            Self::Version => "it has an unknown version",
            Self::Kind => "it has an unknown kind",
            Self::Checksum => "its checksum is wrong",
        }
    }
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of some bytes; `None` where nothing was written (a length of zero, or no byte).
    ///
    /// # Errors
    /// Why it is no frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some(frame) = Self::shape(bytes)? else {
            return Ok(None);
        };
        let sum = u32::from_le_bytes(array(frame.bytes, 4));
        if crc32c(frame.bytes.get(8..).unwrap_or_default()) != sum {
            return Err(Fault::Checksum);
        }
        Ok(Some(frame))
    }

    /// The same without the checksum, for bytes that were checked already.
    pub fn shape(bytes: &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some(length) = bytes.first_chunk() else {
            let unwritten = bytes.iter().all(|byte| *byte == 0);
            return if unwritten {
                Ok(None)
            } else {
                Err(Fault::Short)
            };
        };
        let length = size(u32::from_le_bytes(*length));
        if length == 0 {
            return Ok(None);
        }
        if !(LEAST_BYTES..=MOST_BYTES).contains(&length) {
            return Err(Fault::Shape);
        }
        let bytes = bytes.get(..length).ok_or(Fault::Short)?;
        let [version, kind, windows, flags] = array(bytes, 8);
        if version != VERSION {
            return Err(Fault::Version);
        }
        let kind = Kind::read(kind).ok_or(Fault::Kind)?;
        let payload = size(u32::from_le_bytes(array(bytes, 12)));
        let payload_at = HEAD_BYTES + usize::from(windows) * WINDOW_BYTES;
        if payload_at.checked_add(payload) != Some(length - CHAIN_BYTES) {
            return Err(Fault::Shape);
        }
        let (clear, rest) = bytes.split_at(payload_at);
        let (payload, chain) = rest.split_at(payload);
        Ok(Some(Self {
            head: Head {
                kind,
                flags: Flags(flags),
                tenant: TenantNumber(u64::from_le_bytes(array(bytes, 16))),
                seq: u64::from_le_bytes(array(bytes, 24)),
                about: u64::from_le_bytes(array(bytes, 32)),
                wall: Wall(u64::from_le_bytes(array(bytes, 40))),
                whole: NanoUsd(u64::from_le_bytes(array(bytes, 48))),
            },
            windows: Windows::new(clear.get(HEAD_BYTES..).unwrap_or_default()),
            payload,
            chain: Chain(array(chain, 0)),
            bytes,
        }))
    }

    /// What the sealing is bound to: everything in the clear but the checksum.
    pub fn associated(&self) -> &'a [u8] {
        let payload_at = self.bytes.len() - CHAIN_BYTES - self.payload.len();
        self.bytes.get(8..payload_at).unwrap_or_default()
    }

    /// The chain as it must be behind `previous`.
    pub fn chain_after(&self, previous: Chain, scratch: &mut Vec<u8>) -> Chain {
        scratch.clear();
        let until = self.bytes.len() - CHAIN_BYTES;
        scratch.extend_from_slice(self.bytes.get(8..until).unwrap_or_default());
        scratch.extend_from_slice(&previous.0);
        hash(scratch)
    }
}

/// How large a frame with so many windows and such a payload is.
pub const fn frame_bytes(windows: usize, payload: usize) -> usize {
    LEAST_BYTES + windows * WINDOW_BYTES + payload
}

/// Seals a payload in place, bound to the clear bytes, and returns the tag; `None` leaves it in the clear.
pub trait Sealing {
    /// Encrypts `payload`.
    fn seal(&self, seq: u64, clear: &[u8], payload: &mut [u8]) -> Option<[u8; TAG_BYTES]>;
}

/// Leaves the payload as it is.
#[derive(Clone, Copy, Debug)]
pub struct InTheClear;

impl Sealing for InTheClear {
    fn seal(&self, _: u64, _: &[u8], _: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        None
    }
}

/// Appends a frame, and returns the chain behind it. At most [`MOST_WINDOWS`] windows are written.
pub fn compose(
    out: &mut Vec<u8>,
    head: &Head,
    windows: &[(WindowId, NanoUsd)],
    payload: &[u8],
    sealing: &impl Sealing,
    previous: Chain,
) -> Chain {
    let windows = windows.get(..MOST_WINDOWS).unwrap_or(windows);
    let start = out.len();
    write_head(out, head, windows);
    let payload_at = out.len();
    out.extend_from_slice(payload);
    // The length of what is sealed is a part of what it is bound to.
    let sealed_bytes = if head.flags.has(Flags::CLEAR) {
        payload.len()
    } else {
        payload.len() + TAG_BYTES
    };
    patch(out, start + 12, sealed_bytes);
    let (clear, body) = out.split_at_mut(payload_at);
    let clear = clear.get(start + 8..).unwrap_or_default();
    if let Some(tag) = sealing.seal(head.seq, clear, body) {
        out.extend_from_slice(&tag);
    }
    // The previous chain stands where the new one will, so that what is hashed lies in one piece.
    let chain_at = out.len();
    out.extend_from_slice(&previous.0);
    let chain = hash(out.get(start + 8..).unwrap_or_default());
    if let Some(place) = out.get_mut(chain_at..) {
        place.copy_from_slice(&chain.0);
    }
    let length = out.len() - start;
    patch(out, start, length);
    let sum = crc32c(out.get(start + 8..).unwrap_or_default());
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    chain
}

fn write_head(out: &mut Vec<u8>, head: &Head, windows: &[(WindowId, NanoUsd)]) {
    // Length, checksum and the payload's length are set when they are known.
    out.extend_from_slice(&[0; 8]);
    let count = u8::try_from(windows.len()).unwrap_or(u8::MAX);
    out.extend_from_slice(&[VERSION, head.kind as u8, count, head.flags.0]);
    out.extend_from_slice(&[0; 4]);
    for word in [
        head.tenant.0,
        head.seq,
        head.about,
        head.wall.0,
        head.whole.0,
    ] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for (window, amount) in windows {
        write_window(*window, *amount, out);
    }
}

fn patch(out: &mut [u8], at: usize, value: usize) {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// SHA-256.
pub fn hash(bytes: &[u8]) -> Chain {
    Chain(array(digest::digest(&digest::SHA256, bytes).as_ref(), 0))
}

/// So many bytes from a place; zeros beyond the end, which callers have excluded.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().unwrap_or([0; N])
}

/// A length as this machine counts.
pub(super) fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

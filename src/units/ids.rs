//! Names and identifiers, parsed once. Must never be built from text without `FromStr`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Wall;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// Empty.
    Empty,
    /// Over 128 bytes.
    TooLong,
    /// The byte at this position is not allowed there.
    BadByte(usize),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => f.write_str("it is longer than 128 bytes"),
            Self::BadByte(at) => {
                write!(
                    f,
                    "byte {at} is not allowed: use `[A-Za-z0-9][A-Za-z0-9_.:-]*`"
                )
            }
        }
    }
}

impl std::error::Error for IdError {}

/// A tenant's id: `[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}`, case-sensitive. Cheap to clone.
/// An id is a name, not a proof: only the snapshot makes tenants out of proofs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The reserved tenant of requests that proved nothing: refused, metered and logged.
    pub fn nobody() -> Self {
        Self(Arc::from("_nobody"))
    }

    /// The reserved tenant of what the sidecar and its operators do themselves.
    pub fn sidecar() -> Self {
        Self(Arc::from("_sidecar"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Equal texts are equal ids, and hash alike.
impl Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check(text, b"_.:-").map(|()| Self(Arc::from(text)))
    }
}

/// An upstream's name, which is also the first path segment that reaches it: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(Arc<str>);

impl UpstreamName {
    /// First path segments that can never name an upstream.
    pub const RESERVED: [&'static str; 5] = ["t", "exec", "mcp", "v1", ".well-known"];

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UpstreamName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check(text, b"_.-").map(|()| Self(Arc::from(text)))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, inner: &[u8]) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > 128 {
        return Err(IdError::TooLong);
    }
    let bad = text
        .bytes()
        .enumerate()
        .find(|&(at, byte)| !byte.is_ascii_alphanumeric() && (at == 0 || !inner.contains(&byte)));
    bad.map_or(Ok(()), |(at, _)| Err(IdError::BadByte(at)))
}

/// A request's id: a UUID of version 7 (RFC 9562 §5.7), made from the wall clock and 74 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// Lays out version 7: 48 bits of milliseconds, version, 12 random bits, variant, 62 random bits.
    pub const fn v7(now: Wall, random: u128) -> Self {
        let time = ((now.0 as u128) & 0xffff_ffff_ffff) << 80;
        let high = (random & 0xfff) << 64;
        let low = (random >> 64) & 0x3fff_ffff_ffff_ffff;
        Self(time | (0x7 << 76) | high | (0b10 << 62) | low)
    }

    /// The 36-byte hyphenated form, lower case, without allocating.
    pub fn encode(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            out[at] = HEX[usize::from(byte >> 4)];
            out[at + 1] = HEX[usize::from(byte & 0xf)];
            at += 2;
        }
        out
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encode()
            .iter()
            .try_for_each(|&byte| fmt::Write::write_char(f, char::from(byte)))
    }
}

/// Where request ids come from.
pub trait IdSource: Send + Sync {
    /// A new id, unique in this process.
    fn next(&self, now: Wall) -> RequestId;
}

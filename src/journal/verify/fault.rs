//! What can be wrong with a journal, in words and with its place. Must never name a tenant by anything but its number.

use std::fmt;

use crate::journal::format::{Fault, Mark, TenantNumber};

/// One thing that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What.
    pub why: Why,
    /// Where; a segment of 0 is no place in a segment.
    pub mark: Mark,
    /// Whose record, and which.
    pub record: Option<(TenantNumber, u64)>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no public key to check signatures with.
    NoPublicKey,
    /// A tenant's secret is not wrapped for the place where it stands.
    Key,
    /// A segment is gone, and no record says that its term was over.
    Missing,
    /// A segment's head is not that of this journal and number.
    SegmentHead,
    /// Bytes that are no record.
    Bytes(Fault),
    /// A record does not follow the one before: it was changed, or the one before was.
    Chain,
    /// A record has the number of one that was there before.
    Repeated,
    /// Records are missing before this one.
    Skipped {
        /// The number that should stand here.
        expected: u64,
    },
    /// A payload is not what was sealed with the tenant's key, or what stands in the clear was changed.
    Sealing,
    /// A seal is not signed by this journal's key, or does not follow the one before.
    SealSignature,
    /// A segment is not what its seal says.
    Seal,
    /// A checkpoint is no list of heads, or its line is about another.
    Checkpoint,
    /// A chain is not where a checkpoint says.
    Head,
    /// The line of a checkpoint is not signed by this journal's key, or does not follow the one before.
    PointSignature,
    /// A checkpoint was signed here, and the records end before.
    Truncated,
    /// A checkpoint that was kept elsewhere is newer than all of these: they were cut, or older files stand in their place.
    RolledBack,
    /// A checkpoint that was kept elsewhere is another than the one of its number here.
    Forked,
    /// A checkpoint that was kept elsewhere was signed with another key.
    OtherKey,
}

impl Invalid {
    pub(super) const fn of(why: Why) -> Self {
        Self {
            why,
            mark: Mark {
                segment: 0,
                offset: 0,
            },
            record: None,
        }
    }

    #[must_use]
    pub(super) const fn at(self, segment: u64, offset: u64) -> Self {
        Self {
            mark: Mark { segment, offset },
            ..self
        }
    }

    #[must_use]
    pub(super) const fn tenant(self, tenant: TenantNumber, seq: u64) -> Self {
        Self {
            record: Some((tenant, seq)),
            ..self
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INVALID: {}", self.why)?;
        if self.mark.segment > 0 {
            write!(f, ", {}", self.mark)?;
        }
        if let Some((tenant, seq)) = self.record {
            write!(f, ", tenant {:016x}, record {seq}", tenant.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPublicKey => "there is no public key",
            Self::Key => "a secret is not wrapped for the tenant it stands with",
            Self::Missing => "a segment is missing",
            Self::SegmentHead => "the head of a segment is not that of this journal and number",
            Self::Bytes(fault) => {
                return write!(f, "bytes that are no record: {}", fault.as_str());
            }
            Self::Chain => "a record does not follow the one before",
            Self::Repeated => "a record repeats a number",
            Self::Skipped { expected } => {
                return write!(f, "records from {expected} on are missing");
            }
            Self::Sealing => "a record is not what was sealed",
            Self::SealSignature => {
                "a seal is not signed by this journal, or does not follow the one before"
            }
            Self::Seal => "a segment is not what its seal says",
            Self::Checkpoint => "a checkpoint is not what its line says",
            Self::Head => "a chain is not where a checkpoint says",
            Self::PointSignature => {
                "a checkpoint is not signed by this journal, or does not follow the one before"
            }
            Self::Truncated => "the records end before a signed checkpoint",
            Self::RolledBack => "the journal is older than a checkpoint that was kept elsewhere",
            Self::Forked => "a checkpoint is another than the one that was kept elsewhere",
            Self::OtherKey => "a checkpoint that was kept elsewhere was signed with another key",
        })
    }
}

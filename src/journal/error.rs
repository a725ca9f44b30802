//! Why a journal cannot be used, and why a record was not taken. Must never be shown to a tenant with a path in it.

use std::fmt;

use crate::host;

/// A journal that cannot be opened or changed.
#[derive(Debug)]
pub enum JournalError {
    /// The system said no.
    System(host::Error),
    /// A key file is not what it must be.
    Keys(&'static str),
    /// The library of ciphers failed, which takes a broken machine.
    Cipher,
    /// It knows as many tenants as it may.
    Tenants,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Keys(why) => write!(f, "the journal's keys cannot be used: {why}"),
            Self::Cipher => f.write_str("a cipher failed"),
            Self::Tenants => f.write_str("the journal knows as many tenants as it may"),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            Self::Keys(_) | Self::Cipher | Self::Tenants => None,
        }
    }
}

impl From<host::Error> for JournalError {
    fn from(error: host::Error) -> Self {
        Self::System(error)
    }
}

/// Why a record was not taken; the action must not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The disk, or what the journal may take of it, is full.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// Writing or syncing fails for another reason.
    Failing,
    /// The disk did not take it in time.
    Slow,
    /// The tenant's own queue did not get shorter in time.
    Queue,
    /// The tenant's records take all the room they may.
    Quota,
    /// The files are older than what was signed: strict work waits until somebody has acknowledged that.
    RolledBack,
    /// The journal knows as many tenants as it may.
    Tenants,
    /// The journal is closed.
    Closed,
}

impl Refused {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::ReadOnly,
        Self::Failing,
        Self::Slow,
        Self::Queue,
        Self::Quota,
        Self::RolledBack,
        Self::Tenants,
        Self::Closed,
    ];

    /// The word for it, in metrics and health.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Failing => "failing",
            Self::Slow => "slow",
            Self::Queue => "queue",
            Self::Quota => "quota",
            Self::RolledBack => "rolled-back",
            Self::Tenants => "tenants",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk of the journal is full",
            Self::ReadOnly => "the disk of the journal is read-only",
            Self::Failing => "the journal cannot be written",
            Self::Slow => "the disk of the journal did not answer in time",
            Self::Queue => "too many of the tenant's records wait to be written",
            Self::Quota => "the tenant's records take all the room they may",
            Self::RolledBack => "the journal is shorter than what was signed",
            Self::Tenants => "the journal knows as many tenants as it may",
            Self::Closed => "the journal is closed",
        })
    }
}

impl std::error::Error for Refused {}

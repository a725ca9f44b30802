//! Why a view has nothing to show. Must never stand for an empty journal: that is an answer.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A journal that cannot be read.
#[derive(Debug)]
pub enum ViewError {
    /// There is none.
    None(PathBuf),
    /// The system does not let us.
    Unreadable(PathBuf, io::Error),
    /// Two are the same journal.
    Twice(PathBuf, PathBuf),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(path) => write!(
                f,
                "there is no journal at `{}`\nhint: `--state` names the directory of a sidecar's state",
                path.display()
            ),
            Self::Twice(one, other) => write!(
                f,
                "`{}` and `{}` are the same journal\nhint: name each sidecar's state once, or what it cost is counted twice",
                one.display(),
                other.display()
            ),
            Self::Unreadable(path, why) => write!(
                f,
                "cannot read the journal at `{}`: {why}\nhint: it is its sidecar's own; read it as the same user",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ViewError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::None(_) | Self::Twice(..) => None,
            Self::Unreadable(_, why) => Some(why),
        }
    }
}

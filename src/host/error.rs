//! What went wrong between Outrigger and the kernel: what was attempted, on what, and why not.
//! Must never be shown to a tenant: paths and addresses are the operator's.

use std::fmt;
use std::io;

/// A failed dealing with the system. `{}` prints one line; `{:#}` adds the hint on a line of its own.
#[derive(Debug)]
pub struct Error {
    /// What was attempted, as a verb: `bind`, `open`.
    attempted: &'static str,
    /// On what: an address, a path, a name.
    object: String,
    /// What the system said.
    source: io::Error,
    /// What to do about it.
    hint: Option<&'static str>,
}

impl Error {
    /// `attempted` reads after "cannot".
    pub fn new(attempted: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self {
            attempted,
            object: object.into(),
            source,
            hint: None,
        }
    }

    /// The same with an advice.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// What was attempted, as a verb.
    pub fn attempted(&self) -> &'static str {
        self.attempted
    }

    /// On what.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// What the system said, as a kind.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} `{}`: {}",
            self.attempted,
            self.object,
            reason(&self.source)
        )?;
        match self.hint {
            Some(hint) if f.alternate() => write!(f, "\nhint: {hint}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The system's reason in our letter case, with the symbol of the errno to search for.
pub(super) fn reason(error: &io::Error) -> String {
    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(errno) => format!("{} ({errno:?})", errno.desc().to_lowercase()),
        None => error.to_string(),
    }
}

//! What ends the process before or after its work, and the exit code it ends with (sysexits.h).
//! Must never carry a secret: it is printed.

use std::fmt;

use crate::host;

/// Why the process ends.
#[derive(Debug)]
pub enum Error {
    /// The configuration cannot be used; the problems, rendered.
    Config(String),
    /// The system refused something.
    Host(host::Error),
    /// The program to run could not be started.
    Child(host::Error),
    /// The journal cannot be opened.
    Journal(String),
    /// A task that the sidecar cannot be without has ended.
    Task(&'static str),
    /// The command line asks for something that cannot be.
    Usage(String),
    /// The other side of a control call said no, or could not be reached.
    Call(String),
    /// What was to be read is not there.
    Input(String),
}

impl Error {
    /// The exit code: 64 usage, 66 nothing to read, 69 unavailable, 70 a task that ended, 71 OS error or a journal that
    /// cannot be opened, 78 configuration; for a program that could not be started 127 when there is none and 126 otherwise, as shells do.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Child(error) if error.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Child(_) => 126,
            Self::Usage(_) => 64,
            Self::Input(_) => 66,
            Self::Call(_) => 69,
            Self::Task(_) => 70,
            Self::Host(_) | Self::Journal(_) => 71,
            Self::Config(_) => 78,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The renderer has its own layout, with the word `error` in it.
            Self::Config(problems) => f.write_str(problems.trim_end()),
            Self::Host(error) | Self::Child(error) => write!(f, "error: {error:#}"),
            Self::Task(name) => write!(
                f,
                "error: the task `{name}` ended, and the sidecar cannot be without it; the log says why"
            ),
            Self::Journal(why) => write!(
                f,
                "error: the journal cannot be opened: {why}\nhint: only one sidecar can write it; `--state` names another directory"
            ),
            Self::Usage(text) | Self::Call(text) | Self::Input(text) => write!(f, "error: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        Self::Host(error)
    }
}

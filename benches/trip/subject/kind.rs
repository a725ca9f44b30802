//! The subjects by name, and which of them can be had. It must never leave one out in silence: the reason is shown.

use clap::ValueEnum;

use crate::observe;
use crate::wires::{Http, Wires};

/// Those that are compared.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Kind {
    Direct,
    Bare,
    Nginx,
    Haproxy,
    Outrigger,
    /// Outrigger, where every call holds of two budgets.
    Budgets,
    /// The same, and on record (`batch`).
    Journal,
    /// The same, on the disk before anything leaves.
    Strict,
}

/// How Outrigger is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Books {
    /// It counts tokens and no money.
    None,
    /// It holds calls to budgets.
    Budgets,
    /// And keeps a journal in this mode.
    Journal(&'static str),
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Direct,
        Self::Bare,
        Self::Nginx,
        Self::Haproxy,
        Self::Outrigger,
        Self::Budgets,
        Self::Journal,
        Self::Strict,
    ];

    /// How Outrigger is set up; none where it is another program.
    pub(crate) fn books(self) -> Option<Books> {
        match self {
            Self::Direct | Self::Bare | Self::Nginx | Self::Haproxy => None,
            Self::Outrigger => Some(Books::None),
            Self::Budgets => Some(Books::Budgets),
            Self::Journal => Some(Books::Journal("batch")),
            Self::Strict => Some(Books::Journal("strict")),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Outrigger => "outrigger",
            Self::Budgets => "budgets",
            Self::Journal => "journal",
            Self::Strict => "strict",
        }
    }

    /// Why it cannot be measured here; none when it can.
    pub(crate) fn missing(self, wires: Wires) -> Option<&'static str> {
        match self {
            Self::Direct
            | Self::Bare
            | Self::Outrigger
            | Self::Budgets
            | Self::Journal
            | Self::Strict => None,
            Self::Nginx if wires.upstream == Http::Two => {
                Some("it speaks no HTTP/2 with upstreams")
            }
            Self::Nginx | Self::Haproxy if observe::is_installed(self.name()) => None,
            Self::Nginx | Self::Haproxy => Some("it is not installed"),
        }
    }
}

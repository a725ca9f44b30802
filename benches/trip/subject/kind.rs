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
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Direct,
        Self::Bare,
        Self::Nginx,
        Self::Haproxy,
        Self::Outrigger,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Outrigger => "outrigger",
        }
    }

    /// Why it cannot be measured here; none when it can.
    pub(crate) fn missing(self, wires: Wires) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Bare | Self::Outrigger => None,
            Self::Nginx if wires.upstream == Http::Two => {
                Some("it speaks no HTTP/2 with upstreams")
            }
            Self::Nginx | Self::Haproxy if observe::is_installed(self.name()) => None,
            Self::Nginx | Self::Haproxy => Some("it is not installed"),
        }
    }
}

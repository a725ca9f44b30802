//! The closed vocabularies that name files, metric labels and log fields alike.
//! Must never grow a free-text variant: what has no word here has no place in a signal.

use std::fmt;

/// The nine words of the trip, in order. They name the files of `trip/` and the values of the log field
/// `ended_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The connection, its head guard and what the listener proves.
    Accept,
    /// Credential to tenant.
    Identify,
    /// What is asked; the governed body is scanned whole.
    Peek,
    /// May this tenant do this.
    Decide,
    /// Rate, slot and queue.
    Admit,
    /// Which upstream, region and key.
    Route,
    /// The bytes leave.
    Forward,
    /// The answer passes the tally.
    Meter,
    /// Settled and written down.
    Record,
}

impl Phase {
    /// Every phase, in the order of the trip.
    pub const ALL: [Self; 9] = [
        Self::Accept,
        Self::Identify,
        Self::Peek,
        Self::Decide,
        Self::Admit,
        Self::Route,
        Self::Forward,
        Self::Meter,
        Self::Record,
    ];

    /// The word used in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Identify => "identify",
            Self::Peek => "peek",
            Self::Decide => "decide",
            Self::Admit => "admit",
            Self::Route => "route",
            Self::Forward => "forward",
            Self::Meter => "meter",
            Self::Record => "record",
        }
    }
}

/// How a trip ended. Decided once, by whichever trigger comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The whole answer reached the caller's connection.
    Complete,
    /// Refused before anything left.
    Refused,
    /// The upstream could not be reached, or broke off.
    UpstreamFailed,
    /// The caller hung up first.
    CallerGone,
    /// Stopped by Outrigger in mid-answer: a limit, a suspension or a timeout.
    CutOff,
    /// Stopped by Outrigger's own shutdown deadline.
    Drained,
    /// A bug: a caught panic or a broken invariant.
    Broken,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 7] = [
        Self::Complete,
        Self::Refused,
        Self::UpstreamFailed,
        Self::CallerGone,
        Self::CutOff,
        Self::Drained,
        Self::Broken,
    ];

    /// The word used in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream-failed",
            Self::CallerGone => "caller-gone",
            Self::CutOff => "cut-off",
            Self::Drained => "drained",
            Self::Broken => "broken",
        }
    }
}

/// What became of a call that had left, when its caller hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HungUp {
    /// It was ended at once, and is charged what had come.
    Cancelled,
    /// It was ended at once, and is charged all that was held for it.
    Estimated,
    /// The rest was read without the caller, to its end.
    Drained,
    /// The rest was read for as long as allowed, and came to no end.
    TimedOut,
    /// The rest was longer than allowed.
    TooLarge,
    /// The rest was to be read, and as many others were being read as may be: ended at once.
    Crowded,
    /// The rest was being read, and something else ended that: the money, an order, the upstream.
    CutShort,
}

impl HungUp {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Cancelled,
        Self::Estimated,
        Self::Drained,
        Self::TimedOut,
        Self::TooLarge,
        Self::Crowded,
        Self::CutShort,
    ];

    /// The word used in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Estimated => "estimated",
            Self::Drained => "drained",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
            Self::Crowded => "crowded",
            Self::CutShort => "cut-short",
        }
    }
}

/// The wire language of an upstream. An OpenAI-compatible server speaks `OpenAi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// OpenAI's REST API (chat completions, responses, embeddings) and servers compatible with it.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::OpenAi, Self::Anthropic];

    /// The word used in config, labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

display_as_str!(Phase, Ending, HungUp, Dialect, super::Code, super::Endpoint);

//! The key table: every setting once, with its type, default, unit and reason. From it come the detection of unknown and
//! misplaced keys, the bounds of values, `config/reference.toml`, `config/outrigger.schema.json` and `outrigger explain KEY`.
//! Must never list a key whose enforcement is not built: those are in `planned`.

mod places;
mod planned;
mod table;

use std::time::Duration;

pub(super) use places::Place;
#[cfg(test)]
pub(super) use planned::all_planned;
pub(super) use planned::{planned, planned_word};

use super::parse;
use super::values::ListenAddress;
use crate::units::PriceUnit;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path; `*` stands for a name the operator chooses.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not written.
    pub default: Fallback,
    /// A value to show where there is no default.
    pub example: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    /// Why it exists and how to choose.
    pub why: &'static str,
    /// The version that brought it.
    pub since: &'static str,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One IP address and port or unix socket, or a list of them.
    Addresses,
    /// An IP address and port, or `off`.
    AddressOrOff,
    /// `unix:` and a path or a loopback address, a list of them, or `off`.
    AdminAddresses,
    /// A number.
    Count(u64, u64),
    /// A list of numbers.
    Counts(u64, u64),
    /// A number of bytes with its unit.
    Size(u64, u64),
    /// A time with its unit.
    Duration(Duration, Duration),
    /// A time with its unit, or `off`.
    DurationOrOff(Duration, Duration),
    /// So many per time.
    Rate,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// A list of these words; `*` stands for all.
    WordsOrAll(&'static [&'static str]),
    /// A URL of an upstream.
    Url,
    /// A credential.
    Secret,
    /// A text with a grammar of its own.
    Text(Grammar),
    /// A list of such texts.
    Texts(Grammar),
    /// A price in US dollars.
    Usd(PriceUnit),
    /// A table of prices.
    Prices(Beside),
    /// A table of multipliers.
    Factors,
    /// Patterns to model names.
    Rewrites,
    /// Credentials by upstream.
    Secrets,
}

/// What stands in a table of prices beside the prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// `above` or `from`: when a context is long.
    Threshold,
    /// `hours`: when they hold.
    Hours,
}

/// The grammar of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// A decimal number and `USD`.
    Amount,
    /// `uid:` or `gid:` and a number.
    Caller,
    /// A day of the calendar.
    Date,
    /// A pattern with `*`.
    Glob,
    /// The name of a header.
    Header,
    /// A host name or IP literal.
    Host,
    /// `sha256:` and 64 hex digits.
    KeyHash,
    /// An amount of money, `/` and what it is for.
    Revenue,
    /// A model's name.
    Model,
    /// A line for people.
    Note,
    /// A browser origin.
    Origin,
    /// An absolute path.
    Path,
    /// Certificates.
    Pem,
    /// A policy's name.
    Policy,
    /// Whose prices they are.
    Provider,
    /// A region.
    Region,
    /// A tenant's id.
    Tenant,
    /// An upstream's name.
    Upstream,
    /// How long a budget lasts.
    Window,
    /// A time zone's name.
    Zone,
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// The key must be written.
    Required,
    /// Nothing holds; the text says what that means.
    Unset(&'static str),
    /// This value.
    Is(Value),
    /// This value in the first case of the text, another in the others.
    Varies(Value, &'static str),
}

/// A default as the file would write it.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A text.
    Text(&'static str),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// An address.
    Address(ListenAddress),
    /// A time.
    Duration(Duration),
    /// Bytes.
    Size(u64),
    /// A number.
    Count(u64),
    /// `true` or `false`.
    Flag(bool),
    /// An empty table.
    Empty,
}

impl Value {
    /// The TOML text of the value.
    pub fn toml(self) -> String {
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Texts(texts) => {
                let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                format!("[{}]", quoted.join(", "))
            }
            Self::Address(address) => format!("\"{}\"", address.0),
            Self::Duration(span) => format!("\"{}\"", parse::duration_text(span)),
            Self::Size(bytes) => format!("\"{}\"", parse::size_text(bytes)),
            Self::Count(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Empty => "{}".to_owned(),
        }
    }
}

impl Key {
    /// The section it stands in, and its last segment. Sub-tables (`limits`, `models`) count as sections.
    pub fn split(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }

    /// Its default as TOML text, if it has one.
    pub fn default_toml(&self) -> Option<String> {
        match self.default {
            Fallback::Required | Fallback::Unset(_) => None,
            Fallback::Is(value) | Fallback::Varies(value, _) => Some(value.toml()),
        }
    }
}

/// Every key, section by section, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Key> + Clone {
    table::SECTIONS.iter().copied().flatten()
}

/// The key of a path with `*` for chosen names.
pub fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// The sections that have a key or sub-table of this name, other than `section`.
pub(super) fn homes(name: &str, section: &str) -> Vec<String> {
    let mut homes: Vec<String> = Vec::new();
    for key in all() {
        let segments: Vec<&str> = key.path.split('.').collect();
        for (depth, _) in segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| **segment == name)
        {
            let home = segments[..depth].join(".");
            if home != section && !homes.contains(&home) {
                homes.push(home);
            }
        }
    }
    homes
}

impl Key {
    /// What to show as a value: the default, or the example.
    pub fn shown_value(&self) -> String {
        self.default_toml().unwrap_or_else(|| match self.kind {
            Kind::Count(..) | Kind::Secrets | Kind::Flag | Kind::Prices(_) | Kind::Factors => {
                self.example.to_owned()
            }
            Kind::Counts(..) => format!("[{}]", self.example),
            Kind::Texts(_) | Kind::Words(_) | Kind::WordsOrAll(_) => {
                format!("[\"{}\"]", self.example)
            }
            Kind::Addresses
            | Kind::AddressOrOff
            | Kind::AdminAddresses
            | Kind::Size(..)
            | Kind::Duration(..)
            | Kind::DurationOrOff(..)
            | Kind::Rate
            | Kind::Word(_)
            | Kind::Url
            | Kind::Usd(_)
            | Kind::Secret
            | Kind::Text(_)
            | Kind::Rewrites => format!("\"{}\"", self.example),
        })
    }
}

impl Kind {
    /// What it takes, as in "expected …".
    pub fn takes(self) -> &'static str {
        match self {
            Self::Addresses => {
                "an address, a unix socket, one that is handed over, or a list of them"
            }
            Self::AddressOrOff => "an address or `off`",
            Self::AdminAddresses => {
                "`unix:` and a path or a loopback address, a list of them, or `off`"
            }
            Self::Count(..) => "a whole number",
            Self::Counts(..) => "a list of whole numbers",
            Self::Size(..) => "a size with its unit",
            Self::Duration(..) => "a duration with its unit",
            Self::DurationOrOff(..) => "a duration with its unit, or `off`",
            Self::Rate => "a rate",
            Self::Flag => "`true` or `false`",
            Self::Word(_) => "a word",
            Self::Words(_) | Self::WordsOrAll(_) => "a list of words",
            Self::Url => "a URL",
            Self::Secret | Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Usd(PriceUnit::Million) => "US dollars for a million tokens",
            Self::Usd(PriceUnit::Each) => "US dollars",
            Self::Prices(Beside::Nothing) => "a table of prices",
            Self::Prices(Beside::Threshold) => "a table of prices, with `above` or `from`",
            Self::Prices(Beside::Hours) => "a table of prices, with `hours`",
            Self::Factors => "a table of `us`, `fast` and `regional`",
            Self::Rewrites => "a table of `\"pattern\" = \"model\"`",
            Self::Secrets => "a table of `upstream = \"credential\"`",
        }
    }

    /// What a bare number is told, where a unit is needed.
    pub(super) fn unit(self) -> Option<parse::Flaw> {
        match self {
            Self::Size(..) => Some(parse::SIZE_UNIT),
            Self::Duration(..) | Self::DurationOrOff(..) => Some(parse::DURATION_UNIT),
            Self::Rate => Some(parse::RATE_UNIT),
            Self::Addresses
            | Self::AddressOrOff
            | Self::AdminAddresses
            | Self::Count(..)
            | Self::Flag
            | Self::Counts(..)
            | Self::Word(_)
            | Self::Words(_)
            | Self::WordsOrAll(_)
            | Self::Url
            | Self::Secret
            | Self::Text(_)
            | Self::Texts(_)
            | Self::Usd(_)
            | Self::Prices(_)
            | Self::Factors
            | Self::Rewrites
            | Self::Secrets => None,
        }
    }
}

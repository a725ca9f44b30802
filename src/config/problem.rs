//! What can be wrong with a configuration: the closed list of `OUT-` codes, and one problem with its place.
//! Must never hold a filled-in value: messages name keys and references, and quote only what the file shows.

use std::fmt;

use super::site::Site;

/// One thing that is wrong. All of them are reported at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind.
    pub code: OutCode,
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// Where; `None` only when there is no file to point into.
    pub site: Option<Site>,
    /// What: lower case, no final period, literals in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// A second place that matters, and what it is.
    pub secondary: Option<(Site, String)>,
}

impl Problem {
    /// An error at a place.
    pub fn error(code: OutCode, site: impl Into<Option<Site>>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            site: site.into(),
            message: message.into(),
            hint: None,
            secondary: None,
        }
    }

    /// A warning at a place.
    pub fn warning(
        code: OutCode,
        site: impl Into<Option<Site>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, site, message)
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with a second place.
    #[must_use]
    pub fn also(mut self, site: Site, label: impl Into<String>) -> Self {
        self.secondary = Some((site, label.into()));
        self
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
}

impl Severity {
    /// The word in the output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! out_codes {
    ($($(#[doc = $doc:literal])* $variant:ident $number:literal $title:literal $explanation:literal;)*) => {
        /// The kinds of config problems. The number is printed as `OUT-nnnn` and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OutCode { $($(#[doc = $doc])* $variant,)* }

        impl OutCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number in `OUT-nnnn`.
            pub const fn number(self) -> u16 { match self { $(Self::$variant => $number,)* } }

            /// A few words, for lists.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }

            /// One paragraph: what it means, why it is a problem, what to do.
            pub const fn explanation(self) -> &'static str { match self { $(Self::$variant => $explanation,)* } }
        }
    };
}

impl OutCode {
    /// The code of a text such as `OUT-0007` (any letter case).
    pub fn from_text(text: &str) -> Option<Self> {
        let digits = text
            .strip_prefix("OUT-")
            .or_else(|| text.strip_prefix("out-"))?;
        let number: u16 = digits.parse().ok()?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for OutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OUT-{:04}", self.number())
    }
}

out_codes! {
    /// The file is not TOML.
    Syntax 1 "not TOML"
        "The file cannot be read as TOML 1.1. Everything in it that could still be read was checked as well, so problems named besides this one are real.";
    /// A key that exists nowhere.
    UnknownKey 2 "unknown key"
        "No setting has this name. A misspelt key that is ignored would be a rule that silently does not hold, so unknown keys are errors. `config/reference.toml` lists every key.";
    /// A key that exists, in another section.
    MisplacedKey 3 "key in the wrong section"
        "The setting exists, but not in this section. The message says where it belongs.";
    /// A key of the design that this version does not enforce.
    NotBuilt 4 "not built in this version"
        "The setting is planned, and this version does not enforce it. It is an error, because a rule that is accepted and not enforced is worse than none. Remove it, or use a version that has it.";
    /// A value of another TOML type.
    WrongType 5 "wrong type"
        "The value is of a type this setting does not take: for example a number where a text is expected, or one text where a list is expected.";
    /// A value of the right type that the setting does not take.
    InvalidValue 6 "invalid value"
        "The value has the right type, and the setting cannot take it: an unknown word, a number out of range, an address or URL that cannot be read.";
    /// A number without its unit.
    UnitMissing 7 "unit missing"
        "Durations, sizes and rates are texts with their unit: `\"30s\"`, `\"32MiB\"`, `\"50/s\"`. A bare number is not taken, since nobody who reads it later could tell seconds from milliseconds.";
    /// `${env:NAME}` of a variable that is not set.
    VariableUnset 8 "environment variable not set"
        "A `${env:NAME}` names a variable that is not set (or is not UTF-8) in the environment of the sidecar. Set it, or give a default: `${env:NAME:-default}`. An unset variable is never taken for an empty text.";
    /// `${file:/path}` that cannot be read.
    FileUnreadable 9 "referenced file not readable"
        "A `${file:/path}` names a file that cannot be read, is not UTF-8, or is larger than 64 KiB (1 MiB for certificates). The path must be absolute, and the user the sidecar runs as must be able to read it.";
    /// A `${…}` that is not a reference.
    ReferenceMalformed 10 "malformed reference"
        "`${` opens a reference: `${env:NAME}`, `${env:NAME:-default}` or `${file:/absolute/path}`, closed by `}`. For the two characters themselves write `$${`.";
    /// A config file that cannot be read.
    ConfigUnreadable 11 "config file not readable"
        "The config file, or a file of `tenants.d` beside it, cannot be read or is not UTF-8.";
    /// More config than the sidecar takes.
    ConfigTooLarge 12 "config too large"
        "The main file and the files of `tenants.d` may have 16 MiB each and 256 MiB together, and there may be at most 60,000 of them.";
    /// The same name defined twice.
    DuplicateName 13 "defined twice"
        "A tenant or a policy may be defined once, in the main file or in one file of `tenants.d`. Definitions are never merged: which of the two would win could not be seen.";
    /// A name that breaks the grammar of names.
    BadName 14 "invalid name"
        "Tenant ids are `[A-Za-z0-9][A-Za-z0-9_.:-]*`, names of upstreams and policies the same without `:`, up to 128 bytes, case-sensitive.";
    /// A name that is taken by the sidecar itself.
    ReservedName 15 "reserved name"
        "Tenants whose id begins with `_` are the sidecar's own (`_nobody`, `_other`), and the upstream names `t`, `exec`, `mcp`, `v1` and `.well-known` are the first segments of its own paths.";
    /// A setting without which its section makes no sense.
    MissingKey 16 "required key missing"
        "The section needs this key, and it has no sensible default.";
    /// A name that nothing defines.
    UnknownReference 17 "names nothing"
        "The value names a policy, upstream or tenant that is defined nowhere.";
    /// Two tenants with the same virtual key.
    DuplicateKeyHash 18 "virtual key used twice"
        "The same key hash stands twice. A key identifies one tenant; with two, nobody could say whose work a request is.";
    /// Tenants that nothing tells apart.
    IdentityImpossible 19 "tenants cannot be told apart"
        "More than one tenant is served on bare loopback addresses, and nothing in `identity.accept` proves which one is calling: a loopback port proves nothing. Accept `key` or `path`.";
    /// An address others can reach, without credentials.
    ListenerExposed 20 "exposed without credentials"
        "The proxy listens on an address that is not loopback, and takes callers without a credential: everyone who can reach it would be the fixed tenant. Listen on loopback, or accept `key` or `path`. Or the admin listener is a port, which every process of the machine can reach, and there is no token in `admin.tokens`.";
    /// Two settings that cannot both hold.
    Conflict 21 "conflicting settings"
        "Two settings contradict each other; the message names both.";
    /// A setting that does nothing.
    Ineffective 22 "has no effect"
        "The setting is valid and changes nothing as things are: for example a policy no tenant uses.";
    /// The list was cut.
    More 23 "more problems"
        "Only the first problems are listed. Fix those, and check again.";
    /// A file that will not change while the sidecar runs, whatever its original says.
    Pinned 24 "will not update"
        "The file is a mount of its own: a `subPath` of a Kubernetes volume, or a bind mount of one file. A mount keeps the file it was made with; editors, `mv` and Kubernetes put another file in its place, and the sidecar goes on reading the old one. Mount the directory instead.";
    /// A reload that would forget everything.
    Emptied 25 "config emptied"
        "The main file is empty, and it was not before. At the start an empty file means all defaults; at a reload it is far more likely a file that is just being written, or a disk that is full, and taking it would forget every tenant and every rule. What ran goes on. To run on defaults, restart, or leave a comment in the file.";
    /// Two tenants with the same user.
    DuplicateUid 26 "user written twice"
        "The same number stands twice in `uids`. A user is one tenant; with two, nobody could say whose work a connection is.";
}

//! The value types of the configuration, and how each is read from text.
//! Must never hold text that was not checked, and never quote a value in an error: the caller knows whether it may be shown.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::defaults;
use crate::units::TenantId;

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $item:literal])* $variant:ident $word:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $item])* $variant,)* }

        impl $name {
            /// Every word, in the order of the reference.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The word in the file.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }

            /// The value of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    /// What proves a tenant (`identity.accept`).
    Proof {
        /// The listener the connection came in on, where it is one tenant's.
        Listener "listener",
        /// The user at the other end of a unix socket.
        Uid "uid",
        /// A virtual key in a credential header.
        Key "key",
        /// A virtual key in the path: `/t/<key>/…`.
        Path "path",
        /// Nothing: one tenant for the whole sidecar.
        Fixed "fixed",
    }
    /// How the tenant is named to an upstream (`upstreams.*.stamp`).
    Stamp {
        /// Not at all.
        None "none",
        /// `x-tenant-id`.
        Header "header",
        /// The provider's own field (`safety_identifier`, `metadata.user_id`), hashed.
        Provider "provider",
    }
    /// Whether and how actions are recorded (`journal.mode`).
    JournalMode {
        /// They are not.
        Off "off",
        /// Written to the system before anything leaves: it survives the process.
        Batch "batch",
        /// On the disk before anything leaves: it survives the machine.
        Strict "strict",
    }
    /// What there is of budgets when the record of what was spent is lost (`journal.on_lost`).
    OnLostState {
        /// All of it.
        Full "full",
        /// As much as is left of the window's time.
        Fraction "fraction",
        /// Nothing until an operator has acknowledged it.
        Refuse "refuse",
    }
    /// What becomes of an action that cannot be recorded (`journal.on_failure`).
    OnJournalFailure {
        /// It is refused.
        Refuse "refuse",
        /// It goes on, and the record says that something is missing.
        Gap "gap",
    }
    /// Whose a budget is (`budgets.*.scope`).
    BudgetScope {
        /// The tenant's.
        Tenant "tenant",
        /// One for each agent (`outrigger-agent`).
        Agent "agent",
        /// One for each session (`outrigger-session`).
        Session "session",
        /// One for each user (`outrigger-user`).
        User "user",
    }
    /// How much is held of budgets for a call that may cost something (`hold`).
    HoldFor {
        /// `extend` for streams, `full` for the rest.
        Auto "auto",
        /// What it is likely to cost; more while its answer streams.
        Extend "extend",
        /// The most it can cost.
        Full "full",
    }
    /// What an upstream may learn (`upstreams.*.trust`).
    Trust {
        /// Somebody else's: no trace headers.
        External "external",
        /// One's own: trace headers and baggage go along.
        Internal "internal",
    }
    /// Which HTTP is spoken with an upstream (`upstreams.*.http`).
    HttpVersion {
        /// What the upstream prefers: TLS agrees on it; without TLS it is HTTP/1.1.
        Auto "auto",
        /// HTTP/1.1.
        One "1.1",
        /// HTTP/2, also without TLS.
        Two "2",
    }
    /// Whether something is allowed.
    Permission {
        /// Refused.
        Deny "deny",
        /// Passed.
        Allow "allow",
    }
    /// Whose credentials a tenant's requests may show (`policies.*.credentials`).
    Credentials {
        /// The tenant's own where it has one, else the upstream's, else the agent's.
        Any "any",
        /// The tenant's own, or the request is refused.
        Own "own",
    }
    /// The header that carries an upstream's credential (`upstreams.*.key_header`).
    KeyHeader {
        /// `authorization: Bearer …`.
        Authorization "authorization",
        /// `x-api-key: …`.
        XApiKey "x-api-key",
    }
    /// What happens to streams that do not ask for usage (`policies.*.stream_usage`).
    StreamUsage {
        /// It is asked for, and taken out of the answer again.
        Inject "inject",
        /// The request stays as it is, and usage is estimated.
        Leave "leave",
    }
    /// What a provider may keep of a request and its answer (`policies.*.retention.provider`).
    ProviderRetention {
        /// What the request says, and the provider's terms.
        Keep "keep",
        /// Nothing that can be addressed later: no stored answers, files, conversations or background work.
        NoStore "no-store",
        /// The same, and only at upstreams that keep nothing at all.
        Zero "zero",
    }
    /// What becomes of a call to a model without prices (`prices.unknown`).
    UnknownModel {
        /// It costs its provider's dearest prices, and is flagged `unpriced`.
        Dearest "dearest",
        /// It is refused.
        Refuse "refuse",
    }
    /// What happens to an answer that came from elsewhere than the policy allows (`policies.*.inference_geo.mismatch`).
    OnMismatch {
        /// It is logged and counted.
        Log "log",
        /// It is also stopped there.
        Cut "cut",
    }
    /// What becomes of what a tenant has under way when a reload takes it out (`policies.*.on_revoke`).
    OnRevoke {
        /// It comes to its end.
        Finish "finish",
        /// It is ended.
        Cut "cut",
    }
    /// What becomes of a call whose caller hangs up (`policies.*.hang_up`).
    HangUp {
        /// It is ended at once, and charged what had come.
        Cancel "cancel",
        /// The rest is read without the caller, and charged what the provider reports.
        Drain "drain",
        /// It is ended at once, and charged all that was held for it.
        Estimate "estimate",
    }
    /// How log lines look (`log.format`).
    LogFormat {
        /// Text on a terminal, JSON otherwise.
        Auto "auto",
        /// For people.
        Text "text",
        /// `name=value` pairs.
        Logfmt "logfmt",
        /// For machines.
        Json "json",
    }
    /// The least that is worth a log line (`log.level`).
    LogLevel {
        /// What went wrong.
        Error "error",
        /// And what is odd.
        Warn "warn",
        /// And what happened; request lines are this.
        Info "info",
        /// And every connection.
        Debug "debug",
    }
    /// What an operator may do (`admin.tokens.*.role`); the later includes the earlier.
    Role {
        /// Look.
        Read "read",
        /// Look and act.
        Operate "operate",
    }
    /// A switch.
    OnOff {
        /// Done.
        On "on",
        /// Not done.
        Off "off",
    }
    /// The unit of time of a rate.
    Per {
        /// `s`.
        Second "s",
        /// `min`.
        Minute "min",
        /// `h`, also written `hour`.
        Hour "h",
    }
    /// How an upstream is reached.
    Scheme {
        /// Plain.
        Http "http",
        /// Over TLS.
        Https "https",
    }
}

impl Per {
    /// Its length.
    pub const fn span(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
        }
    }
}

/// A rate: so many per unit of time, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub amount: u64,
    /// Per which time.
    pub per: Per,
    /// How many at once, at least 1; absent = `amount`.
    pub burst: Option<u64>,
}

/// Something that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    /// `"off"`.
    Off,
    /// The value.
    On(T),
}

/// `"*"`, or one of a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyOr<T> {
    /// `"*"`.
    Any,
    /// That one.
    One(T),
}

/// An IP address and a port to listen on; port 0 lets the kernel choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

/// Where agents call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAddress {
    /// An address and a port.
    Tcp(ProxyPort),
    /// A socket in the file system.
    Unix(ProxySocket),
    /// Whatever the service manager has opened.
    Handed(ProxyHanded),
}

/// An address and a port, which prove nothing about who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyPort {
    /// Where it is.
    pub at: ListenAddress,
    /// How many connections it may have at once; as many as all together if not said.
    pub connections: Option<u32>,
}

impl From<ListenAddress> for ProxyPort {
    fn from(at: ListenAddress) -> Self {
        let connections = None;
        Self { at, connections }
    }
}

/// `fd:` and a socket that the service manager hands over (`sd_listen_fds(3)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHanded {
    /// Which.
    pub which: Handed,
    /// Whose it is, if everybody on it is one tenant: for unix sockets only.
    pub tenant: Option<TenantId>,
    /// How many connections may be open at once over all that go by this name; as many as all together if not said.
    pub connections: Option<u32>,
}

/// How a socket that is handed over is told from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Handed {
    /// By the name of its unit, or what `FileDescriptorName=` says; several may share one.
    Name(Box<str>),
    /// By the number of its descriptor, from 3 on.
    Number(u16),
}

impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "fd:{name}"),
            Self::Number(number) => write!(f, "fd:{number}"),
        }
    }
}

/// `unix:` and an absolute path, with what holds for whoever can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySocket {
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits; the owner can always read and write.
    pub mode: u32,
    /// Whose it is, if everybody on it is one tenant.
    pub tenant: Option<TenantId>,
    /// How many connections it may have at once; as many as all together if not said.
    pub connections: Option<u32>,
}

/// Where operators call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// `unix:` and a path, relative to the state directory unless absolute.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}

impl Default for AdminAddress {
    fn default() -> Self {
        Self::Unix(PathBuf::from(defaults::ADMIN_SOCKET))
    }
}

/// Who calls through the admin socket, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// `uid:` and a number.
    User(u32),
    /// `gid:` and a number.
    Group(u32),
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Of a text that was checked.
            pub(super) fn new(text: &str) -> Self { Self(Arc::from(text)) }

            /// As text.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )*};
}

texts! {
    /// A pattern over names: `*` stands for any text, everything else for itself.
    Glob;
    /// A host name or IP literal, lower case, without a port; an IPv6 literal has no brackets.
    HostName;
    /// The name of a policy: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
    PolicyName;
    /// Certificates as PEM (RFC 7468); whether they are any good is for TLS to say.
    Pem;
    /// Whose prices they are: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
    ProviderName;
    /// A day of the calendar: `2026-11-24`.
    Date;
    /// A line of text for people.
    Note;
    /// A region: `[a-z0-9-]{1,64}`.
    Region;
    /// The name of a header that names tenants: `x-[a-z0-9-]+`, and none that means something else.
    TenantHeader;
    /// A browser origin: `scheme://host[:port]`, lower case (RFC 6454 §6.2).
    WebOrigin;
}

/// The SHA-256 of a virtual key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{:02x}{:02x}…", self.0[0], self.0[1])
    }
}

impl KeyHash {
    /// The hash that is this digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where an upstream is: `http[s]://host[:port][/base/path]`, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    scheme: Scheme,
    host: HostName,
    port: u16,
    path: String,
}

impl UpstreamUrl {
    /// Of parts that were checked.
    pub(super) const fn new(scheme: Scheme, host: HostName, port: u16, path: String) -> Self {
        Self {
            scheme,
            host,
            port,
            path,
        }
    }

    /// Whether the connection is TLS.
    pub const fn tls(&self) -> bool {
        matches!(self.scheme, Scheme::Https)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host to resolve and to name in TLS; an IPv6 literal without brackets.
    pub const fn host(&self) -> &HostName {
        &self.host
    }

    /// The port, the scheme's own when none was written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The base path: empty, or with a leading and without a trailing slash.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The absolute path of a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// The path.
    pub fn as_path(&self) -> &std::path::Path {
        &self.0
    }

    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

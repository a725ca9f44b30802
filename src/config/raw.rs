//! What the files say, typed, with the place of every value; nothing derived, nothing merged.
//! Optional settings stay `Option`, so that where a value came from is known; the accessor of the same
//! name gives the value or its default (from `defaults`). Must never look anything up across sections: that is the snapshot's.

use std::time::Duration;

use crate::units::{Dialect, Endpoint, NanoUsd, Secret, TenantId, UpstreamName};

use super::defaults;
use super::money::{BudgetName, BudgetWindow, Revenue, ZoneName};
pub use super::prices::{FactorTable, ModelPrices, PriceProvider, PriceTable, Prices};
use super::site::{Site, Sited};
use super::values::{
    AbsolutePath, AdminAddress, AnyOr, BudgetScope, CallerId, Credentials, Glob, HangUp, HoldFor,
    HostName, HttpVersion, JournalMode, KeyHash, KeyHeader, ListenAddress, LogFormat, LogLevel,
    OnJournalFailure, OnLostState, OnMismatch, OnOff, OnRevoke, OrOff, Pem, Permission, PolicyName,
    Proof, ProviderName, ProviderRetention, ProxyAddress, Rate, Region, Role, Stamp, StreamUsage,
    TenantHeader, Trust, UpstreamUrl, WebOrigin,
};

/// The whole configuration as written.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// `[listen]`.
    pub listen: Listen,
    /// `[admin]`.
    pub admin: Admin,
    /// `[identity]`; `None` when the section is absent: one fixed tenant.
    pub identity: Option<Identity>,
    /// `[upstreams.NAME]`, in the order written.
    pub upstreams: Vec<Upstream>,
    /// `[policies.NAME]`, in the order written (the main file first).
    pub policies: Vec<Policy>,
    /// `[tenants.ID]`, in the order written (the main file first).
    pub tenants: Vec<Tenant>,
    /// `[prices]`.
    pub prices: Prices,
    /// `[journal]`; `None` when the section is absent: nothing is recorded.
    pub journal: Option<Journal>,
    /// `[memory]`.
    pub memory: Memory,
    /// `[pool]`.
    pub pool: Pool,
    /// `[log]`.
    pub log: Log,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[drain]`.
    pub drain: Drain,
    /// `[reload]`.
    pub reload: Reload,
}

/// `[listen]`: the sockets of the sidecar and what a connection may cost.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// Where agents call; never empty when given.
    pub proxy: Option<Sited<Vec<Sited<ProxyAddress>>>>,
    /// Where metrics and probes are.
    pub telemetry: Option<Sited<OrOff<ListenAddress>>>,
    /// Where operators call; never empty when given.
    pub admin: Option<Sited<OrOff<Vec<Sited<AdminAddress>>>>>,
    /// Further `Host` names that are answered.
    pub hosts: Option<Sited<Vec<Sited<HostName>>>>,
    /// Browser origins that may call.
    pub origins: Option<Sited<Vec<Sited<WebOrigin>>>>,
    /// Bytes of a request head.
    pub head_bytes: Option<Sited<u64>>,
    /// How long a head may take to arrive.
    pub head_timeout: Option<Sited<Duration>>,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Option<Sited<Duration>>,
    /// How long a caller may take nothing of its answer.
    pub write_timeout: Option<Sited<Duration>>,
    /// How many connections at once.
    pub connections: Option<Sited<u32>>,
    /// Refused requests of callers who prove nothing.
    pub refusals: Option<Sited<Rate>>,
}

/// `[admin]`: who may operate the sidecar.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// Who may look.
    pub read: Option<Sited<Vec<Sited<CallerId>>>>,
    /// Who may look and act.
    pub operate: Option<Sited<Vec<Sited<CallerId>>>>,
    /// `[admin.tokens.NAME]`, in the order written.
    pub tokens: Vec<AdminToken>,
}

/// `[admin.tokens.NAME]`: a bearer token for TCP.
#[derive(Clone, Debug)]
pub struct AdminToken {
    /// Its name.
    pub name: Sited<PolicyName>,
    /// What its holder may do.
    pub role: Sited<Role>,
    /// The tenant whose it sees only what is.
    pub tenant: Option<Sited<TenantId>>,
    /// The token.
    pub token: Sited<Secret>,
}

/// `[identity]`: what proves a tenant.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The section's header.
    pub site: Site,
    /// The accepted proofs, in the order written; `fixed` stands alone.
    pub accept: Option<Sited<Vec<Sited<Proof>>>>,
    /// The one tenant of `fixed`.
    pub tenant: Option<Sited<TenantId>>,
    /// The header in which a proven tenant may name another one.
    pub header: Option<Sited<TenantHeader>>,
}

/// `[upstreams.NAME]`: a model provider.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name, and the first path segment that reaches it.
    pub name: Sited<UpstreamName>,
    /// Its wire language.
    pub dialect: Sited<Dialect>,
    /// Where it is.
    pub url: Sited<UpstreamUrl>,
    /// Its region.
    pub region: Option<Sited<Region>>,
    /// Whose prices its calls cost.
    pub provider: Option<Sited<ProviderName>>,
    /// The credential it is called with; absent = the agent's own.
    pub key: Option<Sited<Secret>>,
    /// The header that carries it.
    pub key_header: Option<Sited<KeyHeader>>,
    /// How the tenant is named to it.
    pub stamp: Option<Sited<Stamp>>,
    /// Whether it may see trace headers.
    pub trust: Option<Sited<Trust>>,
    /// Which HTTP it speaks.
    pub http: Option<Sited<HttpVersion>>,
    /// The authorities that may have signed its certificate; absent = the system's.
    pub ca: Option<Sited<Pem>>,
    /// Whether it keeps nothing of what it is sent.
    pub zero_retention: Option<Sited<bool>>,
    /// Connecting, TLS included.
    pub connect_timeout: Option<Sited<Duration>>,
    /// From the last byte of the request to the head of the answer.
    pub first_byte_timeout: Option<Sited<Duration>>,
    /// Between two reads of the answer.
    pub between_bytes_timeout: Option<Sited<Duration>>,
    /// How long a connection may wait in the pool.
    pub idle: Option<Sited<Duration>>,
}

/// `[policies.NAME]`: what the tenants that use it may do.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: Sited<PolicyName>,
    /// `models.*`.
    pub models: Models,
    /// `regions.allow`; absent = any, regionless upstreams included.
    pub regions_allow: Option<Sited<Vec<Sited<Region>>>>,
    /// `endpoints.allow`: open besides the governed ones.
    pub endpoints_allow: Option<Sited<Vec<Sited<AnyOr<Endpoint>>>>>,
    /// `hosted_tools.allow`: globs over tool types.
    pub hosted_tools_allow: Option<Sited<Vec<Sited<Glob>>>>,
    /// `upstreams.allow`; absent = all.
    pub upstreams_allow: Option<Sited<Vec<Sited<UpstreamName>>>>,
    /// Work that goes on after the answer.
    pub background: Option<Sited<Permission>>,
    /// References to state kept at the provider.
    pub references: Option<Sited<Permission>>,
    /// Whose credentials may be shown.
    pub credentials: Option<Sited<Credentials>>,
    /// `retention.provider`.
    pub provider_retention: Option<Sited<ProviderRetention>>,
    /// `service_tiers.allow`: globs over tiers and speeds.
    pub service_tiers_allow: Option<Sited<Vec<Sited<Glob>>>>,
    /// `inference_geo.allow`; absent = any.
    pub inference_geo_allow: Option<Sited<Vec<Sited<Region>>>>,
    /// `inference_geo.mismatch`.
    pub geo_mismatch: Option<Sited<OnMismatch>>,
    /// Whether usage is asked for in streams.
    pub stream_usage: Option<Sited<StreamUsage>>,
    /// What becomes of what is under way when the tenant is taken out.
    pub on_revoke: Option<Sited<OnRevoke>>,
    /// What becomes of a call whose caller hangs up.
    pub hang_up: Option<Sited<HangUp>>,
    /// How long an answer is read without its caller.
    pub drain_for: Option<Sited<Duration>>,
    /// How many bytes of it.
    pub drain_bytes: Option<Sited<u64>>,
    /// How many at once, for each tenant.
    pub drain_calls: Option<Sited<u32>>,
    /// Bytes of a request body.
    pub body: Option<Sited<u64>>,
    /// How long a body may take to arrive.
    pub body_timeout: Option<Sited<Duration>>,
    /// How long it may make no progress.
    pub body_pause: Option<Sited<Duration>>,
    /// `limits.*`, for each tenant by itself.
    pub limits: Limits,
    /// What calls hold of budgets.
    pub hold: Option<Sited<HoldFor>>,
    /// Where its tenants' record differs from `[journal]`.
    pub journal: PolicyJournal,
    /// `budgets.*`, for each tenant by itself.
    pub budgets: Vec<Budget>,
}

/// `policies.NAME.models`: rules about the model asked for.
#[derive(Clone, Debug, Default)]
pub struct Models {
    /// Names that are allowed.
    pub allow: Option<Sited<Vec<Sited<Glob>>>>,
    /// Names that are denied, whatever `allow` says.
    pub deny: Option<Sited<Vec<Sited<Glob>>>>,
    /// The model when none is named.
    pub default: Option<Sited<String>>,
    /// Replacements, in the order written; the first that fits holds.
    pub rewrite: Option<Sited<Vec<Rewrite>>>,
    /// The largest output a request may ask for, in tokens.
    pub max_output_tokens: Option<Sited<u64>>,
    /// The cap of calls that send none, where their whole cost is held, in tokens.
    pub uncapped_output_tokens: Option<Sited<u64>>,
}

/// One line of `models.rewrite`.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// The names that are replaced.
    pub from: Sited<Glob>,
    /// The name that is sent.
    pub to: Sited<String>,
}

/// `limits`, of a policy or of one tenant (the tenant's wins, key by key). Absent = unlimited, for rates and `streams`.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Requests.
    pub requests: Option<Sited<Rate>>,
    /// Input tokens.
    pub input_tokens: Option<Sited<Rate>>,
    /// Output tokens.
    pub output_tokens: Option<Sited<Rate>>,
    /// Input and output tokens together.
    pub tokens: Option<Sited<Rate>>,
    /// Requests under way at once.
    pub streams: Option<Sited<u32>>,
    /// Requests refused for what they are.
    pub refusals: Option<Sited<Rate>>,
    /// Connections at once.
    pub connections: Option<Sited<u32>>,
    /// Requests that may wait for a slot.
    pub queue: Option<Sited<u32>>,
    /// How long each may wait.
    pub queue_wait: Option<Sited<Duration>>,
}

/// `budgets.NAME`, of a policy or of one tenant.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its name.
    pub name: Sited<BudgetName>,
    /// How much there is in a window.
    pub amount: Sited<NanoUsd>,
    /// The window.
    pub per: Sited<BudgetWindow>,
    /// By whose clocks.
    pub zone: Option<Sited<ZoneName>>,
    /// The day a month begins.
    pub month_day: Option<Sited<u32>>,
    /// Whose it is.
    pub scope: Option<Sited<BudgetScope>>,
}

/// `[tenants.ID]`.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: Sited<TenantId>,
    /// Its policy; absent = `standard`, built in unless defined.
    pub policy: Option<Sited<PolicyName>>,
    /// Hashes of its virtual keys.
    pub keys: Option<Sited<Vec<Sited<KeyHash>>>>,
    /// The users it calls as, on unix sockets.
    pub uids: Option<Sited<Vec<Sited<u32>>>>,
    /// Patterns over the tenants it may name in `identity.header`.
    pub vouches: Option<Sited<Vec<Sited<Glob>>>>,
    /// What it brings in.
    pub revenue: Option<Sited<Revenue>>,
    /// Its own credentials, by upstream, in the order written.
    pub credentials: Option<Sited<Vec<OwnCredential>>>,
    /// Its own limits, over the policy's.
    pub limits: Limits,
    /// Its own budgets, beside the policy's; one of the same name takes its place.
    pub budgets: Vec<Budget>,
}

/// `policies.NAME.journal`: where that differs from `[journal]`.
#[derive(Clone, Debug, Default)]
pub struct PolicyJournal {
    /// When an action counts as recorded.
    pub mode: Option<Sited<JournalMode>>,
    /// What becomes of one that cannot be.
    pub on_failure: Option<Sited<OnJournalFailure>>,
    /// What there is of budgets whose state is lost.
    pub on_lost: Option<Sited<OnLostState>>,
}

/// `[journal]`: the record of what was done.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// When an action counts as recorded.
    pub mode: Option<Sited<JournalMode>>,
    /// What becomes of one that cannot be.
    pub on_failure: Option<Sited<OnJournalFailure>>,
    /// What there is of budgets whose state is lost.
    pub on_lost: Option<Sited<OnLostState>>,
    /// How long finished parts are kept.
    pub keep: Option<Sited<OrOff<Duration>>>,
    /// What all of it may take.
    pub size: Option<Sited<u64>>,
    /// What one tenant's part may take.
    pub tenant_size: Option<Sited<u64>>,
    /// The largest record.
    pub payload: Option<Sited<u64>>,
    /// Where finished parts are copied to.
    pub ship: Option<Sited<AbsolutePath>>,
}

/// `[memory]`: what may be held at once.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Bytes of request bodies.
    pub buffers: Option<Sited<u64>>,
}

/// One line of `credentials`.
#[derive(Clone, Debug)]
pub struct OwnCredential {
    /// For which upstream.
    pub upstream: Sited<UpstreamName>,
    /// The credential.
    pub key: Sited<Secret>,
}

/// `[pool]`: connections to upstreams.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Idle connections in the whole process.
    pub idle_connections: Option<Sited<u32>>,
}

/// `[log]`.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// How lines look.
    pub format: Option<Sited<LogFormat>>,
    /// The least that is worth a line.
    pub level: Option<Sited<LogLevel>>,
    /// Whether there is a line per request.
    pub requests: Option<Sited<OnOff>>,
    /// Lines that may wait for the writer.
    pub queue: Option<Sited<u32>>,
}

/// `[metrics]`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Tenants with a label of their own.
    pub tenants_labelled: Option<Sited<u32>>,
}

/// `[drain]`: how the sidecar stops.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// The hard stop.
    pub timeout: Option<Sited<Duration>>,
    /// How long nothing must happen for an early exit.
    pub idle: Option<Sited<Duration>>,
}

/// `[reload]`.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    /// Whether the kernel is asked to tell when a file changes.
    pub watch: Option<Sited<OnOff>>,
    /// How often the files are looked at.
    pub poll: Option<Sited<OrOff<Duration>>>,
}

/// The value written, or the default.
fn or<T: Copy>(written: Option<&Sited<T>>, default: T) -> T {
    written.map_or(default, |sited| sited.value)
}

/// The accessors: the value written, or the default of the key table.
macro_rules! defaulted {
    ($section:ident { $($field:ident: $kind:ty = $default:ident;)* }) => {
        impl $section {
            $(
                #[doc = concat!("`", stringify!($field), "` as written, or its default.")]
                pub fn $field(&self) -> $kind { or(self.$field.as_ref(), defaults::$default) }
            )*
        }
    };
}

defaulted!(Listen {
    head_bytes: u64 = HEAD_BYTES;
    head_timeout: Duration = HEAD_TIMEOUT;
    idle_timeout: Duration = IDLE_TIMEOUT;
    write_timeout: Duration = WRITE_TIMEOUT;
    connections: u32 = CONNECTIONS;
    refusals: Rate = REFUSALS;
});

defaulted!(Upstream {
    stamp: Stamp = STAMP;
    trust: Trust = TRUST;
    http: HttpVersion = HTTP;
    zero_retention: bool = ZERO_RETENTION;
    connect_timeout: Duration = CONNECT_TIMEOUT;
    first_byte_timeout: Duration = FIRST_BYTE_TIMEOUT;
    between_bytes_timeout: Duration = BETWEEN_BYTES_TIMEOUT;
});

defaulted!(Policy {
    background: Permission = BACKGROUND;
    references: Permission = REFERENCES;
    credentials: Credentials = CREDENTIALS;
    provider_retention: ProviderRetention = PROVIDER_RETENTION;
    geo_mismatch: OnMismatch = GEO_MISMATCH;
    stream_usage: StreamUsage = STREAM_USAGE;
    on_revoke: OnRevoke = ON_REVOKE;
    hang_up: HangUp = HANG_UP;
    drain_for: Duration = DRAIN_FOR;
    drain_bytes: u64 = DRAIN_BYTES;
    drain_calls: u32 = DRAIN_CALLS;
    hold: HoldFor = HOLD;
    body: u64 = BODY;
    body_timeout: Duration = BODY_TIMEOUT;
    body_pause: Duration = BODY_PAUSE;
});

defaulted!(Limits {
    queue: u32 = QUEUE;
    queue_wait: Duration = QUEUE_WAIT;
});

defaulted!(Journal {
    mode: JournalMode = JOURNAL_MODE;
    on_failure: OnJournalFailure = ON_JOURNAL_FAILURE;
    on_lost: OnLostState = ON_LOST_STATE;
    keep: OrOff<Duration> = JOURNAL_KEEP_OR_OFF;
    size: u64 = JOURNAL_SIZE;
    payload: u64 = JOURNAL_PAYLOAD;
});
defaulted!(Pool { idle_connections: u32 = IDLE_CONNECTIONS; });
defaulted!(Log {
    format: LogFormat = LOG_FORMAT;
    level: LogLevel = LOG_LEVEL;
    requests: OnOff = LOG_REQUESTS;
    queue: u32 = LOG_QUEUE;
});
defaulted!(Metrics { tenants_labelled: u32 = TENANTS_LABELLED; });
defaulted!(Drain { timeout: Duration = DRAIN_TIMEOUT; idle: Duration = DRAIN_IDLE; });
defaulted!(Reload { watch: OnOff = RELOAD_WATCH; poll: OrOff<Duration> = RELOAD_POLL; });

impl Listen {
    /// The addresses agents call; at least one.
    pub fn proxy(&self) -> Vec<ProxyAddress> {
        self.proxy.as_ref().map_or_else(
            || vec![ProxyAddress::Tcp(defaults::PROXY.into())],
            |list| list.value.iter().map(|at| at.value.clone()).collect(),
        )
    }

    /// Where metrics and probes are.
    pub fn telemetry(&self) -> OrOff<ListenAddress> {
        or(self.telemetry.as_ref(), defaults::TELEMETRY)
    }

    /// Where operators call; nowhere if it is off.
    pub fn admin(&self) -> Vec<AdminAddress> {
        match self.admin.as_ref().map(|admin| &admin.value) {
            None => vec![AdminAddress::default()],
            Some(OrOff::Off) => Vec::new(),
            Some(OrOff::On(list)) => list.iter().map(|at| at.value.clone()).collect(),
        }
    }
}

impl Identity {
    /// The accepted proofs; `fixed` alone when none are named.
    pub fn accept(&self) -> Vec<Proof> {
        self.accept.as_ref().map_or_else(
            || defaults::ACCEPT.to_vec(),
            |list| list.value.iter().map(|proof| proof.value).collect(),
        )
    }
}

impl Upstream {
    /// The header that carries the credential: the usual one of the dialect, unless written.
    pub fn key_header(&self) -> KeyHeader {
        or(
            self.key_header.as_ref(),
            defaults::key_header(self.dialect.value),
        )
    }

    /// How long a connection may wait in the pool: shorter without TLS, since plain servers close early.
    pub fn idle(&self) -> Duration {
        let default = if self.url.value.tls() {
            defaults::IDLE_TLS
        } else {
            defaults::IDLE_PLAIN
        };
        or(self.idle.as_ref(), default)
    }
}

//! The defaults of the key table, each once, typed. The reference file and the schema print these.
//! Must never be written a second time anywhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::values::{
    BudgetScope, Credentials, HangUp, HoldFor, HttpVersion, JournalMode, KeyHeader, ListenAddress,
    LogFormat, LogLevel, OnJournalFailure, OnLostState, OnMismatch, OnOff, OnRevoke, OrOff, Per,
    Permission, Proof, ProviderRetention, Rate, Stamp, StreamUsage, Trust, UnknownModel,
};
use crate::units::Dialect;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const fn loopback(port: u16) -> ListenAddress {
    ListenAddress(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

/// `listen.proxy`.
pub const PROXY: ListenAddress = loopback(8470);
/// The mode of a socket of `listen.proxy`.
pub const SOCKET_MODE: u32 = 0o600;
/// `listen.telemetry`.
pub const TELEMETRY: OrOff<ListenAddress> = OrOff::On(loopback(8471));
/// `listen.admin`, below the state directory.
pub const ADMIN_SOCKET: &str = "admin.sock";
/// `listen.head_bytes`.
pub const HEAD_BYTES: u64 = 64 * KIB;
/// `listen.head_timeout`.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// `listen.idle_timeout`.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// `listen.write_timeout`.
pub const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
/// `listen.connections`.
pub const CONNECTIONS: u32 = 4096;
/// `listen.refusals` and `limits.refusals`.
pub const REFUSALS: Rate = Rate {
    amount: 100,
    per: Per::Second,
    burst: Some(1000),
};
/// `identity.accept`.
pub const ACCEPT: &[Proof] = &[Proof::Fixed];
/// `identity.tenant`, and the tenant when there is no `[identity]`.
pub const FIXED_TENANT: &str = "default";
/// `upstreams.*.key_header`, by dialect.
pub const fn key_header(dialect: Dialect) -> KeyHeader {
    match dialect {
        Dialect::OpenAi => KeyHeader::Authorization,
        Dialect::Anthropic => KeyHeader::XApiKey,
    }
}
/// `upstreams.*.stamp`.
pub const STAMP: Stamp = Stamp::None;
/// `upstreams.*.trust`.
pub const TRUST: Trust = Trust::External;
/// `upstreams.*.http`.
pub const HTTP: HttpVersion = HttpVersion::Auto;
/// `upstreams.*.connect_timeout`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `upstreams.*.first_byte_timeout`.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_mins(10);
/// `upstreams.*.between_bytes_timeout`.
pub const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_mins(5);
/// `upstreams.*.idle` over TLS.
pub const IDLE_TLS: Duration = Duration::from_secs(30);
/// `upstreams.*.idle` without TLS.
pub const IDLE_PLAIN: Duration = Duration::from_secs(4);
/// `policies.*.models.allow`.
pub const MODELS_ALLOW: &str = "*";
/// `policies.*.background`.
pub const BACKGROUND: Permission = Permission::Deny;
/// `policies.*.references`.
pub const REFERENCES: Permission = Permission::Deny;
/// `policies.*.credentials`.
pub const CREDENTIALS: Credentials = Credentials::Any;
/// `upstreams.*.zero_retention`.
pub const ZERO_RETENTION: bool = false;
/// `prices.unknown`.
pub const UNKNOWN_MODEL: UnknownModel = UnknownModel::Dearest;
/// `policies.*.retention.provider`.
pub const PROVIDER_RETENTION: ProviderRetention = ProviderRetention::Keep;
/// `policies.*.inference_geo.mismatch`.
pub const GEO_MISMATCH: OnMismatch = OnMismatch::Cut;
/// `policies.*.service_tiers.allow`: what costs no more than the list price.
pub const SERVICE_TIERS: &[&str] = &["auto", "default", "flex", "standard", "standard_only"];
/// `policies.*.stream_usage`.
pub const STREAM_USAGE: StreamUsage = StreamUsage::Inject;
/// `policies.*.on_revoke`.
pub const ON_REVOKE: OnRevoke = OnRevoke::Finish;
/// `policies.*.hang_up`.
pub const HANG_UP: HangUp = HangUp::Cancel;
/// `policies.*.drain_for`.
pub const DRAIN_FOR: Duration = Duration::from_secs(30);
/// `policies.*.drain_bytes`.
pub const DRAIN_BYTES: u64 = 8 * MIB;
/// `policies.*.drain_calls`.
pub const DRAIN_CALLS: u32 = 16;
/// `policies.*.body`.
pub const BODY: u64 = 32 * MIB;
/// `policies.*.body_timeout`.
pub const BODY_TIMEOUT: Duration = Duration::from_mins(1);
/// `policies.*.body_pause`.
pub const BODY_PAUSE: Duration = Duration::from_secs(10);
/// `tenants.*.policy`.
pub const POLICY: &str = "standard";
/// `limits.queue`.
pub const QUEUE: u32 = 100;
/// `limits.queue_wait`.
pub const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// `budgets.*.zone`.
pub const BUDGET_ZONE: &str = "UTC";
/// `budgets.*.month_day`.
pub const BUDGET_MONTH_DAY: u32 = 1;
/// `budgets.*.scope`.
pub const BUDGET_SCOPE: BudgetScope = BudgetScope::Tenant;
/// `policies.*.models.uncapped_output_tokens`.
pub const UNCAPPED_OUTPUT: u64 = 16_384;
/// `journal.mode`, where the section is written.
pub const JOURNAL_MODE: JournalMode = JournalMode::Batch;
/// `journal.on_failure`.
pub const ON_JOURNAL_FAILURE: OnJournalFailure = OnJournalFailure::Refuse;
/// `journal.on_lost`.
pub const ON_LOST_STATE: OnLostState = OnLostState::Full;
/// `journal.keep`.
pub const JOURNAL_KEEP: Duration = Duration::from_hours(90 * 24);
/// The same as a setting.
pub const JOURNAL_KEEP_OR_OFF: OrOff<Duration> = OrOff::On(JOURNAL_KEEP);
/// `journal.size`.
pub const JOURNAL_SIZE: u64 = 10 * 1024 * MIB;
/// `journal.payload`.
pub const JOURNAL_PAYLOAD: u64 = 3 * KIB;
/// `policies.*.hold`.
pub const HOLD: HoldFor = HoldFor::Auto;
/// `memory.buffers`: one part in so many of the memory that the process may use, but at least and at most so much.
pub const BUFFERS_PART: u64 = 4;
/// See [`BUFFERS_PART`].
pub const BUFFERS: (u64, u64) = (16 * MIB, 1024 * MIB);
/// `pool.idle_connections`.
pub const IDLE_CONNECTIONS: u32 = 256;
/// `log.format`.
pub const LOG_FORMAT: LogFormat = LogFormat::Auto;
/// `log.level`.
pub const LOG_LEVEL: LogLevel = LogLevel::Info;
/// `log.requests`.
pub const LOG_REQUESTS: OnOff = OnOff::On;
/// `log.queue`.
pub const LOG_QUEUE: u32 = 8192;
/// `metrics.tenants_labelled`.
pub const TENANTS_LABELLED: u32 = 1000;
/// `drain.timeout`.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// `drain.idle`.
pub const DRAIN_IDLE: Duration = Duration::from_secs(1);
/// `reload.watch`.
pub const RELOAD_WATCH: OnOff = OnOff::On;
/// `reload.poll`.
pub const RELOAD_POLL: OrOff<Duration> = OrOff::On(Duration::from_secs(2));

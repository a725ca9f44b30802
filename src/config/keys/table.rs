//! The rows of the key table, in the order of the reference.
//! Must never hold a value that is not in `defaults`, nor a sentence the reference should not print.

mod budgets;
mod journal;
mod people;
mod policies;
mod prices;

use std::time::Duration;

use people::{IDENTITY, TENANTS};

use super::{Fallback, Grammar, Key, Kind, Value};
use crate::config::defaults as d;
use crate::config::values::{
    HttpVersion, KeyHeader, LogFormat, LogLevel, OnOff, OrOff, Role, Stamp, Trust,
};

/// The rows of `limits`, which policies and tenants share.
macro_rules! limits {
    ($prefix:literal) => {
        [
            key(
                concat!($prefix, "requests"),
                Kind::Rate,
                Fallback::Unset("unlimited"),
                "50/s",
                "requests: an amount per `s`, `min` or `h`, and optionally `burst N`",
                "Refilled evenly over the time; `burst` is how many may come at once, the amount itself if not given.",
            ),
            key(
                concat!($prefix, "input_tokens"),
                Kind::Rate,
                Fallback::Unset("unlimited"),
                "1M/min",
                "input tokens, cached ones included",
                "Held by an estimate when a call is admitted, and settled when the provider reports.",
            ),
            key(
                concat!($prefix, "output_tokens"),
                Kind::Rate,
                Fallback::Unset("unlimited"),
                "100k/min",
                "output tokens, reasoning included",
                "Held at the cap the call asks for, and settled when the provider reports.",
            ),
            key(
                concat!($prefix, "tokens"),
                Kind::Rate,
                Fallback::Unset("unlimited"),
                "200k/min burst 400k",
                "input and output tokens together",
                "For providers and contracts that count both as one.",
            ),
            key(
                concat!($prefix, "streams"),
                Kind::Count(1, MANY),
                Fallback::Unset("unlimited"),
                "20",
                "calls under way at once, to the last byte of their answers",
                "A slow or stuck provider ties up no more of the sidecar than this.",
            ),
            key(
                concat!($prefix, "refusals"),
                Kind::Rate,
                is(Value::Text(REFUSALS)),
                "",
                "requests refused for what they are, such as a model that is denied",
                "Past the rate they are answered with `too-many-refusals` alone and their connection is closed; what is allowed goes on. A request that was looked at and refused also counts as one of `requests`.",
            ),
            key(
                concat!($prefix, "connections"),
                Kind::Count(1, MANY),
                Fallback::Unset(
                    "three quarters of `listen.connections` where there are several tenants, else unlimited",
                ),
                "200",
                "connections at once, idle ones too",
                "A connection is the tenant's of its latest request; one more than this is refused with `too-many-connections` and closed.",
            ),
            key(
                concat!($prefix, "queue"),
                Kind::Count(0, 100_000),
                is(Value::Count(d::QUEUE as u64)),
                "",
                "calls that may wait when all `streams` are taken",
                "They are served in the order they came; past the number they are refused with `queue-full`.",
            ),
            key(
                concat!($prefix, "queue_wait"),
                Kind::Duration(MS, HOUR),
                is(Value::Duration(d::QUEUE_WAIT)),
                "",
                "how long each of them may wait",
                "Then it is refused with `queue-timeout`, which the SDKs retry.",
            ),
        ]
    };
}

/// The sections, in the order of the reference.
pub(super) const SECTIONS: &[&[Key]] = &[
    LISTEN,
    ADMIN,
    IDENTITY,
    UPSTREAMS,
    policies::POLICIES,
    &limits!("policies.*.limits."),
    budgets::HOLD,
    budgets::OF_POLICIES,
    journal::OF_POLICIES,
    TENANTS,
    &limits!("tenants.*.limits."),
    budgets::OF_TENANTS,
    journal::JOURNAL,
    prices::PRICES,
    PROCESS,
];

/// The default of both keys called `refusals`, in words.
const REFUSALS: &str = "100/s burst 1000";
const SINCE: &str = "0.1";
const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MANY: u64 = 1_000_000;

/// The words of an endpoint list, from the vocabulary itself.
const ENDPOINTS: &[&str] = &{
    let all = crate::units::Endpoint::ALL;
    let mut words = [""; crate::units::Endpoint::ALL.len()];
    let mut at = 0;
    while at < all.len() {
        words[at] = all[at].as_str();
        at += 1;
    }
    words
};

const DIALECTS: &[&str] = &[
    crate::units::Dialect::OpenAi.as_str(),
    crate::units::Dialect::Anthropic.as_str(),
];

const fn key(
    path: &'static str,
    kind: Kind,
    default: Fallback,
    example: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Key {
    Key {
        path,
        kind,
        default,
        example,
        doc,
        why,
        since: SINCE,
    }
}

const fn is(value: Value) -> Fallback {
    Fallback::Is(value)
}

const LISTEN: &[Key] = &[
    key(
        "listen.proxy",
        Kind::Addresses,
        is(Value::Address(d::PROXY)),
        "",
        "where agents call: an address, a unix socket, one that is handed over, or a list of them",
        "Agents set their base URL to it. Port 0 takes any free port. A port proves nothing about the caller, and an address that is not loopback needs `identity.accept` to ask for credentials. `unix:/run/outrigger/acme.sock?mode=0660&tenant=acme` is a socket; its mode is 0600 unless said, and with `tenant` whoever can open it is that tenant (`listener` of `identity.accept`). `fd:proxy` is what the service manager has opened under that name, or `fd:3` by number (`sd_listen_fds`); it may have a `tenant` if it is a unix socket. Each takes `connections`, as in `127.0.0.1:8470?connections=1000`: so many at once, so that one address leaves places of `listen.connections` to the others. When few of its places are left, its own idle connections are closed; past the number a new one is answered 503 `overloaded` and closed. What goes by one name of the service manager has one number together.",
    ),
    key(
        "listen.telemetry",
        Kind::AddressOrOff,
        is(match d::TELEMETRY {
            OrOff::On(address) => Value::Address(address),
            OrOff::Off => Value::Text("off"),
        }),
        "",
        "where `/metrics`, `/healthz` and `/readyz` are; or `off`",
        "It only reads, so it may be `0.0.0.0:8471` where probes and Prometheus come by pod address.",
    ),
    key(
        "listen.admin",
        Kind::AdminAddresses,
        is(Value::Text("unix:admin.sock")),
        "",
        "where `outrigger ctl` calls: a unix socket, a loopback address, or a list of them; or `off`",
        "The socket has mode 0600 (0666 if `admin.read` or `admin.operate` name others), and the kernel says who calls. A relative path is taken from the state directory. TCP needs one of `admin.tokens`, and stays on loopback since there is no TLS.",
    ),
    key(
        "listen.hosts",
        Kind::Texts(Grammar::Host),
        is(Value::Texts(&[])),
        "",
        "further names that may stand in `Host`",
        "IP literals and `localhost` are always answered. Other names are refused, or a web page could reach the sidecar under a name of its own (DNS rebinding).",
    ),
    key(
        "listen.origins",
        Kind::Texts(Grammar::Origin),
        is(Value::Texts(&[])),
        "",
        "browser origins that may call",
        "Agents send no `Origin`. Browsers do, and without this list any web page could spend a tenant's limits.",
    ),
    key(
        "listen.head_bytes",
        Kind::Size(4 * KIB, MIB),
        is(Value::Size(d::HEAD_BYTES)),
        "",
        "the largest request head",
        "A head is held in memory before the tenant is known.",
    ),
    key(
        "listen.head_timeout",
        Kind::Duration(MS, HOUR),
        is(Value::Duration(d::HEAD_TIMEOUT)),
        "",
        "how long a request head may take to arrive",
        "A caller that trickles its head holds a connection and nothing else can end it.",
    ),
    key(
        "listen.idle_timeout",
        Kind::Duration(MS, DAY),
        is(Value::Duration(d::IDLE_TIMEOUT)),
        "",
        "how long a connection may stay open between requests",
        "Longer than the client's own pool keeps it, so that the client closes first and no request meets a closing connection.",
    ),
    key(
        "listen.write_timeout",
        Kind::Duration(MS, DAY),
        is(Value::Duration(d::WRITE_TIMEOUT)),
        "",
        "how long a caller may take nothing of an answer that waits for it",
        "A caller that has stopped reading keeps a slot of its tenant and a connection to the provider. Long enough for an agent that stands in a debugger; the trip ends as `cut-off` with the cause `caller-stalled`.",
    ),
    key(
        "listen.connections",
        Kind::Count(1, MANY),
        is(Value::Count(d::CONNECTIONS as u64)),
        "",
        "how many connections at once, over all proxy addresses",
        "Each costs a file descriptor and some memory. When few places are left, idle connections of the tenant that has most are closed; past the number a new one is answered 503 `overloaded` and closed. One address can be given fewer (`listen.proxy`). Telemetry and admin have places of their own: 64, and 16 for each admin address.",
    ),
    key(
        "listen.refusals",
        Kind::Rate,
        is(Value::Text(REFUSALS)),
        "",
        "refused requests of callers who prove no tenant",
        "Past the rate they are answered with `too-many-refusals` alone and their connection is closed, so that guessing takes a connection for each try. Callers with a good credential are not concerned.",
    ),
];

const UPSTREAMS: &[Key] = &[
    key(
        "upstreams.*.dialect",
        Kind::Word(DIALECTS),
        Fallback::Required,
        "openai",
        "the language it speaks: `openai` (and everything compatible) or `anthropic`",
        "It decides what is governed in a request, how usage is read and what a refusal looks like.",
    ),
    key(
        "upstreams.*.url",
        Kind::Url,
        Fallback::Required,
        "https://api.openai.com",
        "where it is: `http` or `https`, host, optional port and base path",
        "A trailing `/v1` may be written or left out. User, query and fragment are refused: credentials belong in `key`.",
    ),
    key(
        "upstreams.*.region",
        Kind::Text(Grammar::Region),
        Fallback::Unset("it has no region, and a policy with `regions.allow` never uses it"),
        "us",
        "the region it works in",
        "Policies may allow regions; when none of the allowed is left, the call is refused, never rerouted.",
    ),
    key(
        "upstreams.*.provider",
        Kind::Text(Grammar::Provider),
        Fallback::Unset(
            "the provider of the price book that has its host, else the one its dialect is of",
        ),
        "openai",
        "whose prices its calls cost",
        "A name of `prices.providers`, or one that only stands in `prices.models`. For one's own servers, gateways, and places of a provider with prices of their own (`azure-eu`).",
    ),
    key(
        "upstreams.*.key",
        Kind::Secret,
        Fallback::Unset(
            "the agent's own credential is forwarded, unless it is what identified the tenant",
        ),
        "${env:OPENAI_API_KEY:-not-set}",
        "the credential it is called with",
        "With it the agent never holds the provider's key. Write `${env:NAME}` or `${file:/path}`, not the key itself; it never prints.",
    ),
    key(
        "upstreams.*.key_header",
        Kind::Word(KeyHeader::WORDS),
        Fallback::Varies(
            Value::Text(d::key_header(crate::units::Dialect::OpenAi).as_str()),
            "for `openai`; `x-api-key` for `anthropic`",
        ),
        "",
        "the header that carries the credential: `authorization` (as `Bearer`) or `x-api-key`",
        "Anthropic takes API keys in either, and tokens (`ANTHROPIC_AUTH_TOKEN`) in `authorization` only. It holds for the tenants' own credentials too.",
    ),
    key(
        "upstreams.*.stamp",
        Kind::Word(Stamp::WORDS),
        is(Value::Text(d::STAMP.as_str())),
        "",
        "how the tenant is named to it: `none`, `header` (`x-tenant-id`) or `provider`",
        "`provider` fills the provider's own field, hashed (`safety_identifier`, `metadata.user_id`). Whatever the agent sent under the same name is removed first.",
    ),
    key(
        "upstreams.*.trust",
        Kind::Word(Trust::WORDS),
        is(Value::Text(d::TRUST.as_str())),
        "",
        "`external`, or `internal` for one's own servers",
        "Only an internal upstream is sent `traceparent` and `baggage`.",
    ),
    key(
        "upstreams.*.http",
        Kind::Word(HttpVersion::WORDS),
        is(Value::Text(d::HTTP.as_str())),
        "",
        "the HTTP spoken with it: `auto`, `1.1` or `2`",
        "`auto` takes HTTP/2 where TLS agrees on it (ALPN), else HTTP/1.1. `2` insists, over plain `http` too. A tenant's calls share a connection of HTTP/2; two tenants' never do.",
    ),
    key(
        "upstreams.*.ca",
        Kind::Text(Grammar::Pem),
        Fallback::Unset("the system's certificate authorities, or those of `SSL_CERT_FILE`"),
        "${file:/etc/outrigger/internal-ca.pem}",
        "the authorities that may have signed its certificate, as PEM; the system's do not count then",
        "For one's own servers. Write `${file:/path}`; the file is read again at each reload, and connections made under other authorities are not used any more.",
    ),
    key(
        "upstreams.*.zero_retention",
        Kind::Flag,
        is(Value::Flag(d::ZERO_RETENTION)),
        "",
        "whether it keeps nothing of what it is sent: `true` or `false`",
        "A fact of the contract with the provider, which the sidecar cannot see. Policies with `retention.provider = \"zero\"` use only upstreams that say `true`.",
    ),
    key(
        "upstreams.*.connect_timeout",
        Kind::Duration(MS, HOUR),
        is(Value::Duration(d::CONNECT_TIMEOUT)),
        "",
        "how long connecting may take, name lookup and TLS included",
        "A dead address should fail while the caller's own patience lasts.",
    ),
    key(
        "upstreams.*.first_byte_timeout",
        Kind::Duration(MS, DAY),
        is(Value::Duration(d::FIRST_BYTE_TIMEOUT)),
        "",
        "how long the head of the answer may take, from the end of the request",
        "Long answers that are not streamed send nothing until they are done; the official SDKs wait ten minutes too.",
    ),
    key(
        "upstreams.*.between_bytes_timeout",
        Kind::Duration(MS, DAY),
        is(Value::Duration(d::BETWEEN_BYTES_TIMEOUT)),
        "",
        "how long an answer may be silent once it began",
        "Reasoning models pause for minutes. There is no limit on a whole answer.",
    ),
    key(
        "upstreams.*.idle",
        Kind::Duration(MS, HOUR),
        Fallback::Varies(Value::Duration(d::IDLE_TLS), "over https; 4s over http"),
        "",
        "how long a connection may wait in the pool for its next request",
        "Shorter than the server keeps it, so that no request is sent into a closing connection; plain servers often close after five seconds.",
    ),
];

const ADMIN: &[Key] = &[
    key(
        "admin.read",
        Kind::Texts(Grammar::Caller),
        is(Value::Texts(&[])),
        "",
        "who else may look, through the unix socket: `uid:1000`, `gid:1000`",
        "Looking is: health, configuration without its secrets, tenants, limits. The group is the caller's own, not one of its further groups. The sidecar's own user and root may do everything in any case.",
    ),
    key(
        "admin.operate",
        Kind::Texts(Grammar::Caller),
        is(Value::Texts(&[])),
        "",
        "who else may look and act, through the unix socket",
        "Acting is: reload, drain, log level, suspend, resume. Each call is logged with who made it, the refused ones too.",
    ),
    key(
        "admin.tokens.*.role",
        Kind::Word(Role::WORDS),
        Fallback::Required,
        "read",
        "what the holder of the token may do over TCP: `read` or `operate`",
        "The name of the token stands in the log.",
    ),
    key(
        "admin.tokens.*.tenant",
        Kind::Text(Grammar::Tenant),
        Fallback::Unset("it sees everything"),
        "acme",
        "the one tenant whose holder it is: it sees that tenant's limits, budgets, costs and records, and nothing else",
        "For a tenant's own dashboard or auditor. Such a token can only `read`, and of other tenants it does not even learn whether they exist.",
    ),
    key(
        "admin.tokens.*.token",
        Kind::Secret,
        Fallback::Required,
        "${file:/run/secrets/outrigger-admin}",
        "the bearer token, at least 24 characters",
        "From a file it can be changed by a reload. Whoever shares the machine can connect to a loopback port, so without a token there is no TCP.",
    ),
];

const PROCESS: &[Key] = &[
    key(
        "memory.buffers",
        Kind::Size(MIB, 1024 * GIB),
        Fallback::Unset(
            "a quarter of the memory that the process may use, at least 16 MiB and at most 1 GiB",
        ),
        "256MiB",
        "bytes of request bodies held at once, over all tenants",
        "Each tenant has a share of a quarter of it to itself and borrows from the rest while there is room; a body that finds none is refused with `buffers-full`. The first 16 KiB of a body are not counted.",
    ),
    key(
        "pool.idle_connections",
        Kind::Count(0, MANY),
        is(Value::Count(d::IDLE_CONNECTIONS as u64)),
        "",
        "idle connections to upstreams in the whole process",
        "Connections are never shared between tenants, so thousands of tenants could hold thousands; past the number the one idle for longest is closed.",
    ),
    key(
        "log.format",
        Kind::Word(LogFormat::WORDS),
        is(Value::Text(d::LOG_FORMAT.as_str())),
        "",
        "`text`, `logfmt`, `json`, or `auto`: text on a terminal, JSON otherwise",
        "People read one, machines the others.",
    ),
    key(
        "log.level",
        Kind::Word(LogLevel::WORDS),
        is(Value::Text(d::LOG_LEVEL.as_str())),
        "",
        "the least that is worth a line: `error`, `warn`, `info` or `debug`",
        "Request lines are `info`. It can be changed for a while without a reload: `outrigger ctl loglevel debug --for 10m`, or SIGUSR1.",
    ),
    key(
        "log.requests",
        Kind::Word(OnOff::WORDS),
        is(Value::Text(d::LOG_REQUESTS.as_str())),
        "",
        "one line per request: `on` or `off`",
        "Each names its tenant, and none holds a prompt or a credential.",
    ),
    key(
        "log.queue",
        Kind::Count(1, MANY),
        is(Value::Count(d::LOG_QUEUE as u64)),
        "",
        "request lines that may wait for the writer",
        "A slow log must not slow requests: past the number lines are dropped and counted, per tenant.",
    ),
    key(
        "metrics.tenants_labelled",
        Kind::Count(0, 100_000),
        is(Value::Count(d::TENANTS_LABELLED as u64)),
        "",
        "tenants with a label of their own in the metrics",
        "Every label value is a set of time series for ever. The tenants past the number are counted together as `_other`.",
    ),
    key(
        "drain.timeout",
        Kind::Duration(MS, DAY),
        is(Value::Duration(d::DRAIN_TIMEOUT)),
        "",
        "how long streams may go on after SIGTERM",
        "Below the grace period of the supervisor (30 s in Kubernetes), which ends everything at once.",
    ),
    key(
        "drain.idle",
        Kind::Duration(MS, HOUR),
        is(Value::Duration(d::DRAIN_IDLE)),
        "",
        "how long nothing must happen for an earlier exit",
        "The agent's own shutdown may still call a model; a short quiet time means that it is done.",
    ),
    key(
        "reload.watch",
        Kind::Word(OnOff::WORDS),
        is(Value::Text(d::RELOAD_WATCH.as_str())),
        "",
        "whether the kernel is asked to tell when a file changes: `on` or `off`",
        "A change is then taken a quarter of a second after the last write, wherever it was made: in the file, by a link that is swapped, by a directory that is replaced.",
    ),
    key(
        "reload.poll",
        Kind::DurationOrOff(Duration::from_millis(10), DAY),
        is(match d::RELOAD_POLL {
            OrOff::On(span) => Value::Duration(span),
            OrOff::Off => Value::Text("off"),
        }),
        "",
        "how often the files are looked at for changes; or `off`",
        "Network file systems and mounts change without the kernel telling. SIGHUP reloads in any case, and a file with an error changes nothing.",
    ),
];

//! The refusal codes: one stable kebab-case word per reason, used in the header `outrigger-code`,
//! the log, the metric label and the error body. Must never be renamed once released.

/// Who has to act for the refusal to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The tenant's agent sent something it may not or cannot send.
    Tenant,
    /// The provider.
    Upstream,
    /// Whoever writes the configuration.
    Operator,
    /// A bug of Outrigger.
    Outrigger,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident $word:literal $status:literal $blame:ident $retry:literal;)*) => {
        /// Why Outrigger itself answered. `status` is the HTTP status of the refusal (RFC 9110 §15),
        /// `retryable` whether the same request may succeed later without anybody changing anything.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the trip.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }

            /// What it means, in a sentence or two for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// The HTTP status the refusal is sent with.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }

            /// Who has to act.
            pub const fn blame(self) -> Blame { match self { $(Self::$variant => Blame::$blame,)* } }

            /// Whether waiting alone can help; becomes `x-should-retry`.
            pub const fn retryable(self) -> bool { match self { $(Self::$variant => $retry,)* } }
        }
    };
}

codes! {
    /// The request head breaks RFC 9112 (line endings, names, values, folding, request line).
    HeadMalformed "head-malformed" 400 Tenant false;
    /// Transfer-Encoding and Content-Length together, repeated, or unreadable (RFC 9112 §6).
    FramingConflict "framing-conflict" 400 Tenant false;
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    CodingUnsupported "coding-unsupported" 501 Tenant false;
    /// The head is over the byte or field limit (RFC 6585 §5).
    HeadTooLarge "head-too-large" 431 Tenant false;
    /// The request target is over its limit (RFC 9110 §15.5.15).
    TargetTooLong "target-too-long" 414 Tenant false;
    /// Not HTTP/1.1 or HTTP/1.0 (RFC 9110 §15.6.6).
    VersionUnsupported "version-unsupported" 505 Tenant false;
    /// The head did not arrive in time (RFC 9110 §15.5.9).
    HeadTimeout "head-timeout" 408 Tenant false;
    /// `Host` names something this listener does not answer for.
    HostDenied "host-denied" 403 Tenant false;
    /// A browser's `Origin` is not allowed here.
    OriginDenied "origin-denied" 403 Tenant false;
    /// A protocol upgrade or CONNECT, which this version does not carry.
    UpgradeDenied "upgrade-denied" 403 Tenant false;
    /// No credential where one is required.
    IdentityMissing "identity-missing" 401 Tenant false;
    /// A credential nobody here has.
    IdentityUnknown "identity-unknown" 401 Tenant false;
    /// Two proofs that do not name the same tenant.
    IdentityConflict "identity-conflict" 403 Tenant false;
    /// The header that names a tenant stands twice, is spelt otherwise, or holds no tenant id.
    IdentityMalformed "identity-malformed" 400 Tenant false;
    /// `outrigger-agent`, `-session` or `-user` stands twice or holds no name.
    AttributionMalformed "attribution-malformed" 400 Tenant false;
    /// The first path segment names no upstream, or a bare path fits several.
    UpstreamUnknown "upstream-unknown" 404 Tenant false;
    /// The path cannot be read in one way only (encoded slashes, dot segments, control bytes).
    PathAmbiguous "path-ambiguous" 400 Tenant false;
    /// The body is over the tenant's allowance.
    BodyTooLarge "body-too-large" 413 Tenant false;
    /// The body is not the JSON document the endpoint takes.
    BodyMalformed "body-malformed" 400 Tenant false;
    /// A governed key stands twice, or in another letter case: two parsers could read it differently.
    BodyAmbiguous "body-ambiguous" 400 Tenant false;
    /// The JSON nests deeper than the limit.
    BodyTooDeep "body-too-deep" 400 Tenant false;
    /// The body is compressed or not JSON: it cannot be governed.
    BodyEncoding "body-encoding" 415 Tenant false;
    /// The body did not arrive in time.
    BodyTimeout "body-timeout" 408 Tenant false;
    /// The endpoint is not open to this tenant.
    EndpointDenied "endpoint-denied" 403 Tenant false;
    /// The model is not allowed for this tenant.
    ModelDenied "model-denied" 403 Tenant false;
    /// The model that was looked up is none that this tenant may use.
    ModelUnknown "model-unknown" 404 Tenant false;
    /// No model is named, and the policy has no default.
    ModelMissing "model-missing" 400 Tenant false;
    /// A tool that runs at the provider (or a route around the model rules) is not allowed.
    HostedToolDenied "hosted-tool-denied" 403 Tenant false;
    /// Work that goes on after the answer is not allowed.
    BackgroundDenied "background-denied" 403 Tenant false;
    /// A reference to state kept at the provider, where tenants share a credential.
    ReferenceDenied "reference-denied" 403 Tenant false;
    /// A service tier or speed that this tenant may not ask for.
    ServiceTierDenied "service-tier-denied" 403 Tenant false;
    /// It needs something kept at the provider, where the tenant's policy lets nothing be kept.
    RetentionDenied "retention-denied" 403 Tenant false;
    /// No upstream, or no place of inference, in a region this tenant may use.
    RegionDenied "region-denied" 403 Tenant false;
    /// The tenant has no credential of its own for the upstream, and must have one.
    CredentialMissing "credential-missing" 403 Operator false;
    /// An operator has suspended the tenant (`outrigger ctl suspend`).
    TenantSuspended "tenant-suspended" 403 Operator false;
    /// A rate limit of the tenant (requests or tokens).
    RateLimited "rate-limited" 429 Tenant true;
    /// What it would cost cannot be said (no price for its model, or an endpoint that reports no usage), and may not be guessed.
    CostUnknown "cost-unknown" 403 Operator false;
    /// A budget of the tenant (or of its agent, session or user) has too little left, or is frozen.
    BudgetExhausted "budget-exhausted" 402 Operator false;
    /// All of the tenant's slots are taken and its queue is full.
    QueueFull "queue-full" 429 Tenant true;
    /// Waited in the tenant's queue for as long as its policy allows.
    QueueTimeout "queue-timeout" 429 Tenant true;
    /// Too many requests were refused of late; this one would have been, too.
    TooManyRefusals "too-many-refusals" 429 Tenant false;
    /// The tenant has as many connections as it may have.
    TooManyConnections "too-many-connections" 429 Tenant true;
    /// No room to hold the request body: the process holds as many bytes of bodies as it may.
    BuffersFull "buffers-full" 503 Operator true;
    /// What would leave cannot be recorded first, and must be.
    JournalUnavailable "journal-unavailable" 503 Operator true;
    /// The upstream refused the connection or (over HTTP/2) the request, or its name does not resolve.
    UpstreamUnreachable "upstream-unreachable" 502 Upstream true;
    /// TLS with the upstream failed.
    UpstreamTls "upstream-tls" 502 Operator false;
    /// The upstream did not answer in time.
    UpstreamTimeout "upstream-timeout" 504 Upstream true;
    /// The upstream broke off before an answer, or answered outside HTTP.
    UpstreamInvalid "upstream-invalid" 502 Upstream false;
    /// The sidecar is out of a bounded resource.
    Overloaded "overloaded" 503 Operator true;
    /// The sidecar is shutting down.
    Draining "draining" 503 Operator true;
    /// The caller took nothing of its answer for as long as `listen.write_timeout` allows.
    CallerStalled "caller-stalled" 408 Tenant false;
    /// An HTTP/2 connection sent far more than its requests need: resets, pings, settings, empty frames.
    ConnectionFlooded "connection-flooded" 429 Tenant false;
    /// A running answer was stopped by the sidecar (in mid-stream).
    Cut "cut" 503 Operator false;
    /// A bug of Outrigger; its detail is in the process log only.
    Internal "internal" 500 Outrigger false;
}

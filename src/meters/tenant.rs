//! The meters of one tenant, or of a group that shares a label. Must never take a label: the type says which.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Label, SharedString};

use super::births::{Births, Family, Row};
use super::histogram::Histogram;
use super::text::Page;
use crate::units::{Code, Counted, Ending, Endpoint, HungUp, NanoUsd, Usage};

/// One tenant's meters. Counters of which a tenant uses few (endpoints, codes) are born when they first count; the
/// others are there from a tenant's first use, so that rates and alerts see the step from zero.
pub struct TenantMeters {
    births: Arc<Births>,
    tenant: SharedString,
    requests: [Row<{ Ending::ALL.len() }>; Endpoint::ALL.len()],
    refusals: Row<{ Code::ALL.len() }>,
    tokens: [Row<{ KINDS.len() }>; SOURCES.len()],
    bytes: [Counter; Direction::ALL.len()],
    open: Gauge,
    waiting: Gauge,
    strays: Row<{ Stray::ALL.len() }>,
    hang_ups: Row<{ HungUp::ALL.len() }>,
    log_dropped: Counter,
    durations: Histogram,
    first_tokens: Histogram,
    thresholds: Row<{ THRESHOLDS.len() }>,
    /// Nano-dollars, by where the number comes from.
    cost: [AtomicU64; SOURCES.len()],
    waited_nanos: AtomicU64,
    buffered: AtomicU64,
    connections: AtomicU64,
}

/// What a tenant has when the page is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Bytes of request bodies.
    pub buffered: u64,
    /// Connections whose latest request was its own.
    pub connections: u64,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the caller: the body of the request.
    Request,
    /// To the caller: the body of the answer.
    Response,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Request, Self::Response];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// How an answer differs from where its model should have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// It names another place.
    Elsewhere,
    /// It names none.
    Untold,
}

impl Stray {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Elsewhere, Self::Untold];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Untold => "untold",
        }
    }
}

impl TenantMeters {
    pub(super) fn new(births: &Arc<Births>, tenant: &str) -> Self {
        // One text for the labels of all its series.
        let tenant = SharedString::from(Arc::<str>::from(tenant));
        let own = || vec![Label::new("tenant", tenant.clone())];
        let bytes = |direction: Direction| {
            let mut labels = own();
            labels.push(Label::from_static_parts("direction", direction.as_str()));
            births.counter(&BYTES, labels)
        };
        Self {
            requests: [const { Row::new() }; Endpoint::ALL.len()],
            refusals: Row::new(),
            tokens: [const { Row::new() }; SOURCES.len()],
            bytes: Direction::ALL.map(bytes),
            open: births.gauge(&OPEN, own()),
            waiting: births.gauge(&WAITING, own()),
            strays: Row::new(),
            hang_ups: Row::new(),
            log_dropped: births.counter(&LOG_DROPPED, own()),
            durations: Histogram::new(),
            first_tokens: Histogram::new(),
            thresholds: Row::new(),
            cost: [const { AtomicU64::new(0) }; SOURCES.len()],
            waited_nanos: AtomicU64::new(0),
            buffered: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            births: Arc::clone(births),
            tenant,
        }
    }

    /// A trip ended.
    pub fn request(&self, endpoint: Endpoint, ending: Ending) {
        let birth = || {
            let words = [("endpoint", endpoint.as_str()), ("ending", ending.as_str())];
            self.born(&REQUESTS, &words)
        };
        self.requests[endpoint as usize]
            .at(ending as usize, birth)
            .increment(1);
    }

    /// A trip was refused, or a running answer cut, with this code.
    pub fn refusal(&self, code: Code) {
        let birth = || self.born(&REFUSALS, &[("code", code.as_str())]);
        self.refusals.at(code as usize, birth).increment(1);
    }

    /// Tokens used, each under where the number comes from.
    pub fn tokens(&self, used: Counted<Usage>) {
        let source = match used {
            Counted::Reported(_) => 0,
            Counted::Estimated(_) => 1,
        };
        let usage = used.value();
        let amounts = [
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
        ];
        for (kind, amount) in amounts.into_iter().enumerate() {
            if amount > 0 {
                let words = [("kind", KINDS[kind]), ("source", SOURCES[source])];
                let birth = || self.born(&TOKENS, &words);
                self.tokens[source].at(kind, birth).increment(amount);
            }
        }
    }

    /// What a trip cost, under where the usage it was priced by comes from.
    pub fn cost(&self, cost: Counted<NanoUsd>) {
        let source = match cost {
            Counted::Reported(_) => 0,
            Counted::Estimated(_) => 1,
        };
        self.cost[source].fetch_add(cost.value().0, Ordering::Relaxed);
    }

    /// A budget has passed a threshold, in percent.
    pub fn threshold(&self, percent: u8) {
        if let Some(place) = THRESHOLDS.iter().position(|(known, _)| *known == percent) {
            let birth = || self.born(&CROSSED, &[("percent", THRESHOLDS[place].1)]);
            self.thresholds.at(place, birth).increment(1);
        }
    }

    /// How long a trip took, from its head to its last byte.
    pub fn duration(&self, took: Duration) {
        self.durations.record(took);
    }

    /// How long until the first body byte of an answer went out.
    pub fn first_token(&self, took: Duration) {
        self.first_tokens.record(took);
    }

    /// Body bytes that passed.
    pub fn bytes(&self, direction: Direction, count: u64) {
        self.bytes[direction as usize].increment(count);
    }

    /// A trip began; pair with [`TenantMeters::closed`].
    pub fn opened(&self) {
        self.open.increment(1);
    }

    /// A trip is over.
    pub fn closed(&self) {
        self.open.decrement(1);
    }

    /// A trip began to wait for a slot; pair with [`TenantMeters::dequeued`].
    pub fn queued(&self) {
        self.waiting.increment(1);
    }

    /// A trip stopped waiting, with a slot or without, after this time.
    pub fn dequeued(&self, waited: Duration) {
        self.waiting.decrement(1);
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.waited_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// An answer's model did not run, or may not have run, where the policy lets it.
    pub fn stray(&self, stray: Stray) {
        let birth = || self.born(&STRAYS, &[("place", stray.as_str())]);
        self.strays.at(stray as usize, birth).increment(1);
    }

    /// A caller hung up on a call that had left.
    pub fn hang_up(&self, outcome: HungUp) {
        let birth = || self.born(&HANG_UPS, &[("outcome", outcome.as_str())]);
        self.hang_ups.at(outcome as usize, birth).increment(1);
    }

    /// A line of the request log was dropped because its queue was full.
    pub fn log_dropped(&self) {
        self.log_dropped.increment(1);
    }

    /// Begins a new count of what there is: several tenants may share a label.
    pub(super) fn clear(&self) {
        self.buffered.store(0, Ordering::Relaxed);
        self.connections.store(0, Ordering::Relaxed);
    }

    fn buffered(&self) -> u64 {
        self.buffered.load(Ordering::Relaxed)
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, stock: Stock) {
        self.buffered.fetch_add(stock.buffered, Ordering::Relaxed);
        self.connections
            .fetch_add(stock.connections, Ordering::Relaxed);
    }

    #[cold]
    fn born(&self, family: &Family, words: &[(&'static str, &'static str)]) -> Counter {
        let own = Label::new("tenant", self.tenant.clone());
        let words = words
            .iter()
            .map(|&(name, word)| Label::from_static_parts(name, word));
        let labels = std::iter::once(own).chain(words).collect();
        self.births.counter(family, labels)
    }
}

/// Writes the families that the recorder does not keep, each in one piece as the format demands.
pub(super) fn render(page: &mut Page, tenants: &[(&str, &TenantMeters)]) {
    page.family(&DURATION);
    for (tenant, meters) in tenants {
        let (counts, sum) = meters.durations.read();
        page.histogram(tenant, &counts, sum);
    }
    page.family(&FIRST_TOKEN);
    for (tenant, meters) in tenants {
        let (counts, sum) = meters.first_tokens.read();
        page.histogram(tenant, &counts, sum);
    }
    page.family(&COST);
    for (tenant, meters) in tenants {
        for (source, cost) in SOURCES.iter().zip(&meters.cost) {
            let cost = NanoUsd(cost.load(Ordering::Relaxed));
            page.amount(&[("tenant", tenant), ("source", source)], cost);
        }
    }
    page.family(&QUEUE_WAIT);
    for (tenant, meters) in tenants {
        let nanos = meters.waited_nanos.load(Ordering::Relaxed);
        page.seconds(&[("tenant", tenant)], Duration::from_nanos(nanos));
    }
    let gauges = [
        (&BUFFERED, TenantMeters::buffered as fn(&TenantMeters) -> _),
        (&TENANT_CONNECTIONS, TenantMeters::connections),
    ];
    for (family, value) in gauges {
        page.family(family);
        for (tenant, meters) in tenants {
            page.sample(&[("tenant", tenant)], value(meters));
        }
    }
}

/// In the order of the amounts in [`TenantMeters::tokens`].
const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];
const SOURCES: [&str; 2] = ["reported", "estimated"];
const THRESHOLDS: [(u8, &str); 3] = [(80, "80"), (90, "90"), (100, "100")];

/// The families that the recorder keeps.
pub(super) const FAMILIES: [&Family; 10] = [
    &REQUESTS,
    &REFUSALS,
    &TOKENS,
    &BYTES,
    &OPEN,
    &WAITING,
    &STRAYS,
    &HANG_UPS,
    &CROSSED,
    &LOG_DROPPED,
];

const REQUESTS: Family = Family::counter(
    "outrigger_requests_total",
    "Trips that ended, by endpoint and ending.",
);
const REFUSALS: Family = Family::counter(
    "outrigger_refusals_total",
    "Trips refused or cut by Outrigger, by code.",
);
const TOKENS: Family = Family::counter(
    "outrigger_tokens_total",
    "Model tokens. cache_read and cache_write are parts of input, reasoning is a part of output.",
);
const BYTES: Family = Family::counter(
    "outrigger_bytes_total",
    "Body bytes that passed, by direction.",
);
const OPEN: Family = Family::gauge("outrigger_open_requests", "Trips that are open now.");
const WAITING: Family = Family::gauge("outrigger_queue_waiting", "Trips that wait for a slot now.");
const STRAYS: Family = Family::counter(
    "outrigger_inference_geo_mismatches_total",
    "Answers whose model ran elsewhere than the policy allows, or that do not tell, by place.",
);
const HANG_UPS: Family = Family::counter(
    "outrigger_hang_ups_total",
    "Calls whose caller hung up after they had left, by what became of them.",
);
const CROSSED: Family = Family::counter(
    "outrigger_budget_thresholds_total",
    "Times that a budget's spending passed this percentage of it, at most once in a window.",
);
const LOG_DROPPED: Family = Family::counter(
    "outrigger_log_dropped_total",
    "Lines of the request log dropped because its queue was full.",
);

const DURATION: Family = Family::histogram(
    "outrigger_request_duration_seconds",
    "Time from the head of a request to the last byte of its answer, or to where its caller left; without what was read on when the caller had left.",
);
const FIRST_TOKEN: Family = Family::histogram(
    "outrigger_first_token_seconds",
    "Time from the head of a request to the first body byte of its answer; without what came when the caller had left.",
);
const COST: Family = Family::counter(
    "outrigger_cost_usd_total",
    "What ended trips cost, in US dollars, by whether the provider reported the usage or it was estimated.",
);
const QUEUE_WAIT: Family = Family::counter(
    "outrigger_queue_wait_seconds_total",
    "Time that trips have spent waiting for a slot.",
);
const BUFFERED: Family = Family::gauge(
    "outrigger_buffered_bytes",
    "Bytes of request bodies held now, of `outrigger_buffers_bytes` in all.",
);
const TENANT_CONNECTIONS: Family = Family::gauge(
    "outrigger_tenant_connections",
    "Connections of callers whose latest request was the tenant's, idle ones too.",
);

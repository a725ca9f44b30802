//! The meters of the process itself: config, connections, health. Must never carry a tenant.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Label};

use super::births::{Births, Family, Row, float};
use super::text::Page;
use crate::host::ProcessFacts;
use crate::units::{AdminOutcome, AdminVerb, Code, Wall};

/// The process plane's counters and gauges.
pub struct ProcessMeters {
    generation: Gauge,
    config: Mutex<Config>,
    reload_successful: Gauge,
    reload_timestamp: Gauge,
    reloads: [Counter; ReloadResult::ALL.len()],
    watching: Gauge,
    snapshots: Gauge,
    connections: Gauge,
    connections_refused: Counter,
    connections_evicted: Counter,
    accept_rests: Counter,
    log_lost: Counter,
    severed: [Counter; SEVERED.len()],
    upstream_open: Gauge,
    upstream_idle: Gauge,
    connects: [Counter; ConnectResult::ALL.len()],
    tenants_labelled: Gauge,
    panics: Counter,
    admin_calls: Row<{ AdminVerb::ALL.len() * AdminOutcome::ALL.len() }>,
    draining: Gauge,
    buffers: Gauge,
    observed: Observed,
}

/// What the config page lines show.
#[derive(Clone, Default)]
struct Config {
    generation: u64,
    sha256: String,
    /// Keys that wait for a restart.
    restart: Vec<&'static str>,
}

/// What came of reading the config again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// It runs.
    Published,
    /// It is what runs already.
    Unchanged,
    /// It has problems; what ran goes on.
    Rejected,
}

impl ReloadResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Published, Self::Unchanged, Self::Rejected];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// How an attempt to reach an upstream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectResult {
    /// Connected, TLS included where it is spoken.
    Ok,
    /// The name did not resolve.
    Resolve,
    /// Nobody listens there.
    Refused,
    /// Not in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// Something else of the network or the system.
    Other,
}

impl ConnectResult {
    /// Every result.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Resolve,
        Self::Refused,
        Self::Timeout,
        Self::Tls,
        Self::Other,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Resolve => "resolve",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Other => "other",
        }
    }
}

impl ProcessMeters {
    pub(super) fn new(births: &Births, version: &'static str) -> Self {
        let version = Label::from_static_parts("version", version);
        births.gauge(&BUILD_INFO, vec![version]).set(1);
        let connects = |result: ConnectResult| {
            let result = Label::from_static_parts("result", result.as_str());
            births.counter(&UPSTREAM_CONNECTS, vec![result])
        };
        let reloads = |result: ReloadResult| {
            let result = Label::from_static_parts("result", result.as_str());
            births.counter(&RELOADS, vec![result])
        };
        let gauge = |family: &Family| births.gauge(family, Vec::new());
        let counter = |family: &Family| births.counter(family, Vec::new());
        let severed = |why: Code| {
            let reason = Label::from_static_parts("reason", why.as_str());
            births.counter(&CALLERS_SEVERED, vec![reason])
        };
        Self {
            generation: gauge(&CONFIG_GENERATION),
            config: Mutex::default(),
            reload_successful: gauge(&RELOAD_SUCCESSFUL),
            reload_timestamp: gauge(&RELOAD_TIMESTAMP),
            reloads: ReloadResult::ALL.map(reloads),
            watching: gauge(&WATCHING),
            snapshots: gauge(&SNAPSHOTS),
            connections: gauge(&CONNECTIONS),
            connections_refused: counter(&CONNECTIONS_REFUSED),
            connections_evicted: counter(&CONNECTIONS_EVICTED),
            accept_rests: counter(&ACCEPT_RESTS),
            log_lost: counter(&LOG_LOST),
            severed: SEVERED.map(severed),
            upstream_open: gauge(&UPSTREAM_OPEN),
            upstream_idle: gauge(&UPSTREAM_IDLE),
            connects: ConnectResult::ALL.map(connects),
            tenants_labelled: gauge(&TENANTS_LABELLED),
            panics: counter(&PANICS),
            admin_calls: Row::new(),
            draining: gauge(&DRAINING),
            buffers: gauge(&BUFFERS),
            observed: Observed::default(),
        }
    }

    /// A config was loaded and is what runs; `sha256` is its hash in hex, `restart` are the keys that do not hold
    /// before a restart.
    pub fn config_loaded(&self, generation: u64, sha256: &str, restart: &[&'static str], at: Wall) {
        *self.config() = Config {
            generation,
            sha256: sha256.to_owned(),
            restart: restart.to_vec(),
        };
        self.generation.set(float(generation));
        self.reload_timestamp.set(Duration::from_millis(at.0));
        self.reload_successful.set(1);
    }

    /// The config was read again, with that result. `Unchanged` ends a rejection before it: the file says again what
    /// runs.
    pub fn reloaded(&self, result: ReloadResult) {
        self.reloads[result as usize].increment(1);
        let accepted = result != ReloadResult::Rejected;
        self.reload_successful.set(u8::from(accepted));
    }

    /// Whether changes of the config's files are told by the kernel, or found by the poll alone.
    pub fn watching(&self, told: bool) {
        self.watching.set(u8::from(told));
    }

    /// A snapshot was compiled; pair with [`ProcessMeters::snapshot_gone`].
    pub fn snapshot_born(&self) {
        self.snapshots.increment(1);
    }

    /// The last user of a snapshot let go.
    pub fn snapshot_gone(&self) {
        self.snapshots.decrement(1);
    }

    /// A caller connected; pair with [`ProcessMeters::connection_closed`].
    pub fn connection_opened(&self) {
        self.connections.increment(1);
    }

    /// A caller's connection is closed.
    pub fn connection_closed(&self) {
        self.connections.decrement(1);
    }

    /// A connection was closed at once, because there are too many.
    pub fn connection_refused(&self) {
        self.connections_refused.increment(1);
    }

    /// Idle connections were closed to make room.
    pub fn connections_evicted(&self, count: usize) {
        self.connections_evicted.increment(count as u64);
    }

    /// A listener rests, because descriptors or memory are used up.
    pub fn accept_rested(&self) {
        self.accept_rests.increment(1);
    }

    /// So many lines of the log could not be written since the start.
    pub fn log_lost(&self, lines: u64) {
        self.log_lost.absolute(lines);
    }

    /// A connection of a caller, or a stream of one, was broken off for this reason.
    pub fn severed(&self, why: Code) {
        let place = SEVERED.iter().position(|known| *known == why);
        if let Some(counter) = place.and_then(|place| self.severed.get(place)) {
            counter.increment(1);
        }
    }

    /// A connection to an upstream is open; pair with [`ProcessMeters::upstream_closed`].
    pub fn upstream_opened(&self) {
        self.upstream_open.increment(1);
    }

    /// A connection to an upstream is closed.
    pub fn upstream_closed(&self) {
        self.upstream_open.decrement(1);
    }

    /// How many connections to upstreams are in the pool. Asked when somebody reads the page: each request changes it twice.
    pub fn upstream_idle(&self, count: usize) {
        self.upstream_idle.set(float(count as u64));
    }

    /// An attempt to connect to an upstream ended so.
    pub fn upstream_connect(&self, result: ConnectResult) {
        self.connects[result as usize].increment(1);
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        self.panics.increment(1);
    }

    pub(super) fn admin_call(&self, births: &Births, verb: AdminVerb, outcome: AdminOutcome) {
        let place = verb as usize * AdminOutcome::ALL.len() + outcome as usize;
        let birth = || {
            let verb = Label::from_static_parts("verb", verb.as_str());
            let result = Label::from_static_parts("result", outcome.as_str());
            births.counter(&ADMIN_CALLS, vec![verb, result])
        };
        self.admin_calls.at(place, birth).increment(1);
    }

    /// The drain began; it does not end but with the process.
    pub fn draining(&self) {
        self.draining.set(1);
    }

    /// So many bytes of request bodies may be held.
    pub fn buffers_bounded(&self, bytes: u64) {
        self.buffers.set(float(bytes));
    }

    pub(super) fn tenant_labelled(&self) {
        self.tenants_labelled.increment(1);
    }

    /// Sets the gauges whose values are read elsewhere; to be called right before rendering.
    pub(super) fn observe(&self, births: &Births, facts: &ProcessFacts) {
        self.observed.take(births, facts);
    }

    /// Writes the families that the recorder does not keep.
    pub(super) fn render(&self, page: &mut Page, facts: &ProcessFacts) {
        let config = self.config().clone();
        if !config.sha256.is_empty() {
            let generation = config.generation.to_string();
            page.family(&CONFIG_INFO);
            page.sample(
                &[("generation", &generation), ("sha256", &config.sha256)],
                1,
            );
            if !config.restart.is_empty() {
                page.family(&RESTART_PENDING);
            }
            for key in config.restart {
                page.sample(&[("key", key)], 1);
            }
        }
        if let Some(time) = facts.cpu {
            page.family(&CPU_SECONDS);
            page.seconds(&[], time);
        }
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gauges of what the system and `host/` know, born when they first know it.
#[derive(Default)]
struct Observed {
    resident: OnceLock<Gauge>,
    open_fds: OnceLock<Gauge>,
    max_fds: OnceLock<Gauge>,
    started: OnceLock<Gauge>,
    tasks: Mutex<Vec<(&'static str, Gauge)>>,
}

impl Observed {
    fn take(&self, births: &Births, facts: &ProcessFacts) {
        let started = facts.started.map(|at| Duration::from_millis(at.0));
        let told = [
            (&self.resident, &RESIDENT, facts.resident_bytes.map(float)),
            (&self.open_fds, &OPEN_FDS, facts.open_fds.map(float)),
            (&self.max_fds, &MAX_FDS, facts.max_fds.map(float)),
            (&self.started, &STARTED, started.map(|at| at.as_secs_f64())),
        ];
        for (cell, family, value) in told {
            if let Some(value) = value {
                cell.get_or_init(|| births.gauge(family, Vec::new()))
                    .set(value);
            } else if let Some(gauge) = cell.get() {
                // What is not known any more must not look as if it were: out of descriptors, /proc cannot be read.
                gauge.set(f64::NAN);
            }
        }
        self.count_tasks(births, &facts.tasks);
    }

    fn count_tasks(&self, births: &Births, alive: &[(&'static str, u64)]) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, _) in alive {
            if !tasks.iter().any(|(known, _)| known == name) {
                let labels = vec![Label::from_static_parts("task", name)];
                tasks.push((name, births.gauge(&TASKS, labels)));
            }
        }
        for (name, gauge) in tasks.iter() {
            let count = alive.iter().find(|(known, _)| known == name);
            gauge.set(count.map_or(0.0, |(_, count)| float(*count)));
        }
    }
}

/// Why the sidecar breaks callers off.
const SEVERED: [Code; 4] = [
    Code::CallerStalled,
    Code::ConnectionFlooded,
    Code::HeadTimeout,
    Code::Draining,
];

/// The families that the recorder keeps.
pub(super) const FAMILIES: [&Family; 26] = [
    &BUILD_INFO,
    &CONFIG_GENERATION,
    &RELOAD_SUCCESSFUL,
    &RELOAD_TIMESTAMP,
    &RELOADS,
    &WATCHING,
    &SNAPSHOTS,
    &CONNECTIONS,
    &CONNECTIONS_REFUSED,
    &CONNECTIONS_EVICTED,
    &ACCEPT_RESTS,
    &LOG_LOST,
    &CALLERS_SEVERED,
    &UPSTREAM_OPEN,
    &UPSTREAM_IDLE,
    &UPSTREAM_CONNECTS,
    &TENANTS_LABELLED,
    &PANICS,
    &ADMIN_CALLS,
    &DRAINING,
    &BUFFERS,
    &TASKS,
    &RESIDENT,
    &OPEN_FDS,
    &MAX_FDS,
    &STARTED,
];

const BUILD_INFO: Family =
    Family::gauge("outrigger_build_info", "The version that runs; always 1.");
const CONFIG_GENERATION: Family = Family::gauge(
    "outrigger_config_generation",
    "The generation of the config that runs.",
);
const RELOAD_SUCCESSFUL: Family = Family::gauge(
    "outrigger_config_last_reload_successful",
    "1 if the last config read was accepted, 0 if it was rejected and the one before it still runs.",
);
const RELOAD_TIMESTAMP: Family = Family::gauge(
    "outrigger_config_last_reload_success_timestamp_seconds",
    "When the config that runs was loaded.",
);
const RELOADS: Family = Family::counter(
    "outrigger_config_reloads_total",
    "Times the config was read again because it had changed or somebody asked, by result.",
);
const WATCHING: Family = Family::gauge(
    "outrigger_config_watching",
    "1 if the kernel tells when a file of the config changes, 0 if only the poll finds it.",
);
const SNAPSHOTS: Family = Family::gauge(
    "outrigger_snapshots_alive",
    "Generations still in use by some trip.",
);
const CONNECTIONS: Family = Family::gauge("outrigger_connections_open", "Connections of callers.");
const CONNECTIONS_REFUSED: Family = Family::counter(
    "outrigger_connections_refused_total",
    "Connections of callers closed at once because there were too many.",
);
const CONNECTIONS_EVICTED: Family = Family::counter(
    "outrigger_connections_evicted_total",
    "Idle connections of callers closed to make room for others.",
);
const ACCEPT_RESTS: Family = Family::counter(
    "outrigger_accept_rests_total",
    "Times that a listener rested because descriptors or memory were used up.",
);
const LOG_LOST: Family = Family::counter(
    "outrigger_log_lost_total",
    "Lines of the log that could not be written.",
);
const CALLERS_SEVERED: Family = Family::counter(
    "outrigger_callers_severed_total",
    "Connections of callers, and streams of HTTP/2, that the sidecar broke off, by reason.",
);
const UPSTREAM_OPEN: Family = Family::gauge(
    "outrigger_upstream_connections_open",
    "Connections to upstreams, idle ones too.",
);
const UPSTREAM_IDLE: Family = Family::gauge(
    "outrigger_upstream_connections_idle",
    "Connections to upstreams that rest in the pool.",
);
const UPSTREAM_CONNECTS: Family = Family::counter(
    "outrigger_upstream_connects_total",
    "Attempts to connect to an upstream, by result.",
);
const TENANTS_LABELLED: Family = Family::gauge(
    "outrigger_tenants_labelled",
    "Tenants with series of their own.",
);
const PANICS: Family = Family::counter("outrigger_panics_total", "Panics caught; each is a bug.");
const ADMIN_CALLS: Family = Family::counter(
    "outrigger_admin_calls_total",
    "Calls to the admin door, by verb and result.",
);
const DRAINING: Family =
    Family::gauge("outrigger_draining", "1 from the start of the shutdown on.");
const BUFFERS: Family = Family::gauge(
    "outrigger_buffers_bytes",
    "The most bytes of request bodies that are held at once.",
);
const TASKS: Family = Family::gauge("outrigger_tasks", "Tasks alive, by name.");

// The names that every Prometheus client library uses for a process.
const RESIDENT: Family = Family::gauge(
    "process_resident_memory_bytes",
    "Resident memory size in bytes.",
);
const OPEN_FDS: Family = Family::gauge("process_open_fds", "Number of open file descriptors.");
const MAX_FDS: Family = Family::gauge(
    "process_max_fds",
    "Maximum number of open file descriptors.",
);
const STARTED: Family = Family::gauge(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
);

const CONFIG_INFO: Family = Family::gauge(
    "outrigger_config_info",
    "The generation and the hash of the config that runs; always 1.",
);
const RESTART_PENDING: Family = Family::gauge(
    "outrigger_config_restart_pending",
    "Keys whose new value is read at start only and waits for a restart; always 1.",
);
const CPU_SECONDS: Family = Family::counter(
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
);

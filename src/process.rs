//! The process plane: the log lines that have no tenant, because what they tell belongs to none: starting, config,
//! listeners, shutdown, bugs. Must never tell of a request: what a trip did is told by its spine, with its tenant.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::units::{AdminOutcome, AdminVerb, RequestId};

#[cfg(test)]
mod tests;

/// The `target` of every line of this plane; the subscriber lets it and the request plane's through, nothing else.
pub const TARGET: &str = "outrigger::process";

/// The `target` of what operators did: told at every level, or whoever operates could hide it by lowering the level.
pub const AUDIT: &str = "outrigger::audit";

/// Everything the process plane can say. A closed list: what has no variant is not logged.
#[derive(Clone, Copy)]
pub enum ProcessEvent<'a> {
    /// All listeners are bound and the config is loaded.
    Started {
        /// The version that runs.
        version: &'a str,
        /// How many listeners answer.
        listeners: usize,
    },
    /// A listener is bound.
    ListenerBound {
        /// What it is for: `proxy`, `admin`, `telemetry`.
        role: &'static str,
        /// Where.
        address: ListenAddress<'a>,
    },
    /// A config was compiled and runs.
    ConfigLoaded {
        /// Its number, counted from 1 in this process.
        generation: u64,
        /// The SHA-256 of its files, in hex.
        hash: &'a str,
        /// How many tenants it knows.
        tenants: usize,
        /// Where it was read: a path, or what stands in for one.
        from: &'a str,
    },
    /// A config runs, and something in it is odd.
    ConfigOdd {
        /// How many warnings.
        warnings: usize,
        /// The whole report, as `outrigger check` prints it.
        text: &'a str,
    },
    /// A config has problems; what ran before goes on.
    ConfigRejected {
        /// How many.
        problems: usize,
        /// The whole report, as `outrigger check` prints it.
        text: &'a str,
    },
    /// The journal is open.
    JournalOpened {
        /// Whether there was none before.
        fresh: bool,
        /// How many tenants it knows.
        tenants: usize,
        /// Intents without an end, settled at what they held.
        unknown: u64,
        /// Records that a crash had half written.
        torn: usize,
    },
    /// The journal holds something that no crash explains.
    JournalAlarm {
        /// What.
        what: &'a str,
    },
    /// A reload found the files as they were.
    ReloadUnchanged {
        /// The generation that runs on.
        generation: u64,
    },
    /// A reload changed something that is read at start only.
    ReloadNeedsRestart {
        /// The keys.
        what: &'a str,
    },
    /// The kernel does not tell when the config's files change.
    WatchFailed {
        /// Why.
        why: &'a dyn fmt::Display,
        /// What is left.
        left: &'static str,
    },
    /// A listener rests because the process or the system is out of descriptors or memory.
    AcceptBackoff {
        /// Which listener.
        role: &'static str,
        /// For how long.
        pause: Duration,
        /// Why.
        why: &'a dyn fmt::Display,
    },
    /// An address has as many connections as it may have, and callers are refused.
    ListenerFull {
        /// Which.
        listener: &'a str,
        /// How many connections that are.
        most: usize,
        /// How many were refused since this was told last.
        refused: u64,
    },
    /// The descriptors do not suffice for as many connections as are configured.
    DescriptorsFew {
        /// How many connections they are good for.
        connections: u32,
        /// How many are configured.
        wanted: u32,
    },
    /// The service manager has opened a socket that the configuration does not name: it is closed.
    SocketUnused {
        /// The number of its descriptor.
        number: u16,
        /// Its name.
        name: &'a str,
    },
    /// A listener is broken and does not accept any more.
    AcceptFailed {
        /// Which listener.
        role: &'static str,
        /// Why.
        why: &'a dyn fmt::Display,
    },
    /// The shutdown began.
    DrainStarted {
        /// Trips open at that moment.
        open: usize,
    },
    /// The shutdown is over.
    DrainEnded {
        /// Trips that were cut at the deadline.
        cut: usize,
    },
    /// A panic ended one trip. Its own line, with its tenant, is in the request plane.
    PanicCaught {
        /// Where it was caught.
        place: &'a str,
        /// Which trip.
        request_id: RequestId,
        /// Where it came from; what it said may quote a prompt.
        at: &'a str,
    },
    /// Something panicked, wherever that leads.
    Panicked {
        /// The thread.
        thread: &'a str,
        /// Where it came from.
        at: &'a str,
    },
    /// A task that the sidecar cannot be without has ended.
    TaskEnded {
        /// The task.
        name: &'a str,
    },
    /// Somebody used the admin door.
    AdminCall {
        /// What was asked.
        verb: AdminVerb,
        /// About whom or what, cleaned.
        about: &'a str,
        /// Who: a uid by the kernel's word, or the name of a token.
        who: &'a dyn fmt::Display,
        /// As what.
        role: &'a str,
        /// What became of it.
        outcome: AdminOutcome,
    },
    /// How much is logged changed.
    LogLevel {
        /// The level from now on.
        level: &'a str,
    },
    /// The service manager cannot be told anything.
    ManagerUnheard {
        /// Why.
        why: &'a dyn fmt::Display,
    },
    /// A task did not answer the watchdog in time, so the service manager gets no sign of life.
    NoAnswer {
        /// The task.
        name: &'a str,
    },
    /// A caller connected.
    ClientConnected {
        /// From where; nothing on a unix socket.
        peer: Option<SocketAddr>,
        /// By whom; nothing on a port.
        uid: Option<u32>,
    },
    /// A caller's connection is over.
    ClientGone {
        /// From where it was.
        peer: Option<SocketAddr>,
        /// By whom it was.
        uid: Option<u32>,
    },
    /// A protection of the process itself could not be had.
    HardeningIncomplete {
        /// Which.
        what: &'a str,
        /// Why.
        why: &'a dyn fmt::Display,
    },
    /// The roots that TLS with upstreams trusts.
    TrustRoots {
        /// Where they come from.
        source: &'a str,
        /// How many.
        count: usize,
    },
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug)]
pub enum ListenAddress<'a> {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(&'a Path),
}

/// Writes one event to the log.
pub fn tell(event: ProcessEvent<'_>) {
    use ProcessEvent as E;
    match event {
        E::Started { version, listeners } => info!(target: TARGET, version, listeners, "started"),
        E::ListenerBound { role, address } => info!(target: TARGET, role, %address, "listening"),
        E::ConfigLoaded {
            generation,
            hash,
            tenants,
            from,
        } => {
            info!(target: TARGET, generation, hash, tenants, from, "config loaded");
        }
        E::ConfigOdd { warnings, text } => {
            warn!(target: TARGET, warnings, text, "config has warnings");
        }
        E::ConfigRejected { problems, text } => {
            error!(target: TARGET, problems, text, "config rejected; what ran before goes on");
        }
        E::JournalOpened { .. } | E::JournalAlarm { .. } => journal(&event),
        E::ReloadUnchanged { generation } => {
            info!(target: TARGET, generation, "config unchanged");
        }
        E::ReloadNeedsRestart { what } => {
            warn!(target: TARGET, what, "a changed key is read at start only; restart to apply it");
        }
        E::WatchFailed { why, left } => {
            warn!(target: TARGET, %why, left, "changes of the config's files are not told");
        }
        E::AcceptBackoff { role, pause, why } => {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            warn!(target: TARGET, role, pause_ms, %why, "out of descriptors or memory; accepting rests");
        }
        E::ListenerFull { .. } | E::DescriptorsFew { .. } => places(&event),
        E::SocketUnused { number, name } => socket_unused(number, name),
        E::AcceptFailed { role, why } => error!(target: TARGET, role, %why, "listener broken"),
        E::DrainStarted { open } => info!(target: TARGET, open, "draining"),
        E::DrainEnded { cut: 0 } => info!(target: TARGET, cut = 0, "drained"),
        E::DrainEnded { cut } => {
            warn!(target: TARGET, cut, "drained; trips still open at the deadline were cut");
        }
        E::PanicCaught {
            place,
            request_id,
            at,
        } => {
            error!(target: TARGET, place, %request_id, at, "panic caught; this is a bug of outrigger");
        }
        E::Panicked { thread, at } => {
            error!(target: TARGET, thread, at, "panicked; this is a bug of outrigger");
        }
        E::TaskEnded { name } => {
            error!(target: TARGET, name, "a task that must not end has ended; it comes back with a restart");
        }
        E::AdminCall {
            verb,
            about,
            who,
            role,
            outcome,
        } => admin_call((verb, about), (who, role), outcome),
        E::LogLevel { level } => info!(target: TARGET, level, "log level"),
        E::ClientConnected { peer, uid } => client("client connected", peer, uid),
        E::ClientGone { peer, uid } => client("client gone", peer, uid),
        E::ManagerUnheard { why } => warn!(target: TARGET, %why, "service manager unheard"),
        E::NoAnswer { name } => error!(target: TARGET, name, "no answer, so no sign of life"),
        E::HardeningIncomplete { what, why } => {
            warn!(target: TARGET, what, %why, "hardening incomplete");
        }
        E::TrustRoots { source, count: 0 } => {
            warn!(target: TARGET, source, count = 0, "no trust roots; no upstream can be reached by TLS");
        }
        E::TrustRoots { source, count } => {
            info!(target: TARGET, source, count, "trust roots loaded");
        }
    }
}

fn journal(event: &ProcessEvent<'_>) {
    match *event {
        ProcessEvent::JournalOpened {
            fresh,
            tenants,
            unknown,
            torn,
        } => {
            info!(target: TARGET, fresh, tenants, unknown, torn, "journal open");
        }
        ProcessEvent::JournalAlarm { what } => {
            error!(target: TARGET, what, "the journal is not as it was left; `outrigger audit verify` says more");
        }
        _ => {}
    }
}

/// Of how many connections there may be.
fn places(event: &ProcessEvent<'_>) {
    match *event {
        ProcessEvent::ListenerFull {
            listener,
            most,
            refused,
        } => {
            warn!(target: TARGET, listener, most, refused, "listener has as many connections as it may have; others are refused");
        }
        ProcessEvent::DescriptorsFew {
            connections,
            wanted,
        } => {
            warn!(target: TARGET, connections, wanted, "fewer connections than `listen.connections`: the limit of open files is too low");
        }
        _ => {}
    }
}

fn socket_unused(number: u16, name: &str) {
    warn!(target: TARGET, number, name, "socket handed over that `listen.proxy` does not name; closed");
}

/// A caller came or went.
fn client(what: &str, peer: Option<SocketAddr>, uid: Option<u32>) {
    debug!(target: TARGET, peer = peer.map(display), uid, "{what}");
}

/// What was asked about whom, by whom as what, and what came of it.
fn admin_call(
    (verb, about): (AdminVerb, &str),
    (who, role): (&dyn fmt::Display, &str),
    outcome: AdminOutcome,
) {
    let (verb, is_done) = (verb.as_str(), outcome == AdminOutcome::Done);
    let outcome = outcome.as_str();
    if is_done {
        info!(target: AUDIT, verb, about, %who, role, outcome, "admin call");
    } else {
        warn!(target: AUDIT, verb, about, %who, role, outcome, "admin call");
    }
}

/// From here on a panic tells where it came from, and never what it says: that may quote a prompt (a slice out of
/// bounds prints its string). For the whole process.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(panicked));
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where this thread panicked last, said once; unknown unless panics are watched.
pub fn panicked_at() -> String {
    let taken = PANICKED_AT.try_with(RefCell::take);
    taken
        .ok()
        .flatten()
        .unwrap_or_else(|| "an unknown place".to_owned())
}

/// The thread that writes the log; what goes wrong there cannot be told by it.
pub const LOG_THREAD: &str = "outrigger-log";

fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::dispatcher::has_been_set() && thread != LOG_THREAD {
        tell(ProcessEvent::Panicked { thread, at: &at });
    } else {
        // Nobody is left to be told that standard error is gone.
        let _ = writeln!(
            std::io::stderr(),
            "error: thread `{thread}` panicked at {at}; this is a bug of outrigger"
        );
    }
    let _ = PANICKED_AT.try_with(|held| held.replace(Some(at)));
}

impl fmt::Display for ListenAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

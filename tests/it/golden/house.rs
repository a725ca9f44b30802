//! The sidecar of a case, in this process: its clock stands, its ids are counted, its log and meters are read.
//! Must never let anything of the machine or the moment into what is compared.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::app::{Logging, Options, Sidecar, Source};
use outrigger::host::{self, ProcessFacts};
use outrigger::spine::{LogFormat, log};
use outrigger::units::{Boot, Clock, IdSource, RequestId, Wall};

/// A sidecar that plays one case.
pub(super) struct House {
    pub(super) sidecar: Sidecar,
    pub(super) clock: Arc<StandingClock>,
    logging: Logging,
    lines: Lines,
    before: BTreeSet<String>,
}

impl House {
    /// Starts a sidecar of that configuration, inside the current runtime.
    pub(super) fn open(config: String) -> Self {
        let clock = Arc::new(StandingClock::default());
        let options = Options {
            private: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(CountedIds::default()),
            ..Options::new(Source::Text("config.toml", config))
        };
        let (queue, writer) = log(1024, LogFormat::Json);
        let lines = Lines::default();
        let sink = lines.clone();
        host::thread("golden-log", move || writer.run(sink)).expect("a thread");
        let logging = Logging::over(queue);
        let prepared = Sidecar::prepare(options).unwrap_or_else(|why| panic!("{why}"));
        let sidecar = prepared.start(&logging).expect("the sidecar starts");
        let before = samples(&sidecar);
        Self {
            sidecar,
            clock,
            logging,
            lines,
            before,
        }
    }

    /// Where agents call.
    pub(super) fn address(&self) -> SocketAddr {
        self.sidecar.proxy[0]
    }

    /// Waits until every trip is recorded and every client connection is gone.
    pub(super) async fn settle(&self) {
        until("the sidecar is idle", || {
            self.sidecar.ground.shutdown.open() == 0
                && samples(&self.sidecar).contains("outrigger_connections_open 0")
        })
        .await;
    }

    /// The request lines so far.
    pub(super) fn log(&self) -> Vec<u8> {
        self.logging.flush();
        self.lines.0.lock().expect("not poisoned").clone()
    }

    /// The samples that are not what they were at the start; those born since count from zero.
    pub(super) fn metrics(&self) -> Vec<u8> {
        samples(&self.sidecar)
            .difference(&self.before)
            .filter(|line| !line.ends_with(" 0"))
            .fold(String::new(), |page, line| page + line + "\n")
            .into_bytes()
    }

    /// How many trips wait in a queue.
    pub(super) fn waiting(&self) -> bool {
        samples(&self.sidecar)
            .iter()
            .any(|line| line.starts_with("outrigger_queue_waiting") && !line.ends_with(" 0"))
    }
}

/// Waits for something that has no signal of its own.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not in five seconds: {what}");
}

/// Families of the machine, and those that follow the pace of the connections' own tasks.
const VOLATILE: [&str; 5] = [
    "process_",
    "outrigger_tasks",
    "outrigger_snapshots_alive",
    "outrigger_upstream_connections_open",
    "outrigger_upstream_connections_idle",
];

/// Every sample but the volatile ones; of a histogram only the count and the sum, since the clock stands.
fn samples(sidecar: &Sidecar) -> BTreeSet<String> {
    let page = sidecar.ground.page(&ProcessFacts::read());
    page.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !VOLATILE.iter().any(|prefix| line.starts_with(prefix)))
        .filter(|line| !line.contains("_bucket{"))
        .map(str::to_owned)
        .collect()
}

/// 2026-01-01T12:00:00Z, until it is told otherwise.
#[derive(Default)]
pub(super) struct StandingClock(AtomicU64);

impl StandingClock {
    /// Moves the clock on.
    pub(super) fn advance(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).expect("a short span");
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn boot(&self) -> Boot {
        Boot(3_600_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Wall {
        Wall(1_767_268_800_000 + self.0.load(Ordering::SeqCst) / 1_000_000)
    }
}

#[derive(Default)]
struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn next(&self, now: Wall) -> RequestId {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        RequestId::v7(now, u128::from(count) << 64)
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

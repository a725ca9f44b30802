//! The load: keep-alive connections that ask, compare the whole answer, and ask again.
//!
//! It owns what is counted. It must never count an answer it did not compare, nor start the clock of a
//! request late because the one before was slow (in a paced run the clock starts when it was due).

mod one;
mod two;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::one::One;
use self::two::Two;
use crate::histogram::Histogram;
use crate::traffic::{self, Ask, Expected};
use crate::upstream::Pace;
use crate::wires::{Http, SHARED_BY};

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After the answer during which this much time has passed.
    Elapsed(Duration),
    /// After so many answers on each connection.
    Answers(usize),
}

/// What a run has seen.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Answers compared and found right.
    pub(crate) requests: u64,
    /// Pieces of answers that arrived one by one: 50 in a stream, one otherwise.
    pub(crate) chunks: u64,
    /// Reads from the sockets; far below `chunks` would mean that chunks were merged.
    pub(crate) reads: u64,
    /// From asking to the last byte.
    pub(crate) whole: Histogram,
    /// From asking to the first byte.
    pub(crate) first: Histogram,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            requests: 0,
            chunks: 0,
            reads: 0,
            whole: Histogram::new(),
            first: Histogram::new(),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.chunks += other.chunks;
        self.reads += other.reads;
        self.whole.merge(&other.whole);
        self.first.merge(&other.first);
    }
}

/// One connection, or a stream of one, speaking as one tenant.
#[derive(Debug)]
pub(crate) struct Client {
    line: Line,
    slot: usize,
    pace: Pace,
}

#[derive(Debug)]
enum Line {
    One(One),
    Two(Box<Two>),
}

impl Client {
    /// As many as are asked for, each in a slot of its own.
    pub(crate) async fn connect(
        address: SocketAddr,
        http: Http,
        count: usize,
        pace: &Pace,
    ) -> io::Result<Vec<Self>> {
        let mut clients: Vec<Self> = Vec::with_capacity(count);
        let mut shared = None;
        for slot in 0..count {
            let line = match http {
                Http::One => Line::One(One::connect(address, slot).await?),
                Http::Two => {
                    let sender = match shared.take() {
                        Some(sender) if slot % SHARED_BY != 0 => sender,
                        _ => two::connect(address).await?,
                    };
                    shared = Some(sender.clone());
                    Line::Two(Box::new(Two::new(sender, address, slot)?))
                }
            };
            let pace = pace.clone();
            clients.push(Self { line, slot, pace });
        }
        Ok(clients)
    }

    /// Asks until told to stop; `pace` is the time between two requests of this connection.
    pub(crate) async fn run(
        mut self,
        ask: Ask,
        until: Until,
        interval: Option<Duration>,
    ) -> io::Result<(Self, Tally)> {
        let mut tally = Tally::new();
        let begun = Instant::now();
        // Connections that all fired together would measure the burst.
        let mut due =
            begun + interval.unwrap_or_default() * u32::try_from(self.slot % 16).unwrap_or(0) / 16;
        loop {
            let asked = match interval {
                Some(interval) => wait_for(&mut due, interval).await,
                None => Instant::now(),
            };
            let mut exchange = Exchange {
                asked,
                expected: traffic::expected(ask),
                slot: self.slot,
                pace: &self.pace,
                tally: &mut tally,
                has_begun: false,
                chunk: 0,
            };
            match &mut self.line {
                Line::One(one) => one.ask(ask, &mut exchange).await?,
                Line::Two(two) => two.ask(ask, &mut exchange).await?,
            }
            exchange.ended();
            let finished = match until {
                Until::Elapsed(limit) => begun.elapsed() >= limit,
                Until::Answers(limit) => tally.requests >= u64::try_from(limit).unwrap_or(u64::MAX),
            };
            if finished {
                return Ok((self, tally));
            }
        }
    }
}

/// One request and its answer, as it is counted.
pub(super) struct Exchange<'a> {
    asked: Instant,
    expected: &'static Expected,
    slot: usize,
    pace: &'a Pace,
    tally: &'a mut Tally,
    has_begun: bool,
    chunk: usize,
}

impl Exchange<'_> {
    /// Something of the answer is there.
    fn began(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.tally.first.add(nanos(self.asked.elapsed()));
        }
    }

    /// A read gave something. Lets the upstream write the next chunk for each that has arrived whole; the last has no next.
    fn read(&mut self, compared: usize) {
        self.tally.reads += 1;
        let ends = &self.expected.ends;
        while self.chunk + 1 < ends.len()
            && ends.get(self.chunk).is_some_and(|end| compared >= *end)
        {
            self.pace.arrived(self.slot);
            self.chunk += 1;
        }
    }

    /// All of the answer is there and right.
    fn ended(self) {
        self.tally.whole.add(nanos(self.asked.elapsed()));
        self.tally.requests += 1;
        self.tally.chunks += u64::try_from(self.expected.ends.len()).unwrap_or(0);
    }
}

/// Waits until the next request is due and says when its clock starts.
async fn wait_for(due: &mut Instant, interval: Duration) -> Instant {
    let mine = *due;
    *due += interval;
    if mine <= Instant::now() {
        return mine;
    }
    tokio::time::sleep_until(mine.into()).await;
    // The timer's tick is a millisecond; its lateness is ours, not the proxy's.
    Instant::now()
}

/// What an SDK says beside host and connection.
fn fields(tenant: usize, length: usize) -> [(&'static str, String); 13] {
    [
        ("accept", "application/json".to_owned()),
        ("accept-encoding", "identity".to_owned()),
        ("user-agent", "OpenAI/Python 2.31.0".to_owned()),
        ("x-stainless-arch", "x64".to_owned()),
        ("x-stainless-async", "async:asyncio".to_owned()),
        ("x-stainless-lang", "python".to_owned()),
        ("x-stainless-os", "Linux".to_owned()),
        ("x-stainless-package-version", "2.31.0".to_owned()),
        ("x-stainless-retry-count", "0".to_owned()),
        ("x-stainless-read-timeout", "600".to_owned()),
        (
            "authorization",
            format!("Bearer {}", traffic::tenant_key(tenant)),
        ),
        ("content-type", "application/json".to_owned()),
        ("content-length", length.to_string()),
    ]
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

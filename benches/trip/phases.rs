//! The measurements themselves: what is run against a subject, and what is read off before and after.
//!
//! Every window opens on connections that are warm and closes when the last answer has been compared, so
//! requests and processor time belong to each other exactly. It must never report a window with a wrong
//! answer: that ends the bench.

mod counts;
mod ends;
mod reloads;
mod steps;

pub(crate) use counts::Counted;
pub(crate) use ends::{Settled, Starts};

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::client::{Client, Tally, Until};
use crate::observe;
use crate::report::Report;
use crate::subject::{Kind, Launcher, Subject, Third, Under};
use crate::traffic::Ask;
use crate::upstream::{Arrived, Upstream};
use crate::wires::Wires;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rounds: usize,
    pub(crate) phase: Duration,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) rate: Option<u32>,
    /// What is spoken on both sides.
    pub(crate) wires: Wires,
    /// Whether the plain phase is all that matters: the others become a twentieth as long.
    pub(crate) mostly_plain: bool,
    /// Fresh processes started to time the first answer.
    pub(crate) starts: usize,
    /// Plain requests per connection while strace counts.
    pub(crate) traced_requests: usize,
    /// Streams per connection while strace counts.
    pub(crate) traced_streams: usize,
    /// Requests per connection in the two runs under callgrind; their difference is what counts.
    pub(crate) counted: [usize; 2],
}

impl Shape {
    fn plain(&self) -> Load {
        let connected = u32::try_from(self.connections).unwrap_or(1);
        Load {
            ask: Ask::Plain,
            connections: self.connections,
            slice: self.phase / SLICES,
            interval: self
                .rate
                .map(|rate| Duration::from_secs(1) * connected / rate.max(1)),
        }
    }

    fn stream(&self) -> Load {
        Load {
            ask: Ask::Stream,
            connections: self.streams,
            slice: self.other_phase() / SLICES,
            interval: None,
        }
    }

    fn solo(&self) -> Load {
        Load {
            ask: Ask::Plain,
            connections: 1,
            slice: self.other_phase() / SLICES / 2,
            interval: None,
        }
    }

    fn other_phase(&self) -> Duration {
        self.phase / if self.mostly_plain { 20 } else { 1 }
    }
}

/// One window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Processor time of the subject; none when there is nothing in between.
    pub(crate) cpu: Option<Duration>,
}

impl Window {
    fn and(mut self, next: &Self) -> Self {
        self.tally.merge(&next.tally);
        self.elapsed += next.elapsed;
        self.cpu = self.cpu.zip(next.cpu).map(|(one, other)| one + other);
        self
    }
}

/// What is offered during a slice of a window.
#[derive(Clone, Copy, Debug)]
struct Load {
    ask: Ask,
    connections: usize,
    slice: Duration,
    /// Between two requests of a connection; none in a closed loop.
    interval: Option<Duration>,
}

/// One subject in one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Many connections, plain answers.
    pub(crate) plain: Window,
    /// Many streams.
    pub(crate) stream: Window,
    /// One connection, plain answers.
    pub(crate) solo: Window,
}

/// What a subject was given to do in all runs.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    requests: u64,
    /// That it made for this with the upstream.
    handshakes: u64,
}

/// The machinery all measurements share.
#[derive(Debug)]
pub(crate) struct Bench {
    runtime: Runtime,
    upstream: Upstream,
    shape: Shape,
    launcher: Launcher,
    sent: std::cell::RefCell<BTreeMap<Kind, Sent>>,
    profiles: PathBuf,
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new(
        runtime: Runtime,
        upstream: Upstream,
        shape: Shape,
        third: Third,
        tenants: usize,
        profiles: Option<PathBuf>,
    ) -> io::Result<Self> {
        let dir = TempDir::with_prefix("outrigger-bench-")?;
        let launcher = Launcher {
            upstream: upstream.address,
            wires: shape.wires,
            third,
            tenants,
            dir: dir.path().to_owned(),
        };
        Ok(Self {
            runtime,
            upstream,
            shape,
            launcher,
            sent: std::cell::RefCell::default(),
            profiles: profiles.unwrap_or_else(|| dir.path().to_owned()),
            dir,
        })
    }

    pub(crate) fn launch(&self, kind: Kind) -> io::Result<Subject> {
        self.launcher.launch(kind, Under::Nothing)
    }

    /// The rounds, each in another order, so that nobody always comes first or after the same neighbour.
    pub(crate) fn rounds(&self, subjects: &mut [Subject], report: &mut Report) -> io::Result<()> {
        for round in 0..self.shape.rounds {
            eprintln!("round {} of {}", round + 1, self.shape.rounds);
            subjects.rotate_left(usize::from(round > 0));
            let plain = self.sliced(subjects, &self.shape.plain())?;
            let stream = self.sliced(subjects, &self.shape.stream())?;
            let solo = self.sliced(subjects, &self.shape.solo())?;
            let windows = plain.into_iter().zip(stream).zip(solo);
            for (subject, ((plain, stream), solo)) in subjects.iter_mut().zip(windows) {
                let round = Round {
                    plain,
                    stream,
                    solo,
                };
                report.round(subject.kind(), round);
                subject.drain_log()?;
            }
        }
        subjects.sort_by_key(Subject::kind);
        Ok(())
    }

    /// One window for each subject, cut into slices that alternate there and back again (a b c, c b a, …):
    /// what a neighbour on the machine does for a second then falls on all of them alike.
    fn sliced(&self, subjects: &[Subject], load: &Load) -> io::Result<Vec<Window>> {
        let mut windows: Vec<Option<Window>> = vec![None; subjects.len()];
        for slice in 0..SLICES {
            let mut turns: Vec<_> = subjects.iter().zip(&mut windows).collect();
            if slice % 2 == 1 {
                turns.reverse();
            }
            for (subject, window) in turns {
                let next = self.window(subject, load)?;
                *window = Some(match window.take() {
                    Some(before) => before.and(&next),
                    None => next,
                });
            }
        }
        Ok(windows.into_iter().flatten().collect())
    }

    fn window(&self, subject: &Subject, load: &Load) -> io::Result<Window> {
        let Load {
            ask,
            connections,
            slice,
            interval,
        } = *load;
        let clients = self.connect(subject.address(), connections)?;
        let (clients, _) = self.run(subject, clients, ask, Until::Elapsed(slice / 8), interval)?;
        let before = observe::cpu(subject.family())?;
        let begun = Instant::now();
        let (_open, tally) = self.run(subject, clients, ask, Until::Elapsed(slice), interval)?;
        let elapsed = begun.elapsed();
        let after = observe::cpu(subject.family())?;
        let cpu = after
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok(Window {
            tally,
            elapsed,
            cpu,
        })
    }

    fn connect(&self, address: SocketAddr, connections: usize) -> io::Result<Vec<Client>> {
        let http = self.shape.wires.client;
        self.runtime.block_on(Client::connect(
            address,
            http,
            connections,
            &self.upstream.pace,
        ))
    }

    /// Runs all clients at once and hands them back, still connected. Ends the bench on any wrong answer,
    /// and when Outrigger did not put the upstream's own key on every request.
    fn run(
        &self,
        subject: &Subject,
        clients: Vec<Client>,
        ask: Ask,
        until: Until,
        interval: Option<Duration>,
    ) -> io::Result<(Vec<Client>, Tally)> {
        let seen = &self.upstream.seen;
        let over = self.arriving(subject.kind());
        let before = [seen.keyed(), seen.requests(over), seen.handshakes()];
        let mut total = Tally::new();
        let mut back = Vec::with_capacity(clients.len());
        self.runtime
            .block_on(async {
                let mut running = JoinSet::new();
                for client in clients {
                    running.spawn(client.run(ask, until, interval));
                }
                let all = async {
                    while let Some(joined) = running.join_next().await {
                        let (client, tally) = joined??;
                        total.merge(&tally);
                        back.push(client);
                    }
                    Ok::<(), io::Error>(())
                };
                tokio::time::timeout(PATIENCE, all).await?
            })
            .map_err(|error| in_context(subject, ask, &error))?;
        let after = [seen.keyed(), seen.requests(over), seen.handshakes()];
        let [keyed, arrived, handshakes] = [0, 1, 2].map(|index| after[index] - before[index]);
        let due = match (subject.kind(), &self.launcher.third) {
            (kind, Third::Outrigger(_)) if kind.books().is_some() => total.requests,
            _ => 0,
        };
        if arrived != total.requests {
            let what = format!(
                "{arrived} of {} requests arrived over {over:?}",
                total.requests
            );
            return Err(in_context(subject, ask, &io::Error::other(what)));
        }
        if keyed != due {
            let what = format!("{keyed} of {due} requests carried the upstream's own key");
            return Err(in_context(subject, ask, &io::Error::other(what)));
        }
        let mut sent = self.sent.borrow_mut();
        let sent = sent.entry(subject.kind()).or_default();
        sent.requests += total.requests;
        sent.handshakes += handshakes;
        Ok((back, total))
    }

    /// How a subject's requests must come to the upstream.
    fn arriving(&self, kind: Kind) -> Arrived {
        let Wires {
            client,
            upstream,
            tls,
        } = self.shape.wires;
        match kind {
            Kind::Direct => Arrived {
                http: client,
                tls: false,
            },
            _ => Arrived {
                http: upstream,
                tls,
            },
        }
    }
}

/// Slices of a window.
const SLICES: u32 = 4;
/// The longest any run may take; a stream that is held back ends here.
const PATIENCE: Duration = Duration::from_mins(2);
fn in_context(subject: &Subject, ask: Ask, error: &io::Error) -> io::Error {
    io::Error::other(format!("{} ({ask:?}): {error}", subject.kind().name()))
}

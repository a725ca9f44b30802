//! The measurements themselves: what is run against a subject, and what is read off before and after.
//!
//! Every window opens on connections that are warm and closes when the last answer has been compared, so
//! requests and processor time belong to each other exactly. It must never report a window with a wrong
//! answer: that ends the bench.

mod reloads;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::client::{Client, Tally, Until};
use crate::observe::{self, Strace};
use crate::report::Report;
use crate::subject::{Kind, Launcher, Subject, Third, Under};
use crate::traffic::{self, Ask};
use crate::upstream::Upstream;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rounds: usize,
    pub(crate) phase: Duration,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) rate: Option<u32>,
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

/// Fresh processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    /// From starting the program to the first byte of a proxied answer.
    pub(crate) first_answer: Vec<Duration>,
    /// Memory a moment after that answer.
    pub(crate) idle_kib: Vec<u64>,
}

/// What one request and one chunk cost in something that is counted exactly.
#[derive(Clone, Debug)]
pub(crate) enum Counted {
    /// The kind has no process.
    Nothing,
    /// The tool is not here, or may not.
    Absent { why: String },
    /// By name: counts in the plain run and in the stream run, with the requests and chunks of those.
    Calls {
        plain: BTreeMap<String, u64>,
        requests: u64,
        stream: BTreeMap<String, u64>,
        chunks: u64,
    },
    /// Instructions in user space per request and per chunk.
    Instructions { request: f64, chunk: f64 },
}

/// After the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) after_kib: Option<u64>,
    pub(crate) peak_kib: Option<u64>,
    /// Lines of the request log, and the requests they should account for.
    pub(crate) logged: Option<u64>,
    pub(crate) requests: u64,
    /// Bytes of `/metrics`.
    pub(crate) metrics_bytes: Option<usize>,
}

/// The machinery all measurements share.
#[derive(Debug)]
pub(crate) struct Bench {
    runtime: Runtime,
    upstream: Upstream,
    shape: Shape,
    launcher: Launcher,
    sent: std::cell::RefCell<BTreeMap<Kind, u64>>,
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
        let pid = subject.pid()?;
        let before = pid.map(observe::cpu).transpose()?;
        let begun = Instant::now();
        let (_open, tally) = self.run(subject, clients, ask, Until::Elapsed(slice), interval)?;
        let elapsed = begun.elapsed();
        let after = pid.map(observe::cpu).transpose()?;
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
        self.runtime.block_on(async {
            let mut clients = Vec::with_capacity(connections);
            for slot in 0..connections {
                clients.push(Client::connect(address, slot, self.upstream.pace.clone()).await?);
            }
            Ok(clients)
        })
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
        let keyed_before = self.upstream.keyed();
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
        let keyed = self.upstream.keyed() - keyed_before;
        let due = match (subject.kind(), &self.launcher.third) {
            (Kind::Outrigger, Third::Outrigger(_)) => total.requests,
            (Kind::Direct | Kind::Bare, _) | (Kind::Outrigger, Third::Twin) => 0,
        };
        if keyed != due {
            let what = format!("{keyed} of {due} requests carried the upstream's own key");
            return Err(in_context(subject, ask, &io::Error::other(what)));
        }
        *self.sent.borrow_mut().entry(subject.kind()).or_default() += total.requests;
        Ok((back, total))
    }

    /// Time to the first answer, and memory after it, of fresh processes.
    pub(crate) fn starts(&self, kind: Kind) -> io::Result<Starts> {
        let mut starts = Starts::default();
        if kind == Kind::Direct {
            return Ok(starts);
        }
        for _ in 0..self.shape.starts {
            let begun = Instant::now();
            let subject = self.launch(kind)?;
            first_byte(subject.address()).map_err(|error| {
                let what = format!("no first answer of {}: {error}", kind.name());
                io::Error::new(error.kind(), what)
            })?;
            starts.first_answer.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(200));
            if let Some(pid) = subject.pid()? {
                starts.idle_kib.push(observe::memory_kib(pid, "VmRSS")?);
            }
            subject.stop(Duration::from_secs(10))?;
        }
        Ok(starts)
    }

    /// System calls per request and per chunk, counted over an exact number of them on warm connections.
    pub(crate) fn syscalls(&self, subject: &Subject) -> io::Result<Counted> {
        let Some(pid) = subject.pid()? else {
            return Ok(Counted::Nothing);
        };
        if !observe::is_installed("strace") {
            return Ok(absent("strace is not installed"));
        }
        let output = self.dir.path().join("strace");
        let count = |ask, connections, answers| {
            let clients = self.connect(subject.address(), connections)?;
            let (clients, _) = self.run(subject, clients, ask, Until::Answers(2), None)?;
            let strace = match Strace::attach(pid, output.clone()) {
                Ok(strace) => strace,
                Err(error) => return Ok(Err(format!("strace: {error}"))),
            };
            let (_open, tally) = self.run(subject, clients, ask, Until::Answers(answers), None)?;
            Ok::<_, io::Error>(Ok((strace.detach()?, tally)))
        };
        let Shape {
            connections,
            streams,
            traced_requests,
            traced_streams,
            ..
        } = self.shape;
        let plain = count(Ask::Plain, connections, traced_requests)?;
        let stream = count(Ask::Stream, streams, traced_streams)?;
        Ok(match (plain, stream) {
            (Ok((plain, requests)), Ok((stream, chunks))) => Counted::Calls {
                plain,
                requests: requests.requests,
                stream,
                chunks: chunks.chunks,
            },
            (Err(why), _) | (_, Err(why)) => Counted::Absent { why },
        })
    }

    /// Instructions per request and per chunk: the difference of a short and a longer life under callgrind.
    pub(crate) fn instructions(&self, kind: Kind) -> io::Result<Counted> {
        if !observe::is_installed("valgrind") {
            return Ok(absent("valgrind is not installed"));
        }
        eprintln!("counting the instructions of {}", kind.name());
        let [few, many] = self.shape.counted;
        let per = |ask, divisor: usize| {
            let (few, many) = (few / divisor, many / divisor);
            let less = self.counted_life(kind, ask, few)?;
            let more = self.counted_life(kind, ask, many)?;
            let answers = (many - few) * COUNTED_CONNECTIONS;
            Ok::<f64, io::Error>(more.saturating_sub(less) as f64 / answers as f64)
        };
        let request = per(Ask::Plain, 1)?;
        let chunk = per(Ask::Stream, 8)? / traffic::CHUNKS as f64;
        Ok(Counted::Instructions { request, chunk })
    }

    fn counted_life(&self, kind: Kind, ask: Ask, answers: usize) -> io::Result<u64> {
        let log = self.dir.path().join("callgrind.log");
        let name = format!("{}-{ask:?}-{answers}.callgrind", kind.name()).to_lowercase();
        let profile = self.profiles.join(name);
        let under = Under::Callgrind {
            log: &log,
            profile: &profile,
        };
        let subject = self.launcher.launch(kind, under)?;
        let clients = self.connect(subject.address(), COUNTED_CONNECTIONS)?;
        self.run(&subject, clients, ask, Until::Answers(answers), None)?;
        subject.stop(Duration::from_mins(1))?;
        observe::instructions(&log)
    }

    /// What is left when the load is gone; stops the subject.
    pub(crate) fn settle(&self, mut subject: Subject) -> io::Result<Settled> {
        std::thread::sleep(Duration::from_millis(500));
        subject.drain_log()?;
        let pid = subject.pid()?;
        let memory = |field| pid.map(|pid| observe::memory_kib(pid, field)).transpose();
        let settled = Settled {
            after_kib: memory("VmRSS")?,
            peak_kib: memory("VmHWM")?,
            logged: subject.logged(),
            requests: self
                .sent
                .borrow()
                .get(&subject.kind())
                .copied()
                .unwrap_or(0),
            metrics_bytes: subject.telemetry().map(scrape).transpose()?,
        };
        subject.stop(Duration::from_secs(10))?;
        Ok(settled)
    }
}

/// Slices of a window.
const SLICES: u32 = 4;
/// The longest any run may take; a stream that is held back ends here.
const PATIENCE: Duration = Duration::from_mins(2);
/// Few, because callgrind runs one thread at a time.
const COUNTED_CONNECTIONS: usize = 4;

fn absent(why: &str) -> Counted {
    Counted::Absent {
        why: why.to_owned(),
    }
}

fn in_context(subject: &Subject, ask: Ask, error: &io::Error) -> io::Error {
    io::Error::other(format!("{} ({ask:?}): {error}", subject.kind().name()))
}

/// Sends one request as tenant 0 and returns when the answer begins.
fn first_byte(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.write_all(&crate::client::request(address, Ask::Plain, 0))?;
    let mut start = [0; 12];
    socket.read_exact(&mut start)?;
    if &start == b"HTTP/1.1 200" {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the first answer begins with `{}`",
        String::from_utf8_lossy(&start)
    )))
}

/// Bytes of `/metrics`; an error unless it knows a tenant of the bench.
fn scrape(address: SocketAddr) -> io::Result<usize> {
    let text = page(address)?;
    if memchr::memmem::find(&text, br#"tenant="t00""#).is_none() {
        return Err(io::Error::other("`/metrics` knows nothing of tenant `t00`"));
    }
    Ok(text.len())
}

/// `/metrics`, with its head.
fn page(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        socket,
        "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut text = Vec::new();
    socket.read_to_end(&mut text)?;
    Ok(text)
}

//! What is counted exactly: system calls of a warm process, and instructions between two lives.
//!
//! It must never give a count of a run with a wrong answer, nor an estimate in place of a tool that is absent.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::{Bench, Shape};
use crate::client::{Tally, Until};
use crate::observe::{self, Strace};
use crate::subject::{Kind, Subject, Under};
use crate::traffic::{self, Ask};
use crate::wires::Http;

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

/// The calls by their names, and what they were made for.
type Traced = (BTreeMap<String, u64>, Tally);

impl Bench {
    /// System calls per request and per chunk, counted over an exact number of them on warm connections.
    pub(crate) fn syscalls(&self, subject: &Subject) -> io::Result<Counted> {
        if subject.family().is_empty() {
            return Ok(Counted::Nothing);
        }
        if !observe::is_installed("strace") {
            return Ok(absent("strace is not installed"));
        }
        let Shape {
            connections,
            streams,
            traced_requests,
            traced_streams,
            ..
        } = self.shape;
        let plain = self.traced(subject, Ask::Plain, connections, traced_requests)?;
        let stream = self.traced(subject, Ask::Stream, streams, traced_streams)?;
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

    /// Counts until nothing was missed; says why when it cannot.
    fn traced(
        &self,
        subject: &Subject,
        ask: Ask,
        connections: usize,
        answers: usize,
    ) -> io::Result<Result<Traced, String>> {
        for _ in 0..ATTEMPTS {
            let clients = self.connect(subject.address(), connections)?;
            let (clients, _) = self.run(subject, clients, ask, Until::Answers(2), None)?;
            let strace = match Strace::attach(subject.family(), self.dir.path().join("strace")) {
                Ok(strace) => strace,
                Err(error) => return Ok(Err(format!("strace: {error}"))),
            };
            // It says that it is attached before it holds every thread.
            std::thread::sleep(SETTLING);
            let (_open, tally) = self.run(subject, clients, ask, Until::Answers(answers), None)?;
            let calls = strace.detach()?;
            if calls.values().sum::<u64>() >= self.fewest(ask, &tally) {
                return Ok(Ok((calls, tally)));
            }
        }
        Ok(Err("strace missed calls again and again".to_owned()))
    }

    /// What nobody can do with less: over HTTP/1.1 each request is read and written once on each side and so is its answer,
    /// and each chunk once. Streams of HTTP/2 share their calls, eight at most.
    fn fewest(&self, ask: Ask, tally: &Tally) -> u64 {
        let alone = match ask {
            Ask::Plain => tally.requests * 4,
            Ask::Stream => tally.chunks * 2,
        };
        let is_shared = [self.shape.wires.client, self.shape.wires.upstream].contains(&Http::Two);
        if is_shared { alone / 16 } else { alone }
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
            let answers = (many - few) * CONNECTIONS;
            Ok::<f64, io::Error>(more.saturating_sub(less) as f64 / answers as f64)
        };
        let request = per(Ask::Plain, 1)?;
        let chunk = per(Ask::Stream, 8)? / traffic::CHUNKS as f64;
        Ok(Counted::Instructions { request, chunk })
    }

    /// A life under callgrind; its profile stays until the next of the same kind.
    pub(super) fn counted_life(&self, kind: Kind, ask: Ask, answers: usize) -> io::Result<u64> {
        let log = self.dir.path().join("callgrind.log");
        let profile = self.profile(kind, ask, answers);
        let under = Under::Callgrind {
            log: &log,
            profile: &profile,
        };
        let subject = self.launcher.launch(kind, under)?;
        let clients = self.connect(subject.address(), CONNECTIONS)?;
        self.run(&subject, clients, ask, Until::Answers(answers), None)?;
        subject.stop(Duration::from_mins(1))?;
        observe::instructions(&log)
    }
}

/// How often calls are counted anew when some were missed.
const ATTEMPTS: usize = 5;
/// How long strace gets to hold every thread; that it was long enough shows in the count.
const SETTLING: Duration = Duration::from_millis(50);
/// Few, because callgrind runs one thread at a time.
pub(super) const CONNECTIONS: usize = 4;

fn absent(why: &str) -> Counted {
    Counted::Absent {
        why: why.to_owned(),
    }
}

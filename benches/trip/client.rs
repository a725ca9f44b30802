//! The load: keep-alive connections that ask, compare the whole answer, and ask again.
//!
//! It owns what is counted. It must never count an answer it did not compare, nor start the clock of a
//! request late because the one before was slow (in a paced run the clock starts when it was due).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::histogram::Histogram;
use crate::scan::Answer;
use crate::traffic::{self, Ask, Expected};
use crate::upstream::Pace;

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

/// One connection, speaking as one tenant.
#[derive(Debug)]
pub(crate) struct Client {
    socket: TcpStream,
    slot: usize,
    pace: Pace,
    plain: Vec<u8>,
    stream: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, slot: usize, pace: Pace) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            slot,
            pace,
            plain: request(address, Ask::Plain, slot),
            stream: request(address, Ask::Stream, slot),
            buffer: vec![0; 16 * 1024],
        })
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
            self.one(ask, asked, &mut tally).await?;
            let finished = match until {
                Until::Elapsed(limit) => begun.elapsed() >= limit,
                Until::Answers(limit) => tally.requests >= u64::try_from(limit).unwrap_or(u64::MAX),
            };
            if finished {
                return Ok((self, tally));
            }
        }
    }

    async fn one(&mut self, ask: Ask, asked: Instant, tally: &mut Tally) -> io::Result<()> {
        let request = match ask {
            Ask::Plain => &self.plain,
            Ask::Stream => &self.stream,
        };
        self.socket.write_all(request).await?;
        let expected = traffic::expected(ask);
        let mut answer = Answer::new(expected);
        let mut chunk = 0;
        while !answer.is_done() {
            let count = self.socket.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(io::Error::other("the connection was closed in an answer"));
            }
            if answer.compared() == 0 && chunk == 0 {
                tally.first.add(nanos(asked.elapsed()));
            }
            tally.reads += 1;
            answer.feed(self.buffer.get(..count).unwrap_or_default())?;
            chunk = self.release(expected, answer.compared(), chunk);
        }
        tally.whole.add(nanos(asked.elapsed()));
        tally.requests += 1;
        tally.chunks += u64::try_from(expected.ends.len()).unwrap_or(0);
        Ok(())
    }

    /// Lets the upstream write the next chunk for each that has arrived whole; the last has no next.
    fn release(&self, expected: &Expected, compared: usize, mut chunk: usize) -> usize {
        while chunk + 1 < expected.ends.len()
            && expected.ends.get(chunk).is_some_and(|end| compared >= *end)
        {
            self.pace.arrived(self.slot);
            chunk += 1;
        }
        chunk
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

/// What an SDK sends: a dozen headers, then 2 KiB.
pub(crate) fn request(address: SocketAddr, ask: Ask, slot: usize) -> Vec<u8> {
    let body = traffic::request_body(ask, slot);
    let mut bytes = format!(
        "POST {} HTTP/1.1\r\n\
         host: {address}\r\n\
         accept: application/json\r\n\
         accept-encoding: identity\r\n\
         connection: keep-alive\r\n\
         user-agent: OpenAI/Python 2.31.0\r\n\
         x-stainless-arch: x64\r\n\
         x-stainless-async: async:asyncio\r\n\
         x-stainless-lang: python\r\n\
         x-stainless-os: Linux\r\n\
         x-stainless-package-version: 2.31.0\r\n\
         x-stainless-retry-count: 0\r\n\
         x-stainless-read-timeout: 600\r\n\
         authorization: Bearer {}\r\n\
         content-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        traffic::PATH,
        traffic::tenant_key(slot % traffic::TENANTS),
        body.len(),
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

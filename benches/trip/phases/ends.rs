//! The two ends of a life: the first answer of a fresh process, and what is left when the load is gone.
//!
//! It must never take a refusal for a first answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Bench;
use crate::client::Until;
use crate::observe;
use crate::subject::{Kind, Subject};
use crate::traffic::Ask;

/// Fresh processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    /// From starting the program to a proxied answer.
    pub(crate) first_answer: Vec<Duration>,
    /// Memory a moment after that answer.
    pub(crate) idle_kib: Vec<u64>,
}

/// After the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) after_kib: Option<u64>,
    pub(crate) peak_kib: Option<u64>,
    /// Lines of the request log, and the requests they should account for.
    pub(crate) logged: Option<u64>,
    pub(crate) requests: u64,
    /// TLS handshakes with the upstream for these; none in clear text.
    pub(crate) handshakes: Option<u64>,
    /// Bytes of `/metrics`.
    pub(crate) metrics_bytes: Option<usize>,
}

impl Bench {
    /// Time to the first answer, and memory after it, of fresh processes.
    pub(crate) fn starts(&self, kind: Kind) -> io::Result<Starts> {
        let mut starts = Starts::default();
        if kind == Kind::Direct {
            return Ok(starts);
        }
        for _ in 0..self.shape.starts {
            let begun = Instant::now();
            let subject = self.launch(kind)?;
            self.first_answer(&subject).map_err(|error| {
                let what = format!("no first answer of {}: {error}", kind.name());
                io::Error::new(error.kind(), what)
            })?;
            starts.first_answer.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(200));
            let idle = observe::memory_kib(subject.family(), "VmRSS")?;
            starts.idle_kib.extend(idle);
            subject.stop(Duration::from_secs(10))?;
        }
        Ok(starts)
    }

    /// One request as tenant 0, and its answer compared.
    fn first_answer(&self, subject: &Subject) -> io::Result<()> {
        let clients = self.connect(subject.address(), 1)?;
        self.runtime.block_on(async {
            for client in clients {
                client.run(Ask::Plain, Until::Answers(1), None).await?;
            }
            Ok(())
        })
    }

    /// What is left when the load is gone; stops the subject.
    pub(crate) fn settle(&self, mut subject: Subject) -> io::Result<Settled> {
        std::thread::sleep(Duration::from_millis(500));
        subject.drain_log()?;
        let sent = self.sent.borrow().get(&subject.kind()).copied();
        let sent = sent.unwrap_or_default();
        let memory = |field| observe::memory_kib(subject.family(), field);
        let settled = Settled {
            after_kib: memory("VmRSS")?,
            peak_kib: memory("VmHWM")?,
            logged: subject.logged(),
            requests: sent.requests,
            handshakes: self.shape.wires.tls.then_some(sent.handshakes),
            metrics_bytes: subject.telemetry().map(scrape).transpose()?,
        };
        subject.stop(Duration::from_secs(10))?;
        Ok(settled)
    }
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
pub(super) fn page(address: SocketAddr) -> io::Result<Vec<u8>> {
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

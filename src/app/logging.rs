//! The log of the process: one queue, one writer thread, request lines and process events in one order.
//! Must never write from a worker of the data plane.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Error;
use crate::config::values::LogFormat as Wanted;
use crate::host;
use crate::process::{LOG_THREAD, TARGET};
use crate::spine::{LogFormat, LogQueue, log};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Everything.
    Normal,
    /// Only what went wrong with the process: the child's terminal is its own.
    Quiet,
}

/// The log, running.
pub struct Logging {
    queue: LogQueue,
}

impl Logging {
    /// Starts the writer on standard error, and sends process events its way.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(wanted: Wanted, lines: u32, verbosity: Verbosity) -> Result<Self, Error> {
        let format = match wanted {
            Wanted::Text => LogFormat::Text,
            Wanted::Auto if io::stderr().is_terminal() => LogFormat::Text,
            Wanted::Json | Wanted::Auto => LogFormat::Json,
        };
        let (queue, writer) = log(usize::try_from(lines).unwrap_or(usize::MAX).max(1), format);
        host::thread(LOG_THREAD, move || writer.run(io::stderr()))?;
        subscribe(&queue, format, verbosity);
        Ok(Self { queue })
    }

    /// A log that somebody else writes: the request lines go to that queue, process events nowhere.
    pub fn over(queue: LogQueue) -> Self {
        Self { queue }
    }

    /// Where request lines go.
    pub fn queue(&self) -> LogQueue {
        self.queue.clone()
    }

    /// Waits until all is written.
    pub fn flush(&self) {
        self.queue.flush();
    }
}

fn subscribe(queue: &LogQueue, format: LogFormat, verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Quiet => LevelFilter::ERROR,
    };
    let filter = Targets::new().with_target(TARGET, level);
    let writer = ToQueue(queue.clone());
    let layer = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_target(false)
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
    };
    // A second sidecar in one process (a test) keeps the first one's subscriber.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Collects one event and queues it.
struct ToQueue(LogQueue);

struct OneEvent {
    queue: LogQueue,
    line: Vec<u8>,
}

impl<'a> MakeWriter<'a> for ToQueue {
    type Writer = OneEvent;

    fn make_writer(&'a self) -> OneEvent {
        OneEvent {
            queue: self.0.clone(),
            line: Vec::new(),
        }
    }
}

impl Write for OneEvent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OneEvent {
    fn drop(&mut self) {
        self.queue.line(&self.line);
    }
}

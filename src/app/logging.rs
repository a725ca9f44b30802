//! The log of the process: one queue, one writer thread, request lines and process events in one order.
//! Must never write from a worker of the data plane.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::Layer as _;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Error;
use super::logfmt::Logfmt;
use crate::config::values::{LogFormat as Wanted, LogLevel};
use crate::host;
use crate::process::{AUDIT, LOG_THREAD, TARGET};
use crate::spine::{LogFormat, LogQueue, log};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// As much as the configuration says.
    Normal,
    /// Only what went wrong with the process: the child's terminal is its own.
    Quiet,
}

/// The log, running.
pub struct Logging {
    queue: LogQueue,
    levels: Levels,
}

/// What decides how much is said; can be changed at any time.
#[derive(Clone)]
pub(super) struct Levels {
    queue: Option<LogQueue>,
    filter: Option<reload::Handle<Targets, Registry>>,
}

impl Levels {
    /// Nothing to decide about.
    pub(super) fn none() -> Self {
        Self {
            queue: None,
            filter: None,
        }
    }

    /// From now on this much. Request lines are `info`.
    pub(super) fn set(&self, level: LogLevel) {
        if let Some(queue) = &self.queue {
            queue.hush(level < LogLevel::Info);
        }
        if let Some(filter) = &self.filter {
            // Gone: a second sidecar in one process (a test) has no subscriber of its own.
            let _ = filter.modify(|targets| *targets = targets_of(level));
        }
    }
}

fn targets_of(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_target(TARGET, level)
        .with_target(AUDIT, LevelFilter::INFO)
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
            Wanted::Logfmt => LogFormat::Logfmt,
            Wanted::Json | Wanted::Auto => LogFormat::Json,
        };
        let (queue, writer) = log(usize::try_from(lines).unwrap_or(usize::MAX).max(1), format);
        host::thread(LOG_THREAD, move || writer.run(io::stderr()))?;
        let filter = subscribe(&queue, format);
        let levels = Levels {
            queue: Some(queue.clone()),
            filter: Some(filter),
        };
        let levels = match verbosity {
            Verbosity::Normal => levels,
            // Nobody can make it louder.
            Verbosity::Quiet => {
                levels.set(LogLevel::Error);
                Levels::none()
            }
        };
        Ok(Self { queue, levels })
    }

    /// A log that somebody else writes: the request lines go to that queue, process events nowhere.
    pub fn over(queue: LogQueue) -> Self {
        let levels = Levels {
            queue: Some(queue.clone()),
            filter: None,
        };
        Self { queue, levels }
    }

    /// What decides how much is said.
    pub(super) fn levels(&self) -> Levels {
        self.levels.clone()
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

fn subscribe(queue: &LogQueue, format: LogFormat) -> reload::Handle<Targets, Registry> {
    let (filter, handle) = reload::Layer::new(targets_of(LogLevel::Info));
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
        LogFormat::Logfmt => tracing_subscriber::fmt::layer()
            .event_format(Logfmt)
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
    handle
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

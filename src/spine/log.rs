//! The way of a log line from a request to the writer: a bounded queue and one thread behind it, which
//! formats and writes in batches. A line per wake-up would cost a system call per request; so the writer
//! rests between batches, and what comes meanwhile goes out together.
//! Must never block a request: when the queue is full the line is dropped, and counted for its tenant.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use super::Note;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

enum Line {
    Request(Note),
    Process(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The requests' end of the queue.
#[derive(Clone)]
pub struct LogQueue {
    to: SyncSender<Line>,
}

/// The writer's end of the queue.
pub struct LogWriter {
    from: Receiver<Line>,
    format: LogFormat,
}

/// A queue for at most `lines` lines.
pub fn log(lines: usize, format: LogFormat) -> (LogQueue, LogWriter) {
    let (to, from) = sync_channel(lines);
    (LogQueue { to }, LogWriter { from, format })
}

impl LogQueue {
    /// Takes a request line, or drops and counts it.
    pub fn note(&self, note: Note) {
        if let Err(
            TrySendError::Full(Line::Request(note))
            | TrySendError::Disconnected(Line::Request(note)),
        ) = self.to.try_send(Line::Request(note))
        {
            note.tenant().meters().log_dropped();
        }
    }

    /// Takes a line of the process plane, formatted already; waits for room, since there are few of them.
    pub fn line(&self, line: Vec<u8>) {
        // Without a writer there is nobody left to tell.
        let _ = self.to.send(Line::Process(line));
    }

    /// Waits until everything queued so far is written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.to.send(Line::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(Duration::from_secs(2));
        }
    }
}

/// How long the writer rests between two batches.
const REST: Duration = Duration::from_millis(10);

/// How many bytes are written at once at most.
const BATCH: usize = 64 * 1024;

impl LogWriter {
    /// Writes until every sender is gone. The body of the writer's thread.
    pub fn run(self, mut out: impl Write) {
        let mut batch = Vec::with_capacity(4096);
        while let Ok(first) = self.from.recv() {
            let mut waiting = self.take(first, &mut batch);
            if waiting.is_none() {
                waiting = self.gather(&mut batch);
            }
            // A broken log must not stop the sidecar; the lines are lost.
            let _ = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
            batch.shrink_to(BATCH);
            if let Some(done) = waiting {
                let _ = done.send(());
            }
        }
    }

    /// Rests, then takes what has come, up to a batch.
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer has a thread of its own, and rests on purpose"
    )]
    fn gather(&self, batch: &mut Vec<u8>) -> Option<SyncSender<()>> {
        std::thread::sleep(REST);
        while batch.len() < BATCH {
            match self.from.try_recv() {
                Ok(line) => {
                    if let Some(done) = self.take(line, batch) {
                        return Some(done);
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        None
    }

    fn take(&self, line: Line, batch: &mut Vec<u8>) -> Option<SyncSender<()>> {
        match line {
            Line::Request(note) => match self.format {
                LogFormat::Json => note.json(batch),
                LogFormat::Text => note.human(batch),
            },
            Line::Process(bytes) => batch.extend_from_slice(&bytes),
            Line::Flush(done) => return Some(done),
        }
        None
    }
}

//! HTTP/2 to an upstream (RFC 9113): one connection, shared by the requests of one tenant. Must never take more
//! streams than the other side allows, nor buffer more of an answer than its stream's window.

mod exchange;
mod pulse;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

pub(super) use exchange::{Failed, Running, ask};
use pulse::Pulse;

use super::Fault;
use super::pool::{Open, Pool};
use crate::host;

/// How much of one answer may be under way before its caller has taken it. A tenth of a second of the fastest
/// stream of text a model has; downloads live with it.
const STREAM_WINDOW: u32 = 128 * 1024;

/// More requests than this do not share a connection, whatever the other side allows (the least that RFC 9113 §6.5.2
/// recommends to allow).
const MOST_STREAMS: usize = 100;

/// All streams together may be slow at once, and none of them holds up another: the connection's window is never
/// what is short. It also bounds what a connection can hold.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;
const _: () = assert!(CONNECTION_WINDOW as usize >= STREAM_WINDOW as usize * MOST_STREAMS);

/// What small frames that nobody takes may cost in bookkeeping (256 bytes each, less what they carry), before the
/// connection is closed on the upstream: a hundred callers that stopped reading streams of events of 120 bytes.
const FRAMES_BUDGET: usize = 16 * 1024 * 1024;

/// The largest head of an answer.
const HEAD_BYTES: u32 = 64 * 1024;

/// Stands for "nothing heard yet": the other side's own limit has 32 bits, and no limit is `usize::MAX`.
const UNHEARD: usize = usize::MAX - 1;

/// A connection, as those see it who ask over it. It closes when the last of them lets go.
pub(super) struct Session {
    /// Let go of before `alive`, so that whoever drives the connection finds it unused.
    sender: SendRequest<Bytes>,
    state: Arc<State>,
    _alive: oneshot::Sender<()>,
}

/// What the task that drives a connection and those who use it tell each other.
#[derive(Default)]
struct State {
    /// Streams taken.
    taken: AtomicUsize,
    /// Streams there may be; 0 once the connection takes no more.
    most: AtomicUsize,
    /// No answer came to a ping.
    dead: AtomicBool,
}

impl Session {
    /// Takes a stream if there is room for one. Called under the pool's lock.
    pub(super) fn enter(&self) -> bool {
        let taken = self.state.taken.load(Ordering::Relaxed);
        let has_room = taken < self.state.most.load(Ordering::Relaxed);
        if has_room {
            self.state.taken.store(taken + 1, Ordering::Relaxed);
        }
        has_room
    }

    /// Gives a stream back; whether it was the last. Called under the pool's lock.
    pub(super) fn leave(&self) -> bool {
        self.state.taken.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Whether nobody uses it.
    pub(super) fn is_idle(&self) -> bool {
        self.state.taken.load(Ordering::Relaxed) == 0
    }

    /// Whether it takes no more requests.
    pub(super) fn is_closed(&self) -> bool {
        self.state.most.load(Ordering::Relaxed) == 0
    }

    /// Asks the connection itself, which knows a GOAWAY or an end of file before anybody was told.
    pub(super) fn has_ended(&self) -> bool {
        let mut sender = self.sender.clone();
        let ended = matches!(
            sender.poll_ready(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(Err(_))
        );
        if ended {
            self.state.most.store(0, Ordering::Relaxed);
        }
        ended
    }
}

/// Says hello over a fresh connection, and waits for the other side's settings: only with them is it known how many
/// streams there may be, and that it speaks HTTP/2 at all.
pub(super) async fn open<S>(stream: S, pool: &Arc<Pool>) -> Result<Session, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    const NOT_SPOKEN: Fault =
        Fault::Broken("the upstream does not speak HTTP/2; hint: set `http = \"1.1\"` for it");
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(UNHEARD)
        .data_frame_budget(FRAMES_BUDGET)
        .max_header_list_size(HEAD_BYTES);
    let greeted = builder.handshake(stream).await;
    let (sender, mut connection) = greeted.map_err(|_| NOT_SPOKEN)?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(_) => Poll::Ready(Err(NOT_SPOKEN)),
        Poll::Pending if connection.max_concurrent_send_streams() == UNHEARD => Poll::Pending,
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;
    let state = Arc::new(State::default());
    state.allow(connection.max_concurrent_send_streams());
    let (alive, gone) = oneshot::channel();
    let driven = drive(connection, Arc::clone(&state), gone, pool.opened());
    host::tasks::spawn("upstream-connection", driven);
    Ok(Session {
        sender,
        state,
        _alive: alive,
    })
}

impl State {
    fn allow(&self, streams: usize) {
        self.most
            .store(streams.min(MOST_STREAMS), Ordering::Relaxed);
    }
}

/// Reads and writes the connection until it ends or is dead. Whoever still waits for something then gets an error.
async fn drive<S>(
    mut connection: Connection<S, Bytes>,
    state: Arc<State>,
    mut gone: oneshot::Receiver<()>,
    open: Open,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pulse = connection.ping_pong().map(Pulse::new);
    let mut is_held = true;
    poll_fn(|cx| {
        loop {
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if is_held {
                state.allow_more(connection.max_concurrent_send_streams());
                if Pin::new(&mut gone).poll(cx).is_ready() {
                    // Polled once more, the connection sees that nobody holds it, and says goodbye.
                    is_held = false;
                    continue;
                }
            }
            let Some(pulse) = &mut pulse else {
                return Poll::Pending;
            };
            let used = state.taken.load(Ordering::Relaxed) > 0;
            if pulse.poll(cx, used).is_ready() {
                state.dead.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
    })
    .await;
    state.most.store(0, Ordering::Relaxed);
    drop(connection);
    drop(open);
}

impl State {
    /// The other side changed its mind; a connection that was found to be closed stays closed.
    fn allow_more(&self, streams: usize) {
        if self.most.load(Ordering::Relaxed) != 0 || streams == 0 {
            self.allow(streams);
        }
    }
}

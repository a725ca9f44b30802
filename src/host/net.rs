//! Sockets: listeners that survive bad moments, and connections out. The only place that names `tokio::net`; the stream
//! types are handed on under this module's name. Must never decide who may connect: it reports who did.

mod connect;
mod resolve;
mod tcp;
mod unix;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::time::{Instant, sleep_until};

use super::Error;

pub use connect::{ConnectError, connect, unix_connect};
pub use tcp::TcpListener;
pub use tokio::net::{TcpStream, UnixStream};
pub use unix::{Peer, UNKNOWN_USER, UnixListener};

/// A connection that can be waited for without reading from it.
pub trait Readable {
    /// Ready when there is something to be read, be it the end or an error.
    ///
    /// # Errors
    /// If the runtime is gone.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Readable for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if has_come(&self.try_io(Interest::READABLE, || peek(self))) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Readable for UnixStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if has_come(&self.try_io(Interest::READABLE, || peek(self))) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The runtime takes a new socket for readable until it was tried.
fn peek(socket: &impl AsRawFd) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    Ok(recv(socket.as_raw_fd(), &mut [0], flags)?)
}

/// Whether there was something to be read.
fn has_come(peeked: &io::Result<usize>) -> bool {
    let waits = peeked.as_ref().err();
    waits.is_none_or(|error| error.kind() != io::ErrorKind::WouldBlock)
}

/// What waiting for a connection came to.
#[derive(Debug)]
pub enum Accepted<T> {
    /// A connection.
    Connection(T),
    /// The process or the system is out of descriptors or memory. The next `accept` waits for `pause` first, so that
    /// connections that end can give some back; callers meanwhile wait in the backlog.
    Resting {
        /// For how long.
        pause: Duration,
        /// Why.
        error: Error,
        /// Whether it is worth telling: the first time, and then once in a while.
        news: bool,
    },
    /// The listener is broken; accepting again is no use.
    Failed(Error),
}

impl<T> Accepted<T> {
    /// The same, with something else made of the connection.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Accepted<U> {
        match self {
            Self::Connection(connection) => Accepted::Connection(make(connection)),
            Self::Resting { pause, error, news } => Accepted::Resting { pause, error, news },
            Self::Failed(error) => Accepted::Failed(error),
        }
    }
}

/// As many callers may wait for `accept`; past it, they try again by themselves.
const BACKLOG: u32 = 1024;

const SHORTEST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// A listener that rests again and again is told of no more often than this.
const NEWS: Duration = Duration::from_secs(10);

/// How a listener deals with failed accepts: it shrugs, rests or gives up.
#[derive(Debug, Default)]
struct Patience {
    last: Option<Duration>,
    until: Option<Instant>,
    told: Option<Instant>,
}

/// What a failed accept means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// That one connection is lost; on to the next.
    Shrug,
    /// A resource is used up; waiting may help.
    Rest,
    /// The listener itself is broken.
    GiveUp,
}

impl Patience {
    /// Waits out a rest, if one is due. May be dropped and called again: the end is a point in time.
    async fn wait(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }

    /// An accept worked: the next rest starts short again.
    fn refresh(&mut self) {
        self.last = None;
    }

    /// Begins a rest, each twice as long as the last, up to a second.
    fn rest(&mut self) -> Duration {
        let pause = self
            .last
            .map_or(SHORTEST_REST, |last| (last * 2).min(LONGEST_REST));
        self.last = Some(pause);
        self.until = Some(Instant::now() + pause);
        pause
    }

    fn is_news(&mut self) -> bool {
        let now = Instant::now();
        let news = self.told.is_none_or(|told| now - told >= NEWS);
        if news {
            self.told = Some(now);
        }
        news
    }

    /// Turns a failed accept into an answer; `None` means: accept again at once.
    fn answer<T>(&mut self, object: &str, error: io::Error) -> Option<Accepted<T>> {
        match judge(&error) {
            Verdict::Shrug => None,
            Verdict::Rest => Some(Accepted::Resting {
                pause: self.rest(),
                error: Error::new("accept on", object, error)
                    .with_hint("raise the limit of open files, or lower the number of connections"),
                news: self.is_news(),
            }),
            Verdict::GiveUp => Some(Accepted::Failed(Error::new("accept on", object, error))),
        }
    }
}

/// accept(2) hands over network errors that are already pending on the new connection, and says to treat them like
/// "try again"; so a caller that resets at the wrong moment must not stop the listener.
fn judge(error: &io::Error) -> Verdict {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Verdict::Rest,
        Some(
            libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EINTR
            | libc::EPERM
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::ETIMEDOUT,
        ) => Verdict::Shrug,
        _ => Verdict::GiveUp,
    }
}

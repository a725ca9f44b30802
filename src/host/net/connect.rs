//! Connecting out. Must never try longer than it was given, nor say more about a failure than the system did.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::resolve::{Resolved, Resolver};
use crate::host::Error;
use crate::host::error::reason;

/// Why there is no connection. `Display` is for the operator: it holds addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The name does not resolve, or not in time; the name and the resolver's text.
    Resolve(String),
    /// Nobody listens there; the address.
    Refused(String),
    /// No address answered in time.
    Timeout,
    /// The network or the system says no; the address and the errno.
    Other(String),
}

/// Connects to `host` (a name, or an address, with or without the brackets of a URL) within `limit` in all. The
/// addresses are tried one after the other without waiting for each to fail, and the first that answers is taken.
///
/// # Errors
/// Why no address was reached.
pub async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, ConnectError> {
    connect_by(&RESOLVER, host, port, limit).await
}

pub(super) async fn connect_by(
    resolver: &Arc<Resolver>,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<TcpStream, ConnectError> {
    let deadline = Instant::now() + limit;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Some(known) = literal(bare) {
        return race(&known, port, deadline).await;
    }
    let resolved = resolve(resolver, host, deadline).await?;
    let failed = match race(&resolved.addresses, port, deadline).await {
        Ok(stream) => return Ok(stream),
        Err(failed) => failed,
    };
    // What nobody answers at is not kept; and if it was not new, the name may have moved.
    resolver.forget(host);
    if resolved.is_fresh {
        return Err(failed);
    }
    let moved = resolve(resolver, host, deadline).await?;
    if moved.addresses == resolved.addresses {
        return Err(failed);
    }
    race(&moved.addresses, port, deadline).await
}

/// Static, as the resolver of a process is: what bounds its threads has to be one for all of them.
static RESOLVER: LazyLock<Arc<Resolver>> = LazyLock::new(Resolver::system);

/// Connects to a unix socket.
pub async fn unix_connect(path: &Path) -> Result<UnixStream, Error> {
    UnixStream::connect(path)
        .await
        .map_err(|source| Error::new("connect to", path.to_string_lossy(), source))
}

/// Addresses and `localhost` are known here: RFC 6761 §6.3 wants the latter to be loopback whatever a name server says.
fn literal(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![address]);
    }
    is_localhost(host).then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

async fn resolve(
    resolver: &Arc<Resolver>,
    host: &str,
    deadline: Instant,
) -> Result<Resolved, ConnectError> {
    let resolved = timeout_at(deadline, resolver.resolve(host)).await;
    resolved
        .unwrap_or_else(|_| Err("no answer in time".into()))
        .map_err(|reason| ConnectError::Resolve(format!("`{host}`: {reason}")))
}

/// How long an address is waited for before the next is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Tries the addresses until one answers (RFC 8305): the next one as soon as one fails, or has had its head start.
async fn race(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, ConnectError> {
    let mut race = Race {
        waiting: interleaved(addresses).into(),
        port,
        running: Vec::new(),
        next: Box::pin(sleep(HEAD_START)),
        worst: None,
    };
    let answered = poll_fn(|cx| race.poll(cx));
    let stream = timeout_at(deadline, answered)
        .await
        .unwrap_or(Err(ConnectError::Timeout))?;
    // Fails only if the peer is gone already, which the first write finds out.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

struct Race {
    waiting: VecDeque<IpAddr>,
    port: u16,
    running: Vec<(SocketAddr, Attempt)>,
    /// When the next address may start.
    next: Pin<Box<Sleep>>,
    /// The failure that says most.
    worst: Option<ConnectError>,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, ConnectError>> {
        loop {
            let mut may_start = self.running.is_empty();
            let mut at = 0;
            while let Some((address, attempt)) = self.running.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        let error = failed(*address, &error);
                        drop(self.running.remove(at));
                        self.fails(error);
                        may_start = true;
                    }
                    Poll::Pending => at += 1,
                }
            }
            may_start |= !self.waiting.is_empty() && self.next.as_mut().poll(cx).is_ready();
            match self.waiting.pop_front() {
                Some(address) if may_start => self.start(address),
                Some(address) => {
                    self.waiting.push_front(address);
                    return Poll::Pending;
                }
                None if self.running.is_empty() => {
                    let worst = self.worst.take();
                    return Poll::Ready(Err(worst.unwrap_or(ConnectError::Timeout)));
                }
                None => return Poll::Pending,
            }
        }
    }

    fn start(&mut self, address: IpAddr) {
        let address = SocketAddr::new(address, self.port);
        let attempt = Box::pin(TcpStream::connect(address));
        self.running.push((address, attempt));
        self.next.as_mut().reset(Instant::now() + HEAD_START);
    }

    /// An address that somebody is at says more than one to which there is no way from here.
    fn fails(&mut self, error: ConnectError) {
        let is_told = matches!(
            self.worst,
            Some(ConnectError::Refused(_) | ConnectError::Timeout)
        );
        if !is_told {
            self.worst = Some(error);
        }
    }
}

/// The families in turns, each in its own order, beginning with the one that the system prefers (RFC 8305 §4).
pub(super) fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (one, two): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == first);
    let (mut one, mut two) = (one.into_iter(), two.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(one.next());
        turns.extend(two.next());
    }
    turns
}

fn is_localhost(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

fn failed(address: SocketAddr, error: &io::Error) -> ConnectError {
    let text = format!("{address}: {}", reason(error));
    match error.raw_os_error() {
        Some(nix::libc::ECONNREFUSED) => ConnectError::Refused(text),
        Some(nix::libc::ETIMEDOUT) => ConnectError::Timeout,
        _ => ConnectError::Other(text),
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(text) => write!(f, "cannot resolve {text}"),
            Self::Refused(text) | Self::Other(text) => write!(f, "cannot connect to {text}"),
            Self::Timeout => f.write_str("cannot connect: no address answered in time"),
        }
    }
}

impl std::error::Error for ConnectError {}

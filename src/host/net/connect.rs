//! Connecting out. Must never try longer than it was given, nor say more about a failure than the system did.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

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
/// addresses are tried in the resolver's order; each may take an even share of the time that is left, so that one
/// dead address does not eat the turn of the next.
pub async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, ConnectError> {
    let deadline = Instant::now() + limit;
    let addresses = match timeout_at(deadline, resolve(host, port)).await {
        Ok(addresses) => addresses?,
        Err(_) => {
            return Err(ConnectError::Resolve(format!(
                "`{host}`: no answer in time"
            )));
        }
    };
    let mut last = ConnectError::Resolve(format!("`{host}` has no address"));
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let attempts_left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(left / attempts_left, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Fails only if the peer is gone already, which the first write finds out.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = failed(*address, &error),
            Err(_) => last = ConnectError::Timeout,
        }
    }
    Err(last)
}

/// Connects to a unix socket.
pub async fn unix_connect(path: &Path) -> Result<UnixStream, Error> {
    UnixStream::connect(path)
        .await
        .map_err(|source| Error::new("connect to", path.to_string_lossy(), source))
}

/// More addresses than this are not tried: the time is better spent on a few.
const MOST_ADDRESSES: usize = 8;

/// getaddrinfo(3), so that the machine's own rules (hosts file, search domains, ndots) hold. Addresses and `localhost`
/// are answered here: RFC 6761 §6.3 wants the latter to be loopback whatever a name server says.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if is_localhost(host) {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback
            .map(|address| SocketAddr::new(address, port))
            .to_vec());
    }
    let found = lookup_host((host, port))
        .await
        .map_err(|error| ConnectError::Resolve(format!("`{host}`: {}", resolver_reason(&error))))?;
    Ok(found.take(MOST_ADDRESSES).collect())
}

/// The standard library puts a sentence of its own before getaddrinfo's.
fn resolver_reason(error: &io::Error) -> String {
    let text = reason(error);
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text)
        .to_lowercase()
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

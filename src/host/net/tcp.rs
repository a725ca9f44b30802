//! Listening on TCP. Must never take the peer's address for a proof of anything.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use tokio::net::{TcpSocket, TcpStream};

use super::{Accepted, BACKLOG, Patience};
use crate::host::Error;

/// A TCP listener.
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
    address: SocketAddr,
    patience: Patience,
}

impl TcpListener {
    /// Binds; port 0 takes any free port (see [`TcpListener::address`]). Must run inside a runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source: std::io::Error| {
            let errno = source.raw_os_error();
            let error = Error::new("bind", address.to_string(), source);
            match errno {
                Some(nix::libc::EADDRINUSE) => {
                    error.with_hint("another process listens there; stop it or choose another port")
                }
                Some(nix::libc::EADDRNOTAVAIL) => {
                    error.with_hint("no interface of this machine has that address")
                }
                Some(nix::libc::EACCES) => {
                    error.with_hint("ports below 1024 need a privilege; choose a higher one")
                }
                _ => error,
            }
        };
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
        .map_err(failed)?;
        // A restart must not wait for connections of the process before to leave TIME_WAIT.
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(address).map_err(failed)?;
        let inner = socket.listen(BACKLOG).map_err(failed)?;
        let address = inner.local_addr().map_err(failed)?;
        Ok(Self {
            inner,
            address,
            patience: Patience::default(),
        })
    }

    /// Listens on a socket that listens already. Must run inside a runtime.
    pub(in crate::host) fn handed(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        let inner = tokio::net::TcpListener::from_std(socket)?;
        let address = inner.local_addr()?;
        Ok(Self {
            inner,
            address,
            patience: Patience::default(),
        })
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with the peer's address, and without Nagle's delay. May be dropped and called again
    /// without losing a connection.
    pub async fn accept(&mut self) -> Accepted<(TcpStream, SocketAddr)> {
        self.patience.wait().await;
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    self.patience.refresh();
                    // Fails only if the peer is gone already, which the first read finds out.
                    let _ = stream.set_nodelay(true);
                    return Accepted::Connection((stream, peer));
                }
                Err(error) => {
                    let answer = self.patience.answer(&self.address.to_string(), error);
                    if let Some(answer) = answer {
                        return answer;
                    }
                }
            }
        }
    }
}

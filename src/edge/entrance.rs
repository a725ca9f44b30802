//! The two kinds of sockets that agents call, and what each says of who called. Must never say more than the kernel and
//! the configuration do: a port and a peer's address prove nothing.

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::host::{Accepted, Readable, TcpListener, TcpStream, UnixListener, UnixStream};
use crate::snapshot::Entry;
use crate::units::TenantId;

/// A socket that agents call.
pub trait Entrance: Send + 'static {
    /// Its connections.
    type Stream: Readable + AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static;

    /// The next connection, and how it came in. May be dropped and called again without losing a connection.
    fn accept(&mut self) -> impl Future<Output = Accepted<(Self::Stream, Entry)>> + Send;
}

impl Entrance for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> Accepted<(TcpStream, Entry)> {
        let accepted = Self::accept(self).await;
        accepted.map(|(stream, peer)| {
            let entry = Entry {
                peer: Some(peer),
                ..Entry::default()
            };
            (stream, entry)
        })
    }
}

/// A unix socket, and whose it is.
#[derive(Debug)]
pub struct LocalDoor {
    /// The socket.
    pub listener: UnixListener,
    /// The tenant of all who come in by it, if it has one.
    pub tenant: Option<TenantId>,
}

impl Entrance for LocalDoor {
    type Stream = UnixStream;

    async fn accept(&mut self) -> Accepted<(UnixStream, Entry)> {
        let accepted = self.listener.accept().await;
        accepted.map(|(stream, peer)| {
            let entry = Entry {
                listener: self.tenant.clone(),
                uid: Some(peer.uid),
                peer: None,
            };
            (stream, entry)
        })
    }
}

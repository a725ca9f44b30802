//! The way out: idle connections of HTTP/1.1, or one of HTTP/2, with TLS or without; and what a request must change
//! when the two sides speak differently. It must never change anything else.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::wires::{self, Wires};

/// Whatever it was: the client of the bench is told by a broken connection.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// How to reach the upstream, and the idle connections to it, the warmest on top.
pub(super) struct Pool {
    pub(super) upstream: Authority,
    address: SocketAddr,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<http1::SendRequest<Incoming>>>,
}

/// The upstream connection of HTTP/2 that the streams of a client's connection share.
#[derive(Default)]
pub(super) struct Session(OnceCell<http2::SendRequest<Incoming>>);

impl Pool {
    pub(super) fn new(address: SocketAddr, wires: Wires) -> io::Result<Self> {
        let tls = if wires.tls {
            Some(TlsConnector::from(wires::client(wires.upstream)?))
        } else {
            None
        };
        Ok(Self {
            upstream: Authority::try_from(address.to_string()).map_err(io::Error::other)?,
            address,
            tls,
            idle: Mutex::default(),
        })
    }

    pub(super) async fn take(&self) -> Result<http1::SendRequest<Incoming>, Failure> {
        while let Some(mut sender) = self.pop() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let socket = self.dial().await?;
        match &self.tls {
            None => one(socket).await,
            Some(tls) => one(tls.connect(self.name(), socket).await?).await,
        }
    }

    fn pop(&self) -> Option<http1::SendRequest<Incoming>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    pub(super) fn give_back(&self, sender: http1::SendRequest<Incoming>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(sender);
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    fn name(&self) -> ServerName<'static> {
        ServerName::from(self.address.ip())
    }
}

impl Session {
    pub(super) async fn sender(
        &self,
        pool: &Pool,
    ) -> Result<http2::SendRequest<Incoming>, Failure> {
        let opened = self.0.get_or_try_init(async || {
            let socket = pool.dial().await?;
            match &pool.tls {
                None => two(socket).await,
                Some(tls) => two(tls.connect(pool.name(), socket).await?).await,
            }
        });
        Ok(opened.await?.clone())
    }
}

async fn one<S>(stream: S) -> Result<http1::SendRequest<Incoming>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn two<S>(stream: S) -> Result<http2::SendRequest<Incoming>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// What came over HTTP/2 goes on over HTTP/1.1: the host is a field, the target a path.
pub(super) fn to_one(mut request: Request<Incoming>) -> Result<Request<Incoming>, Failure> {
    let mut parts = Parts::default();
    let uri = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query = uri.path_and_query;
    if let Some(host) = uri.authority {
        let host = HeaderValue::from_str(host.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = Uri::from_parts(parts)?;
    *request.version_mut() = Version::HTTP_11;
    Ok(request)
}

/// What goes on over HTTP/2 has its host in the target.
pub(super) fn to_two(
    mut request: Request<Incoming>,
    upstream: &Authority,
    wires: Wires,
) -> Result<Request<Incoming>, Failure> {
    let mut parts = Parts::default();
    let path = request.uri().path_and_query().cloned();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    parts.authority = Some(upstream.clone());
    parts.scheme = Some(if wires.tls {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    *request.uri_mut() = Uri::from_parts(parts)?;
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

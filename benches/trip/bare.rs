//! The yardstick: a reverse proxy of hyper alone, on the same runtime, pool and allocator as Outrigger.
//!
//! It accepts, takes an idle upstream connection or dials one, passes the request and streams the answer
//! back. It must never look into a body, time anything out, log, or count: whatever Outrigger costs above
//! this is the price of what Outrigger does.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Runs until killed. The caller sets `MALLOC_ARENA_MAX=2` in our environment.
pub(crate) fn serve(listen: SocketAddr, upstream: SocketAddr, ready_file: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers()?)
        .enable_all()
        .build()?;
    runtime.block_on(accept(listen, upstream, ready_file))
}

/// As many as Outrigger has.
pub(crate) fn workers() -> io::Result<usize> {
    let cores = std::thread::available_parallelism()?.get();
    Ok(cores.min(4))
}

async fn accept(listen: SocketAddr, upstream: SocketAddr, ready_file: &Path) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    std::fs::write(ready_file, format!("proxy={}\n", listener.local_addr()?))?;
    let pool = Arc::new(Pool {
        upstream,
        idle: Mutex::default(),
    });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let service = service_fn(move |request| pass(Arc::clone(&pool), request));
            // An error here is a client that went away; the load notices what concerns it.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn pass(
    pool: Arc<Pool>,
    request: Request<Incoming>,
) -> Result<Response<Passing>, Box<dyn Error + Send + Sync>> {
    let mut sender = pool.take().await?;
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|inner| Passing::new(inner, sender, pool)))
}

/// Idle upstream connections, the warmest on top.
struct Pool {
    upstream: SocketAddr,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    async fn take(&self) -> Result<SendRequest<Incoming>, Box<dyn Error + Send + Sync>> {
        while let Some(mut sender) = self.pop() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let socket = TcpStream::connect(self.upstream).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn pop(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn give_back(&self, sender: SendRequest<Incoming>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(sender);
    }
}

/// The answer's body on its way through; gives the connection back when the last frame has passed.
struct Passing {
    inner: Incoming,
    sender: Option<SendRequest<Incoming>>,
    pool: Arc<Pool>,
}

impl Passing {
    fn new(inner: Incoming, sender: SendRequest<Incoming>, pool: Arc<Pool>) -> Self {
        let mut passing = Self {
            inner,
            sender: Some(sender),
            pool,
        };
        passing.finish_if_ended();
        passing
    }

    /// hyper does not poll a body past its announced length, so the end is asked for after each frame.
    fn finish_if_ended(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.give_back(sender);
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &polled {
            Some(Ok(_)) => self.finish_if_ended(),
            None => self.finish(),
            // The connection is broken: dropped with the body, never given back.
            Some(Err(_)) => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

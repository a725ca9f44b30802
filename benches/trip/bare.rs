//! The yardstick: a reverse proxy of hyper alone, on the same runtime, pool and allocator as Outrigger.
//!
//! It accepts, takes an idle upstream connection or dials one, passes the request and streams the answer
//! back. It must never look into a body, time anything out, log, or count: whatever Outrigger costs above
//! this is the price of what Outrigger does.

mod passing;
mod way;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use self::passing::Passing;
use self::way::{Failure, Pool, Session};
use crate::wires::{Http, Wires};

/// Runs until killed. The caller sets `MALLOC_ARENA_MAX=2` in our environment.
pub(crate) fn serve(
    listen: SocketAddr,
    upstream: SocketAddr,
    wires: Wires,
    ready_file: &Path,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers()?)
        .enable_all()
        .build()?;
    runtime.block_on(accept(listen, upstream, wires, ready_file))
}

/// As many as Outrigger has.
pub(crate) fn workers() -> io::Result<usize> {
    let cores = std::thread::available_parallelism()?.get();
    Ok(cores.min(4))
}

async fn accept(
    listen: SocketAddr,
    upstream: SocketAddr,
    wires: Wires,
    ready_file: &Path,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    std::fs::write(ready_file, format!("proxy={}\n", listener.local_addr()?))?;
    let pool = Arc::new(Pool::new(upstream, wires)?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket, wires, Arc::clone(&pool)));
    }
}

/// An error here is a client that went away; the load notices what concerns it.
async fn connection(socket: TcpStream, wires: Wires, pool: Arc<Pool>) {
    let stream = TokioIo::new(socket);
    // As Outrigger has one for each tenant.
    let session = Arc::new(Session::default());
    let service =
        service_fn(move |request| pass(Arc::clone(&pool), Arc::clone(&session), wires, request));
    match wires.client {
        Http::One => {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(stream, service)
                .await;
        }
        Http::Two => {
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(stream, service)
                .await;
        }
    }
}

async fn pass(
    pool: Arc<Pool>,
    session: Arc<Session>,
    wires: Wires,
    request: Request<Incoming>,
) -> Result<Response<Passing>, Failure> {
    match wires.upstream {
        Http::One => {
            let mut sender = pool.take().await?;
            let request = match wires.client {
                Http::One => request,
                Http::Two => way::to_one(request)?,
            };
            let answer = sender.send_request(request).await?;
            Ok(answer.map(|inner| Passing::new(inner, Some((sender, pool)))))
        }
        Http::Two => {
            let mut sender = session.sender(&pool).await?;
            let request = way::to_two(request, &pool.upstream, wires)?;
            let answer = sender.send_request(request).await?;
            Ok(answer.map(|inner| Passing::new(inner, None)))
        }
    }
}

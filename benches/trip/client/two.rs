//! Streams of HTTP/2, several to a connection, in clear text and without asking first. It must never take an answer of
//! another status for one, nor one that ends early.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};
use tokio::net::TcpStream;

use super::{Exchange, fields};
use crate::scan::{Compared, wrong};
use crate::traffic::{self, Ask};
use crate::wires::SHARED_BY;

/// One stream after the other, beside those of others.
#[derive(Debug)]
pub(super) struct Two {
    sender: SendRequest<Bytes>,
    plain: (Request<()>, Bytes),
    stream: (Request<()>, Bytes),
}

/// A connection, driven by a task that ends when nobody can send over it.
pub(super) async fn connect(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = h2::client::handshake(socket)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

impl Two {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        address: SocketAddr,
        slot: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            sender,
            plain: request(address, Ask::Plain, slot)?,
            stream: request(address, Ask::Stream, slot)?,
        })
    }

    pub(super) async fn ask(&mut self, ask: Ask, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let (head, body) = match ask {
            Ask::Plain => self.plain.clone(),
            Ask::Stream => self.stream.clone(),
        };
        let mut sender = self
            .sender
            .clone()
            .ready()
            .await
            .map_err(io::Error::other)?;
        let (response, mut upload) = sender.send_request(head, false).map_err(io::Error::other)?;
        upload.send_data(body, true).map_err(io::Error::other)?;
        let response = response.await.map_err(io::Error::other)?;
        exchange.began();
        if response.status() != StatusCode::OK {
            return Err(wrong(&format!("{:?}", response.headers())));
        }
        let mut body = response.into_body();
        let mut compared = Compared::new(traffic::expected(ask));
        while let Some(data) = body.data().await {
            let data = data.map_err(io::Error::other)?;
            compared.take(&data)?;
            body.flow_control()
                .release_capacity(data.len())
                .map_err(io::Error::other)?;
            // What only says that the stream is over carries nothing, and comes when it comes.
            if !data.is_empty() {
                exchange.read(compared.so_far());
            }
        }
        compared.must_be_whole()
    }
}

fn request(address: SocketAddr, ask: Ask, slot: usize) -> io::Result<(Request<()>, Bytes)> {
    let body = Bytes::from(traffic::request_body(ask, slot));
    let mut head = Request::post(format!("http://{address}{}", traffic::PATH));
    for (name, value) in fields(slot / SHARED_BY % traffic::TENANTS, body.len()) {
        head = head.header(name, value);
    }
    Ok((head.body(()).map_err(io::Error::other)?, body))
}

//! A connection of HTTP/1.1, kept, one request at a time. It must never read past an answer.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Exchange, fields};
use crate::scan::Answer;
use crate::traffic::{self, Ask};

#[derive(Debug)]
pub(super) struct One {
    socket: TcpStream,
    plain: Vec<u8>,
    stream: Vec<u8>,
    buffer: Vec<u8>,
}

impl One {
    pub(super) async fn connect(address: SocketAddr, slot: usize) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            plain: request(address, Ask::Plain, slot),
            stream: request(address, Ask::Stream, slot),
            buffer: vec![0; 16 * 1024],
        })
    }

    pub(super) async fn ask(&mut self, ask: Ask, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let request = match ask {
            Ask::Plain => &self.plain,
            Ask::Stream => &self.stream,
        };
        self.socket.write_all(request).await?;
        let mut answer = Answer::new(traffic::expected(ask));
        while !answer.is_done() {
            let count = self.socket.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(io::Error::other("the connection was closed in an answer"));
            }
            exchange.began();
            answer.feed(self.buffer.get(..count).unwrap_or_default())?;
            exchange.read(answer.compared());
        }
        Ok(())
    }
}

/// What an SDK sends: a dozen headers, then 2 KiB.
fn request(address: SocketAddr, ask: Ask, slot: usize) -> Vec<u8> {
    let body = traffic::request_body(ask, slot);
    let mut bytes = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\nconnection: keep-alive\r\n",
        traffic::PATH
    )
    .into_bytes();
    for (name, value) in fields(slot % traffic::TENANTS, body.len()) {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

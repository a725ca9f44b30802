//! An agent's ears: it reads what comes by the letter of HTTP/1.1, and says how it ended. Must never forgive a byte: what
//! is not framed well is broken.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::call::{Call, Manner};
use crate::stage::{field, find};

/// An agent and its connection.
pub(super) struct Agent {
    at: SocketAddr,
    stream: Option<TcpStream>,
}

/// What became of a call.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) head: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) end: End,
    /// Whether the request has left for certain.
    pub(super) sent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The answer came to the end that its framing declares.
    Whole,
    /// It did not.
    Broken,
    /// Its stream was reset before the agent had its head.
    Reset,
    /// The agent hung up.
    Left,
}

impl Heard {
    pub(super) fn id(&self) -> Option<&str> {
        field(self.head.as_deref()?, "outrigger-request-id")
    }

    pub(super) fn status(&self) -> u16 {
        let status = self.head.as_deref().and_then(|head| head.get(9..12));
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub(super) fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let tail = body.len().saturating_sub(700);
        let tail = body.ceil_char_boundary(tail);
        format!(
            "{:?} {} … {}",
            self.end,
            self.head.as_deref().unwrap_or("no head"),
            &body[tail..]
        )
    }
}

impl Agent {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self { at, stream: None }
    }

    pub(super) async fn heard(&mut self, call: &Call) -> Heard {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.at).await.expect("a connection"),
        };
        stream.set_nodelay(true).expect("an open socket");
        stream
            .write_all(&call.bytes())
            .await
            .expect("an open connection");
        let mut ear = Ear {
            stream: &mut stream,
            got: Vec::new(),
            patience: call.manner,
            all: 0,
        };
        let mut heard = Heard {
            head: None,
            body: Vec::new(),
            end: End::Left,
            sent: true,
        };
        if call.manner == Manner::Leaves {
            return heard;
        }
        heard.end = match ear.answer(&mut heard.head, &mut heard.body).await {
            Ok(()) => End::Whole,
            Err(end) => end,
        };
        let nothing_behind = ear.got.is_empty();
        let closes = heard
            .head
            .as_deref()
            .and_then(|head| field(head, "connection"))
            == Some("close");
        if heard.end == End::Whole {
            assert!(nothing_behind, "bytes behind an answer: {}", heard.told());
            if !closes {
                self.stream = Some(stream);
            }
        }
        heard
    }
}

struct Ear<'s> {
    stream: &'s mut TcpStream,
    got: Vec<u8>,
    patience: Manner,
    all: usize,
}

impl Ear<'_> {
    async fn more(&mut self) -> Result<(), End> {
        let mut space = [0; 4096];
        let mut most = space.len();
        match self.patience {
            Manner::Slowly => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                most = 2048;
            }
            Manner::Until(enough) if self.all >= enough => return Err(End::Left),
            Manner::Until(enough) => most = most.min(enough - self.all),
            Manner::Reads | Manner::Leaves => {}
        }
        match self.stream.read(&mut space[..most]).await {
            Ok(read) if read > 0 => {
                self.all += read;
                self.got.extend_from_slice(&space[..read]);
                Ok(())
            }
            _ => Err(End::Broken),
        }
    }

    async fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = find(&self.got, b"\r\n") {
                let line = String::from_utf8_lossy(&self.got[..at]).into_owned();
                self.got.drain(..at + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), End> {
        let mut left = length;
        loop {
            let now = left.min(self.got.len());
            body.extend(self.got.drain(..now));
            left -= now;
            if left == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    async fn answer(&mut self, head: &mut Option<String>, body: &mut Vec<u8>) -> Result<(), End> {
        let text = loop {
            let at = loop {
                match find(&self.got, b"\r\n\r\n") {
                    Some(at) => break at,
                    None => self.more().await?,
                }
            };
            let text = String::from_utf8_lossy(&self.got[..at]).into_owned();
            self.got.drain(..at + 4);
            if !text.starts_with("HTTP/1.1 1") {
                break text;
            }
        };
        let length =
            field(&text, "content-length").map(|text| text.parse::<usize>().expect("a length"));
        let chunked = field(&text, "transfer-encoding") == Some("chunked");
        assert!(length.is_some() != chunked, "framed once: {text}");
        *head = Some(text);
        match length {
            Some(length) => self.take(length, body).await,
            None => self.chunks(body).await,
        }
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> Result<(), End> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(&line, 16).expect("a chunk's size");
            self.take(size, body).await?;
            assert_eq!(self.line().await?, "", "the end of a chunk");
            if size == 0 {
                return Ok(());
            }
        }
    }
}

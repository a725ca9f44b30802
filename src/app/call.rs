//! A call to a running sidecar's admin door. Must never wait without a limit, nor show a token.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Error;
use super::boot::state_directory;
use crate::config::defaults::ADMIN_SOCKET;
use crate::host::{self, files};
use crate::units::Secret;

/// A reload of thousands of tenants takes a moment; more than this is a sidecar in trouble.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest line of an answer, and all of one that says no.
const LINE: usize = 16 << 20;
/// Bytes of a token's file.
const TOKEN: u64 = 4 << 10;

/// Where the admin socket of a sidecar with that state directory is, unless its configuration moved it.
pub fn admin_socket(state: Option<&Path>) -> PathBuf {
    state_directory(state).join(ADMIN_SOCKET)
}

/// An admin door, seen from outside.
#[derive(Debug)]
pub enum Door {
    /// A unix socket.
    Socket(PathBuf),
    /// A port, and the token to show there.
    Port {
        /// Host and port.
        authority: http::uri::Authority,
        /// The token, if there is one.
        token: Option<Secret>,
    },
}

impl Door {
    /// Of what the command line says: `http://host:port`, or a socket's path with or without `unix:`.
    ///
    /// # Errors
    /// If it is neither, or the token cannot be read.
    pub fn named(text: &str, token_file: Option<&Path>) -> Result<Self, Error> {
        if !text.contains("://") {
            let path = text.strip_prefix("unix:").unwrap_or(text);
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        let wrong = || {
            Error::Usage(format!(
                "`--admin {text}` is no admin address\nhint: write `http://127.0.0.1:8472`, or the path of the socket"
            ))
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().cloned().ok_or_else(wrong)?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        if !plain || authority.port_u16().is_none() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let token = token_file.map(read_token).transpose()?;
        Ok(Self::Port { authority, token })
    }
}

fn read_token(path: &Path) -> Result<Secret, Error> {
    let bytes = files::read_capped(path, TOKEN)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Secret::new(text.trim_end().to_owned()))
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Port { authority, .. } => write!(f, "http://{authority}"),
        }
    }
}

/// What a sidecar answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did what it was asked; what it said was handed out line by line.
    Done,
    /// It did not; its document.
    Refused(Value),
}

/// Calls, and hands out each line of a good answer as it comes.
///
/// # Errors
/// If nobody answers there, or the answer breaks off.
pub async fn call(
    door: &Door,
    method: Method,
    target: &str,
    take: &mut dyn FnMut(&str),
) -> Result<Answer, Error> {
    let host = match door {
        Door::Socket(_) => "localhost",
        Door::Port { authority, .. } => authority.as_str(),
    };
    let mut request = Request::builder().method(method).uri(target);
    request = request.header(header::HOST, host);
    if let Door::Port {
        token: Some(token), ..
    } = door
    {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut value =
            value.map_err(|_| Error::Usage("the token's file holds no token".to_owned()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request
        .body(String::new())
        .map_err(|_| Error::Usage(format!("`{target}` is no target")))?;
    match door {
        Door::Socket(path) => {
            let stream = host::unix_connect(path)
                .await
                .map_err(|error| nobody(&error))?;
            ask(door, stream, request, take).await
        }
        Door::Port { authority, .. } => {
            let port = authority.port_u16().unwrap_or_default();
            let stream = host::connect(authority.host(), port, LIMIT).await;
            let stream = stream.map_err(|error| nobody(&error))?;
            ask(door, stream, request, take).await
        }
    }
}

fn nobody(error: &dyn std::fmt::Display) -> Error {
    Error::Call(format!(
        "{error}\nhint: is a sidecar running, and with this state directory? `--state` or `--admin` say where else to look"
    ))
}

async fn ask<S>(
    door: &Door,
    stream: S,
    request: Request<String>,
    take: &mut dyn FnMut(&str),
) -> Result<Answer, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_| Error::Call(format!("`{door}` broke off, or speaks another language"));
    let late = |_| Error::Call(format!("`{door}` did not answer in time"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let driven = host::spawn("admin-call", async move { drop(connection.await) });
    let response = timeout(LIMIT, sender.send_request(request)).await;
    let response = response.map_err(late)?.map_err(broken)?;
    let answer = if response.status().is_success() {
        lines(response, take, &broken, &late)
            .await
            .map(|()| Answer::Done)
    } else {
        let mut text = String::new();
        lines(response, &mut |line| text.push_str(line), &broken, &late)
            .await
            .map(|()| Answer::Refused(serde_json::from_str(&text).unwrap_or(Value::String(text))))
    };
    driven.abort();
    answer
}

/// Each line of the answer, whole; each read has its own limit.
async fn lines(
    response: Response<Incoming>,
    take: &mut dyn FnMut(&str),
    broken: &dyn Fn(hyper::Error) -> Error,
    late: &dyn Fn(tokio::time::error::Elapsed) -> Error,
) -> Result<(), Error> {
    let mut body = response.into_body();
    let mut held = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = timeout(LIMIT, next).await.map_err(late)?;
        let Some(frame) = frame.transpose().map_err(broken)? else {
            break;
        };
        held.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            take(&String::from_utf8_lossy(&held[..end]));
            held.drain(..=end);
        }
        if held.len() > LINE {
            return Err(Error::Call("an answer of that length is none".to_owned()));
        }
    }
    if !held.is_empty() {
        take(&String::from_utf8_lossy(&held));
    }
    Ok(())
}

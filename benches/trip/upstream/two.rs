//! The upstream's side of HTTP/2: the same answers as over HTTP/1.1, each chunk a frame of its own.
//! It must never answer a request whose body is not, byte for byte, the one the client sent.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Arrived, FIELDS, Server, content_type};
use crate::traffic::{self, Ask, Expected};

/// What a connection's clients may have sent before it is read.
const WINDOW: u32 = 1 << 20;

pub(super) async fn connection<S>(server: Arc<Server>, stream: S, over: Arrived) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = h2::server::Builder::new()
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(io::Error::other)?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        let server = Arc::clone(&server);
        // A stream that is reset is noticed by the client, if it was not its own doing.
        tokio::spawn(async move { server.stream_of_two(request, respond, over).await });
    }
    Ok(())
}

impl Server {
    async fn stream_of_two(
        &self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        over: Arrived,
    ) -> Result<(), h2::Error> {
        let (parts, mut body) = request.into_parts();
        let bearer = parts.headers.get(header::AUTHORIZATION);
        self.seen.request(over, bearer.map(HeaderValue::as_bytes));
        let mut bytes = Vec::with_capacity(traffic::REQUEST_BYTES);
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            bytes.extend_from_slice(&data);
        }
        let Some((ask, slot)) = traffic::recognise(&bytes) else {
            let mut changed = Response::new(());
            *changed.status_mut() = StatusCode::BAD_REQUEST;
            return respond.send_response(changed, true).map(drop);
        };
        let Expected { bytes, ends } = traffic::expected(ask);
        let mut head = Response::builder().header("content-type", content_type(ask));
        if ask == Ask::Plain {
            head = head.header("content-length", bytes.len());
        }
        for (name, value) in FIELDS {
            head = head.header(name, value);
        }
        // All of it is constant, and right.
        let Ok(head) = head.body(()) else {
            return Ok(());
        };
        let mut stream = respond.send_response(head, false)?;
        let mut start = 0;
        for (index, end) in ends.iter().enumerate() {
            if index > 0 {
                self.pace.next(slot).await;
            }
            let chunk = Bytes::from_static(bytes.get(start..*end).unwrap_or_default());
            stream.send_data(chunk, index + 1 == ends.len())?;
            start = *end;
        }
        Ok(())
    }
}

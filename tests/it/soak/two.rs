//! An agent that speaks HTTP/2 in clear text: one connection, a stream for each call, and resets where the other kind of
//! agent hangs up. Must never forgive more than that one does.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpStream;

use super::call::{Call, Manner};
use super::hear::{End, Heard};

/// An agent and its connection.
pub(super) struct Agent {
    at: SocketAddr,
    connection: Option<SendRequest<Bytes>>,
}

impl Agent {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self {
            at,
            connection: None,
        }
    }

    async fn connection(&mut self) -> SendRequest<Bytes> {
        if let Some(connection) = self.connection.take()
            && let Ok(connection) = connection.ready().await
        {
            return connection;
        }
        let stream = TcpStream::connect(self.at).await.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        let (requests, connection) = h2::client::handshake(stream).await.expect("a connection");
        outrigger::host::spawn("soak-connection", async move {
            let _ = connection.await;
        });
        requests.ready().await.expect("a connection")
    }

    pub(super) async fn heard(&mut self, call: &Call) -> Heard {
        let mut requests = self.connection().await;
        let (answer, mut upload) = {
            let (head, body) = request(call);
            let (answer, mut upload) = requests
                .send_request(head, body.is_none())
                .expect("a good request");
            if let Some(body) = body {
                upload.send_data(body, true).expect("an open stream");
            }
            (answer, upload)
        };
        let mut heard = Heard {
            head: None,
            body: Vec::new(),
            end: End::Left,
            sent: true,
        };
        if call.manner == Manner::Leaves {
            // What has not left yet never will.
            heard.sent = false;
            upload.send_reset(Reason::CANCEL);
        } else {
            heard.end = match hear(answer, call.manner, &mut heard).await {
                Ok(()) => End::Whole,
                Err(end) => end,
            };
        }
        self.connection = Some(requests);
        heard
    }
}

fn request(call: &Call) -> (Request<()>, Option<Bytes>) {
    let (path, body) = call.body();
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut head = Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"));
    for (name, value) in call.fields() {
        head = head.header(name, value);
    }
    (head.body(()).expect("a head"), body.map(Bytes::from))
}

async fn hear(answer: ResponseFuture, manner: Manner, heard: &mut Heard) -> Result<(), End> {
    let answer = answer.await.map_err(|error| {
        if error.is_reset() {
            End::Reset
        } else {
            End::Broken
        }
    })?;
    heard.head = Some(told(&answer));
    let declared = answer.headers().get(http::header::CONTENT_LENGTH);
    let declared = declared.map(|text| text.to_str().expect("digits").parse().expect("digits"));
    take(answer.into_body(), manner, &mut heard.body).await?;
    assert!(
        declared.is_none_or(|length: usize| length == heard.body.len()),
        "of the declared length: {}",
        heard.told()
    );
    Ok(())
}

/// The head as the other kind of agent would have heard it.
fn told(answer: &Response<RecvStream>) -> String {
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status().as_u16());
    for (name, value) in answer.headers() {
        let value = value.to_str().expect("a text");
        write!(text, "{name}: {value}\r\n").expect("text");
    }
    text
}

async fn take(mut body: RecvStream, manner: Manner, into: &mut Vec<u8>) -> Result<(), End> {
    loop {
        match manner {
            Manner::Slowly => tokio::time::sleep(Duration::from_millis(1)).await,
            // Dropping the body gives the stream up.
            Manner::Until(enough) if into.len() >= enough => return Err(End::Left),
            Manner::Until(_) | Manner::Reads | Manner::Leaves => {}
        }
        match poll_fn(|cx| body.poll_data(cx)).await {
            Some(Ok(piece)) => {
                into.extend_from_slice(&piece);
                let _ = body.flow_control().release_capacity(piece.len());
            }
            Some(Err(_)) => return Err(End::Broken),
            None => return Ok(()),
        }
    }
}

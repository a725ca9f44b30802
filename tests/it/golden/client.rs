//! The client's end of a case: it sends what its script says, over one connection or several, and writes down what it
//! gets. Must never send more than the script.
//!
//! Between the bytes of its script stand these lines. About the connection in use: `%% answer` waits for a final answer
//! (`%% answer head` for one to `HEAD`), `%% until TEXT` for this text in an unfinished one, `%% cut` for the end of the
//! connection, `%% hangup` closes it, `%% connection N` uses another. About the rest: `%% arrived N` waits until the upstream
//! has N requests, `%% queued` until a trip waits, `%% gone` until the sidecar has left the upstream; `%% release` lets an
//! answer go on, `%% advance N` moves the clock on by milliseconds, `%% drain` drains the sidecar. What was sent last is
//! waited for in any case.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::host::{self, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::framing::{Kind, message, partial};
use super::house::{House, until};
use super::script::{Step, mark, parse};
use super::upstream::Stage;

/// One connection of the client.
struct Caller {
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    heard: Arc<Mutex<Heard>>,
    /// What was taken off `heard` so far, in canonical form.
    written: Vec<u8>,
    answers: usize,
    closes: bool,
    /// Whether something was sent since the last answer.
    asks: bool,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    ended: bool,
}

impl Caller {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the proxy listens");
        stream.set_nodelay(true).expect("an open socket");
        let (mut from, to) = stream.into_split();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let into = Arc::clone(&heard);
        host::spawn("golden-ear", async move {
            let mut space = [0; 4096];
            loop {
                let read = from.read(&mut space).await.unwrap_or(0);
                let mut heard = into.lock().expect("not poisoned");
                heard.bytes.extend_from_slice(&space[..read]);
                if read == 0 {
                    heard.ended = true;
                    return;
                }
            }
        });
        Self {
            to: Some(Box::new(to)),
            heard,
            written: Vec::new(),
            answers: 0,
            closes: false,
            asks: false,
        }
    }

    /// Waits for the next final answer, and writes it down with the interim ones before it.
    async fn answer(&mut self, kind: Kind) {
        self.asks = false;
        loop {
            let mut whole = None;
            until("an answer", || {
                let mut heard = self.heard.lock().expect("not poisoned");
                whole = message(&heard.bytes, kind, heard.ended);
                if let Some(message) = &whole {
                    heard.bytes.drain(..message.taken);
                }
                whole.is_some() || heard.ended
            })
            .await;
            let Some(message) = whole else { return };
            if self.answers > 0 {
                mark(&mut self.written, "answer");
            }
            self.answers += 1;
            self.written.extend_from_slice(&message.bytes);
            self.closes = message.closes;
            if !message.interim {
                return;
            }
        }
    }

    async fn until(&self, text: &str) {
        until(text, || {
            let heard = self.heard.lock().expect("not poisoned");
            let content = partial(&heard.bytes);
            String::from_utf8_lossy(&content).contains(text)
        })
        .await;
    }

    async fn ended(&self) {
        until("the end of the connection", || {
            self.heard.lock().expect("not poisoned").ended
        })
        .await;
    }

    /// Closes, and writes down what else came.
    async fn finish(mut self) -> Vec<u8> {
        if self.closes {
            self.ended().await;
        }
        if let Some(mut to) = self.to.take() {
            // A connection that the sidecar closed cannot be shut down once more.
            let _ = to.shutdown().await;
            self.ended().await;
        }
        let mut heard = self.heard.lock().expect("not poisoned");
        while let Some(unasked) = message(&heard.bytes, Kind::Answer, true) {
            heard.bytes.drain(..unasked.taken);
            if self.answers > 0 {
                mark(&mut self.written, "answer");
            }
            self.answers += 1;
            self.written.extend_from_slice(&unasked.bytes);
            self.closes = unasked.closes;
        }
        if !heard.bytes.is_empty() {
            if self.answers > 0 {
                mark(&mut self.written, "answer");
            }
            self.written.extend_from_slice(&partial(&heard.bytes));
            mark(&mut self.written, "cut");
        } else if self.closes {
            mark(&mut self.written, "closed");
        }
        self.written
    }
}

/// Plays the client's script to its end, and tells how the client saw it all.
pub(super) async fn play(stage: &Stage, house: &House, script: &[u8]) -> Vec<u8> {
    let mut callers = vec![Caller::connect(house.address()).await];
    let mut current = 0;
    for step in parse(script) {
        let caller = &mut callers[current];
        match step {
            Step::Send(bytes) => {
                caller.asks = true;
                let to = caller.to.as_mut().expect("not hung up");
                stage.send(to, &bytes).await;
            }
            Step::Do(word, argument) => match word.as_str() {
                "answer" if argument == "head" => caller.answer(Kind::HeadAnswer).await,
                "answer" => caller.answer(Kind::Answer).await,
                "until" => caller.until(&argument.replace("\\n", "\n")).await,
                "cut" => {
                    caller.asks = false;
                    caller.ended().await;
                }
                "hangup" => {
                    caller.asks = false;
                    let mut to = caller.to.take().expect("not hung up before");
                    to.shutdown().await.expect("an open socket");
                    caller.ended().await;
                }
                "connection" => {
                    current = argument.parse::<usize>().expect("a number") - 1;
                    if current == callers.len() {
                        callers.push(Caller::connect(house.address()).await);
                    }
                }
                "release" => stage.release(),
                "arrived" => {
                    let count = argument.parse().expect("a number");
                    until("a request upstream", || stage.arrived() >= count).await;
                }
                "gone" => until("the upstream is left", || stage.is_left()).await,
                "drain" => {
                    house.sidecar.drain().await;
                }
                "queued" => until("a trip in the queue", || house.waiting()).await,
                "advance" => {
                    let millis = argument.parse().expect("milliseconds");
                    house.clock.advance(Duration::from_millis(millis));
                }
                _ => panic!("the client does not know `{word}`"),
            },
        }
    }
    let mut out = Vec::new();
    for (index, mut caller) in callers.into_iter().enumerate() {
        if caller.asks {
            caller.answer(Kind::Answer).await;
        }
        mark(&mut out, &format!("connection {}", index + 1));
        out.extend_from_slice(&caller.finish().await);
    }
    out
}

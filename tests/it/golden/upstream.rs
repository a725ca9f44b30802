//! The upstream's end of a case: it answers each whole request with the next answer of its script, and writes down what
//! it got. Must never answer a request that did not come whole.
//!
//! Its script is the answers, one after the other, with these lines between the bytes: `%% answer` begins the next one,
//! `%% hold` waits for the client's leave, `%% close` closes the connection, and an answer that begins with `%% unasked` is
//! sent as soon as somebody connects.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use outrigger::host::{self, Accepted, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::framing::{Kind, message, partial};
use super::script::{Step, mark, parse};

/// What both ends know of each other.
#[derive(Clone)]
pub(super) struct Stage {
    piece: usize,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// The requests that came, each with its connection.
    requests: Vec<(usize, Vec<u8>)>,
    answers: VecDeque<Vec<Step>>,
    connections: usize,
    /// Connections that the sidecar closed while an answer was held back.
    gone: Vec<usize>,
}

impl Stage {
    pub(super) fn new(piece: usize) -> Self {
        Self {
            piece,
            gate: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
        }
    }

    /// Lets one held answer go on.
    pub(super) fn release(&self) {
        self.gate.add_permits(1);
    }

    /// How many requests have come.
    pub(super) fn arrived(&self) -> usize {
        self.seen.lock().expect("not poisoned").requests.len()
    }

    /// Whether the sidecar has closed a connection on which an answer was held back.
    pub(super) fn is_left(&self) -> bool {
        !self.seen.lock().expect("not poisoned").gone.is_empty()
    }

    /// How the upstream saw it all.
    pub(super) fn at_upstream(&self) -> Vec<u8> {
        let seen = self.seen.lock().expect("not poisoned");
        let mut out = Vec::new();
        for (connection, request) in &seen.requests {
            mark(&mut out, &format!("connection {connection}"));
            out.extend_from_slice(request);
        }
        for connection in &seen.gone {
            mark(&mut out, &format!("gone {connection}"));
        }
        out
    }

    /// How many answers of the script nobody asked for.
    pub(super) fn answers_left(&self) -> usize {
        self.seen.lock().expect("not poisoned").answers.len()
    }

    /// Sends bytes in pieces.
    pub(super) async fn send(&self, stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            // Whoever does not want to hear the rest has closed; what it said is read all the same.
            if stream.write_all(piece).await.is_err() {
                return;
            }
            // Lets the sidecar read this piece before the next one comes.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Starts the upstream of that script.
pub(super) fn start(stage: &Stage, script: &[u8]) -> SocketAddr {
    let mut answers = VecDeque::new();
    if !script.is_empty() {
        answers.push_back(Vec::new());
    }
    for step in parse(script) {
        if step == Step::Do("answer".to_owned(), String::new()) {
            answers.push_back(Vec::new());
        } else {
            answers.back_mut().expect("there is one").push(step);
        }
    }
    stage.seen.lock().expect("not poisoned").answers = answers;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listener = TcpListener::bind(any).expect("a free port");
    let address = listener.address();
    let stage = stage.clone();
    host::spawn("golden-upstream", async move {
        while let Accepted::Connection((stream, _)) = listener.accept().await {
            let number = {
                let mut seen = stage.seen.lock().expect("not poisoned");
                seen.connections += 1;
                seen.connections
            };
            host::spawn("golden-line", serve(stage.clone(), stream, number));
        }
    });
    address
}

async fn serve(stage: Stage, mut stream: TcpStream, number: usize) {
    let mut bytes = Vec::new();
    if let Some(unasked) = stage.unasked() {
        stage.act(&mut stream, number, unasked).await;
    }
    loop {
        while let Some(request) = message(&bytes, Kind::Request, false) {
            bytes.drain(..request.taken);
            let Some(answer) = stage.asked(number, request.bytes) else {
                return;
            };
            if !stage.act(&mut stream, number, answer).await {
                return;
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(read) if read > 0 => {}
            _ => break,
        }
    }
    if !bytes.is_empty() {
        // What TLS says first is never the same.
        let mut request = match bytes[0] {
            0x16 => b"(TLS)".to_vec(),
            _ => partial(&bytes),
        };
        mark(&mut request, "cut");
        let mut seen = stage.seen.lock().expect("not poisoned");
        seen.requests.push((number, request));
    }
}

impl Stage {
    /// Writes a request down, and gives the answer to it.
    fn asked(&self, connection: usize, request: Vec<u8>) -> Option<Vec<Step>> {
        let mut seen = self.seen.lock().expect("not poisoned");
        seen.requests.push((connection, request));
        seen.answers.pop_front()
    }

    /// The next answer, if it does not wait for a request.
    fn unasked(&self) -> Option<Vec<Step>> {
        let mut seen = self.seen.lock().expect("not poisoned");
        let word = Step::Do("unasked".to_owned(), String::new());
        (seen.answers.front()?.first() == Some(&word)).then_some(())?;
        seen.answers.pop_front()
    }

    /// Gives an answer; whether the connection goes on.
    async fn act(&self, stream: &mut TcpStream, number: usize, answer: Vec<Step>) -> bool {
        for step in answer {
            match step {
                Step::Send(bytes) => self.send(stream, &bytes).await,
                Step::Do(word, _) => match word.as_str() {
                    "unasked" => {}
                    "hold" => {
                        if !self.hold(stream, number).await {
                            return false;
                        }
                    }
                    "close" => return false,
                    _ => panic!("the upstream does not know `{word}`"),
                },
            }
        }
        true
    }
}

impl Stage {
    /// Waits for the client's leave to go on; whether it came before the sidecar was gone.
    async fn hold(&self, stream: &mut TcpStream, number: usize) -> bool {
        tokio::select! {
            permit = self.gate.acquire() => {
                permit.expect("never closed").forget();
                true
            }
            _ = stream.read_u8() => {
                self.seen.lock().expect("not poisoned").gone.push(number);
                false
            }
        }
    }
}

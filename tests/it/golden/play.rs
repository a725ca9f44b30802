//! Both ends of a case: a client and an upstream that send what their scripts say, in pieces of a given size, and write
//! down what they get. Must never send more than the script, nor answer a request that did not come whole.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use outrigger::host::{self, Accepted, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::framing::{Kind, message, partial};
use super::house::{House, until};
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
}

impl Stage {
    pub(super) fn new(piece: usize) -> Self {
        Self {
            piece,
            gate: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
        }
    }

    /// How the upstream saw it all.
    pub(super) fn at_upstream(&self) -> Vec<u8> {
        let seen = self.seen.lock().expect("not poisoned");
        let mut out = Vec::new();
        for (connection, request) in &seen.requests {
            mark(&mut out, &format!("connection {connection}"));
            out.extend_from_slice(request);
        }
        out
    }

    /// How many answers of the script nobody asked for.
    pub(super) fn answers_left(&self) -> usize {
        self.seen.lock().expect("not poisoned").answers.len()
    }

    async fn send(&self, stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
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
pub(super) fn upstream(stage: &Stage, script: &[u8]) -> SocketAddr {
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
        stage.act(&mut stream, unasked).await;
    }
    loop {
        while let Some(request) = message(&bytes, Kind::Request, false) {
            bytes.drain(..request.taken);
            let Some(answer) = stage.asked(number, request.bytes) else {
                return;
            };
            if !stage.act(&mut stream, answer).await {
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
    async fn act(&self, stream: &mut TcpStream, answer: Vec<Step>) -> bool {
        for step in answer {
            match step {
                Step::Send(bytes) => self.send(stream, &bytes).await,
                Step::Do(word, _) => match word.as_str() {
                    "unasked" => {}
                    "hold" => self.gate.acquire().await.expect("never closed").forget(),
                    "close" => return false,
                    _ => panic!("the upstream does not know `{word}`"),
                },
            }
        }
        true
    }
}

/// One connection of the client.
struct Caller {
    to: Option<Box<dyn tokio::io::AsyncWrite + Send + Unpin>>,
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
pub(super) async fn client(stage: &Stage, house: &House, script: &[u8]) -> Vec<u8> {
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
                "release" => stage.gate.add_permits(1),
                "arrived" => arrived(stage, argument.parse().expect("a number")).await,
                "queued" => until("a trip in the queue", || house.waiting()).await,
                "advance" => {
                    let millis = argument.parse().expect("milliseconds");
                    house
                        .clock
                        .advance(std::time::Duration::from_millis(millis));
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

async fn arrived(stage: &Stage, count: usize) {
    until("a request at the upstream", || {
        stage.seen.lock().expect("not poisoned").requests.len() >= count
    })
    .await;
}

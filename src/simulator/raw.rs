//! Answers given byte for byte, past the HTTP library, which would not write them: the faults of the wire, and
//! transcripts. It must never read a request: the library has done that before.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use hyper::rt::{Read, ReadBuf, Write};
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use super::answer::Answer;
use super::body::{Frames, Mark, STALL};
use super::script::{Fault, Pace, Script};

/// By how much a wrong length is wrong.
const OFF: usize = 7;
const GARBAGE: &[u8] = b"\x00\xff this is no HTTP\r\n\r\n";
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
const UNASKED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"unasked\":\"yes\"}";

/// What is sent, and what becomes of the connection.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Bytes),
    /// Byte by byte, so far apart.
    Trickle(Bytes, Duration),
    Wait(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The next request is served.
    Keep,
    Close,
    /// The caller has to break the connection off.
    Reset,
    /// Nothing more is said.
    Silence,
}

/// How the length of a body is told.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunks,
}

impl Raw {
    /// The answer with the script's fault, if that is one of the wire.
    pub(super) fn of(answer: &Answer, script: &Script) -> Option<Self> {
        let fault = script.fault?;
        let pieces = pieces(answer.frames());
        let whole: usize = pieces.iter().map(Bytes::len).sum();
        let framing = match (fault, answer.frames()) {
            (Fault::Short, _) => Framing::Length(whole.saturating_sub(OFF)),
            (Fault::Long, _) => Framing::Length(whole + OFF),
            (Fault::Half, Frames::Plain(_)) => Framing::Length(whole / 2),
            (Fault::Chunk, _) | (_, Frames::Stream(_)) => Framing::Chunks,
            (_, Frames::Plain(_)) => Framing::Length(whole),
        };
        let plot = Plot {
            head: head(answer, framing),
            framing,
            script,
        };
        Some(match fault {
            Fault::Drop => Self::closing(Vec::new()),
            Fault::Head => Self::closing(vec![Step::Send(plot.head.slice(..plot.head.len() / 2))]),
            Fault::Torn => Self::closing(plot.half(&pieces)),
            Fault::Reset => Self {
                steps: plot.half(&pieces),
                end: End::Reset,
            },
            Fault::Long | Fault::Close => Self::closing(plot.whole(&pieces)),
            Fault::Half => {
                let mut steps = plot.half_whole(&pieces);
                steps.extend(plot.last());
                Self::kept(steps)
            }
            Fault::Chunk => {
                let mut steps = plot.half_whole(&pieces);
                steps.push(Step::Send(Bytes::from_static(b"zz\r\nnot a chunk\r\n")));
                Self::kept(steps)
            }
            Fault::Short => Self::kept(plot.whole(&pieces)),
            Fault::Garbage => Self::kept(plot.followed(&pieces, GARBAGE)),
            Fault::Twice => Self::kept(plot.followed(&pieces, UNASKED)),
            Fault::Trickle => Self::kept(plot.trickled(&pieces)),
            Fault::Interim => {
                let mut steps = vec![Step::Send(Bytes::from_static(INTERIM))];
                steps.extend(plot.whole(&pieces));
                Self::kept(steps)
            }
            Fault::Status(_)
            | Fault::Hang
            | Fault::Stall
            | Fault::Cut
            | Fault::Event
            | Fault::Early
            | Fault::Any => return None,
        })
    }

    fn closing(steps: Vec<Step>) -> Self {
        Self {
            steps,
            end: End::Close,
        }
    }

    fn kept(steps: Vec<Step>) -> Self {
        Self {
            steps,
            end: End::Keep,
        }
    }
}

/// How an answer is written down.
struct Plot<'a> {
    head: Bytes,
    framing: Framing,
    script: &'a Script,
}

impl Plot<'_> {
    fn begun(&self) -> Vec<Step> {
        let head = Step::Send(self.head.clone());
        let first = self.script.first_token_delay;
        if first.is_zero() {
            vec![head]
        } else {
            vec![head, Step::Wait(first)]
        }
    }

    fn whole(&self, pieces: &[Bytes]) -> Vec<Step> {
        let mut steps = self.begun();
        for piece in pieces {
            self.step(self.framed(piece), &mut steps);
        }
        steps.extend(self.last());
        steps
    }

    /// The first half of the pieces, and half of the next, all of which is announced.
    fn half(&self, pieces: &[Bytes]) -> Vec<Step> {
        let (before, torn) = halved(pieces);
        let mut steps = self.begun();
        for piece in before {
            self.step(self.framed(piece), &mut steps);
        }
        let framed = self.framed(torn);
        self.step(framed.slice(..framed.len().div_ceil(2)), &mut steps);
        steps
    }

    /// The same, but what is announced is what comes.
    fn half_whole(&self, pieces: &[Bytes]) -> Vec<Step> {
        let (before, torn) = halved(pieces);
        let mut steps = self.begun();
        for piece in before {
            self.step(self.framed(piece), &mut steps);
        }
        self.step(self.framed(&torn.slice(..torn.len() / 2)), &mut steps);
        steps
    }

    /// Sent together with the end: behind it, it could come when the next request is under way already.
    fn followed(&self, pieces: &[Bytes], by: &'static [u8]) -> Vec<Step> {
        let mut steps = self.whole(pieces);
        if let Some(Step::Send(last)) = steps.pop() {
            steps.push(Step::Send([&last[..], by].concat().into()));
        }
        steps
    }

    fn trickled(&self, pieces: &[Bytes]) -> Vec<Step> {
        let apart = match self.script.pace {
            Pace::Every(apart) => apart,
            Pace::AtOnce | Pace::Yield => Duration::ZERO,
        };
        let mut steps = self.begun();
        steps.extend(
            pieces
                .iter()
                .map(|piece| Step::Trickle(self.framed(piece), apart)),
        );
        steps.extend(self.last());
        steps
    }

    fn step(&self, bytes: Bytes, steps: &mut Vec<Step>) {
        if bytes.is_empty() {
            return;
        }
        if let Pace::Every(apart) = self.script.pace {
            steps.push(Step::Wait(apart));
        }
        steps.push(Step::Send(bytes));
    }

    fn framed(&self, piece: &Bytes) -> Bytes {
        match self.framing {
            Framing::Length(_) => piece.clone(),
            Framing::Chunks if piece.is_empty() => Bytes::new(),
            Framing::Chunks => {
                let mut framed = BytesMut::from(format!("{:x}\r\n", piece.len()).as_bytes());
                framed.extend_from_slice(piece);
                framed.extend_from_slice(b"\r\n");
                framed.freeze()
            }
        }
    }

    fn last(&self) -> Option<Step> {
        match self.framing {
            Framing::Length(_) => None,
            Framing::Chunks => Some(Step::Send(Bytes::from_static(b"0\r\n\r\n"))),
        }
    }
}

fn pieces(frames: &Frames) -> Vec<Bytes> {
    match frames {
        Frames::Plain(bytes) => vec![bytes.clone()],
        Frames::Stream(frames) => frames.to_vec(),
    }
}

/// What comes before the middle, and the piece in which the middle is.
fn halved(pieces: &[Bytes]) -> (&[Bytes], &Bytes) {
    static NONE: Bytes = Bytes::new();
    let (before, after) = pieces.split_at(pieces.len() / 2);
    (before, after.first().unwrap_or(&NONE))
}

fn head(answer: &Answer, framing: Framing) -> Bytes {
    let mut head = BytesMut::new();
    let reason = reason(answer.status);
    head.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", answer.status.as_u16()).as_bytes());
    for (name, value) in answer.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match framing {
        Framing::Length(length) => {
            head.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        }
        Framing::Chunks => head.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
    }
    head.freeze()
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Unknown")
}

/// Gives the answer. Whether the connection is still there for what the end says.
pub(super) async fn give<I>(io: &mut I, raw: Raw, mut mark: Unfinished) -> bool
where
    I: Read + Write + Unpin,
{
    for step in raw.steps {
        let going = match step {
            Step::Send(bytes) => send(io, &bytes).await,
            Step::Wait(wait) => quiet(io, wait).await,
            Step::Trickle(bytes, apart) => trickle(io, &bytes, apart).await,
        };
        if !going {
            return false;
        }
    }
    mark.finish();
    match raw.end {
        End::Silence => {
            quiet(io, STALL).await;
            false
        }
        End::Keep | End::Close | End::Reset => true,
    }
}

/// An answer that is dropped unless it is finished first.
pub(super) struct Unfinished(pub(super) Mark);

impl Unfinished {
    fn finish(&mut self) {
        self.0.set(Mark::COMPLETE);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.set(Mark::DROPPED);
    }
}

async fn trickle<I: Read + Write + Unpin>(io: &mut I, bytes: &[u8], apart: Duration) -> bool {
    for byte in bytes.chunks(1) {
        if !quiet(io, apart).await || !send(io, byte).await {
            return false;
        }
    }
    true
}

async fn send<I: Write + Unpin>(io: &mut I, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let wrote = poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes)).await;
        match wrote {
            Ok(wrote) if wrote > 0 => bytes = bytes.get(wrote..).unwrap_or_default(),
            _ => return false,
        }
    }
    poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx))
        .await
        .is_ok()
}

/// Waits; whether the peer is still there. What it says meanwhile is not heard.
async fn quiet<I: Read + Unpin>(io: &mut I, wait: Duration) -> bool {
    if wait.is_zero() {
        tokio::task::yield_now().await;
        return true;
    }
    let mut over = pin!(unconstrained(sleep(wait)));
    poll_fn(|cx| {
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        loop {
            let mut space = [0_u8; 64];
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut *io).poll_read(cx, read.unfilled()) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

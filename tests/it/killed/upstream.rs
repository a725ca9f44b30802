//! The upstream that outlives every sidecar: what it saw, and what it bills, told before it says it. Must never make a stream
//! faster than its caller reads it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outrigger::host;
use tokio::sync::Semaphore;

use crate::stage::{END, Peer, STREAM, Upstream, chunk, json, until};

/// What a token of input and one of output cost, in nano-dollars.
pub(super) const INPUT: u64 = 1_000_000;
pub(super) const OUTPUT: u64 = 2_000_000;
/// The tokens of a question, and of one piece of a stream.
pub(super) const ASKED: u64 = 8;
pub(super) const PIECE: u64 = 64;
/// How many pieces the upstream is ahead of the caller: it makes them no faster than they are read.
pub(super) const AHEAD: usize = 2;
/// What a stream has cost at most when it is cut that its caller has not seen.
pub(super) const LOST: u64 = 3 * PIECE * OUTPUT;

/// What the upstream has seen, and what it bills.
#[derive(Default)]
pub(super) struct Billed {
    /// By request, in nano-dollars.
    pub(super) seen: Mutex<HashMap<String, u64>>,
    /// How many pieces of a stream its caller lets it be ahead.
    paces: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Streams that the sidecar ended early, because it could not record that they go on.
    pub(super) cut: Mutex<HashSet<String>>,
    connections: AtomicUsize,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Billed {
    pub(super) fn see(&self, id: &str) {
        let before = locked(&self.seen).insert(id.to_owned(), 0);
        assert_eq!(before, None, "{id} has left twice");
    }

    pub(super) fn bill(&self, id: &str, nano: u64) {
        *locked(&self.seen).get_mut(id).expect("it was seen") += nano;
    }

    pub(super) fn of(&self, id: &str) -> Option<u64> {
        locked(&self.seen).get(id).copied()
    }

    pub(super) fn cut(&self, id: String) {
        locked(&self.cut).insert(id);
    }

    pub(super) fn is_cut(&self, id: &str) -> bool {
        locked(&self.cut).contains(id)
    }

    pub(super) fn pace(&self, id: &str) -> Arc<Semaphore> {
        let mut paces = locked(&self.paces);
        let pace = paces.entry(id.to_owned());
        Arc::clone(pace.or_insert_with(|| Arc::new(Semaphore::new(AHEAD))))
    }

    /// Nobody reads any more.
    pub(super) async fn quiet(&self) {
        locked(&self.paces)
            .drain()
            .for_each(|(_, pace)| pace.close());
        until("the upstream to be quiet", || {
            self.connections.load(Ordering::SeqCst) == 0
        })
        .await;
    }
}

pub(super) async fn play(upstream: Upstream, billed: Arc<Billed>) {
    loop {
        let mut peer = upstream.accept_any().await;
        billed.connections.fetch_add(1, Ordering::SeqCst);
        let billed = Arc::clone(&billed);
        host::spawn("test-upstream", async move {
            while let Some(asked) = peer.asked().await {
                if !answer(&mut peer, &asked, &billed).await {
                    break;
                }
            }
            billed.connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Answers one request, and bills what it says before it says it. False if nobody listens any more.
pub(super) async fn answer(peer: &mut Peer, asked: &[u8], billed: &Billed) -> bool {
    let text = String::from_utf8_lossy(asked);
    let (_, rest) = text.split_once("\"content\":\"").expect("a question");
    let id = rest.split('.').next().expect("an id");
    billed.see(id);
    billed.bill(id, ASKED * INPUT);
    if text.contains("\"stream\":true") {
        return stream(peer, id, billed).await;
    }
    let output = 1 + number_of(id) % 60;
    billed.bill(id, output * OUTPUT);
    let total = ASKED + output;
    let body = format!(
        r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{ASKED},"completion_tokens":{output},"total_tokens":{total}}}}}"#
    );
    peer.try_send(&json(&body)).await
}

pub(super) async fn stream(peer: &mut Peer, id: &str, billed: &Billed) -> bool {
    let pace = billed.pace(id);
    let pieces = 1 + number_of(id) % 30;
    let words = "word".repeat(usize::try_from(PIECE).expect("few"));
    let delta = chunk(&format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{words}\"}},\"finish_reason\":null}}]}}\n\n"
    ));
    if !peer.try_send(STREAM).await {
        return false;
    }
    for _ in 0..pieces {
        let Ok(permit) = pace.acquire().await else {
            return false;
        };
        permit.forget();
        billed.bill(id, PIECE * OUTPUT);
        if !peer.try_send(&delta).await {
            return false;
        }
    }
    let output = pieces * PIECE;
    let last = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{{\"prompt_tokens\":{ASKED},\"completion_tokens\":{output},\"total_tokens\":{}}}}}\n\n\
         data: [DONE]\n\n",
        ASKED + output
    );
    peer.try_send(&[chunk(&last).as_slice(), END].concat())
        .await
}

pub(super) fn number_of(id: &str) -> u64 {
    id.bytes().fold(7, |number, byte| {
        number.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

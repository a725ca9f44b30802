//! Idle connections, by tenant and origin, under one cap for the whole process. A connection that served
//! one tenant must never be given to another: the key has no public constructor but the spine's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;

use super::{Alarm, RequestBody};
use crate::meters::Registry;
use crate::spine::PoolKey;
use crate::units::{Boot, Clock};

/// The idle connections.
pub struct Pool {
    shelf: Mutex<Shelf>,
    cap: usize,
    clock: Arc<dyn Clock>,
    meters: Arc<Registry>,
}

#[derive(Default)]
struct Shelf {
    idle: HashMap<PoolKey, Vec<Idle>>,
    count: usize,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    until: Boot,
    keep: Duration,
    alarm: Alarm,
}

/// One connection in use by one request.
pub struct Line {
    sender: SendRequest<RequestBody>,
    key: PoolKey,
    keep: Duration,
    alarm: Alarm,
    pool: Arc<Pool>,
}

impl Line {
    pub(super) fn new(
        sender: SendRequest<RequestBody>,
        key: PoolKey,
        keep: Duration,
        pool: &Arc<Pool>,
    ) -> Self {
        Self {
            alarm: Alarm::default(),
            sender,
            key,
            keep,
            pool: Arc::clone(pool),
        }
    }

    /// Whether the connection is open and takes a request.
    pub(super) async fn ready(&mut self) -> bool {
        !self.sender.is_closed() && self.sender.ready().await.is_ok()
    }

    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.sender.try_send_request(request)
    }

    /// The connection's timer.
    pub fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Gives the connection back after an answer that ended cleanly.
    pub fn put_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let Self {
            sender,
            key,
            keep,
            alarm,
            pool,
        } = self;
        let until = pool.clock.boot().after(keep);
        pool.put(
            key,
            Idle {
                sender,
                until,
                keep,
                alarm,
            },
        );
    }
}

impl Pool {
    pub(super) fn new(cap: usize, clock: Arc<dyn Clock>, meters: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            shelf: Mutex::default(),
            cap,
            clock,
            meters,
        })
    }

    /// The most recently used idle connection of that key, if one is open.
    pub(super) fn take(self: &Arc<Self>, key: &PoolKey) -> Option<Line> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shelf.count;
        let found = shelf.take(key);
        self.count(before, shelf.count);
        drop(shelf);
        found.map(|idle| Line {
            sender: idle.sender,
            key: key.clone(),
            keep: idle.keep,
            alarm: idle.alarm,
            pool: Arc::clone(self),
        })
    }

    fn put(&self, key: PoolKey, idle: Idle) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shelf.count;
        let evicted = if shelf.count >= self.cap {
            shelf.evict()
        } else {
            None
        };
        if shelf.count < self.cap {
            shelf.count += 1;
            shelf.idle.entry(key).or_default().push(idle);
        }
        self.count(before, shelf.count);
        drop(shelf);
        // A connection is closed outside the lock.
        drop(evicted);
    }

    /// Closes what has been idle for too long, or was closed by the other side. Called every second or so.
    pub fn sweep(&self) {
        let now = self.clock.boot();
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shelf.count;
        let gone = shelf.expire(now);
        self.count(before, shelf.count);
        drop(shelf);
        drop(gone);
    }

    /// Counts a connection as open, until what is returned is dropped.
    pub(super) fn opened(self: &Arc<Self>) -> Open {
        self.meters.process().upstream_opened();
        Open(Arc::clone(self))
    }

    /// How many connections are idle.
    pub fn idle(&self) -> usize {
        self.shelf
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count
    }

    fn count(&self, before: usize, after: usize) {
        let meters = self.meters.process();
        (before..after).for_each(|_| meters.upstream_rested());
        (after..before).for_each(|_| meters.upstream_woken());
    }
}

/// An open connection, counted.
pub(super) struct Open(Arc<Pool>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.meters.process().upstream_closed();
    }
}

impl Shelf {
    fn take(&mut self, key: &PoolKey) -> Option<Idle> {
        let stack = self.idle.get_mut(key)?;
        while let Some(idle) = stack.pop() {
            self.count -= 1;
            if !idle.sender.is_closed() {
                return Some(idle);
            }
        }
        self.idle.remove(key);
        None
    }

    /// Takes the oldest connection of whoever keeps the most, so that a busy tenant cannot push out a quiet one.
    fn evict(&mut self) -> Option<Idle> {
        let stack = self.idle.values_mut().max_by_key(|stack| stack.len())?;
        if stack.is_empty() {
            return None;
        }
        self.count -= 1;
        Some(stack.remove(0))
    }

    fn expire(&mut self, now: Boot) -> Vec<Idle> {
        let mut gone = Vec::new();
        self.idle.retain(|_, stack| {
            let all = std::mem::take(stack);
            for idle in all {
                if idle.until <= now || idle.sender.is_closed() {
                    gone.push(idle);
                } else {
                    stack.push(idle);
                }
            }
            !stack.is_empty()
        });
        self.count -= gone.len();
        gone
    }
}

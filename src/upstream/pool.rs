//! Connections, by tenant and origin: idle ones under one cap for the whole process, and HTTP/2's, which one tenant's
//! requests share. A connection that served one tenant must never be given to another: the key has no public
//! constructor but the spine's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;

use super::http2::Session;
use super::shelf::{Idle, Shared, Shelf};
use super::{Alarm, RequestBody};
use crate::meters::Registry;
use crate::spine::PoolKey;
use crate::units::{Boot, Clock};

/// The connections that may be used again.
pub struct Pool {
    shelf: Mutex<Shelf>,
    cap: usize,
    clock: Arc<dyn Clock>,
    meters: Arc<Registry>,
}

/// What one request uses: a connection, or its place on one that is shared.
pub struct Line {
    way: Way,
    alarm: Alarm,
}

enum Way {
    Alone(Alone),
    Seat(Seat),
}

/// A connection of HTTP/1.1 in use by one request.
struct Alone {
    sender: SendRequest<RequestBody>,
    key: PoolKey,
    keep: Duration,
}

/// A place on a connection of HTTP/2; given back when dropped.
pub(super) struct Seat {
    session: Arc<Session>,
    key: PoolKey,
    pool: Arc<Pool>,
}

/// How to send a request over a line.
pub(super) enum Sender<'a> {
    /// Alone, over HTTP/1.1.
    Alone(&'a mut SendRequest<RequestBody>),
    /// Beside others, over HTTP/2.
    Shared(&'a Arc<Session>),
}

impl Line {
    pub(super) fn new(sender: SendRequest<RequestBody>, key: PoolKey, keep: Duration) -> Self {
        Self {
            alarm: Alarm::default(),
            way: Way::Alone(Alone { sender, key, keep }),
        }
    }

    fn again(key: PoolKey, idle: Idle) -> Self {
        let Idle {
            sender,
            until: _,
            keep,
            alarm,
        } = idle;
        Self {
            way: Way::Alone(Alone { sender, key, keep }),
            alarm,
        }
    }

    /// Whether the connection is open and takes a request.
    pub(super) async fn ready(&mut self) -> bool {
        match &mut self.way {
            Way::Alone(alone) => !alone.sender.is_closed() && alone.sender.ready().await.is_ok(),
            // Sending finds out the rest, before a byte leaves.
            Way::Seat(seat) => !seat.session.is_closed(),
        }
    }

    /// How to send over it.
    pub(super) fn sender(&mut self) -> Sender<'_> {
        match &mut self.way {
            Way::Alone(alone) => Sender::Alone(&mut alone.sender),
            Way::Seat(seat) => Sender::Shared(&seat.session),
        }
    }

    /// The connection's timer.
    pub fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Gives the connection back after an answer that ended cleanly.
    pub fn put_back(self, pool: &Pool) {
        let Self { way, alarm } = self;
        // A seat needs no more than to be left.
        let Way::Alone(alone) = way else { return };
        if alone.sender.is_closed() {
            return;
        }
        let Alone { sender, key, keep } = alone;
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

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.leave(&self.key, &self.session);
    }
}

impl Pool {
    pub(super) fn new(cap: usize, clock: Arc<dyn Clock>, meters: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            cap,
            shelf: Mutex::default(),
            clock,
            meters,
        })
    }

    /// The most recently used idle connection of that key, if one is open, or a seat on a shared one other than
    /// `shunned`.
    pub(super) fn take(
        self: &Arc<Self>,
        key: &PoolKey,
        shunned: Option<&Arc<Session>>,
    ) -> Option<Line> {
        let (found, seat) = self.change(|shelf| {
            let found = shelf.take(key);
            let seat = if found.is_none() {
                shelf.seat(key, shunned)
            } else {
                None
            };
            (found, seat)
        });
        if let Some(session) = seat {
            return Some(self.seated(session, key));
        }
        Some(Line::again(key.clone(), found?))
    }

    fn seated(self: &Arc<Self>, session: Arc<Session>, key: &PoolKey) -> Line {
        Line {
            way: Way::Seat(Seat {
                session,
                key: key.clone(),
                pool: Arc::clone(self),
            }),
            alarm: Alarm::default(),
        }
    }

    /// Shares a new connection; the first seat is the caller's. If another came first and has room, that one is used
    /// and the new one closed; there is none if the other side allows no stream at all.
    pub(super) fn share(
        self: &Arc<Self>,
        key: &PoolKey,
        session: Session,
        keep: Duration,
        shunned: Option<&Arc<Session>>,
    ) -> Option<Line> {
        let mut spare = None;
        let seat = self.change(|shelf| {
            if let Some(seat) = shelf.seat(key, shunned) {
                spare = Some(session);
                return Some(seat);
            }
            shelf.share(key, Shared::new(session, keep))
        });
        drop(spare);
        seat.map(|session| self.seated(session, key))
    }

    /// Where those wait who need another connection to an origin that shares, as far as is known or `certain`: one of
    /// them opens it.
    pub(super) fn turn(&self, key: &PoolKey, certain: bool) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.turn(key, certain)
    }

    fn leave(&self, key: &PoolKey, session: &Arc<Session>) {
        let now = self.clock.boot();
        let gone = self.change(|shelf| {
            let closed = shelf.leave(key, session, now);
            let evicted = if shelf.count() > self.cap {
                shelf.evict()
            } else {
                None
            };
            (closed, evicted)
        });
        // A connection is closed outside the lock.
        drop(gone);
    }

    fn put(&self, key: PoolKey, idle: Idle) {
        let evicted = self.change(|shelf| {
            let evicted = if shelf.count() >= self.cap {
                shelf.evict()
            } else {
                None
            };
            if shelf.count() < self.cap {
                shelf.put(key, idle);
            }
            evicted
        });
        drop(evicted);
    }

    /// Closes what has been idle for too long, or was closed by the other side. Called every second or so.
    pub fn sweep(&self) {
        let now = self.clock.boot();
        let gone = self.change(|shelf| shelf.expire(now));
        drop(gone);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shelf) -> T) -> T {
        change(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a connection as open, until what is returned is dropped.
    pub(super) fn opened(self: &Arc<Self>) -> Open {
        self.meters.process().upstream_opened();
        Open(Arc::clone(self))
    }

    /// What time it is.
    pub(super) fn now(&self) -> Boot {
        self.clock.boot()
    }

    /// How many connections are idle.
    pub fn idle(&self) -> usize {
        self.change(|shelf| shelf.count())
    }
}

/// An open connection, counted.
pub(super) struct Open(Arc<Pool>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.meters.process().upstream_closed();
    }
}

//! What the pool holds, without its lock, clock and meters. Must never close a connection itself: what goes is handed
//! out, so that it is closed outside the lock.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;

use super::http2::Session;
use super::{Alarm, RequestBody};
use crate::spine::PoolKey;
use crate::units::{Boot, Map};

/// Connections by key.
#[derive(Default)]
pub(super) struct Shelf {
    idle: Map<PoolKey, Vec<Idle>>,
    shared: Map<PoolKey, Group>,
    /// How many connections are idle, of both kinds.
    count: usize,
}

/// A connection of HTTP/1.1 that nobody uses.
pub(super) struct Idle {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) until: Boot,
    pub(super) keep: Duration,
    pub(super) alarm: Alarm,
}

impl Idle {
    /// Whether it has been idle for too long, or the other side closed it.
    pub(super) fn is_over(&self, now: Boot) -> bool {
        self.until <= now || self.sender.is_closed()
    }
}

/// The connections of HTTP/2 of one key. That there is one at all remembers that the origin speaks it.
#[derive(Default)]
struct Group {
    sessions: Vec<Shared>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A connection of HTTP/2, in use or idle.
pub(super) struct Shared {
    session: Arc<Session>,
    keep: Duration,
    /// While idle.
    until: Boot,
}

/// What leaves the shelf, to be dropped.
#[expect(dead_code, reason = "held only to be dropped")]
pub(super) enum Gone {
    Idle(Idle),
    Shared(Shared),
}

impl Shared {
    pub(super) fn new(session: Session, keep: Duration) -> Self {
        Self {
            session: Arc::new(session),
            keep,
            until: Boot(0),
        }
    }
}

impl Shelf {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn take(&mut self, key: &PoolKey) -> Option<Idle> {
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

    pub(super) fn put(&mut self, key: PoolKey, idle: Idle) {
        self.count += 1;
        self.idle.entry(key).or_default().push(idle);
    }

    /// A seat on the first shared connection with room: the later ones become idle and go.
    pub(super) fn seat(
        &mut self,
        key: &PoolKey,
        shunned: Option<&Arc<Session>>,
    ) -> Option<Arc<Session>> {
        let group = self.shared.get(key)?;
        let mut sessions = group.sessions.iter().map(|shared| &shared.session);
        let (session, was_idle) = sessions.find_map(|session| {
            let is_shunned = shunned.is_some_and(|shunned| Arc::ptr_eq(shunned, session));
            let was_idle = session.is_idle();
            (!is_shunned && session.enter()).then_some((session, was_idle))
        })?;
        self.count -= usize::from(was_idle);
        Some(Arc::clone(session))
    }

    /// Adds a shared connection, and takes the first seat.
    pub(super) fn share(&mut self, key: &PoolKey, shared: Shared) -> Option<Arc<Session>> {
        let session = Arc::clone(&shared.session);
        if !session.enter() {
            return None;
        }
        let group = self.shared.entry(key.clone()).or_default();
        group.sessions.push(shared);
        Some(session)
    }

    pub(super) fn turn(
        &mut self,
        key: &PoolKey,
        certain: bool,
    ) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let group = if certain {
            self.shared.entry(key.clone()).or_default()
        } else {
            self.shared.get(key)?
        };
        Some(Arc::clone(&group.turn))
    }

    /// Gives a seat back; a connection that takes no more requests goes with its last.
    pub(super) fn leave(
        &mut self,
        key: &PoolKey,
        session: &Arc<Session>,
        now: Boot,
    ) -> Option<Gone> {
        if !session.leave() {
            return None;
        }
        let sessions = &mut self.shared.get_mut(key)?.sessions;
        let at = sessions
            .iter()
            .position(|shared| Arc::ptr_eq(&shared.session, session))?;
        if session.is_closed() {
            return Some(Gone::Shared(sessions.remove(at)));
        }
        let shared = &mut sessions[at];
        shared.until = now.after(shared.keep);
        self.count += 1;
        None
    }

    /// Takes the oldest connection of whoever keeps the most, so that a busy tenant cannot push out a quiet one.
    pub(super) fn evict(&mut self) -> Option<Gone> {
        let stack = self.idle.values_mut().max_by_key(|stack| stack.len());
        let group = self.shared.values_mut().max_by_key(|group| group.idle());
        let kept = stack.as_ref().map_or(0, |stack| stack.len());
        let shared = group.as_ref().map_or(0, |group| group.idle());
        if kept.max(shared) == 0 {
            return None;
        }
        self.count -= 1;
        if kept >= shared {
            return stack.map(|stack| Gone::Idle(stack.remove(0)));
        }
        let sessions = &mut group?.sessions;
        let at = sessions.iter().position(Shared::is_idle)?;
        Some(Gone::Shared(sessions.remove(at)))
    }

    /// Takes what has been idle for too long, and what the other side closed.
    pub(super) fn expire(&mut self, now: Boot) -> Vec<Gone> {
        let mut gone = Vec::new();
        self.idle.retain(|_, stack| {
            let over = |idle: &mut Idle| idle.is_over(now);
            gone.extend(stack.extract_if(.., over).map(Gone::Idle));
            !stack.is_empty()
        });
        let mut count = gone.len();
        self.shared.retain(|_, group| {
            let over = |shared: &mut Shared| {
                let is_idle = shared.is_idle();
                let is_over = shared.session.is_closed() || (is_idle && shared.until <= now);
                count += usize::from(is_over && is_idle);
                is_over
            };
            gone.extend(group.sessions.extract_if(.., over).map(Gone::Shared));
            // Whoever opens one holds the turn.
            !group.sessions.is_empty() || Arc::strong_count(&group.turn) > 1
        });
        self.count -= count;
        gone
    }
}

impl Group {
    fn idle(&self) -> usize {
        self.sessions
            .iter()
            .filter(|shared| shared.is_idle())
            .count()
    }
}

impl Shared {
    fn is_idle(&self) -> bool {
        self.session.is_idle()
    }
}

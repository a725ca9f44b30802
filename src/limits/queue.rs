//! The wait for room: a bounded first-in-first-out queue, and the ticket of one who waits in it.
//! Must never let anyone overtake, nor call anyone but the head; whoever stops being the head calls the next, who
//! cannot know otherwise that its time has begun to count.

use super::account::Account;
use super::bucket::nanos;
use super::budget::Waiting;
use super::hold::Hold;
use super::ledger::{Amounts, Step, Want};
use super::refusal::{Denied, Refused};
use super::spec::LimitSpec;
use crate::units::Boot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A place in a tenant's queue. Dropping it leaves the queue.
#[derive(Debug)]
#[must_use = "a dropped ticket has left the queue"]
pub struct Ticket {
    account: Arc<Account>,
    place: Place,
    wake_at: Boot,
}

#[derive(Debug)]
enum Place {
    /// It fitted at once.
    Granted(Hold),
    Waiting(u64),
    Over,
}

impl Ticket {
    pub(super) fn granted(hold: Hold, now: Boot) -> Self {
        Self {
            account: Arc::clone(hold.account()),
            place: Place::Granted(hold),
            wake_at: now,
        }
    }

    pub(super) fn waiting(account: Arc<Account>, id: u64, wake_at: Boot) -> Self {
        Self {
            account,
            place: Place::Waiting(id),
            wake_at,
        }
    }

    /// Ready with the hold when the turn has come and it fits, or with why not, when the wait has lasted as long
    /// as it may or there is no money left. Otherwise the waker is kept and called when it is worth looking again; the time of
    /// [`Ticket::wake_at`] must be watched by the caller. Once it was ready, it is pending for ever.
    pub fn poll(&mut self, now: Boot, waker: &Waker) -> Poll<Result<Hold, Refused>> {
        let id = match std::mem::replace(&mut self.place, Place::Over) {
            Place::Granted(hold) => return Poll::Ready(Ok(hold)),
            Place::Waiting(id) => id,
            Place::Over => return Poll::Pending,
        };
        // Cloned before the lock is taken and dropped after: both may run foreign code.
        let mut waker = Some(waker.clone());
        let step = self.account.ledger.lock().advance(now, id, &mut waker);
        match step {
            Some(Step::Granted(held, left)) => {
                // The hold exists before anything foreign runs: if a waker panics, it is given back all the same.
                let hold = Hold::new(Arc::clone(&self.account), held);
                left.call_next();
                Poll::Ready(Ok(hold))
            }
            Some(Step::Refused(refused, left)) => {
                left.call_next();
                Poll::Ready(Err(refused))
            }
            Some(Step::Waits(wake_at)) => {
                self.place = Place::Waiting(id);
                self.wake_at = wake_at;
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// When to poll again at the latest: when the rates have room for the head of the queue, or the end of the wait.
    /// Valid until the next poll, which may move it.
    pub fn wake_at(&self) -> Boot {
        self.wake_at
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Place::Waiting(id) = self.place {
            let left = self.account.ledger.lock().leave(id);
            if let Some(left) = left {
                left.call_next();
            }
        }
    }
}

/// Who waits, in the order in which they came. Ids only grow, so they are sorted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: VecDeque<Waiter>,
    room: usize,
    next_id: u64,
    /// How long one may wait, in nanoseconds.
    pub(super) patience: u64,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) want: Amounts,
    claim: Option<Box<Waiting>>,
    pub(super) deadline: Boot,
    /// What it lacked when it last looked.
    pub(super) denied: Denied,
    /// Whom to call; `None` when it was called and has not looked since, or has not looked yet.
    pub(super) waker: Option<Waker>,
}

/// One who has left the queue, and whom that makes the head. To be consumed without the lock.
#[derive(Debug)]
#[must_use = "the next in the queue must be called"]
pub(super) struct Left {
    next: Option<Waker>,
    gone: Waiter,
}

impl Left {
    pub(super) fn call_next(self) {
        if let Some(next) = self.next {
            next.wake();
        }
    }
}

impl Queue {
    /// Those who wait already keep their place and their deadline.
    pub(super) fn resize(&mut self, spec: &LimitSpec) {
        self.room = usize::try_from(spec.queue).unwrap_or(usize::MAX);
        self.patience = nanos(spec.queue_wait.unwrap_or(LimitSpec::DEFAULT_QUEUE_WAIT));
    }

    pub(super) fn is_off(&self) -> bool {
        self.room == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiters.len() >= self.room
    }

    pub(super) fn room(&self) -> usize {
        self.room
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn head(&self) -> Option<&Waiter> {
        self.waiters.front()
    }

    pub(super) fn push(&mut self, want: &Want<'_>, deadline: Boot, denied: Denied) -> u64 {
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        self.waiters.push_back(Waiter {
            id,
            want: want.ask.amounts(),
            claim: want
                .claim
                .as_ref()
                .map(|claim| Box::new(Waiting::of(claim))),
            deadline,
            denied,
            waker: None,
        });
        id
    }

    pub(super) fn find(&mut self, id: u64) -> Option<&mut Waiter> {
        let index = self.index(id)?;
        self.waiters.get_mut(index)
    }

    pub(super) fn leave(&mut self, id: u64) -> Option<Left> {
        let index = self.index(id)?;
        let gone = self.waiters.remove(index)?;
        let next = if index == 0 { self.call_head() } else { None };
        Some(Left { next, gone })
    }

    /// As `leave`, with what it wanted of the budgets.
    pub(super) fn leave_with_claim(&mut self, id: u64) -> Option<(Left, Option<Box<Waiting>>)> {
        let mut left = self.leave(id)?;
        let claim = left.gone.claim.take();
        Some((left, claim))
    }

    /// The head's waker, to be woken without the lock. Called once; it comes back with the head's next look.
    pub(super) fn call_head(&mut self) -> Option<Waker> {
        self.waiters.front_mut()?.waker.take()
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&id, |waiter| waiter.id)
            .ok()
    }
}

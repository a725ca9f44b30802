//! The state behind an account's lock: the list of gauges and the queue. Every step here runs under that lock.
//! Must never wake a waker or drop one (wakers are handed out), and never leave a refusal half taken.

use super::budget::{Broke, Budgets, Claim, Settled, Share};
use super::gauge::{Gauge, Level, Wait};
use super::queue::{Left, Queue, Waiter};
use super::refusal::{Denied, Refused};
use super::spec::{Dimension, Fate, LimitSpec};
use crate::units::{Boot, NanoUsd};
use std::task::Waker;

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Input tokens, estimated.
    pub input: u64,
    /// Output tokens: the cap that was asked for, or the one that was put in.
    pub output: u64,
}

/// All that a request asks for: of the rates, and of the tenant's budgets, if it can cost anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Of the rates.
    pub ask: Ask,
    /// Of the budgets; `None` for what is free.
    pub claim: Option<Claim<'a>>,
}

impl From<Ask> for Want<'_> {
    fn from(ask: Ask) -> Self {
        Self { ask, claim: None }
    }
}

/// What one request got.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) amounts: Amounts,
    pub(super) shares: Vec<Share>,
}

/// An amount for every dimension, in the order of [`Dimension::ALL`].
pub(super) type Amounts = [u64; Dimension::COUNT];

/// What is left of every limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels([Option<Level>; Dimension::COUNT]);

impl Levels {
    /// What is left of one; `None` when it is not limited.
    pub fn of(&self, dimension: Dimension) -> Option<Level> {
        self.0[dimension as usize]
    }
}

/// Why something does not fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    /// For the caller.
    pub(super) denied: Denied,
    /// When the rates would have room, in nanoseconds from now; zero if only a slot is missing.
    pub(super) nanos: u64,
}

/// What something does not fit into.
#[derive(Debug)]
pub(super) enum Short {
    Room(Shortage),
    Money(Box<Broke>),
}

/// How a poll of the queue ended.
#[derive(Debug)]
pub(super) enum Step {
    Granted(Taken, Left),
    Waits(Boot),
    Refused(Refused, Left),
}

#[derive(Debug)]
pub(super) struct Ledger {
    gauges: [Gauge; Dimension::COUNT],
    queue: Queue,
    pub(super) budgets: Budgets,
}

impl Ledger {
    pub(super) fn new(spec: &LimitSpec, now: Boot) -> Self {
        let mut gauges = [Gauge::Open; Dimension::COUNT];
        gauges[Dimension::Streams as usize] = Gauge::Slots { max: None, used: 0 };
        let mut ledger = Self {
            gauges,
            queue: Queue::default(),
            budgets: Budgets::default(),
        };
        ledger.resize(spec, now);
        ledger
    }

    pub(super) fn resize(&mut self, spec: &LimitSpec, now: Boot) -> Option<Waker> {
        for (gauge, dimension) in self.gauges.iter_mut().zip(Dimension::ALL) {
            gauge.resize(spec.limit(dimension), now);
        }
        self.queue.resize(spec);
        self.budgets.resize(&spec.budgets);
        self.queue.call_head()
    }

    /// Takes all of it or nothing; nothing while others wait.
    pub(super) fn take(&mut self, now: Boot, want: &Want<'_>) -> Result<Taken, Short> {
        if let Some(broke) = self.broke(want.claim.as_ref()) {
            return Err(Short::Money(broke));
        }
        let amounts = want.ask.amounts();
        match self.shortage_behind_others(now, &amounts) {
            Some(shortage) => Err(Short::Room(shortage)),
            None => Ok(self.take_all(&amounts, want.claim.as_ref())),
        }
    }

    /// The budget that has too little left for a claim.
    pub(super) fn broke(&mut self, claim: Option<&Claim<'_>>) -> Option<Box<Broke>> {
        if self.budgets.is_empty() {
            return None;
        }
        self.budgets.lacks(claim?).map(Box::new)
    }

    /// Takes one request and nothing else, if there is one.
    pub(super) fn count(&mut self, now: Boot) {
        let requests = &mut self.gauges[Dimension::Requests as usize];
        if requests.lacks(now, 1).is_none() {
            requests.take(1);
        }
    }

    /// Whether what does not fit may wait. One that needs longer than the queue lets it is told so now.
    pub(super) fn may_wait(&self, shortage: &Shortage) -> Result<(), Refused> {
        if self.queue.is_off() || shortage.nanos > self.queue.patience {
            return Err(Refused::Denied(shortage.denied));
        }
        if self.queue.is_full() {
            return Err(Refused::QueueFull(shortage.denied));
        }
        Ok(())
    }

    /// Joins the queue at its end; says under which number and when to look again at the latest.
    pub(super) fn join(&mut self, now: Boot, want: &Want<'_>, shortage: &Shortage) -> (u64, Boot) {
        let deadline = later(now, self.queue.patience);
        let is_head = self.queue.head().is_none();
        let id = self.queue.push(want, deadline, shortage.denied);
        (
            id,
            if is_head {
                look_again(now, shortage, deadline)
            } else {
                deadline
            },
        )
    }

    /// The waiter looks whether its turn has come. Whatever waker the queue no longer needs is left in `waker`, to be
    /// dropped without the lock. `None`: it is not in the queue.
    pub(super) fn advance(
        &mut self,
        now: Boot,
        id: u64,
        waker: &mut Option<Waker>,
    ) -> Option<Step> {
        let waiter = self.queue.find(id)?;
        let (want, deadline, last_denied) = (waiter.want, waiter.deadline, waiter.denied);
        let is_head = self.queue.head().is_some_and(|head| head.id == id);
        let shortage = self.shortage(now, &want);
        if is_head && shortage.is_none() {
            let (left, claim) = self.queue.leave_with_claim(id)?;
            let claim = claim.as_ref().map(|claim| claim.as_claim());
            return Some(match self.broke(claim.as_ref()) {
                Some(broke) => Step::Refused(Refused::Broke(broke), left),
                None => Step::Granted(self.take_all(&want, claim.as_ref()), left),
            });
        }
        let denied = shortage.map_or(last_denied, |shortage| shortage.denied);
        if now >= deadline {
            return Some(Step::Refused(
                Refused::TimedOut(denied),
                self.queue.leave(id)?,
            ));
        }
        let waiter = self.queue.find(id)?;
        waiter.denied = denied;
        std::mem::swap(&mut waiter.waker, waker);
        // Only the head has a time of its own; the others are called when they become the head.
        Some(Step::Waits(match shortage {
            Some(shortage) if is_head => look_again(now, &shortage, deadline),
            Some(_) | None => deadline,
        }))
    }

    /// A waiter gives up its place.
    pub(super) fn leave(&mut self, id: u64) -> Option<Left> {
        self.queue.leave(id)
    }

    /// Replaces the estimate in `taken` by what was used, and forgets it. The head is called if something came back.
    pub(super) fn settle(
        &mut self,
        now: Boot,
        taken: &mut Taken,
        used: &Amounts,
        cost: NanoUsd,
    ) -> (Option<Waker>, Settled) {
        let settled = self
            .budgets
            .settle(&std::mem::take(&mut taken.shares), cost);
        let held = &mut taken.amounts;
        let mut came_back = false;
        for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
            if dimension.fate() == Fate::Settled {
                self.gauges[index].settle(now, held[index], used[index]);
                came_back |= held[index] > used[index];
                held[index] = 0;
            }
        }
        let head = if came_back {
            self.queue.call_head()
        } else {
            None
        };
        (head, settled)
    }

    /// The request is over: what was lent, and what was held and never settled, comes back.
    pub(super) fn give_back(&mut self, taken: &Taken) -> Option<Waker> {
        self.budgets.release(&taken.shares);
        let held = &taken.amounts;
        for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
            match dimension.fate() {
                Fate::Spent => {}
                Fate::Settled | Fate::Lent => self.gauges[index].put_back(held[index]),
            }
        }
        self.queue.call_head()
    }

    pub(super) fn levels(&mut self, now: Boot) -> Levels {
        let mut levels = [None; Dimension::COUNT];
        for (level, gauge) in levels.iter_mut().zip(&mut self.gauges) {
            *level = gauge.level(now);
        }
        Levels(levels)
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.gauges[Dimension::Streams as usize].used()
    }

    pub(super) fn queue_room(&self) -> usize {
        self.queue.room()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// As `shortage`, and if it would fit while others wait: what the first of them waits for.
    pub(super) fn shortage_behind_others(&mut self, now: Boot, want: &Amounts) -> Option<Shortage> {
        let shortage = self.shortage(now, want);
        shortage.or_else(|| {
            let Waiter { denied, .. } = self.queue.head()?;
            Some(Shortage {
                denied: Denied {
                    retry_after: Denied::SLOT_RETRY,
                    ..*denied
                },
                nanos: 0,
            })
        })
    }

    /// What is missing for all of it to fit; the dimension that takes longest is named.
    fn shortage(&mut self, now: Boot, want: &Amounts) -> Option<Shortage> {
        let mut worst: Option<Shortage> = None;
        let mut nanos = 0;
        for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
            let gauge = &mut self.gauges[index];
            let Some((wait, limit)) = gauge.lacks(now, want[index]).zip(gauge.limit()) else {
                continue;
            };
            if let Wait::Nanos(known) = wait {
                nanos = known.max(nanos);
            }
            let denied = Denied {
                dimension,
                limit,
                retry_after: wait.retry_after(),
            };
            if worst.is_none_or(|worst| denied.retry_after > worst.denied.retry_after) {
                worst = Some(Shortage { denied, nanos });
            }
        }
        worst.map(|worst| Shortage { nanos, ..worst })
    }

    fn take_all(&mut self, want: &Amounts, claim: Option<&Claim<'_>>) -> Taken {
        let mut amounts = [0; Dimension::COUNT];
        for (index, gauge) in self.gauges.iter_mut().enumerate() {
            amounts[index] = gauge.take(want[index]);
        }
        let shares = match claim {
            Some(claim) if !self.budgets.is_empty() => self.budgets.take(claim),
            Some(_) | None => Vec::new(),
        };
        Taken { amounts, shares }
    }
}

impl Ask {
    /// What one request takes, for every dimension; also what it used, once `self` is the truth.
    pub(super) fn amounts(self) -> Amounts {
        Dimension::ALL.map(|dimension| match dimension {
            Dimension::Requests | Dimension::Streams => 1,
            Dimension::InputTokens => self.input,
            Dimension::OutputTokens => self.output,
            Dimension::Tokens => self.input.saturating_add(self.output),
        })
    }
}

/// When the head looks again by itself: when the rates have room, but not after its deadline. A missing slot has no
/// time: whoever frees it calls.
fn look_again(now: Boot, shortage: &Shortage, deadline: Boot) -> Boot {
    if shortage.nanos == 0 {
        deadline
    } else {
        later(now, shortage.nanos).min(deadline)
    }
}

fn later(now: Boot, nanos: u64) -> Boot {
    Boot(now.0.saturating_add(nanos))
}

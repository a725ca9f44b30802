//! One tenant's account: the public face of the ledger, shared by all requests of the tenant and kept across reloads.
//! Must never wake a waiter, or drop its waker, while it holds the lock: either may run foreign code.

use super::budget::{BudgetState, Who, freezes};
use super::buffers::{Buffers, Full, Lease, Shelf};
use super::gauge::Gauge;
use super::habit::Habits;
use super::hold::Hold;
use super::ledger::{Ask, Ledger, Levels, Short, Want};
use super::order::{Order, Orders};
use super::queue::Ticket;
use super::refusal::Refused;
use super::seat::{Seat, Seats};
use super::spec::{Limit, LimitSpec};
use super::sync::Mutex;
use super::tail::Tails;
use crate::units::{Boot, NanoUsd, Wall, WindowId};
use std::sync::Arc;

/// What one tenant has left. One lock; every call is all or nothing.
#[derive(Debug)]
pub struct Account {
    pub(super) ledger: Mutex<Ledger>,
    pub(super) shelf: Shelf,
    pub(super) seats: Mutex<Seats>,
    orders: Orders,
    refusals: Mutex<Gauge>,
    habits: Mutex<Habits>,
    pub(super) tails: Tails,
}

impl Account {
    /// A new account: every bucket full, every slot free, and buffers without a bound.
    pub fn new(spec: &LimitSpec, now: Boot) -> Arc<Self> {
        Self::sharing(&Buffers::new(u64::MAX), spec, now)
    }

    /// A new account that shares the buffers of the process with others.
    pub fn sharing(buffers: &Arc<Buffers>, spec: &LimitSpec, now: Boot) -> Arc<Self> {
        let mut refusals = Gauge::Open;
        refusals.resize(spec.refusals.map(Limit::Rate), now);
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(spec, now)),
            refusals: Mutex::new(refusals),
            habits: Mutex::new(Habits::default()),
            tails: Tails::default(),
            shelf: Shelf::new(Arc::clone(buffers)),
            seats: Mutex::new(Seats {
                most: spec.connections,
                taken: 0,
            }),
            orders: Orders::default(),
        })
    }

    /// Before the body is read: would a request of at least one of everything that it uses be refused, because it
    /// neither fits nor may wait, or because a budget is used up? Takes nothing.
    pub fn glance(&self, now: Boot, want: &Want<'_>) -> Result<(), Refused> {
        let least = want.ask.amounts().map(|amount| amount.min(1));
        let mut ledger = self.ledger.lock();
        if let Some(broke) = ledger.broke(want.claim.as_ref()) {
            return Err(Refused::Broke(broke));
        }
        let Some(shortage) = ledger.shortage_behind_others(now, &least) else {
            return Ok(());
        };
        ledger.may_wait(&shortage)
    }

    /// Takes all that is asked, or nothing. Refuses while others wait: nobody overtakes the queue.
    #[expect(
        single_use_lifetimes,
        reason = "an anonymous one in `impl Trait` is not stable"
    )]
    pub fn reserve<'a>(
        self: &Arc<Self>,
        now: Boot,
        want: impl Into<Want<'a>>,
    ) -> Result<Hold, Refused> {
        let taken = self.ledger.lock().take(now, &want.into());
        taken
            .map(|taken| Hold::new(Arc::clone(self), taken))
            .map_err(|short| match short {
                Short::Room(shortage) => Refused::Denied(shortage.denied),
                Short::Money(broke) => Refused::Broke(broke),
            })
    }

    /// As `reserve`, but what does not fit takes a place in the queue, if there is one and the wait is not known to
    /// be too long. If it fits, it is taken here, and the ticket's first poll yields it.
    #[expect(
        single_use_lifetimes,
        reason = "an anonymous one in `impl Trait` is not stable"
    )]
    pub fn enqueue<'a>(
        self: &Arc<Self>,
        now: Boot,
        want: impl Into<Want<'a>>,
    ) -> Result<Ticket, Refused> {
        let want = want.into();
        let mut ledger = self.ledger.lock();
        let shortage = match ledger.take(now, &want) {
            Ok(taken) => {
                drop(ledger);
                return Ok(Ticket::granted(Hold::new(Arc::clone(self), taken), now));
            }
            Err(Short::Room(shortage)) => shortage,
            Err(Short::Money(broke)) => return Err(Refused::Broke(broke)),
        };
        ledger.may_wait(&shortage)?;
        let (id, wake_at) = ledger.join(now, &want, &shortage);
        drop(ledger);
        Ok(Ticket::waiting(Arc::clone(self), id, wake_at))
    }

    /// Takes over new limits. What was spent stays spent and debt stays debt: a level is cut to a smaller bucket,
    /// never raised to a bigger one; only a limit that never was there before starts full. Holds and waiters live on.
    pub fn resize(&self, spec: &LimitSpec, now: Boot) {
        self.seats.lock().most = spec.connections;
        let refusals = spec.refusals.map(Limit::Rate);
        self.refusals.lock().resize(refusals, now);
        let next = self.ledger.lock().resize(spec, now);
        if let Some(next) = next {
            next.wake();
        }
    }

    /// What is left, for the response headers.
    pub fn levels(&self, now: Boot) -> Levels {
        self.ledger.lock().levels(now)
    }

    /// The least that is left of any budget; `None` where there is none.
    pub fn left(&self, at: Wall, who: Who<'_>) -> Option<NanoUsd> {
        let mut ledger = self.ledger.lock();
        if ledger.budgets.is_empty() {
            return None;
        }
        ledger.budgets.left(at, who)
    }

    /// Whether anything is budgeted.
    pub fn has_budgets(&self) -> bool {
        !self.ledger.lock().budgets.is_empty()
    }

    /// The budgets as they stand.
    pub fn budgets(&self, at: Wall) -> Vec<BudgetState> {
        self.ledger.lock().budgets.states(at)
    }

    /// Adds to what a budget has in its window of now; false if there is no such budget.
    pub fn top_up(&self, budget: &str, of: &str, amount: NanoUsd, at: Wall) -> bool {
        self.ledger.lock().budgets.top_up(budget, of, amount, at)
    }

    /// The window of now of a budget, which a top-up would be for; `None` if there is no such budget.
    pub fn window(&self, budget: &str, of: &str, at: Wall) -> Option<WindowId> {
        self.ledger.lock().budgets.window(budget, of, at)
    }

    /// From now on nothing can be spent of a budget, or again. Whether that was so before; `None` if there is no such budget.
    pub fn freeze(&self, budget: &str, frozen: bool) -> Option<bool> {
        self.ledger.lock().budgets.freeze(budget, frozen)
    }

    /// What stands for the freezes of a budget in the record: an amount of one each time, given back by each thaw.
    pub fn freezes(budget: &str) -> WindowId {
        freezes(budget)
    }

    /// What was spent until then is not known, and each budget says what there is of it; `None`: that no longer matters.
    pub fn lose(&self, until: Option<Wall>) {
        self.ledger.lock().budgets.lose(until);
    }

    /// What a call to that model is likely to use at most, input and output, by what its calls used lately.
    pub fn likely(&self, model: &str, input_estimate: u64) -> Ask {
        let habits = self.habits.lock();
        Ask {
            input: habits.input(model, input_estimate),
            output: habits.output(model),
        }
    }

    /// What a call did use, by the provider's word.
    pub fn learn(&self, model: &str, input_estimate: u64, used: Ask) {
        let mut habits = self.habits.lock();
        habits.learn(model, input_estimate, used.input, used.output);
    }

    /// What an earlier process spent, and what was added to a budget, by its record.
    pub fn remember(&self, window: WindowId, spent: NanoUsd, added: NanoUsd) {
        self.ledger.lock().budgets.remember(window, spent, added);
    }

    /// The holds that are alive: requests in progress, whether streams are limited or not.
    pub fn in_flight(&self) -> u32 {
        self.ledger.lock().in_flight()
    }

    /// A request was refused for what it is; false if there were too many of late.
    pub fn refuse(&self, now: Boot) -> bool {
        let mut refusals = self.refusals.lock();
        let fits = refusals.lacks(now, 1).is_none();
        if fits {
            refusals.take(1);
        }
        fits
    }

    /// A request that was looked at counts, although it was not let in.
    pub fn count(&self, now: Boot) {
        self.ledger.lock().count(now);
    }

    /// A connection becomes the tenant's; or there are as many as there may be, and so many that is.
    pub fn seat(self: &Arc<Self>) -> Result<Seat, u32> {
        self.seats.lock().take()?;
        Ok(Seat::new(Arc::clone(self)))
    }

    /// The connections that are the tenant's.
    pub fn connections(&self) -> u32 {
        self.seats.lock().taken
    }

    /// Whether so many bytes could be held now. Takes nothing.
    pub fn fits(&self, bytes: u64) -> Result<(), Full> {
        self.shelf.fits(bytes)
    }

    /// A lease of no bytes, to be grown.
    pub fn lease(self: &Arc<Self>) -> Lease {
        Lease::empty(Arc::clone(self))
    }

    /// The bytes its requests hold.
    pub fn held(&self) -> u64 {
        self.shelf.held()
    }

    /// What the operator has ordered; one relaxed load.
    pub fn order(&self) -> Order {
        self.orders.now()
    }

    /// From now on new requests are refused; what is under way goes on.
    pub fn suspend(&self) {
        self.orders.suspend();
    }

    /// New requests are taken again.
    pub fn resume(&self) {
        self.orders.resume();
    }

    /// What is under way now ends when it is next polled; whoever orders this wakes the connections.
    pub fn cut(&self) {
        self.orders.cut();
    }

    /// How many may wait.
    pub fn queue_room(&self) -> usize {
        self.ledger.lock().queue_room()
    }

    /// The requests that wait.
    pub fn waiting(&self) -> usize {
        self.ledger.lock().waiting()
    }
}

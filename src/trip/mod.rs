//! Floor 6, the trip: what happens to one request, from its head to its last byte. Read this file first:
//! `stages` is the table of contents, one line per step, each step's result needed by the next.
//! Must never log, meter or send anything but through the request's spine.

mod accept;
mod admit;
mod attribution;
pub mod decide;
mod entry;
mod forward;
mod hang_up;
pub mod identify;
mod meter;
mod peek;
mod price;
mod record;
mod respond;
pub mod route;
mod stop;
mod told;
mod unasked;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{Notify, futures::Notified};

pub use accept::{Door, HeadFault, MARKER};
pub use entry::{Change, Recorder};
pub use meter::{BodyAbort, Listened, MeteredBody, OutBody};
pub use stop::{Met, Refusal, Stop};
pub use told::Recording;
pub use unasked::{refuse_unasked, unheard};

use crate::host::ProcessFacts;
use crate::limits::{Account, Order, Scope, Tails};
use crate::meters::{BudgetStock, Registry, Stock};
use crate::process::{ProcessEvent, panicked_at, tell};
use crate::snapshot::Live;
use crate::spine::LogQueue;
use crate::units::{
    Clock, Code, Counted, Ending, Endpoint, IdSource, Phase, RequestId, Sharded, Usage, Wall,
};
use crate::upstream::Dialer;
use record::Run;

/// What all trips of a process share.
pub struct Ground {
    /// The current snapshot.
    pub live: Arc<Live>,
    /// The way out.
    pub dialer: Dialer,
    /// Meters.
    pub registry: Arc<Registry>,
    /// Where request lines go; `None` when they are switched off.
    pub log: Option<LogQueue>,
    /// What was done is written down there; `None` where nothing is.
    pub journal: Option<Recorder>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where request ids come from.
    pub ids: Arc<dyn IdSource>,
    /// How far the shutdown has come.
    pub shutdown: Shutdown,
    /// What it all came to.
    pub totals: Totals,
}

impl Ground {
    /// The page of metrics, as things stand.
    pub fn page(&self, facts: &ProcessFacts) -> String {
        let snapshot = self.live.take();
        let stocks = snapshot.tenants().chain([snapshot.nobody()]);
        let stocks = stocks.filter_map(|tenant| {
            let stock = Stock {
                buffered: tenant.account().held(),
                connections: tenant.account().connections().into(),
            };
            (stock != Stock::default()).then(|| (Arc::clone(tenant.meters()), stock))
        });
        self.registry.take_stock(stocks);
        let idle = self.dialer.pool().idle();
        self.registry.process().upstream_idle(idle);
        if let Some(log) = &self.log {
            self.registry.process().log_lost(log.lost());
        }
        let wall = self.clock.wall();
        let shown = snapshot
            .tenants()
            .filter(|tenant| self.registry.is_labelled(tenant.id()));
        let states: Vec<_> = shown
            .map(|tenant| (tenant.id(), tenant.account().budgets(wall)))
            .collect();
        let budgets = states.iter().flat_map(|(tenant, states)| {
            let whole = states.iter().filter(|state| state.scope == Scope::Tenant);
            whole.map(|state| BudgetStock {
                tenant,
                budget: &state.budget,
                limit: state.limit,
                spent: state.spent,
                held: state.held,
            })
        });
        let journal = self.journal.as_ref();
        let journal = journal.map(|recorder| recorder.stock(|id| self.registry.is_labelled(id)));
        let budgets: Vec<_> = budgets.collect();
        self.registry.render(facts, &budgets, journal.as_ref())
    }
}

/// What all trips of the process together came to; `run` says it in one line.
#[derive(Debug, Default)]
pub struct Totals(Sharded<[AtomicU64; 4]>);

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Trips that ended.
    Requests,
    /// Of these, refused by the sidecar.
    Refused,
    /// Input tokens.
    Input,
    /// Output tokens.
    Output,
}

impl Totals {
    /// What it came to.
    pub fn of(&self, total: Total) -> u64 {
        let parts = self.0.iter();
        parts
            .map(|part| part[total as usize].load(Ordering::Relaxed))
            .sum()
    }

    fn add(&self, ending: Ending, usage: Option<Counted<Usage>>) {
        let mine = self.0.mine();
        let add = |total: Total, amount| {
            mine[total as usize].fetch_add(amount, Ordering::Relaxed);
        };
        add(Total::Requests, 1);
        if ending == Ending::Refused {
            add(Total::Refused, 1);
        }
        if let Some(usage) = usage.map(Counted::value) {
            add(Total::Input, usage.input);
            add(Total::Output, usage.output);
        }
    }
}

/// How far the sidecar's own shutdown has come.
#[derive(Debug, Default)]
pub struct Shutdown {
    cutting: AtomicBool,
    trips: Sharded<Trips>,
    tails: Arc<Tails>,
    look: Notify,
}

/// A trip may begin on one thread and end on another: only the sums say anything.
#[derive(Debug, Default)]
struct Trips {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Shutdown {
    /// How many trips are under way.
    pub fn open(&self) -> usize {
        // The ends first: a trip that ends meanwhile counts as open, and never the other way round.
        let parts = self.trips.iter();
        let ended: u64 = parts.map(|trips| trips.ended.load(Ordering::Acquire)).sum();
        usize::try_from(self.begun().saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// How many trips there have been; tells whether anything happened between two looks.
    pub fn begun(&self) -> u64 {
        let parts = self.trips.iter();
        parts.map(|trips| trips.begun.load(Ordering::Acquire)).sum()
    }

    fn enter(&self) {
        self.trips.mine().begun.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        self.trips.mine().ended.fetch_add(1, Ordering::AcqRel);
    }

    /// The deadline has passed: every running answer ends now. Whoever drives a connection polls it once more.
    pub fn cut(&self) {
        self.cutting.store(true, Ordering::Release);
        self.nudge();
    }

    /// Of the trips, those whose answers are read without their callers.
    pub fn tails(&self) -> &Arc<Tails> {
        &self.tails
    }

    /// Wakes what no connection drives any more, so that it looks at the orders.
    pub fn nudge(&self) {
        self.look.notify_waiters();
    }

    fn nudged(&self) -> Notified<'_> {
        self.look.notified()
    }

    /// Whether running answers must end.
    pub fn is_cutting(&self) -> bool {
        self.cutting.load(Ordering::Acquire)
    }
}

/// Serves one request. Never fails: whatever goes wrong is an answer, and exactly one record.
pub async fn serve(door: Arc<Door>, request: Request<Incoming>) -> Response<OutBody> {
    let ground = door.ground();
    let wall = ground.clock.wall();
    let id = ground.ids.next(wall);
    let opened = AtomicBool::new(false);
    let mut trip = std::pin::pin!(trip(&door, request, (id, wall), &opened));
    // A panic ends this trip and nothing else. Its record is written while the stack unwinds, by the run's drop.
    let caught =
        poll_fn(
            |cx| match std::panic::catch_unwind(AssertUnwindSafe(|| trip.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(_payload) => Poll::Ready(Err(panicked_at())),
            },
        );
    let panic = match caught.await {
        Ok(response) => return response,
        Err(panic) => panic,
    };
    tell_panic(ground, id, "trip", &panic);
    if !opened.load(Ordering::Relaxed) {
        let nobody = identify::TurnedAway {
            refusal: Refusal::new(Code::Internal, ""),
            dialect: None,
            endpoint: Endpoint::Other,
            phase: Phase::Accept,
        };
        Run::of_nobody(&door, ground.live.take(), (id, wall), &nobody).breaks();
    }
    respond::internal(id)
}

async fn trip(
    door: &Arc<Door>,
    request: Request<Incoming>,
    id: (RequestId, Wall),
    opened: &AtomicBool,
) -> Response<OutBody> {
    let ground = door.ground();
    let snapshot = ground.live.take();
    let (parts, body) = request.into_parts();
    let known = accept::accept(&snapshot, door, &parts)
        .and_then(|()| identify::identify(&snapshot, door, &parts));
    let identify::Known {
        tenant,
        by,
        voucher,
        spent,
    } = match known {
        Ok(known) => known,
        Err(turned_away) => {
            let run = Run::of_nobody(door, snapshot, id, &turned_away);
            opened.store(true, Ordering::Relaxed);
            return respond::turn_away(run, &turned_away);
        }
    };
    let mut run = Run::open(door, tenant, snapshot, id, &parts.headers);
    opened.store(true, Ordering::Relaxed);
    run.proven(by, voucher);
    run.enter(Phase::Peek);
    if let Err(refusal) = run.attributes(&parts.headers) {
        return respond::stop(run, refusal.into());
    }
    let asking = match accept::aim(run.snapshot(), parts, spent) {
        Ok(asking) => asking,
        Err(turned_away) => return respond::turn_away(run, &turned_away),
    };
    run.aims(&asking.target);
    if hang_up::may_outlive(&run) {
        return hang_up::outlive(door, run, asking, body).await;
    }
    let (account, order) = (Arc::clone(run.account()), run.order());
    let outcome = {
        // Pinned where it is made: it is some two KiB, which would be moved twice.
        let work = std::pin::pin!(stages(&mut run, &account, asking, body));
        unless_cut(ground, (&account, order), work).await
    };
    door.obeys(account, order);
    match outcome {
        Ok(answer) => respond::answer(run, answer),
        Err(stop) => respond::stop(run, stop.seen_by(door)),
    }
}

/// The trip from PEEK to FORWARD. METER and RECORD happen while the answer streams, in its body.
async fn stages(
    run: &mut Run,
    account: &Arc<Account>,
    asking: Box<accept::Asking>,
    body: Incoming,
) -> Result<forward::Answer, Stop> {
    run.enter(Phase::Admit);
    // A throttled tenant uploads nothing, nor is anything read for an endpoint that is closed.
    admit::seat(run)?;
    admit::glance(run)?;
    run.enter(Phase::Decide);
    decide::glance(run, &asking)?;
    run.enter(Phase::Peek);
    let asked = peek::peek(run, asking, body).await?;
    run.enter(Phase::Decide);
    let mut allowed = decide::decide(run, asked)?;
    run.enter(Phase::Admit);
    let admitted = admit::admit(run, account, &mut allowed).await?;
    run.enter(Phase::Route);
    let route = route::route(run, &allowed)?;
    run.enter(Phase::Forward);
    forward::forward(run, allowed, admitted, route).await
}

/// The deadline of the shutdown, or an operator's order about the tenant, also ends what has no answer yet: what waits for
/// a body, a place or an upstream.
async fn unless_cut<T>(
    ground: &Ground,
    (account, order): (&Account, Order),
    mut work: Pin<&mut impl Future<Output = Result<T, Stop>>>,
) -> Result<T, Stop> {
    poll_fn(|cx| {
        if ground.shutdown.is_cutting() {
            return Poll::Ready(Err(Stop::Drained));
        }
        if order.is_cut_by(account.order()) {
            return Poll::Ready(Err(Stop::Cut));
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// What a panic says is nobody's: it may quote a prompt.
fn tell_panic(ground: &Ground, id: RequestId, place: &'static str, at: &str) {
    ground.registry.process().panicked();
    tell(ProcessEvent::PanicCaught {
        place,
        request_id: id,
        at,
    });
}

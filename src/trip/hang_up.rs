//! A caller that hangs up under `hang_up = "drain"`: its trip goes on in a task of its own, bounded in time, bytes and number,
//! to learn what the provider reports. What is read is thrown away. Part of METER; the other ways are only an end, and
//! RECORD knows what they cost. Must never keep the caller's connection, nor outlive the sidecar's own end.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::accept::Asking;
use super::forward::is_metered;
use super::meter::{MeteredBody, OutBody, read_out};
use super::record::Run;
use super::{Door, Ground, Stop, respond, stages, tell_panic, unless_cut};
use crate::config::values::HangUp;
use crate::host;
use crate::limits::{Account, Tail};
use crate::process::panicked_at;
use crate::snapshot::Drain;
use crate::units::{Code, HungUp, RequestId};
use crate::upstream::Sent;

/// What the tasks are counted under.
const TASK: &str = "answer-tail";

/// Whether a trip whose caller hangs up has something to learn from its answer, and may.
pub(super) fn may_outlive(run: &Run) -> bool {
    run.policy().hang_up == HangUp::Drain && is_metered(run.endpoint())
}

/// The caller of an answer under way is gone. Where nothing is to be learned or nothing may be, the trip ends here.
#[cold]
pub(super) fn leave(mut body: Box<MeteredBody>) {
    let Some(run) = body.run() else {
        return;
    };
    let drain = run.policy().drain;
    if !may_outlive(run) || run.meter().is_none() || !goes_on(run.door()) || run.is_cut() {
        return;
    }
    let Some(tail) = Tail::begin(run.account(), drain.calls, run.ground().shutdown.tails()) else {
        run.hangs_up(HungUp::Crowded);
        return;
    };
    run.hangs_up(HungUp::CutShort);
    body.moves_out();
    host::spawn_if_running(TASK, async move {
        let _tail = tail;
        let until = std::pin::pin!(sleep(drain.time));
        read_out(body, until).await;
    });
}

/// Whether what is going on has any business going on: it was the caller who hung up, and not the sidecar.
fn goes_on(door: &Door) -> bool {
    !std::thread::panicking() && door.severed().is_none() && !door.ground().shutdown.is_cutting()
}

/// A trip from its body on, in a box, so that it can go on when nobody waits for its answer any more.
type Work = Pin<Box<dyn Future<Output = Response<OutBody>> + Send>>;

/// Carries a trip on for its caller, and without it if it leaves when the request has.
pub(super) async fn outlive(
    door: &Arc<Door>,
    run: Box<Run>,
    asking: Box<Asking>,
    body: Incoming,
) -> Response<OutBody> {
    let mut attended = Attended {
        door: Arc::clone(door),
        id: run.spine().id(),
        account: Arc::clone(run.account()),
        sent: run.sent().clone(),
        drain: run.policy().drain,
        work: Some(Box::pin(attend(Arc::clone(door), run, asking, body))),
    };
    poll_fn(|cx| attended.poll(cx)).await
}

async fn attend(
    door: Arc<Door>,
    mut run: Box<Run>,
    asking: Box<Asking>,
    body: Incoming,
) -> Response<OutBody> {
    let (account, order) = (Arc::clone(run.account()), run.order());
    let outcome = {
        let work = std::pin::pin!(stages(&mut run, &account, asking, body));
        unless_cut(door.ground(), (&account, order), work).await
    };
    door.obeys(account, order);
    match (outcome, door.is_abandoned()) {
        (Ok(answer), false) => respond::answer(run, answer),
        (Err(stop), false) => respond::stop(run, stop.seen_by(&door)),
        (Ok(answer), true) => {
            run.hangs_up(HungUp::CutShort);
            respond::answer(run, answer)
        }
        (Err(stop), true) => {
            run.hangs_up(HungUp::CutShort);
            if let Some(cause) = cause(&stop) {
                run.instead_of(cause);
            }
            Response::new(OutBody::Empty)
        }
    }
}

/// Why a trip stopped that nobody waits for.
fn cause(stop: &Stop) -> Option<Code> {
    match stop {
        Stop::Refused(refusal) => Some(refusal.code),
        Stop::Failed(fault) => Some(fault.code()),
        Stop::Drained => Some(Code::Draining),
        Stop::Cut => Some(Code::TenantSuspended),
        Stop::Gone => None,
    }
}

/// A trip whose caller waits for the answer to begin.
struct Attended {
    door: Arc<Door>,
    id: RequestId,
    account: Arc<Account>,
    sent: Sent,
    drain: Drain,
    /// Gone when it has its answer, or has panicked.
    work: Option<Work>,
}

impl Attended {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<OutBody>> {
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        if self.sent.bytes() == 0 || !goes_on(&self.door) {
            return;
        }
        let ground = self.door.ground();
        let Some(tail) = Tail::begin(&self.account, self.drain.calls, ground.shutdown.tails())
        else {
            self.door.parts(HungUp::Crowded);
            return;
        };
        self.door.parts(HungUp::CutShort);
        self.door.abandon();
        let alone = carry_on(work, Arc::clone(&self.door), self.id, self.drain, tail);
        host::spawn_if_running(TASK, alone);
    }
}

/// Waits for the answer that nobody else waits for, and reads it out.
async fn carry_on(mut work: Work, door: Arc<Door>, id: RequestId, drain: Drain, tail: Tail) {
    let _tail = tail;
    let ground = door.ground();
    let mut until = std::pin::pin!(sleep(drain.time));
    let begun = unattended(ground, until.as_mut(), |cx| {
        // A panic ends this trip and nothing else. Its record is written while the stack unwinds.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(_payload) => Poll::Ready(Err(panicked_at())),
        }
    });
    match begun.await {
        None => door.parts(HungUp::TimedOut),
        Some(Err(panic)) => tell_panic(ground, id, "trip", &panic),
        Some(Ok(response)) => {
            if let OutBody::Metered(mut answer) = response.into_body()
                && let Some(body) = answer.take()
            {
                read_out(body, until).await;
            }
        }
    }
}

/// Polls what nobody waits for, until the time is up: then there is nothing. It is polled once more whenever the sidecar asks
/// everybody to look at what they have under way.
pub(super) async fn unattended<T>(
    ground: &Ground,
    mut until: Pin<&mut Sleep>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    loop {
        let mut nudged = std::pin::pin!(ground.shutdown.nudged());
        // Before the look, or one that comes right after it would be missed.
        nudged.as_mut().enable();
        let step = poll_fn(|cx| {
            if let Poll::Ready(done) = poll(cx) {
                return Poll::Ready(Some(Some(done)));
            }
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(None));
            }
            nudged.as_mut().poll(cx).map(|()| None)
        });
        if let Some(end) = step.await {
            return end;
        }
    }
}

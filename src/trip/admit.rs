//! ADMIT: rate, slot and queue, taken together or not at all. Yields the hold, which goes into the answer's
//! body and gives back there what was not used. Must never let anybody wait in another tenant's queue.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Sleep;

use super::Refusal;
use super::decide::Allowed;
use super::price::{self, Quote};
use super::record::Run;
use super::stop::SUSPENDED;
use crate::limits::{
    Account, Ask, Broke, Denied, Dimension, Hold, Limit, Refused, Scope, Ticket, Want,
};
use crate::units::{Blame, Code, Endpoint};
use crate::wire::dialect::asked::Governed;

/// A request that was let in.
pub(super) struct Admitted {
    pub(super) hold: Hold,
    /// What it is held to cost, where money is budgeted.
    pub(super) quote: Option<Box<Quote>>,
}

/// Whether the tenant may have the connection this came over.
pub(super) fn seat(run: &Run) -> Result<(), Refusal> {
    let door = run.door();
    if door.is_leaving() {
        let text = "the connection is being closed to make room for others";
        return Err(Refusal::new(Code::Overloaded, text).closing());
    }
    door.belongs_to(run.account()).map_err(|most| {
        let text = format!("the tenant has as many connections as its limit of {most} allows");
        Refusal::new(Code::TooManyConnections, text).closing()
    })
}

/// Counts a refusal of what is asked, which no wait can help; what is said instead if there are too many of them.
pub(super) fn refused(run: &Run, refusal: &Refusal) -> Option<Refusal> {
    let code = refusal.code;
    if code.retryable() || code.blame() != Blame::Tenant {
        return None;
    }
    let now = run.spine().started();
    if run.was_looked_at() {
        run.account().count(now);
    }
    if run.account().refuse(now) {
        return None;
    }
    let text = format!(
        "too many requests were refused of late; this one: {}",
        refusal.text
    );
    Some(Refusal::new(Code::TooManyRefusals, text).closing())
}

/// Whether the tenant is suspended, or at a limit already, before a byte of the body is read. Takes nothing.
pub(super) fn glance(run: &Run) -> Result<(), Refusal> {
    if run.order().is_suspended() {
        return Err(Refusal::new(Code::TenantSuspended, SUSPENDED));
    }
    let want = Want {
        ask: least(run),
        claim: price::least(run),
    };
    let account = run.account();
    account
        .glance(run.spine().started(), &want)
        .map_err(turned_back)
}

/// The kinds of what a request of that endpoint takes; how much of them, only its body tells.
fn least(run: &Run) -> Ask {
    let governed = run
        .upstream()
        .and_then(|upstream| Governed::of(upstream.dialect, run.endpoint()));
    match (governed, run.endpoint()) {
        (None, _)
        | (
            Some(_),
            Endpoint::CountTokens
            | Endpoint::ResponsesInputTokens
            | Endpoint::Moderations
            | Endpoint::ClientSecrets,
        ) => COUNTED_ONLY,
        (Some(_), Endpoint::Embeddings | Endpoint::Speech) => Ask {
            input: 1,
            output: 0,
        },
        (Some(_), _) => Ask {
            input: 1,
            output: 1,
        },
    }
}

pub(super) async fn admit(
    run: &mut Run,
    account: &Arc<Account>,
    allowed: &mut Allowed,
) -> Result<Admitted, Refusal> {
    let mut quote = Quote::of(run, allowed)?.map(Box::new);
    let now = run.admits();
    let at_once = account.reserve(now, want(run, allowed, quote.as_deref()));
    match at_once {
        Ok(hold) => return Ok(Admitted { hold, quote }),
        Err(Refused::Broke(broke)) => {
            let fits = quote
                .as_deref_mut()
                .is_some_and(|quote| quote.clamp(run, allowed, &broke));
            if !fits {
                return Err(broken(*broke));
            }
        }
        Err(_) => {}
    }
    let wanted = want(run, allowed, quote.as_deref());
    let ticket = account.enqueue(now, wanted).map_err(turned_back)?;
    run.waits();
    let outcome = wait(run, ticket).await;
    run.waited();
    outcome
        .map(|hold| Admitted { hold, quote })
        .map_err(turned_back)
}

/// What a call asks for: of the rates, and of the budgets.
fn want<'r>(run: &'r Run, allowed: &Allowed, quote: Option<&Quote>) -> Want<'r> {
    Want {
        ask: allowed.ask(),
        claim: quote.map(|quote| quote.claim(run)),
    }
}

/// Waits in the tenant's queue. One timer, set anew when the ticket wants to be looked at later.
async fn wait(run: &Run, mut ticket: Ticket) -> Result<Hold, Refused> {
    let mut alarm: Pin<Box<Sleep>> = Box::pin(tokio::time::sleep(run.until(ticket.wake_at())));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = ticket.poll(run.now(), cx.waker()) {
                return Poll::Ready(outcome);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let wait = run
                .until(ticket.wake_at())
                .max(std::time::Duration::from_millis(1));
            alarm.set(tokio::time::sleep(wait));
        }
    })
    .await
}

/// What did not get in.
fn turned_back(refused: Refused) -> Refusal {
    match refused {
        Refused::QueueFull(denied) => limited(Code::QueueFull, denied),
        Refused::Denied(denied) => limited(code_of(&denied), denied),
        Refused::TimedOut(denied) => limited(Code::QueueTimeout, denied),
        Refused::Broke(broke) => broken(*broke),
    }
}

/// A budget has too little left: which, how much of it is gone, and when it begins anew.
fn broken(broke: Broke) -> Refusal {
    let whose = match broke.scope {
        Scope::Tenant => "the tenant's",
        Scope::Agent => "the agent's",
        Scope::Session => "the session's",
        Scope::User => "the user's",
    };
    let text = if broke.frozen {
        format!(
            "{whose} budget `{}` is frozen; whoever runs the sidecar can release it",
            broke.budget
        )
    } else if broke.lost {
        format!(
            "the record of what was spent of {whose} budget `{}` is lost; whoever runs the sidecar can let it go on",
            broke.budget
        )
    } else {
        let until = broke.resets.map_or_else(
            || "; it does not begin anew: hint: `outrigger budget topup`".to_owned(),
            |resets| format!("; it resets at {}", resets.rfc3339_seconds()),
        );
        format!(
            "{whose} budget `{}` of {} USD has too little left: {} USD spent, {} USD held by requests under way{until}",
            broke.budget, broke.limit, broke.spent, broke.held
        )
    };
    Refusal::broke(broke, text)
}

fn code_of(denied: &Denied) -> Code {
    match denied.dimension {
        Dimension::Streams => Code::QueueFull,
        Dimension::Requests
        | Dimension::InputTokens
        | Dimension::OutputTokens
        | Dimension::Tokens => Code::RateLimited,
    }
}

fn limited(code: Code, denied: Denied) -> Refusal {
    let name = denied.dimension.name();
    let limit = match denied.limit {
        Limit::Rate(rate) => format!("{} per {} s", rate.amount, rate.per.as_secs()),
        Limit::Slots(slots) => format!("{slots} at once"),
    };
    let what = match code {
        Code::QueueTimeout => "waited in the tenant's queue for as long as allowed; at",
        Code::QueueFull => "no room, and the tenant's queue is full or off; at",
        _ => "over",
    };
    let text = format!("{what} the tenant's limit `{name}` of {limit}");
    Refusal::limited(code, denied, text)
}

/// What a request without tokens asks for: to be counted, and a slot.
pub(super) const COUNTED_ONLY: Ask = Ask {
    input: 0,
    output: 0,
};

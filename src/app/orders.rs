//! What an operator orders about one tenant: to suspend it, or to change what its budgets have. Done, put on the tenant's own
//! record with who ordered it, and put into words. Must never wait: what is to be written is waited for by a task.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::operate::{done, failed, reply};
use super::sidecar::Sidecar;
use crate::edge::AdminReply;
use crate::host;
use crate::journal::{Refused, Written};
use crate::limits::{Account, Held};
use crate::snapshot::Tenant;
use crate::trip::Change;
use crate::units::{AdminOutcome, NanoUsd, TenantId};

/// An answer, and what must be on record before it is given.
pub(super) struct Answer {
    reply: AdminReply,
    written: Option<Written>,
}

impl From<AdminReply> for Answer {
    fn from(reply: AdminReply) -> Self {
        let written = None;
        Self { reply, written }
    }
}

impl Answer {
    /// Gives it, when what it says is on record.
    pub(super) fn send(self, to: oneshot::Sender<AdminReply>) {
        let Self { reply, written } = self;
        let Some(written) = written else {
            // Whoever asked may be gone.
            let _ = to.send(reply);
            return;
        };
        host::spawn("admin-record", async move {
            let reply = match written.await {
                Ok(()) => reply,
                Err(why) => not_yet(why),
            };
            let _ = to.send(reply);
        });
    }
}

/// It is done, and was not taken into the record: the next start does not know of it.
fn not_at_all(why: Refused) -> AdminReply {
    let message = format!("it is done until the sidecar ends, and could not be recorded: {why}");
    failed(&json!({ "message": message }))
}

/// It is done, and is written when something can be written again; a crash before that undoes it.
fn not_yet(why: Refused) -> AdminReply {
    let message = format!("it is done, and not on record yet: {why}");
    failed(&json!({ "message": message }))
}

/// The order holds until it is taken back or the process ends, whatever is reloaded meanwhile.
pub(super) fn suspend(sidecar: &Sidecar, id: &TenantId, cut: bool, by: &str) -> Answer {
    let ordered = |tenant: &Tenant| {
        let account = tenant.account();
        account.suspend();
        let open = account.in_flight();
        if cut {
            account.cut();
            sidecar.nudge();
        }
        let document = json!({"tenant": id.as_str(), "suspended": true, "cut": cut, "open": open});
        Ok((document, None))
    };
    let said = json!({"action": "suspend", "cut": cut, "by": by});
    ordered_of(sidecar, id, said, ordered)
}

pub(super) fn resume(sidecar: &Sidecar, id: &TenantId, by: &str) -> Answer {
    let ordered = |tenant: &Tenant| {
        let was = tenant.account().order().is_suspended();
        tenant.account().resume();
        let document = json!({"tenant": id.as_str(), "suspended": false, "was_suspended": was});
        Ok((document, None))
    };
    let said = json!({"action": "resume", "by": by});
    ordered_of(sidecar, id, said, ordered)
}

/// For the window of now: the next one has what the configuration says.
pub(super) fn top_up(
    sidecar: &Sidecar,
    id: &TenantId,
    (budget, of): (&str, &str),
    amount: NanoUsd,
    by: &str,
) -> Answer {
    let wall = sidecar.ground.clock.wall();
    let ordered = |tenant: &Tenant| {
        let account = tenant.account();
        let window = account.window(budget, of, wall);
        let window = window.ok_or_else(|| no_budget(id, budget))?;
        account.top_up(budget, of, amount, wall);
        let states = account.budgets(wall);
        let mut same = states
            .iter()
            .filter(|state| &*state.budget == budget && &*state.of == of);
        let limit = same.next().map(|state| state.limit.to_string());
        let document = json!({
            "tenant": id.as_str(),
            "budget": budget,
            "of": of,
            "added_usd": amount.to_string(),
            "limit_usd": limit,
        });
        let held = Held { window, amount };
        Ok((document, Some(Change { held, gives: true })))
    };
    let said = json!({
        "action": "topup",
        "budget": budget,
        "of": of,
        "added_usd": amount.to_string(),
        "by": by,
    });
    ordered_of(sidecar, id, said, ordered)
}

/// Holds until it is taken back, whatever ends meanwhile.
pub(super) fn freeze(
    sidecar: &Sidecar,
    id: &TenantId,
    budget: &str,
    frozen: bool,
    by: &str,
) -> Answer {
    let ordered = |tenant: &Tenant| {
        let was = tenant.account().freeze(budget, frozen);
        let was = was.ok_or_else(|| no_budget(id, budget))?;
        let document = json!({"tenant": id.as_str(), "budget": budget, "frozen": frozen});
        // An order that changes nothing does not count: freezes and thaws take turns.
        let change = (was != frozen).then(|| Change {
            held: Held {
                window: Account::freezes(budget),
                amount: NanoUsd(1),
            },
            gives: !frozen,
        });
        Ok((document, change))
    };
    let action = if frozen { "freeze" } else { "unfreeze" };
    let said = json!({"action": action, "budget": budget, "by": by});
    ordered_of(sidecar, id, said, ordered)
}

/// What a call cost more or less than was settled.
pub(super) struct Correction<'a> {
    /// The number of its intent.
    pub(super) about: u64,
    pub(super) amount: NanoUsd,
    pub(super) gives: bool,
    pub(super) why: &'a str,
}

/// Changes what a call cost by a record of its own: what was written stays as it is. Costs count it from the day it is made;
/// budgets are left alone, since most of their windows are over by then.
pub(super) fn correct(
    sidecar: &Sidecar,
    id: &TenantId,
    correction: &Correction<'_>,
    by: &str,
) -> Answer {
    let ground = &sidecar.ground;
    let snapshot = ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id).into();
    };
    let Some(recorder) = &ground.journal else {
        let message = "no journal is kept, so there is nothing to correct; hint: `[journal]`";
        return failed(&json!({ "message": message })).into();
    };
    let Correction {
        about,
        amount,
        gives,
        why,
    } = *correction;
    let said = json!({
        "timestamp": ground.clock.wall().rfc3339_seconds(),
        "tenant": id.as_str(),
        "action": "correct",
        "amount_usd": amount.to_string(),
        "gives_back": gives,
        "why": why,
        "by": by,
    });
    let of = (id, tenant.policy().journal);
    match recorder.correct(of, (about, amount, gives), said.to_string().as_bytes()) {
        Ok(Some(written)) => Answer {
            reply: done(&json!({
                "tenant": id.as_str(),
                "about": about,
                "amount_usd": amount.to_string(),
                "gives_back": gives,
            })),
            written: Some(written),
        },
        Ok(None) => {
            let message = format!("the tenant `{id}` has no record {about}");
            reply(AdminOutcome::Unknown, &json!({ "message": message })).into()
        }
        Err(why) => failed(&json!({"message": why.to_string()})).into(),
    }
}

type Ordered = Result<(Value, Option<Change>), AdminReply>;

/// Carries an order out and puts it on record.
fn ordered_of(
    sidecar: &Sidecar,
    id: &TenantId,
    mut said: Value,
    order: impl FnOnce(&Tenant) -> Ordered,
) -> Answer {
    let ground = &sidecar.ground;
    let snapshot = ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id).into();
    };
    let (document, change) = match order(tenant) {
        Ok(ordered) => ordered,
        Err(problem) => return problem.into(),
    };
    let Some(recorder) = &ground.journal else {
        return done(&document).into();
    };
    said["timestamp"] = Value::from(ground.clock.wall().rfc3339_seconds());
    said["tenant"] = Value::from(id.as_str());
    let of = (id, tenant.policy().journal);
    match recorder.order(of, change, said.to_string().as_bytes()) {
        Ok(written) => Answer {
            reply: done(&document),
            written,
        },
        Err(why) => not_at_all(why).into(),
    }
}

fn no_budget(id: &TenantId, budget: &str) -> AdminReply {
    let message = format!("the tenant `{id}` has no budget `{budget}`");
    reply(AdminOutcome::Unknown, &json!({ "message": message }))
}

fn no_tenant(id: &TenantId) -> AdminReply {
    let message = format!("there is no tenant `{id}`");
    reply(AdminOutcome::Unknown, &json!({ "message": message }))
}

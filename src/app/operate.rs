//! What an operator asks of a running sidecar, done and put into words: one JSON document per call.
//! Must never wait: the control loop does one thing at a time.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::reload::Outcome;
use super::sidecar::Sidecar;
use crate::config::values::LogLevel;
use crate::edge::{AdminReply, Ask};
use crate::snapshot::WatchState;
use crate::units::{AdminOutcome, NanoUsd, TenantId};

/// Does what is asked, and answers; a reload is not done here.
pub(super) fn answer(sidecar: &mut Sidecar, ask: &Ask, to: oneshot::Sender<AdminReply>) {
    let reply = match ask {
        Ask::SetLogLevel(level, span) => {
            sidecar.level.want(*level, *span);
            level_of(sidecar)
        }
        Ask::Health | Ask::Reload => health(sidecar, false),
        Ask::Config => config(sidecar, false),
        Ask::Drain
        | Ask::LogLevel
        | Ask::Suspend { .. }
        | Ask::Resume(_)
        | Ask::TopUp { .. }
        | Ask::Freeze { .. } => while_draining(sidecar, ask),
    };
    // Whoever asked may be gone.
    let _ = to.send(reply);
}

/// The same while the sidecar drains, when its configuration does not change any more.
pub(super) fn while_draining(sidecar: &Sidecar, ask: &Ask) -> AdminReply {
    match ask {
        Ask::Drain => draining(sidecar),
        Ask::Health => health(sidecar, true),
        Ask::Config => config(sidecar, true),
        Ask::LogLevel => level_of(sidecar),
        Ask::Suspend { tenant, cut } => suspend(sidecar, tenant, *cut),
        Ask::Resume(tenant) => resume(sidecar, tenant),
        Ask::TopUp {
            tenant,
            budget,
            of,
            amount,
        } => top_up(sidecar, tenant, (budget, of), *amount),
        Ask::Freeze {
            tenant,
            budget,
            frozen,
        } => freeze(sidecar, tenant, budget, *frozen),
        Ask::Reload => {
            failed(&json!({"result": "rejected", "problems": "the sidecar is draining"}))
        }
        Ask::SetLogLevel(..) => failed(&json!({"message": "the sidecar is draining"})),
    }
}

fn reply(outcome: AdminOutcome, document: &Value) -> AdminReply {
    let json = document.to_string();
    AdminReply { outcome, json }
}

fn done(document: &Value) -> AdminReply {
    reply(AdminOutcome::Done, document)
}

fn failed(document: &Value) -> AdminReply {
    reply(AdminOutcome::Failed, document)
}

/// What became of a reload.
pub(super) fn reloaded(sidecar: &Sidecar, outcome: Outcome) -> AdminReply {
    let live = &sidecar.ground.live;
    let generation = live.take().generation();
    let restart = live.published().restart;
    match outcome {
        Outcome::Unchanged | Outcome::Unsettled => done(
            &json!({"result": "unchanged", "generation": generation, "needs_restart": restart}),
        ),
        Outcome::Published(snapshot) => done(&json!({
            "result": "published",
            "generation": snapshot.generation(),
            "hash": snapshot.hash(),
            "needs_restart": restart,
        })),
        Outcome::Rejected(problems) => {
            failed(&json!({"result": "rejected", "generation": generation, "problems": problems}))
        }
    }
}

fn draining(sidecar: &Sidecar) -> AdminReply {
    let open = sidecar.ground.shutdown.open();
    done(&json!({"draining": true, "open": open}))
}

fn level_of(sidecar: &Sidecar) -> AdminReply {
    let level = &sidecar.level;
    let left = level
        .until()
        .map(|until| until.saturating_duration_since(Instant::now()));
    done(&json!({
        "level": level.level().as_str(),
        "configured": level.configured().as_str(),
        "for_ms": left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    }))
}

/// The order holds until it is taken back or the process ends, whatever is reloaded meanwhile.
fn suspend(sidecar: &Sidecar, id: &TenantId, cut: bool) -> AdminReply {
    let snapshot = sidecar.ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id);
    };
    let account = tenant.account();
    account.suspend();
    let open = account.in_flight();
    if cut {
        account.cut();
        sidecar.nudge();
    }
    done(&json!({"tenant": id.as_str(), "suspended": true, "cut": cut, "open": open}))
}

fn resume(sidecar: &Sidecar, id: &TenantId) -> AdminReply {
    let snapshot = sidecar.ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id);
    };
    let was = tenant.account().order().is_suspended();
    tenant.account().resume();
    done(&json!({"tenant": id.as_str(), "suspended": false, "was_suspended": was}))
}

/// For the window of now: the next one has what the configuration says.
fn top_up(
    sidecar: &Sidecar,
    id: &TenantId,
    (budget, of): (&str, &str),
    amount: NanoUsd,
) -> AdminReply {
    let ground = &sidecar.ground;
    let snapshot = ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id);
    };
    let wall = ground.clock.wall();
    if !tenant.account().top_up(budget, of, amount, wall) {
        return no_budget(id, budget);
    }
    let states = tenant.account().budgets(wall);
    let mut same = states
        .iter()
        .filter(|state| &*state.budget == budget && &*state.of == of);
    let limit = same.next().map(|state| state.limit.to_string());
    done(&json!({
        "tenant": id.as_str(),
        "budget": budget,
        "of": of,
        "added_usd": amount.to_string(),
        "limit_usd": limit,
    }))
}

/// Holds until it is taken back or the process ends.
fn freeze(sidecar: &Sidecar, id: &TenantId, budget: &str, frozen: bool) -> AdminReply {
    let snapshot = sidecar.ground.live.take();
    let Some(tenant) = snapshot.tenant(id) else {
        return no_tenant(id);
    };
    if !tenant.account().freeze(budget, frozen) {
        return no_budget(id, budget);
    }
    done(&json!({"tenant": id.as_str(), "budget": budget, "frozen": frozen}))
}

fn no_budget(id: &TenantId, budget: &str) -> AdminReply {
    let message = format!("the tenant `{id}` has no budget `{budget}`");
    reply(AdminOutcome::Unknown, &json!({ "message": message }))
}

fn no_tenant(id: &TenantId) -> AdminReply {
    let message = format!("there is no tenant `{id}`");
    reply(AdminOutcome::Unknown, &json!({ "message": message }))
}

fn health(sidecar: &Sidecar, draining: bool) -> AdminReply {
    done(&json!(State::of(sidecar, draining)))
}

/// The same with the settings themselves, secrets hidden.
fn config(sidecar: &Sidecar, draining: bool) -> AdminReply {
    let mut document = json!(State::of(sidecar, draining));
    if let Value::Object(members) = &mut document {
        let snapshot = sidecar.ground.live.take();
        members.insert("settings".to_owned(), json!(snapshot.settings()));
    }
    done(&document)
}

/// What runs, and why the last attempt to change it was rejected.
#[derive(Serialize)]
struct State {
    version: &'static str,
    generation: u64,
    hash: String,
    published_at: String,
    age_seconds: u64,
    tenants: usize,
    upstreams: Vec<String>,
    priced_models: usize,
    open: usize,
    draining: bool,
    log_level: &'static str,
    /// Keys whose new value waits for a restart.
    needs_restart: Vec<&'static str>,
    /// Whether the kernel tells of changes: `on`, `off`, or why it cannot.
    watch: String,
    rejected: Option<Refused>,
}

/// The last configuration that was not taken.
#[derive(Serialize)]
struct Refused {
    at: String,
    problems: String,
}

impl State {
    fn of(sidecar: &Sidecar, draining: bool) -> Self {
        let ground = &sidecar.ground;
        let snapshot = ground.live.take();
        let published = ground.live.published();
        let age = ground.clock.wall().0.saturating_sub(published.at.0);
        let names = snapshot.upstreams().iter();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            generation: snapshot.generation(),
            hash: snapshot.hash().to_owned(),
            published_at: published.at.rfc3339_seconds(),
            age_seconds: Duration::from_millis(age).as_secs(),
            tenants: snapshot.tenants().len(),
            upstreams: names.map(|upstream| upstream.name.to_string()).collect(),
            priced_models: snapshot.prices().len(),
            open: ground.shutdown.open(),
            draining,
            log_level: LogLevel::as_str(sidecar.level.level()),
            needs_restart: published.restart,
            watch: match ground.live.watch() {
                WatchState::Off => "off".to_owned(),
                WatchState::On => "on".to_owned(),
                WatchState::Failed(why) => why,
            },
            rejected: ground.live.rejected().map(|rejected| Refused {
                at: rejected.at.rfc3339_seconds(),
                problems: rejected.problems,
            }),
        }
    }
}

//! What an operator asks of a running sidecar, done and put into words: one JSON document per call.
//! Must never wait: the control loop does one thing at a time.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::orders::{self, Answer};
use super::reload::Outcome;
use super::sidecar::Sidecar;
use crate::config::values::LogLevel;
use crate::edge::{AdminReply, Ask};
use crate::snapshot::WatchState;
use crate::units::{AdminOutcome, Wall};

/// Does what is asked, and answers; a reload is not done here.
pub(super) fn answer(sidecar: &mut Sidecar, ask: &Ask, by: &str, to: oneshot::Sender<AdminReply>) {
    let answer = match ask {
        Ask::SetLogLevel(level, span) => {
            sidecar.level.want(*level, *span);
            level_of(sidecar).into()
        }
        Ask::Health | Ask::Reload => health(sidecar, false).into(),
        Ask::Config => config(sidecar, false).into(),
        Ask::Drain
        | Ask::LogLevel
        | Ask::Suspend { .. }
        | Ask::Resume(_)
        | Ask::TopUp { .. }
        | Ask::Freeze { .. }
        | Ask::Correct { .. }
        | Ask::Acknowledge => while_draining(sidecar, ask, by),
    };
    answer.send(to);
}

/// The same while the sidecar drains, when its configuration does not change any more.
pub(super) fn while_draining(sidecar: &Sidecar, ask: &Ask, by: &str) -> Answer {
    match ask {
        Ask::Drain => draining(sidecar).into(),
        Ask::Health => health(sidecar, true).into(),
        Ask::Config => config(sidecar, true).into(),
        Ask::LogLevel => level_of(sidecar).into(),
        Ask::Suspend { tenant, cut } => orders::suspend(sidecar, tenant, *cut, by),
        Ask::Resume(tenant) => orders::resume(sidecar, tenant, by),
        Ask::TopUp {
            tenant,
            budget,
            of,
            amount,
        } => orders::top_up(sidecar, tenant, (budget, of), *amount, by),
        Ask::Freeze {
            tenant,
            budget,
            frozen,
        } => orders::freeze(sidecar, tenant, budget, *frozen, by),
        Ask::Correct {
            tenant,
            about,
            amount,
            gives,
            why,
        } => {
            let correction = orders::Correction {
                about: *about,
                amount: *amount,
                gives: *gives,
                why,
            };
            orders::correct(sidecar, tenant, &correction, by)
        }
        Ask::Acknowledge => acknowledge(sidecar).into(),
        Ask::Reload => {
            failed(&json!({"result": "rejected", "problems": "the sidecar is draining"})).into()
        }
        Ask::SetLogLevel(..) => failed(&json!({"message": "the sidecar is draining"})).into(),
    }
}

/// What was lost of the journal is known: budgets and strict work that waited for that go on.
fn acknowledge(sidecar: &Sidecar) -> AdminReply {
    match sidecar.lost.acknowledge(sidecar.ground.journal.as_ref()) {
        Ok(since) => done(&json!({"acknowledged": since.map(Wall::rfc3339_seconds)})),
        Err(why) => failed(&json!({"message": why.to_string()})),
    }
}

pub(super) fn reply(outcome: AdminOutcome, document: &Value) -> AdminReply {
    let json = document.to_string();
    AdminReply { outcome, json }
}

pub(super) fn done(document: &Value) -> AdminReply {
    reply(AdminOutcome::Done, document)
}

pub(super) fn failed(document: &Value) -> AdminReply {
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
    /// The record of what is done; `null` if there is none.
    journal: Option<Value>,
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
            journal: ground.journal.as_ref().map(|recorder| {
                let health = recorder.journal().health();
                json!({
                    "condition": health.condition.as_str(),
                    "rolled_back": health.rolled_back,
                    "state_lost": sidecar.lost.shown(),
                })
            }),
        }
    }
}

//! The control loop of a serving sidecar: signals, admin calls and reloads. Runs on the main thread, where it
//! disturbs no request. Must never wait for a file: reloads are done elsewhere, one at a time.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::Error;
use super::reload::Outcome;
use super::reloads::Reloads;
use super::sidecar::Sidecar;
use crate::edge::{AdminCall, AdminReply, AdminVerb};
use crate::host::{Signal, Signals};
use crate::process::{ProcessEvent, tell};
use crate::snapshot::WatchState;

/// Serves until a signal or a call ends it; returns after the drain.
///
/// # Errors
/// The task that ended although the sidecar cannot be without it; what ran was drained all the same.
pub async fn control(mut sidecar: Sidecar, signals: &mut Signals) -> Result<(), Error> {
    let mut reloads = Reloads::new(Arc::clone(&sidecar.reloader));
    let end = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => reloads.ask(None),
                Signal::Interrupt | Signal::Quit | Signal::Terminate => break Ok(()),
                Signal::User1 | Signal::User2 | Signal::Window => {}
            },
            Some(call) = sidecar.calls.recv() => {
                let drains = call.verb == AdminVerb::Drain;
                match call.verb {
                    AdminVerb::Reload => reloads.ask(Some(call.reply)),
                    AdminVerb::Drain | AdminVerb::Health | AdminVerb::Config => answer(&sidecar, call),
                }
                if drains {
                    break Ok(());
                }
            }
            Some(name) = sidecar.ended.recv() => {
                tell(ProcessEvent::TaskEnded { name });
                break Err(Error::Task(name));
            }
            (outcome, askers) = reloads.next() => {
                let reply = reloaded(&sidecar, outcome);
                for asker in askers {
                    // Whoever asked may be gone.
                    let _ = asker.send(reply.clone());
                }
            }
        }
    };
    drop(reloads);
    let (_, nobody) = mpsc::channel(1);
    let mut calls = std::mem::replace(&mut sidecar.calls, nobody);
    tokio::select! {
        _ = sidecar.drain() => {}
        // A second signal means now; what it ends is recorded all the same.
        () = impatience(signals) => { sidecar.cut().await; }
        () = meanwhile(&sidecar, &mut calls) => {}
    }
    end
}

/// Answers calls for as long as the drain takes.
async fn meanwhile(sidecar: &Sidecar, calls: &mut mpsc::Receiver<AdminCall>) {
    while let Some(call) = calls.recv().await {
        let reply = match call.verb {
            AdminVerb::Drain => draining(sidecar),
            AdminVerb::Health | AdminVerb::Config => state(sidecar, true),
            AdminVerb::Reload => AdminReply {
                done: false,
                json: json!({"result": "rejected", "problems": "the sidecar is draining"})
                    .to_string(),
            },
        };
        let _ = call.reply.send(reply);
    }
    pending::<()>().await;
}

async fn impatience(signals: &mut Signals) {
    loop {
        match signals.next().await {
            Signal::Interrupt | Signal::Quit | Signal::Terminate => return,
            Signal::Hangup | Signal::User1 | Signal::User2 | Signal::Window => {}
        }
    }
}

fn answer(sidecar: &Sidecar, call: AdminCall) {
    let reply = match call.verb {
        AdminVerb::Drain => draining(sidecar),
        AdminVerb::Health | AdminVerb::Config | AdminVerb::Reload => state(sidecar, false),
    };
    // Whoever asked may be gone.
    let _ = call.reply.send(reply);
}

fn reloaded(sidecar: &Sidecar, outcome: Outcome) -> AdminReply {
    let live = &sidecar.ground.live;
    let generation = live.take().generation();
    let restart = live.published().restart;
    let (done, json) = match outcome {
        Outcome::Unchanged | Outcome::Unsettled => (
            true,
            json!({"result": "unchanged", "generation": generation, "needs_restart": restart}),
        ),
        Outcome::Published(snapshot) => (
            true,
            json!({
                "result": "published", "generation": snapshot.generation(), "hash": snapshot.hash(),
                "needs_restart": restart,
            }),
        ),
        Outcome::Rejected(problems) => (
            false,
            json!({"result": "rejected", "generation": generation, "problems": problems}),
        ),
    };
    AdminReply {
        done,
        json: json.to_string(),
    }
}

fn draining(sidecar: &Sidecar) -> AdminReply {
    let open = sidecar.ground.shutdown.open();
    AdminReply {
        done: true,
        json: json!({"draining": true, "open": open}).to_string(),
    }
}

/// What runs, and why the last attempt to change it was rejected.
fn state(sidecar: &Sidecar, draining: bool) -> AdminReply {
    let ground = &sidecar.ground;
    let snapshot = ground.live.take();
    let published = ground.live.published();
    let age = ground.clock.wall().0.saturating_sub(published.at.0);
    let rejected = ground.live.rejected().map(|rejected| Refused {
        at: rejected.at.rfc3339_seconds(),
        problems: rejected.problems,
    });
    let state = State {
        version: env!("CARGO_PKG_VERSION"),
        generation: snapshot.generation(),
        hash: snapshot.hash(),
        published_at: published.at.rfc3339_seconds(),
        age_seconds: Duration::from_millis(age).as_secs(),
        tenants: snapshot.tenants().len(),
        upstreams: snapshot
            .upstreams()
            .iter()
            .map(|upstream| upstream.name.as_str())
            .collect(),
        open: ground.shutdown.open(),
        draining,
        needs_restart: published.restart,
        watch: match ground.live.watch() {
            WatchState::Off => "off".to_owned(),
            WatchState::On => "on".to_owned(),
            WatchState::Failed(why) => why,
        },
        rejected,
    };
    AdminReply {
        done: true,
        json: json!(state).to_string(),
    }
}

/// What `ctl health` and `ctl config` print.
#[derive(Serialize)]
struct State<'a> {
    version: &'static str,
    generation: u64,
    hash: &'a str,
    published_at: String,
    age_seconds: u64,
    tenants: usize,
    upstreams: Vec<&'a str>,
    open: usize,
    draining: bool,
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

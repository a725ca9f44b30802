//! The control loop of a serving sidecar: signals, admin calls and the poll of the files, one at a time, so
//! that reloads never overlap. Runs on the main thread, where reading files disturbs no request.

use std::future::pending;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Error;
use super::reload::Outcome;
use super::sidecar::Sidecar;
use crate::edge::{AdminCall, AdminReply, AdminVerb};
use crate::host::{Signal, Signals};
use crate::process::{ProcessEvent, tell};

/// Serves until a signal or a call ends it; returns after the drain.
///
/// # Errors
/// The task that ended although the sidecar cannot be without it; what ran was drained all the same.
pub async fn control(mut sidecar: Sidecar, signals: &mut Signals) -> Result<(), Error> {
    let mut next_look = sidecar.poll.map(|every| Instant::now() + every);
    let end = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => { sidecar.reloader.reload(); }
                Signal::Interrupt | Signal::Quit | Signal::Terminate => break Ok(()),
                Signal::User1 | Signal::User2 | Signal::Window => {}
            },
            Some(call) = sidecar.calls.recv() => {
                let drains = call.verb == AdminVerb::Drain;
                answer(&mut sidecar, call);
                if drains {
                    break Ok(());
                }
            }
            Some(name) = sidecar.ended.recv() => {
                tell(ProcessEvent::TaskEnded { name });
                break Err(Error::Task(name));
            }
            () = look(next_look) => {
                sidecar.reloader.poll();
                next_look = sidecar.poll.map(|every| Instant::now() + every);
            }
        }
    };
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

async fn look(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}

async fn impatience(signals: &mut Signals) {
    loop {
        match signals.next().await {
            Signal::Interrupt | Signal::Quit | Signal::Terminate => return,
            Signal::Hangup | Signal::User1 | Signal::User2 | Signal::Window => {}
        }
    }
}

fn answer(sidecar: &mut Sidecar, call: AdminCall) {
    let reply = match call.verb {
        AdminVerb::Reload => reloaded(sidecar),
        AdminVerb::Drain => draining(sidecar),
        AdminVerb::Health | AdminVerb::Config => state(sidecar, false),
    };
    // Whoever asked may be gone.
    let _ = call.reply.send(reply);
}

fn reloaded(sidecar: &mut Sidecar) -> AdminReply {
    let outcome = sidecar.reloader.reload();
    let generation = sidecar.ground.live.take().generation();
    match outcome {
        Outcome::Unchanged => {
            let json = json!({"result": "unchanged", "generation": generation});
            AdminReply {
                done: true,
                json: json.to_string(),
            }
        }
        Outcome::Published(snapshot) => {
            let json = json!({"result": "published", "generation": snapshot.generation(), "hash": snapshot.hash()});
            AdminReply {
                done: true,
                json: json.to_string(),
            }
        }
        Outcome::Rejected(problems) => {
            let json =
                json!({"result": "rejected", "generation": generation, "problems": problems});
            AdminReply {
                done: false,
                json: json.to_string(),
            }
        }
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
    let age = ground
        .clock
        .wall()
        .0
        .saturating_sub(ground.live.published().at.0);
    let rejected = ground.live.rejected().map(|rejected| Refused {
        at: rejected.at.rfc3339_seconds(),
        problems: rejected.problems,
    });
    let state = State {
        version: env!("CARGO_PKG_VERSION"),
        generation: snapshot.generation(),
        hash: snapshot.hash(),
        published_at: ground.live.published().at.rfc3339_seconds(),
        age_seconds: Duration::from_millis(age).as_secs(),
        tenants: snapshot.tenants().len(),
        upstreams: snapshot
            .upstreams()
            .iter()
            .map(|upstream| upstream.name.as_str())
            .collect(),
        open: ground.shutdown.open(),
        draining,
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
    rejected: Option<Refused>,
}

/// The last configuration that was not taken.
#[derive(Serialize)]
struct Refused {
    at: String,
    problems: String,
}

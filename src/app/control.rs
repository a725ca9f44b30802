//! The control loop of a serving sidecar: signals, admin calls and reloads. Runs on the main thread, where it
//! disturbs no request. Must never wait for a file: reloads are done elsewhere, one at a time.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Error;
use super::herald::Herald;
use super::operate::{self, answer, reloaded};
use super::reloads::Reloads;
use super::sidecar::Sidecar;
use crate::config::values::LogLevel;
use crate::edge::{AdminCall, Ask};
use crate::host::{Signal, Signals};
use crate::process::{ProcessEvent, tell};

/// Serves until a signal or a call ends it; returns after the drain.
///
/// # Errors
/// The task that ended although the sidecar cannot be without it; what ran was drained all the same.
pub async fn control(mut sidecar: Sidecar, signals: &mut Signals) -> Result<(), Error> {
    let mut reloads = Reloads::new(Arc::clone(&sidecar.reloader));
    let mut herald = Herald::of_environment();
    herald.serves(&sidecar);
    let end = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => {
                    herald.reloads();
                    reloads.ask(None);
                }
                Signal::Interrupt | Signal::Quit | Signal::Terminate => break Ok(()),
                Signal::User1 => sidecar.level.want(LogLevel::Debug, None),
                Signal::User2 | Signal::Window => {}
            },
            Some(AdminCall { ask, by, reply }) = sidecar.calls.recv() => match ask {
                Ask::Reload => {
                    herald.reloads();
                    reloads.ask(Some(reply));
                }
                Ask::Drain => {
                    answer(&mut sidecar, &ask, &by, reply);
                    break Ok(());
                }
                ask => answer(&mut sidecar, &ask, &by, reply),
            },
            Some(name) = sidecar.ended.recv() => {
                tell(ProcessEvent::TaskEnded { name });
                break Err(Error::Task(name));
            }
            (outcome, askers) = reloads.next() => {
                let configured = sidecar.ground.live.take().log_level();
                sidecar.level.configure(configured);
                herald.looks(&sidecar, reloads.is_asked());
                if sidecar.ground.live.take_cuts() {
                    sidecar.nudge();
                }
                let reply = reloaded(&sidecar, outcome);
                for asker in askers {
                    // Whoever asked may be gone.
                    let _ = asker.send(reply.clone());
                }
            }
            () = at(sidecar.level.until()) => sidecar.level.fall_back(),
        }
    };
    drop(reloads);
    herald.stops(&sidecar);
    let (_, nobody) = mpsc::channel(1);
    let mut calls = std::mem::replace(&mut sidecar.calls, nobody);
    tokio::select! {
        _ = sidecar.drain() => {}
        // A second signal means now; what it ends is recorded all the same.
        () = impatience(signals) => { sidecar.cut().await; }
        () = meanwhile(&sidecar, &mut calls) => {}
    }
    sidecar.close();
    end
}

/// Answers calls for as long as the drain takes.
async fn meanwhile(sidecar: &Sidecar, calls: &mut mpsc::Receiver<AdminCall>) {
    while let Some(AdminCall { ask, by, reply }) = calls.recv().await {
        operate::while_draining(sidecar, &ask, &by).send(reply);
    }
    pending::<()>().await;
}

async fn at(when: Option<Instant>) {
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

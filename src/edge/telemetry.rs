//! The telemetry door: `/metrics`, `/healthz`, `/readyz`. Read-only, on its own thread, so that a busy data
//! plane never makes a probe late. Must never change anything, nor call anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use super::manners;
use super::page::{Page, TEXT, page, serve};
use crate::host::{self, Accepted, ProcessFacts, TcpListener};
use crate::meters::Registry;
use crate::process::{ProcessEvent, tell};
use crate::trip::{Ground, Recorder, Recording};

/// Whether the sidecar wants new work.
#[derive(Debug, Default)]
pub struct Ready(AtomicBool);

impl Ready {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it does.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Connections at once; probes and scrapers are few.
const CONNECTIONS: usize = 64;

/// Serves the telemetry listener until it breaks. To be run on a runtime of its own, on one thread.
pub async fn telemetry(mut listener: TcpListener, ground: Arc<Ground>, ready: Arc<Ready>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, _peer)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    continue;
                };
                let (ground, ready) = (Arc::clone(&ground), Arc::clone(&ready));
                host::spawn("telemetry-connection", async move {
                    serve(stream, |request| {
                        let answer = answer(&request, &ground, &ready);
                        async move { answer }
                    })
                    .await;
                    drop(place);
                });
            }
            Accepted::Resting { pause, error, news } => {
                ground.registry.process().accept_rested();
                if news {
                    tell(ProcessEvent::AcceptBackoff {
                        role: "telemetry",
                        pause,
                        why: &error,
                    });
                }
            }
            Accepted::Failed(error) => {
                tell(ProcessEvent::AcceptFailed {
                    role: "telemetry",
                    why: &error,
                });
                return;
            }
        }
    }
}

fn answer(request: &Request<Incoming>, ground: &Ground, ready: &Ready) -> Response<Page> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
    }
    if let Err(why) = manners::check(request, &ground.live.take()) {
        return page(StatusCode::FORBIDDEN, TEXT, format!("{why}\n"));
    }
    match request.uri().path() {
        "/metrics" => {
            let text = ground.page(&ProcessFacts::read());
            page(StatusCode::OK, Registry::CONTENT_TYPE, text)
        }
        "/healthz" => page(StatusCode::OK, TEXT, health(ground)),
        "/readyz" => readiness(ground, ready),
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /metrics, /healthz and /readyz\n",
        ),
    }
}

/// Whether new calls are served: not while the sidecar ends, nor while they could not be recorded and would be refused.
fn readiness(ground: &Ground, ready: &Ready) -> Response<Page> {
    if !ready.get() {
        return page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n");
    }
    let recorder = ground.journal.as_ref();
    let recording = recorder.map_or(Recording::Fine, Recorder::recording);
    let lost = if recorder.is_some_and(Recorder::is_lost) {
        "part of the journal is lost; `outrigger ctl health` says what\n"
    } else {
        ""
    };
    match recording {
        Recording::Fine => page(StatusCode::OK, TEXT, format!("ready\n{lost}")),
        Recording::Gaps(what) => {
            let text = format!("ready\ncalls go on unrecorded; the journal is {what}\n{lost}");
            page(StatusCode::OK, TEXT, text)
        }
        Recording::Refusing(what) => {
            let text =
                format!("not ready: calls cannot be recorded; the journal is {what}\n{lost}");
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
    }
}

/// The process lives; and what does not hold is no reason to end it, but to be looked at.
fn health(ground: &Ground) -> String {
    let restart = ground.live.published().restart;
    let restart = if restart.is_empty() {
        String::new()
    } else {
        format!("restart needed for: {}\n", restart.join(", "))
    };
    let rejected = if ground.live.rejected().is_none() {
        String::new()
    } else {
        let generation = ground.live.take().generation();
        format!("the last configuration was rejected; generation {generation} runs on\n")
    };
    let log = match &ground.log {
        Some(log) if log.is_failing() => format!(
            "the log cannot be written; {} lines are lost so far\n",
            log.lost()
        ),
        _ => String::new(),
    };
    format!("ok\n{log}{restart}{rejected}")
}

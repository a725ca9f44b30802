//! The admin door: a unix socket of mode 0600 on which the operator reloads, drains and looks. The peer's uid
//! is checked besides, and every call is logged. Must never serve over TCP, nor without both.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::page::{JSON, Page, TEXT, page, serve};
use crate::host::hardening::own_uid;
use crate::host::{self, Accepted, Peer, UnixListener};
use crate::process::{AdminOutcome, ProcessEvent, tell};

/// What an operator asks for; the answer goes back through the channel.
pub struct AdminCall {
    /// Which verb.
    pub verb: AdminVerb,
    /// Where the answer goes.
    pub reply: oneshot::Sender<AdminReply>,
}

/// The verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminVerb {
    /// Read the configuration again.
    Reload,
    /// Stop taking work, and end when there is none.
    Drain,
    /// Whether all is well.
    Health,
    /// Which configuration runs, and which was rejected.
    Config,
}

impl AdminVerb {
    fn of(method: &Method, path: &str) -> Option<Self> {
        match (method.as_str(), path) {
            ("POST", "/reload") => Some(Self::Reload),
            ("POST", "/drain") => Some(Self::Drain),
            ("GET", "/health") => Some(Self::Health),
            ("GET", "/config") => Some(Self::Config),
            _ => None,
        }
    }
}

/// The answer to a call: a JSON document, and whether it went well.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// Whether it was done.
    pub done: bool,
    /// The document.
    pub json: String,
}

const CONNECTIONS: usize = 16;

/// Serves the admin socket until it breaks.
pub async fn admin(mut listener: UnixListener, calls: mpsc::Sender<AdminCall>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, peer)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    continue;
                };
                let calls = calls.clone();
                host::spawn("admin-connection", async move {
                    serve(stream, |request| call(request, peer, calls.clone())).await;
                    drop(place);
                });
            }
            Accepted::Resting { pause, error, news } => {
                if news {
                    tell(ProcessEvent::AcceptBackoff {
                        role: "admin",
                        pause,
                        why: &error,
                    });
                }
            }
            Accepted::Failed(error) => {
                tell(ProcessEvent::AcceptFailed {
                    role: "admin",
                    why: &error,
                });
                return;
            }
        }
    }
}

async fn call(
    request: Request<Incoming>,
    peer: Peer,
    calls: mpsc::Sender<AdminCall>,
) -> Response<Page> {
    let path = request.uri().path().to_owned();
    let verb = AdminVerb::of(request.method(), &path);
    let (outcome, response) = if peer.uid == own_uid() || peer.uid == 0 {
        if let Some(verb) = verb {
            perform(verb, calls).await
        } else {
            let text = "there are POST /reload, POST /drain, GET /health and GET /config\n";
            (
                AdminOutcome::Unknown,
                page(StatusCode::NOT_FOUND, TEXT, text),
            )
        }
    } else {
        let text = "only the user the sidecar runs as, and root, may call\n";
        (
            AdminOutcome::Denied,
            page(StatusCode::FORBIDDEN, TEXT, text),
        )
    };
    tell(ProcessEvent::AdminCall {
        verb: &path,
        uid: peer.uid,
        outcome,
    });
    response
}

async fn perform(
    verb: AdminVerb,
    calls: mpsc::Sender<AdminCall>,
) -> (AdminOutcome, Response<Page>) {
    let (reply, answer) = oneshot::channel();
    let sent = calls.send(AdminCall { verb, reply }).await;
    match (sent, answer.await) {
        (Ok(()), Ok(AdminReply { done: true, json })) => {
            (AdminOutcome::Done, page(StatusCode::OK, JSON, json))
        }
        (Ok(()), Ok(AdminReply { done: false, json })) => (
            AdminOutcome::Failed,
            page(StatusCode::UNPROCESSABLE_ENTITY, JSON, json),
        ),
        _ => {
            let text = "the sidecar is ending\n";
            (
                AdminOutcome::Failed,
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text),
            )
        }
    }
}

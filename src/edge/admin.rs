//! The admin door: where operators look, reload, drain, suspend. A unix socket whose callers the kernel names, and, if
//! configured, a loopback port whose callers show a token. Each call has a role, and is logged and counted, the refused
//! ones too. Must never let a GET change anything, nor serve anybody whose right to ask is not known.

mod archive;
mod budgets;
mod route;
mod scope;
mod tenants;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::sleep;

pub use self::archive::Archive;
use self::route::{Asked, What};
use super::manners;
use super::page::{JSON, Page, page, serve};
use crate::config::values::{LogLevel, Role};
use crate::host::hardening::own_uid;
use crate::host::{self, Accepted, Peer, TcpListener, UnixListener};
use crate::process::{ProcessEvent, tell};
use crate::snapshot::Snapshot;
use crate::trip::Ground;
use crate::units::{AdminOutcome, AdminVerb, NanoUsd, TenantId};

/// What an operator asks of the control loop; the answer goes back through the channel.
pub struct AdminCall {
    /// What is asked.
    pub ask: Ask,
    /// By whom.
    pub by: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<AdminReply>,
}

/// What the control loop can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Whether all is well.
    Health,
    /// Which configuration runs, and which was rejected.
    Config,
    /// How much is logged.
    LogLevel,
    /// Read the configuration again.
    Reload,
    /// Stop taking work, and end when there is none.
    Drain,
    /// Log this much, for so long or until told otherwise.
    SetLogLevel(LogLevel, Option<Duration>),
    /// Refuse a tenant, and end what it has under way if told so.
    Suspend {
        /// Whom.
        tenant: TenantId,
        /// Whether what is under way ends.
        cut: bool,
    },
    /// Take a tenant back.
    Resume(TenantId),
    /// Add to a budget, for its window of now.
    TopUp {
        /// Whose.
        tenant: TenantId,
        /// Which.
        budget: String,
        /// Of which agent, session or user; empty for the tenant's own.
        of: String,
        /// How much.
        amount: NanoUsd,
    },
    /// Let nothing more be spent of a budget, or let it be spent again.
    Freeze {
        /// Whose.
        tenant: TenantId,
        /// Which.
        budget: String,
        /// Whether nothing can be spent from now on.
        frozen: bool,
    },
    /// Change afterwards what a call cost, by a record of its own.
    Correct {
        /// Whose.
        tenant: TenantId,
        /// Which: the number of its intent.
        about: u64,
        /// By how much.
        amount: NanoUsd,
        /// Whether it cost less.
        gives: bool,
        /// Why, in the operator's words.
        why: String,
    },
    /// Go on although part of the journal is lost.
    Acknowledge,
}

/// The answer to a call: a JSON document, and what became of it.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// What became of it.
    pub outcome: AdminOutcome,
    /// The document.
    pub json: String,
}

/// What the admin listeners share.
#[derive(Clone)]
pub struct AdminDoor {
    /// The way to the control loop.
    pub calls: mpsc::Sender<AdminCall>,
    /// What the trips share.
    pub ground: Arc<Ground>,
    /// The journal's files.
    pub archive: Archive,
}

/// Connections at once, for each listener by itself: who crowds the port keeps nobody from the socket.
const CONNECTIONS: usize = 16;

/// What one connection too many is told, if it still listens.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 71\r\nconnection: close\r\nretry-after: 1\r\n\r\n\
    {\"error\":\"busy\",\"message\":\"too many admin connections, try again soon\"}";

/// How long a caller without a right over TCP waits for its answer: guessing is slow, and cannot fill the log.
const SLOW: Duration = Duration::from_millis(250);

/// Serves an admin socket until it breaks.
pub async fn admin_socket(mut listener: UnixListener, door: AdminDoor) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, peer)) => match door.place(&room) {
                Some(place) => welcome(stream, Caller::Local(peer), door.clone(), place),
                None => drop(stream.try_write(BUSY)),
            },
            Accepted::Resting { pause, error, news } if news => rests(pause, &error),
            Accepted::Resting { .. } => {}
            Accepted::Failed(error) => return broke(&error),
        }
    }
}

/// Serves an admin port until it breaks.
pub async fn admin_port(mut listener: TcpListener, door: AdminDoor) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, _peer)) => match door.place(&room) {
                Some(place) => welcome(stream, Caller::Port, door.clone(), place),
                None => drop(stream.try_write(BUSY)),
            },
            Accepted::Resting { pause, error, news } if news => rests(pause, &error),
            Accepted::Resting { .. } => {}
            Accepted::Failed(error) => return broke(&error),
        }
    }
}

fn rests(pause: Duration, error: &host::Error) {
    tell(ProcessEvent::AcceptBackoff {
        role: "admin",
        pause,
        why: error,
    });
}

fn broke(error: &host::Error) {
    tell(ProcessEvent::AcceptFailed {
        role: "admin",
        why: error,
    });
}

impl AdminDoor {
    fn place(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(room).try_acquire_owned().ok();
        if place.is_none() {
            self.count(AdminVerb::Unknown, AdminOutcome::Busy);
        }
        place
    }

    fn count(&self, verb: AdminVerb, outcome: AdminOutcome) {
        self.ground.registry.admin_call(verb, outcome);
    }
}

fn welcome<S>(stream: S, caller: Caller, door: AdminDoor, place: OwnedSemaphorePermit)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    host::spawn("admin-connection", async move {
        serve(stream, |request| call(request, caller, door.clone())).await;
        drop(place);
    });
}

/// From where somebody calls.
#[derive(Clone, Copy)]
enum Caller {
    /// Through the socket.
    Local(Peer),
    /// Over TCP.
    Port,
}

/// Who calls, and what they may do.
struct Who {
    name: Name,
    role: Option<Role>,
    /// The tenant whose it sees only what is; `None` sees everything.
    scope: Option<TenantId>,
}

enum Name {
    Uid(u32),
    Token(Box<str>),
    Nobody,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid:{uid}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

impl Who {
    fn of(caller: Caller, request: &Request<Incoming>, snapshot: &Snapshot) -> Self {
        let rights = snapshot.admin();
        match caller {
            Caller::Local(peer) => {
                let owns = peer.uid == own_uid() || peer.uid == 0;
                let given = || rights.of_caller(peer.uid, peer.gid);
                Self {
                    name: Name::Uid(peer.uid),
                    role: if owns { Some(Role::Operate) } else { given() },
                    scope: None,
                }
            }
            Caller::Port => match token(request).and_then(|token| rights.of_token(token)) {
                Some(right) => Self {
                    name: Name::Token(right.name.into()),
                    role: Some(right.role),
                    scope: right.tenant.cloned(),
                },
                None => Self {
                    name: Name::Nobody,
                    role: None,
                    scope: None,
                },
            },
        }
    }

    /// Why this one may not ask that.
    fn refusal(&self, caller: Caller, needed: Role) -> Option<Problem> {
        match (self.role, caller) {
            (Some(role), _) if role >= needed => None,
            (Some(_), _) => Some(Problem(
                StatusCode::FORBIDDEN,
                AdminOutcome::Denied,
                "the role `read` may look and not act",
            )),
            (None, Caller::Port) => Some(Problem(
                StatusCode::UNAUTHORIZED,
                AdminOutcome::Denied,
                "a bearer token is needed here; hint: `--token-file`, and `admin.tokens` in the configuration",
            )),
            (None, Caller::Local(_)) => Some(Problem(
                StatusCode::FORBIDDEN,
                AdminOutcome::Denied,
                "only root, the user the sidecar runs as, and those of `admin.read` and `admin.operate` may call",
            )),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), where there is exactly one.
fn token(request: &Request<Incoming>) -> Option<&[u8]> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let (field, None) = (fields.next()?, fields.next()) else {
        return None;
    };
    let (scheme, token) = field.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Why a call is not done: status, word and text.
struct Problem(StatusCode, AdminOutcome, &'static str);

impl Problem {
    fn page(&self) -> (AdminOutcome, Response<Page>) {
        let Self(status, outcome, text) = self;
        let json = serde_json::json!({ "error": outcome.as_str(), "message": text }).to_string();
        let mut response = page(*status, JSON, json);
        if *status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        (*outcome, response)
    }
}

async fn call(request: Request<Incoming>, caller: Caller, door: AdminDoor) -> Response<Page> {
    let asked = route::read(&request);
    let (who, refusal) = {
        let snapshot = door.ground.live.take();
        let who = Who::of(caller, &request, &snapshot);
        let unwelcome = manners::check(&request, &snapshot).err();
        let unwelcome =
            unwelcome.map(|text| Problem(StatusCode::FORBIDDEN, AdminOutcome::Denied, text));
        let refusal = unwelcome.or_else(|| who.refusal(caller, asked.role));
        (who, refusal)
    };
    let Asked {
        verb, about, what, ..
    } = asked;
    let what = scope::narrow(what, who.scope.as_ref());
    let sees_all = who.scope.is_none();
    let (outcome, response) = match (refusal, what) {
        (Some(refusal), _) => refusal.page(),
        (None, What::Archive(look)) => {
            archive::look(&door.ground, &door.archive, look, sees_all).await
        }
        (None, What::Erase(tenant)) => {
            let by = who.name.to_string();
            archive::erase(&door.ground, &door.archive, tenant, by).await
        }
        (None, What::Wrong(problem)) => problem.page(),
        (None, What::Tenants(listing)) => tenants::list(&door.ground, &listing),
        (None, What::Budgets(listing)) => budgets::list(&door.ground, &listing),
        (None, What::Control(ask)) => perform(ask, who.name.to_string(), &door.calls).await,
    };
    door.count(verb, outcome);
    tell(ProcessEvent::AdminCall {
        verb,
        about: &about,
        who: &who.name,
        role: who.role.map_or("none", Role::as_str),
        outcome,
    });
    if who.role.is_none() && matches!(caller, Caller::Port) {
        sleep(SLOW).await;
    }
    response
}

async fn perform(
    ask: Ask,
    by: String,
    calls: &mpsc::Sender<AdminCall>,
) -> (AdminOutcome, Response<Page>) {
    const ENDING: Problem = Problem(
        StatusCode::SERVICE_UNAVAILABLE,
        AdminOutcome::Failed,
        "the sidecar is ending",
    );
    let (reply, answer) = oneshot::channel();
    let sent = calls.send(AdminCall { ask, by, reply }).await;
    let (Ok(()), Ok(AdminReply { outcome, json })) = (sent, answer.await) else {
        return ENDING.page();
    };
    let status = match outcome {
        AdminOutcome::Done => StatusCode::OK,
        AdminOutcome::Unknown => StatusCode::NOT_FOUND,
        AdminOutcome::Failed | AdminOutcome::Denied | AdminOutcome::Busy => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    };
    (outcome, page(status, JSON, json))
}

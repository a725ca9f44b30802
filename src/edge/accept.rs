//! The proxy's listeners: accepts connections, counts them against their cap, and gives each its task.
//! Must never wait for a connection it has accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::conn::connection;
use super::crowd::Crowd;
use super::entrance::Entrance;
use super::gate::Gate;
use super::guard::Patience;
use super::places::Places;
use crate::host::{self, Accepted};
use crate::process::{ProcessEvent, tell};
use crate::trip::{Door, Ground};
use crate::units::Code;
use crate::wire::error_body::{self, RefusalDetail};
use crate::wire::head::Limits;

/// How far the shutdown has come; every connection watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Serving. Sent again, it asks every connection to look at what it has under way.
    Open,
    /// No connection is kept alive; new ones are served once.
    Draining,
    /// Running answers end now.
    Cutting,
}

/// What every client connection is measured by.
pub struct Doorway {
    /// What the trips share.
    pub ground: Arc<Ground>,
    pub(super) limits: Limits,
    pub(super) patience: Patience,
    /// Of all gates together.
    places: Places,
    /// Those that have what it takes to serve a request; the others rest.
    awake: AtomicUsize,
    crowd: Crowd,
}

impl Doorway {
    /// Bounds for heads and connections: bytes of a head, what is waited for and how long, connections at once.
    pub fn new(
        ground: Arc<Ground>,
        head_bytes: usize,
        patience: Patience,
        cap: usize,
    ) -> Arc<Self> {
        let limits = Limits {
            head_bytes,
            ..Limits::DEFAULT
        };
        Arc::new(Self {
            ground,
            limits,
            patience,
            places: Places::new(cap),
            awake: AtomicUsize::new(0),
            crowd: Crowd::default(),
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.places.taken()
    }

    /// How many of them are ready for a request, or serve one.
    pub fn awake(&self) -> usize {
        self.awake.load(Ordering::Relaxed)
    }

    /// One is, until what is returned is dropped.
    pub(super) fn wake(&self) -> Awake<'_> {
        self.awake.fetch_add(1, Ordering::Relaxed);
        Awake(&self.awake)
    }

    fn enter(self: &Arc<Self>, door: &Arc<Door>, gate: &Arc<Gate>) -> Result<Entered, Full> {
        let meters = self.ground.registry.process();
        if !gate.places.take(|wanted| self.evict(wanted, Some(gate))) {
            meters.connection_refused();
            gate.refused();
            return Err(Full::Gate);
        }
        if !self.places.take(|wanted| self.evict(wanted, None)) {
            gate.places.give_back();
            meters.connection_refused();
            return Err(Full::Sidecar);
        }
        meters.connection_opened();
        gate.opened();
        Ok(Entered {
            number: self.crowd.enter(door, gate),
            gate: Arc::clone(gate),
            doorway: Arc::clone(self),
        })
    }

    fn evict(&self, wanted: usize, gate: Option<&Arc<Gate>>) -> usize {
        let made = self.crowd.make_room(wanted, gate);
        if made > 0 {
            self.ground.registry.process().connections_evicted(made);
        }
        made
    }
}

/// What has as many connections as it may have.
#[derive(Clone, Copy)]
enum Full {
    /// The address that the connection came in by.
    Gate,
    /// All addresses together.
    Sidecar,
}

impl Full {
    /// What is told to whoever is one too many.
    const fn text(self) -> &'static str {
        match self {
            Self::Gate => {
                "this address has as many connections as it may have; hint: its `connections` in `listen.proxy`"
            }
            Self::Sidecar => {
                "the sidecar has as many connections as it may have; hint: `listen.connections`"
            }
        }
    }
}

/// A connection that does not rest.
pub(super) struct Awake<'d>(&'d AtomicUsize);

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A counted connection.
struct Entered {
    number: u64,
    gate: Arc<Gate>,
    doorway: Arc<Doorway>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let doorway = &self.doorway;
        doorway.crowd.leave(self.number);
        doorway.places.give_back();
        self.gate.closed();
        doorway.ground.registry.process().connection_closed();
    }
}

/// Accepts until the listener breaks; what comes in is counted at its gate.
pub async fn listen<E: Entrance>(
    mut listener: E,
    gate: Arc<Gate>,
    doorway: Arc<Doorway>,
    stage: watch::Receiver<Stage>,
) {
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, entry)) => {
                let (peer, uid) = (entry.peer, entry.uid);
                let door = Arc::new(Door::new(Arc::clone(&doorway.ground), entry));
                let entered = match doorway.enter(&door, &gate) {
                    Ok(entered) => entered,
                    Err(full) => {
                        let refused = refuse(stream, full, Arc::clone(&doorway.ground));
                        host::spawn("refused-connection", refused);
                        continue;
                    }
                };
                tell(ProcessEvent::ClientConnected { peer, uid });
                let number = entered.number;
                let served = connection(stream, door, Arc::clone(&doorway), stage.clone());
                let task = host::spawn("client-connection", async move {
                    served.await;
                    drop(entered);
                    tell(ProcessEvent::ClientGone { peer, uid });
                });
                doorway.crowd.ends_by(number, task.abort_handle());
            }
            Accepted::Resting { pause, error, news } => {
                doorway.ground.registry.process().accept_rested();
                // Each connection that ends gives back a descriptor.
                doorway
                    .places
                    .make_room(|wanted| doorway.evict(wanted, None));
                if news {
                    tell(ProcessEvent::AcceptBackoff {
                        role: "proxy",
                        pause,
                        why: &error,
                    });
                }
            }
            Accepted::Failed(error) => {
                tell(ProcessEvent::AcceptFailed {
                    role: "proxy",
                    why: &error,
                });
                return;
            }
        }
    }
}

/// How long a refused connection may take to read why.
const REFUSING: Duration = Duration::from_secs(1);

/// Tells a connection over the cap so, without reading its request.
async fn refuse(mut stream: impl AsyncWrite + Unpin, full: Full, ground: Arc<Ground>) {
    let id = ground.ids.next(ground.clock.wall());
    ground
        .live
        .take()
        .nobody()
        .meters()
        .refusal(Code::Overloaded);
    let body = error_body::refusal(
        None,
        Code::Overloaded,
        full.text(),
        id,
        &RefusalDetail::default(),
    );
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\noutrigger-code: {}\r\noutrigger-request-id: {id}\r\nretry-after: 1\r\nx-should-retry: true\r\n\r\n",
        body.len(),
        Code::Overloaded,
    );
    let told = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    };
    let _ = timeout(REFUSING, told).await;
}

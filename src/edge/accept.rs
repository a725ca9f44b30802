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
use super::guard::Patience;
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
    cap: usize,
    open: AtomicUsize,
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
            cap,
            open: AtomicUsize::new(0),
            awake: AtomicUsize::new(0),
            crowd: Crowd::default(),
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
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

    fn enter(self: &Arc<Self>, door: &Arc<Door>) -> Option<Entered> {
        let meters = self.ground.registry.process();
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let headroom = self.headroom();
        if before + headroom >= self.cap {
            self.make_room(headroom);
        }
        if before >= self.cap {
            self.open.fetch_sub(1, Ordering::Relaxed);
            meters.connection_refused();
            return None;
        }
        meters.connection_opened();
        Some(Entered {
            number: self.crowd.enter(door),
            doorway: Arc::clone(self),
        })
    }

    /// So many places are kept free as long as somebody is idle.
    fn headroom(&self) -> usize {
        (self.cap / 32).max(1)
    }

    fn make_room(&self, wanted: usize) {
        let made = self.crowd.make_room(wanted);
        if made > 0 {
            self.ground.registry.process().connections_evicted(made);
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
    doorway: Arc<Doorway>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let doorway = &self.doorway;
        doorway.crowd.leave(self.number);
        doorway.open.fetch_sub(1, Ordering::Relaxed);
        doorway.ground.registry.process().connection_closed();
    }
}

/// Accepts until the listener breaks.
pub async fn listen<E: Entrance>(
    mut listener: E,
    doorway: Arc<Doorway>,
    stage: watch::Receiver<Stage>,
) {
    loop {
        match listener.accept().await {
            Accepted::Connection((stream, entry)) => {
                let (peer, uid) = (entry.peer, entry.uid);
                let door = Arc::new(Door::new(Arc::clone(&doorway.ground), entry));
                if let Some(entered) = doorway.enter(&door) {
                    tell(ProcessEvent::ClientConnected { peer, uid });
                    let number = entered.number;
                    let served = connection(stream, door, Arc::clone(&doorway), stage.clone());
                    let task = host::spawn("client-connection", async move {
                        served.await;
                        drop(entered);
                        tell(ProcessEvent::ClientGone { peer, uid });
                    });
                    doorway.crowd.ends_by(number, task.abort_handle());
                } else {
                    let refused = refuse(stream, Arc::clone(&doorway.ground));
                    host::spawn("refused-connection", refused);
                }
            }
            Accepted::Resting { pause, error, news } => {
                doorway.ground.registry.process().accept_rested();
                // Each connection that ends gives back a descriptor.
                doorway.make_room(doorway.headroom());
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
async fn refuse(mut stream: impl AsyncWrite + Unpin, ground: Arc<Ground>) {
    let id = ground.ids.next(ground.clock.wall());
    ground
        .live
        .take()
        .nobody()
        .meters()
        .refusal(Code::Overloaded);
    let text = "the sidecar has as many connections as it may have; hint: `listen.connections`";
    let body = error_body::refusal(None, Code::Overloaded, text, id, &RefusalDetail::default());
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

//! What one address may have of all places: whoever crowds it is refused there, its own idle connections go first, and
//! every other address has its places still.

use std::path::{Path, PathBuf};

use outrigger::app::Source;
use serde_json::{Value, json as value};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::{config, question, request};
use crate::serve::Served;
use crate::stage::{Caller, Peer, Stage, Upstream, WHOLE, field, find, json, until, within};

/// A sidecar with a port and a socket, one of which may have fewer places than there are.
struct Scene {
    stage: Stage,
    directory: TempDir,
}

/// One of the two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Port,
    Socket,
}

impl At {
    const BOTH: [(Self, Self); 2] = [(Self::Port, Self::Socket), (Self::Socket, Self::Port)];
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

/// A caller at either.
struct Guest(Box<dyn Both>);

impl Guest {
    async fn send(&mut self, bytes: &[u8]) {
        let sent = within("the sidecar to read", self.0.write_all(bytes));
        sent.await.expect("an open connection");
    }

    /// One answer; its head and its body.
    async fn answer(&mut self) -> (String, String) {
        let mut got = Vec::new();
        within("an answer", async {
            loop {
                if let Some(at) = find(&got, b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&got[..at]).into_owned();
                    let length = field(&head, "content-length").expect("a length");
                    let length: usize = length.parse().expect("a number");
                    if got.len() >= at + 4 + length {
                        return (head, String::from_utf8_lossy(&got[at + 4..]).into_owned());
                    }
                }
                let read = self.0.read_buf(&mut got).await.expect("an answer");
                assert!(read > 0, "it broke off: {}", got.escape_ascii());
            }
        })
        .await
    }

    /// Waits until the sidecar closes it; whether it does without a word.
    async fn closes(mut self) -> bool {
        let mut rest = Vec::new();
        let read = within("the sidecar to close", self.0.read_to_end(&mut rest));
        // A reset is a close too.
        let _ = read.await;
        rest.is_empty()
    }
}

impl Scene {
    /// `total` places, of which `crowded` may have four.
    fn open(upstream: Upstream, crowded: At, total: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let option = |at: At| if at == crowded { "?connections=4" } else { "" };
        let proxy = format!(
            "connections = {total}\nproxy = [\"127.0.0.1:0{}\", \"unix:{}{}\"]",
            option(At::Port),
            directory.path().join("all.sock").display(),
            option(At::Socket),
        );
        let text = config(&upstream, "", "").replace("proxy = \"127.0.0.1:0\"", &proxy);
        Self {
            stage: Stage::with(upstream, Source::Text("test", text)),
            directory,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("all.sock")
    }

    async fn guest(&self, at: At) -> Guest {
        match at {
            At::Port => {
                let stream = TcpStream::connect(self.stage.sidecar.proxy[0]);
                Guest(Box::new(within("the port", stream).await.expect("a port")))
            }
            At::Socket => socket(&self.socket()).await,
        }
    }

    async fn ask(&self, tenant: &str, guest: &mut Guest) {
        guest.send(&request(tenant, &question(10))).await;
        let mut peer = self.stage.upstream.accept().await;
        peer.request().await;
        peer.send(&json(WHOLE)).await;
        peer.close_after().await;
        let (head, _) = guest.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }

    /// A connection on which that tenant had a call, and is idle.
    async fn idle(&self, at: At, tenant: &str) -> Guest {
        let guest = self.asked(at, tenant).await;
        self.stage.at_rest().await;
        guest
    }

    /// The same, while others may have calls under way.
    async fn asked(&self, at: At, tenant: &str) -> Guest {
        let mut guest = self.guest(at).await;
        self.ask(tenant, &mut guest).await;
        guest
    }

    /// A connection on which that tenant's call is under way.
    async fn busy(&self, at: At, tenant: &str) -> (Guest, Peer) {
        let mut guest = self.guest(at).await;
        guest.send(&request(tenant, &question(10))).await;
        let mut peer = self.stage.upstream.accept().await;
        peer.request().await;
        (guest, peer)
    }

    fn metric(&self, at: At, name: &str) -> u64 {
        let listener = match at {
            At::Port => self.stage.sidecar.proxy[0].to_string(),
            At::Socket => format!("unix:{}", self.socket().display()),
        };
        let label = format!("listener=\"{listener}\"");
        self.stage
            .metric(&format!("outrigger_listener_{name}"), &label)
    }

    async fn has(&self, at: At, count: u64) {
        let what = format!("{count} connections at {at:?}");
        until(&what, || self.metric(at, "connections") == count).await;
    }
}

async fn socket(path: &Path) -> Guest {
    let stream = within("the socket", UnixStream::connect(path)).await;
    Guest(Box::new(stream.expect("a socket")))
}

fn assert_full((head, body): &(String, String), what: &str) {
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(field(head, "outrigger-code"), Some("overloaded"));
    assert_eq!(field(head, "retry-after"), Some("1"));
    assert!(body.contains(what), "{body}");
}

#[tokio::test]
async fn who_crowds_one_address_is_refused_there_and_nowhere_else() {
    for (crowded, other) in At::BOTH {
        let scene = Scene::open(Upstream::bind().await, crowded, 64);
        let mut calls = Vec::new();
        for _ in 0..4 {
            calls.push(scene.busy(crowded, "loud").await);
        }
        for _ in 0..2 {
            let refused = scene.guest(crowded).await.answer().await;
            assert_full(&refused, "its `connections` in `listen.proxy`");
        }
        assert_eq!(scene.metric(crowded, "connections_refused_total"), 2);
        assert_eq!(scene.metric(other, "connections_refused_total"), 0);
        let refused = scene
            .stage
            .metric("outrigger_connections_refused_total", "");
        assert_eq!(refused, 2, "counted with those of the whole sidecar");
        // The other address has all places that are left.
        let mut others = Vec::new();
        for _ in 0..8 {
            others.push(scene.asked(other, "quiet").await);
        }
        scene.ask("loud", &mut others[0]).await;
        // Calls under way were not touched, and whoever ends leaves a place.
        for (guest, peer) in &mut calls {
            peer.send(&json(WHOLE)).await;
            assert!(guest.answer().await.0.starts_with("HTTP/1.1 200 "));
        }
        calls.pop();
        scene.has(crowded, 3).await;
        calls.clear();
        scene.has(crowded, 0).await;
        assert_eq!(scene.metric(other, "connections"), 8);
        for _ in 0..3 {
            scene.idle(crowded, "loud").await;
        }
        let evicted = scene
            .stage
            .metric("outrigger_connections_evicted_total", "");
        assert_eq!(evicted, 0);
    }
}

#[tokio::test]
async fn idle_connections_of_a_crowded_address_make_room_there_and_no_others() {
    for (crowded, other) in At::BOTH {
        let scene = Scene::open(Upstream::bind().await, crowded, 64);
        // The quiet one has most of all, elsewhere.
        let mut elsewhere = Vec::new();
        for _ in 0..6 {
            elsewhere.push(scene.idle(other, "quiet").await);
        }
        let mut crowd = Vec::new();
        for _ in 0..3 {
            crowd.push(scene.idle(crowded, "loud").await);
        }
        for _ in 0..5 {
            crowd.push(scene.idle(crowded, "loud").await);
            assert!(crowd.remove(0).closes().await, "the oldest one there");
            scene.has(crowded, 3).await;
        }
        for guest in elsewhere.iter_mut().chain(&mut crowd) {
            scene.ask("quiet", guest).await;
        }
        assert_eq!(scene.metric(crowded, "connections_refused_total"), 0);
        let evicted = scene
            .stage
            .metric("outrigger_connections_evicted_total", "");
        assert_eq!(evicted, 5);
    }
}

#[tokio::test]
async fn an_address_that_is_not_full_is_still_bounded_by_all_together() {
    let scene = Scene::open(Upstream::bind().await, At::Socket, 4);
    let port = [
        scene.busy(At::Port, "quiet").await,
        scene.busy(At::Port, "quiet").await,
    ];
    let socket = [
        scene.busy(At::Socket, "loud").await,
        scene.busy(At::Socket, "loud").await,
    ];
    for at in [At::Port, At::Socket, At::Socket, At::Socket] {
        let refused = scene.guest(at).await.answer().await;
        assert_full(&refused, "`listen.connections`");
        assert_eq!(scene.metric(at, "connections_refused_total"), 0);
        assert_eq!(scene.metric(at, "connections"), 2);
    }
    // Who was refused has taken no place, neither there nor of all.
    drop((port, socket));
    scene.has(At::Port, 0).await;
    scene.has(At::Socket, 0).await;
    let mut all = Vec::new();
    for tenant in ["loud", "loud", "quiet", "quiet"] {
        all.push(scene.busy(At::Socket, tenant).await);
    }
}

/// With one place, whoever comes second finds it taken, and the silent one is closed for the third.
#[tokio::test]
async fn the_log_and_the_metrics_name_the_address_and_a_change_waits_for_a_restart() {
    let home = TempDir::new().expect("a directory");
    let path = home.path().join("tenant.sock");
    let text = |connections: u32| {
        format!(
            "[listen]\nproxy = [\"127.0.0.1:0\", \"unix:{}?tenant=acme&connections={connections}\"]\ntelemetry = \"127.0.0.1:0\"\n\
             [identity]\naccept = [\"listener\"]\n[reload]\nwatch = \"off\"\npoll = \"off\"\n\
             [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n[tenants.acme]\n",
            path.display()
        )
    };
    let served = Served::start(&text(1)).await;
    let name = format!("unix:{}", path.display());
    for _ in 0..3 {
        let silent = socket(&path).await;
        served
            .shows(&[&format!(
                "outrigger_listener_connections{{listener=\"{name}\"}} 1"
            )])
            .await;
        assert_full(&socket(&path).await.answer().await, "this address has");
        assert!(silent.closes().await);
        served
            .shows(&[&format!(
                "outrigger_listener_connections{{listener=\"{name}\"}} 0"
            )])
            .await;
    }
    let refused = format!("outrigger_listener_connections_refused_total{{listener=\"{name}\"}} 3");
    served.shows(&[&refused]).await;
    let told = || -> Vec<Value> {
        let mut lines = served.lines();
        lines.retain(|line| line["listener"] == *name);
        lines
    };
    until("the line", || !told().is_empty()).await;
    let lines = told();
    // The first one at once, the others not before ten seconds have passed.
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["most"], &lines[0]["refused"]),
        (&value!(1), &value!(1))
    );
    // The port is not concerned.
    let port = served.proxy;
    let mut callers = Vec::new();
    for _ in 0..4 {
        callers.push(Caller::connect(port).await);
    }
    served
        .shows(&[&format!(
            "outrigger_listener_connections{{listener=\"{port}\"}} 4"
        )])
        .await;

    let file = served.home.path().join("outrigger.toml");
    std::fs::write(file, text(2)).expect("a file");
    let output = served.ctl("reload").await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(answer["needs_restart"], value!(["listen.proxy"]));
}

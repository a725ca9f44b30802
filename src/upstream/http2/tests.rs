//! What only time shows: whether the other side still answers.

use std::time::Duration;

use tokio::io::DuplexStream;

use super::super::alarm::FirstByte;
use super::super::{Alarm, AnswerFault, RequestBody};
use super::*;
use crate::host::SystemClock;
use crate::meters::Registry;

fn pool() -> Arc<Pool> {
    let registry = Registry::new("0", 10);
    Pool::new(8, Arc::new(SystemClock), Arc::new(registry))
}

/// An upstream that says hello, and then answers pings or not.
async fn upstream(stream: DuplexStream, lives: bool) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    if !lives {
        // Let the hello out, and read no further.
        let hello = tokio::time::timeout(Duration::from_millis(1), connection.accept());
        assert!(hello.await.is_err());
        std::future::pending::<()>().await;
    }
    while connection.accept().await.is_some() {}
}

async fn session(lives: bool) -> Session {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    host::tasks::spawn("test-upstream", upstream(theirs, lives));
    open(ours, &pool()).await.ok().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_used_connection_that_answers_no_ping_is_dead() {
    let session = session(false).await;
    assert!(session.enter());
    tokio::time::sleep(pulse::EVERY + pulse::PATIENCE / 2).await;
    assert!(!session.is_closed());
    tokio::time::sleep(pulse::PATIENCE).await;
    assert!(session.is_closed() && session.has_ended());
    assert!(session.state.dead.load(Ordering::Relaxed));
}

fn upstream_of(text: &str) -> Arc<crate::snapshot::Upstream> {
    use crate::snapshot::{Overlay, TrustStore, World, compile};
    let loaded = crate::config::load_text("test", text, &crate::config::System);
    let world = World {
        accounts: Arc::default(),
        registry: Arc::new(Registry::new("0", 10)),
        trust: Arc::new(TrustStore::default()),
    };
    let now = crate::units::Boot(0);
    let compiled = compile(&loaded, &Overlay::default(), &world, None, 1, now)
        .ok()
        .unwrap();
    Arc::clone(&compiled.snapshot().upstreams()[0])
}

/// Whoever waits on a dead connection learns it long before its own patience ends.
#[tokio::test(start_paused = true)]
async fn those_who_wait_on_a_dead_connection_are_told() {
    let text = "[upstreams.a]\ndialect = \"openai\"\nurl = \"http://a\"\n";
    let target = upstream_of(text);
    for answers in [false, true] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        host::tasks::spawn("test-upstream", async move {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let _stream = answers.then(|| respond.send_response(http::Response::new(()), false));
            let last = tokio::time::timeout(Duration::from_secs(1), connection.accept());
            assert!(last.await.is_err());
            std::future::pending::<()>().await;
        });
        let session = open(ours, &pool()).await.ok().unwrap();
        assert!(session.enter());
        let mut request = http::Request::new(RequestBody::Empty);
        *request.uri_mut() = http::Uri::from_static("/v1/models");
        let patience = FirstByte::new(Duration::from_mins(10), request.body());
        let mut alarm = Alarm::default();
        let begun = tokio::time::Instant::now();
        match ask(&session, &mut alarm, &target, request, patience).await {
            Err(Failed::Fault(Fault::Dead)) if !answers => {}
            Ok(mut response) if answers => {
                let ended = poll_fn(|cx| response.body_mut().poll_piece(cx)).await;
                assert!(matches!(ended, Some(Err(AnswerFault::Dead))));
            }
            _ => panic!("neither an answer nor its absence"),
        }
        assert!(begun.elapsed() <= pulse::EVERY + pulse::PATIENCE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_used_connection_that_answers_lives_on() {
    let session = session(true).await;
    assert!(session.enter());
    tokio::time::sleep(pulse::EVERY * 40).await;
    assert!(!session.is_closed() && !session.has_ended());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_not_asked() {
    let session = session(false).await;
    tokio::time::sleep(pulse::EVERY * 40).await;
    assert!(!session.is_closed() && !session.has_ended());
}

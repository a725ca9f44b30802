//! What only time shows: whether the other side still answers.

use std::time::Duration;

use tokio::io::DuplexStream;

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

//! A resolver whose answers, failures and hangs are the test's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::host::net::connect::{ConnectError, connect_by, interleaved};
use crate::host::net::{Accepted, TcpListener};

const LIMIT: Duration = Duration::from_secs(5);

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A resolver, and how often it was asked.
fn counting(
    answer: impl Fn(usize, &str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> (Arc<Resolver>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let resolver = Resolver::over(Arc::new(move |name: &str| {
        answer(counted.fetch_add(1, Ordering::SeqCst), name)
    }));
    (resolver, count)
}

async fn addresses(resolver: &Arc<Resolver>, name: &str) -> Result<Vec<IpAddr>, Arc<str>> {
    let resolved = resolver.resolve(name).await?;
    Ok(resolved.addresses.to_vec())
}

#[tokio::test]
async fn an_answer_is_kept_for_a_little_while_and_a_failure_is_not() {
    let (resolver, count) = counting(|at, name| match (name, at) {
        ("odd", 0) => Err(io::Error::other(
            "failed to lookup address information: Name or service not known",
        )),
        ("none", _) => Ok(Vec::new()),
        _ => Ok(vec![v4(1), v4(1), v4(2)]),
    });
    let failed = addresses(&resolver, "odd").await.unwrap_err();
    assert_eq!(&*failed, "name or service not known");
    for _ in 0..3 {
        let found = addresses(&resolver, "odd").await.unwrap();
        assert_eq!(found, [v4(1), v4(2)]);
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
    tokio::time::pause();
    tokio::time::advance(KEPT).await;
    tokio::time::resume();
    addresses(&resolver, "odd").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
    resolver.forget("odd");
    addresses(&resolver, "odd").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 4);
    let failed = addresses(&resolver, "none").await.unwrap_err();
    assert_eq!(&*failed, "it has no address");
}

/// A resolver that hangs until the test lets it go on.
fn hanging() -> (Arc<Resolver>, Arc<AtomicUsize>, mpsc::SyncSender<()>) {
    let (go, gate) = mpsc::sync_channel::<()>(4);
    let gate = Mutex::new(gate);
    let (resolver, count) = counting(move |_, name| {
        if name != "quick" {
            // Ends when the sender is dropped, too.
            let _ = gate.lock().unwrap().recv();
        }
        Ok(vec![v4(1)])
    });
    (resolver, count, go)
}

#[tokio::test]
async fn a_name_is_looked_up_once_however_many_wait() {
    let (resolver, count, go) = hanging();
    for _ in 0..100 {
        let waited = tokio::time::timeout(Duration::ZERO, resolver.resolve("slow"));
        assert!(waited.await.is_err());
    }
    let waiting = async { addresses(&resolver, "slow").await };
    let letting = async { go.send(()).unwrap() };
    let (found, ()) = tokio::join!(waiting, letting);
    assert_eq!(found.unwrap(), [v4(1)]);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_resolver_that_hangs_takes_few_threads_and_few_names() {
    let (resolver, count, go) = hanging();
    let refused = loop {
        let name = format!("slow-{}", resolver.names.lock().unwrap().len());
        match resolver.look(&name) {
            Ok(_) => assert!(resolver.names.lock().unwrap().len() <= MOST_NAMES),
            Err(refused) => break refused,
        }
    };
    assert_eq!(&*refused, "too many names are being looked up");
    while count.load(Ordering::SeqCst) < AT_ONCE {
        tokio::task::yield_now().await;
    }
    // Those who wait learn it in their own time.
    let limit = Duration::from_millis(20);
    let error = connect_by(&resolver, "slow-1", 1, limit).await.unwrap_err();
    let expected = ConnectError::Resolve("`slow-1`: no answer in time".to_owned());
    assert_eq!(error, expected);
    assert_eq!(count.load(Ordering::SeqCst), AT_ONCE);
    // And when it is well again, all that was asked is answered.
    drop(go);
    for name in ["slow-0", "slow-255", "quick"] {
        addresses(&resolver, name).await.unwrap();
    }
}

#[tokio::test]
async fn the_oldest_name_makes_room() {
    let (resolver, count) = counting(|_, _| Ok(vec![v4(1)]));
    for at in 0..=MOST_NAMES {
        addresses(&resolver, &format!("name-{at}")).await.unwrap();
    }
    assert_eq!(resolver.names.lock().unwrap().len(), MOST_NAMES);
    let before = count.load(Ordering::SeqCst);
    addresses(&resolver, "name-1").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), before);
    addresses(&resolver, "name-0").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), before + 1);
}

#[test]
fn families_take_turns() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for (found, tried) in [
        ("::1 ::2 ::3 1.1.1.1", "::1 1.1.1.1 ::2 ::3"),
        ("1.1.1.1 1.1.1.2 ::1 ::2", "1.1.1.1 ::1 1.1.1.2 ::2"),
        ("1.1.1.1", "1.1.1.1"),
        ("", ""),
    ] {
        let list = |text: &str| text.split_whitespace().map(ip).collect::<Vec<_>>();
        assert_eq!(interleaved(&list(found)), list(tried), "{found}");
    }
}

/// An address that never answers: its backlog is full.
async fn silent() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(v4(2), 0)).unwrap();
    let full = socket.listen(1).unwrap();
    let at = full.local_addr().unwrap();
    let mut held = Vec::new();
    let patience = Duration::from_millis(50);
    while let Ok(stream) = tokio::time::timeout(patience, tokio::net::TcpStream::connect(at)).await
    {
        held.push(stream.unwrap());
    }
    (full, held)
}

#[tokio::test]
async fn the_first_that_answers_is_taken() {
    let (full, _held) = silent().await;
    let port = full.local_addr().unwrap().port();
    // Nobody at the first, no answer from the second, and the third answers.
    let mut listener = TcpListener::bind(SocketAddr::new(v4(3), port)).unwrap();
    let (resolver, _) = counting(|_, _| Ok(vec![v4(1), v4(2), v4(3)]));
    let begun = Instant::now();
    let (out, accepted) = tokio::join!(
        connect_by(&resolver, "name", port, LIMIT),
        listener.accept()
    );
    assert_eq!(out.unwrap().peer_addr().unwrap().ip(), v4(3));
    assert!(matches!(accepted, Accepted::Connection(_)));
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(250) && took < Duration::from_secs(2),
        "{took:?}"
    );
}

#[tokio::test]
async fn all_that_fail_are_told_by_the_one_that_says_most() {
    let port = {
        let listener = TcpListener::bind(SocketAddr::new(v4(1), 0)).unwrap();
        listener.address().port()
    };
    // A network that nobody is at, and an address where nobody listens.
    let nowhere: IpAddr = "fe80::1".parse().unwrap();
    let (resolver, count) = counting(move |_, _| Ok(vec![nowhere, v4(1)]));
    let error = connect_by(&resolver, "name", port, LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Refused(_)), "{error}");
    // What nobody answers at is not kept.
    connect_by(&resolver, "name", port, LIMIT)
        .await
        .unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_name_that_moved_is_found_again_at_once() {
    let mut listener = TcpListener::bind(SocketAddr::new(v4(3), 0)).unwrap();
    let port = listener.address().port();
    let (resolver, count) = counting(|at, _| Ok(vec![if at == 0 { v4(4) } else { v4(3) }]));
    addresses(&resolver, "name").await.unwrap();
    let (out, accepted) = tokio::join!(
        connect_by(&resolver, "name", port, LIMIT),
        listener.accept()
    );
    out.unwrap();
    assert!(matches!(accepted, Accepted::Connection(_)));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn no_address_that_answers_costs_the_limit_and_no_more() {
    let (full, _held) = silent().await;
    let port = full.local_addr().unwrap().port();
    let (resolver, _) = counting(|_, _| Ok(vec![v4(2)]));
    let limit = Duration::from_millis(50);
    let begun = Instant::now();
    let error = connect_by(&resolver, "name", port, limit)
        .await
        .unwrap_err();
    assert_eq!(error, ConnectError::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

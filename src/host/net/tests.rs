//! Real sockets on ports and paths of the test's own.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::libc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::host::hardening::own_uid;

const LIMIT: Duration = Duration::from_secs(5);

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn bytes_cross_a_connection_without_delay() {
    for host in ["127.0.0.1", "localhost", "LOCALHOST.", "api.localhost"] {
        let mut listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.address();
        assert_ne!(address.port(), 0);
        let (mut out, accepted) =
            tokio::join!(connect(host, address.port(), LIMIT), listener.accept());
        let out = out.as_mut().unwrap();
        let Accepted::Connection((mut inside, peer)) = accepted else {
            panic!("{accepted:?}")
        };
        assert_eq!(peer, out.local_addr().unwrap());
        assert!(inside.nodelay().unwrap() && out.nodelay().unwrap());
        out.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        inside.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
    }
}

#[tokio::test]
async fn ipv6_literals_come_with_brackets_too() {
    let Ok(mut listener) = TcpListener::bind("[::1]:0".parse().unwrap()) else {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let port = listener.address().port();
    for host in ["[::1]", "::1"] {
        let (out, accepted) = tokio::join!(connect(host, port, LIMIT), listener.accept());
        out.unwrap();
        assert!(matches!(accepted, Accepted::Connection(_)));
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_a_hint() {
    let first = TcpListener::bind(loopback()).unwrap();
    let error = TcpListener::bind(first.address()).unwrap_err();
    let expected = format!(
        "cannot bind `{}`: address already in use (EADDRINUSE)",
        first.address()
    );
    assert_eq!(error.to_string(), expected);
    assert!(format!("{error:#}").contains("\nhint: another process listens there"));
}

#[tokio::test]
async fn failures_to_connect_are_told_apart() {
    let port = TcpListener::bind(loopback()).unwrap().address().port();
    let refused = connect("127.0.0.1", port, LIMIT).await.unwrap_err();
    let text = format!("127.0.0.1:{port}: connection refused (ECONNREFUSED)");
    assert_eq!(refused, ConnectError::Refused(text.clone()));
    assert_eq!(refused.to_string(), format!("cannot connect to {text}"));

    // Longer than a name can be, so the resolver refuses it without asking anybody.
    let name = "a.".repeat(200);
    let unknown = connect(&name, 1, LIMIT).await.unwrap_err();
    assert!(
        matches!(&unknown, ConnectError::Resolve(text) if text.starts_with(&format!("`{name}`: ")))
    );
    assert!(
        !unknown.to_string().contains("failed to lookup"),
        "{unknown}"
    );
}

/// A listener that never accepts and has a full backlog answers no more connections: the limit is what ends the wait.
#[tokio::test]
async fn a_silent_address_costs_its_share_and_no_more() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(loopback()).unwrap();
    let full = socket.listen(1).unwrap();
    let port = full.local_addr().unwrap().port();
    let mut held = Vec::new();
    let error = loop {
        match connect("127.0.0.1", port, Duration::from_millis(50)).await {
            Ok(stream) => held.push(stream),
            Err(error) => break error,
        }
        assert!(held.len() < 16, "the backlog is never full");
    };
    assert_eq!(error, ConnectError::Timeout);
}

#[tokio::test]
async fn rests_grow_to_a_second_and_are_kept() {
    let mut patience = Patience::default();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let error = io::Error::from_raw_os_error(libc::EMFILE);
        let before = Instant::now();
        let Some(Accepted::<()>::Resting { pause, error, .. }) = patience.answer("x", error) else {
            panic!("a listener out of descriptors rests");
        };
        assert_eq!(
            error.to_string(),
            "cannot accept on `x`: too many open files (EMFILE)"
        );
        assert!(patience.until.unwrap() >= before + pause);
        pauses.push(pause.as_millis());
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    patience.refresh();
    assert_eq!(patience.rest(), SHORTEST_REST);
}

/// A wait that is dropped and taken up again ends when it would have, not sooner and not from the start.
#[tokio::test(start_paused = true)]
async fn a_dropped_wait_forgets_nothing() {
    let mut patience = Patience::default();
    patience.rest();
    let until = patience.until.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(1), patience.wait())
            .await
            .is_err()
    );
    assert_eq!(patience.until, Some(until));
    patience.wait().await;
    assert!(Instant::now() >= until);
    assert_eq!(patience.until, None);
}

#[test]
fn verdicts() {
    let cases = [
        (libc::ECONNABORTED, Verdict::Shrug),
        (libc::ECONNRESET, Verdict::Shrug),
        (libc::EPROTO, Verdict::Shrug),
        (libc::EMFILE, Verdict::Rest),
        (libc::ENFILE, Verdict::Rest),
        (libc::ENOBUFS, Verdict::Rest),
        (libc::ENOMEM, Verdict::Rest),
        (libc::EBADF, Verdict::GiveUp),
        (libc::EINVAL, Verdict::GiveUp),
    ];
    for (errno, verdict) in cases {
        assert_eq!(
            judge(&io::Error::from_raw_os_error(errno)),
            verdict,
            "errno {errno}"
        );
    }
}

#[tokio::test]
async fn a_private_socket_is_0600_names_its_peer_and_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let mut listener = UnixListener::bind_private(&path).unwrap();
    let mode = std::fs::symlink_metadata(&path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (stream, accepted) = tokio::join!(unix_connect(&path), listener.accept());
    stream.unwrap();
    let Accepted::Connection((_, peer)) = accepted else {
        panic!("{accepted:?}")
    };
    assert_eq!(peer.uid, own_uid());
    assert_eq!(
        peer.pid.and_then(|pid| u32::try_from(pid).ok()),
        Some(std::process::id())
    );
    drop(listener);
    assert!(!path.exists());
    let error = unix_connect(&path).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("no such file or directory (ENOENT)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_socket_is_opened_as_far_as_said_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o606, 0o666] {
        let path = directory.path().join(format!("{mode:o}.sock"));
        let listener = UnixListener::bind(&path, mode).unwrap();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
        drop(listener);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(
        path.exists(),
        "the standard library leaves its socket behind"
    );
    let alive = UnixListener::bind_private(&path).unwrap();

    let error = UnixListener::bind_private(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("another process answers there")
    );
    assert!(path.exists());

    // Somebody put another file there: the end of the listener must not take that away.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "kept").unwrap();
    drop(alive);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    let error = UnixListener::bind_private(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
}

#[tokio::test]
async fn a_path_too_long_is_told_before_the_kernel_cuts_it() {
    let path = std::path::Path::new("/tmp").join("x".repeat(104));
    let error = UnixListener::bind_private(&path).unwrap_err();
    assert!(error.to_string().ends_with("(ENAMETOOLONG)"), "{error}");
}

/// In a process of its own, as the limit of descriptors holds for a whole process.
#[test]
fn a_listener_outlives_a_shortage_of_descriptors() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "host::net::tests::inner_runs_out_of_descriptors",
            "--ignored",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// Not a test of its own: what [`a_listener_outlives_a_shortage_of_descriptors`] starts.
#[tokio::test]
#[ignore = "started by `a_listener_outlives_a_shortage_of_descriptors`"]
async fn inner_runs_out_of_descriptors() {
    use nix::sys::resource::{Resource, setrlimit};
    let mut listener = TcpListener::bind(loopback()).unwrap();
    let caller = connect("127.0.0.1", listener.address().port(), LIMIT)
        .await
        .unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    for expected in [SHORTEST_REST, SHORTEST_REST * 2] {
        let Accepted::Resting { pause, .. } = listener.accept().await else {
            panic!("accepted without a descriptor");
        };
        assert_eq!(pause, expected);
    }
    drop(hoard);
    let Accepted::Connection((_, peer)) = listener.accept().await else {
        panic!("did not recover");
    };
    assert_eq!(peer, caller.local_addr().unwrap());
}

//! TLS with an upstream: real handshakes, and who is trusted with what. Must never trust anything but what the test says.
//! The keys in `tls/` are worth nothing: they were made for this, and `private-authority.pem` signed all but `server.pem`.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outrigger::app::Source;
use outrigger::host;
use outrigger::journal::{Kind, Reader, Wanted};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::serve::Served;
use crate::stage::{Caller, PLAIN, Stage, Upstream, WHOLE, hash_of, json, post, within};

const PATH: &str = "/openai/v1/chat/completions";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/tls")
        .join(name)
}

/// A server with that certificate, which speaks these protocols.
fn acceptor(certificate: &str, alpn: &[&str]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file(certificate)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("server-key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Two tenants and one upstream; `added` stands in the upstream's table.
fn config(at: SocketAddr, added: &str) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n[identity]\naccept = [\"key\"]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"https://localhost:{}\"\nkey = \"sk-over-tls\"\n{added}\n\
         [tenants.acme]\nkeys = [\"{}\"]\n[tenants.other]\nkeys = [\"{}\"]\n",
        at.port(),
        hash_of("key-acme"),
        hash_of("key-other"),
    )
}

fn trusting(ca: &str) -> String {
    format!("ca = \"${{file:{}}}\"", file(ca).display())
}

async fn stage(added: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, added);
    Stage::with(upstream, Source::Text("test", text))
}

async fn ask(stage: &Stage, key: &str) -> Caller {
    let mut caller = stage.caller().await;
    let request = String::from_utf8(post(PATH, PLAIN)).expect("a text");
    let keyed = format!("\r\nauthorization: Bearer {key}\r\n\r\n");
    caller
        .send(request.replacen("\r\n\r\n", &keyed, 1).as_bytes())
        .await;
    caller
}

async fn is_whole(caller: &mut Caller) {
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, WHOLE);
}

/// The upstream's next connection, with its TLS.
async fn accept(upstream: &Upstream, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    let socket = upstream.accept().await.into_stream();
    within("a handshake", acceptor.accept(socket))
        .await
        .expect("a handshake")
}

/// Answers one call of HTTP/1.1, and gives what was asked.
async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
    let mut got = Vec::new();
    while !got.ends_with(PLAIN.as_bytes()) {
        let read = within("a request", stream.read_buf(&mut got)).await;
        assert!(read.expect("a request") > 0, "{}", got.escape_ascii());
    }
    stream.write_all(&json(WHOLE)).await.expect("a caller");
    stream.flush().await.expect("a caller");
    String::from_utf8_lossy(&got).into_owned()
}

/// Answers one call of HTTP/2, and gives its target.
async fn answer_http2(stream: TlsStream<TcpStream>) -> String {
    let (tell, told) = tokio::sync::oneshot::channel();
    host::spawn("test-upstream", async move {
        let mut connection = h2::server::handshake(stream).await.expect("a client");
        let (request, mut respond) = connection.accept().await.expect("one").expect("a call");
        let head = http::Response::builder()
            .header("content-type", "application/json")
            .header("content-length", WHOLE.len());
        let mut stream = respond
            .send_response(head.body(()).expect("a head"), false)
            .expect("a stream");
        stream
            .send_data(Bytes::from_static(WHOLE.as_bytes()), true)
            .expect("a stream");
        let _ = tell.send(request.uri().to_string());
        while connection.accept().await.is_some() {}
    });
    within("a call", told).await.expect("a call")
}

#[tokio::test]
async fn what_is_spoken_is_agreed_on() {
    for (http, offered, spoken) in [
        ("auto", &["h2", "http/1.1"][..], Some("h2")),
        ("auto", &["http/1.1"], Some("http/1.1")),
        ("auto", &[], None),
        ("1.1", &["h2", "http/1.1"], Some("http/1.1")),
        ("1.1", &[], None),
        ("2", &["h2", "http/1.1"], Some("h2")),
    ] {
        let added = format!("http = \"{http}\"\n{}", trusting("private-authority.pem"));
        let stage = stage(&added).await;
        let mut caller = ask(&stage, "key-acme").await;
        let mut stream = accept(&stage.upstream, &acceptor("private.pem", offered)).await;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), spoken.map(str::as_bytes), "{http}");
        if spoken == Some("h2") {
            let target = answer_http2(stream).await;
            let port = stage.upstream.at.port();
            let expected = format!("https://localhost:{port}/v1/chat/completions");
            assert_eq!(target, expected);
        } else {
            let asked = answer(&mut stream).await;
            assert!(asked.contains("Bearer sk-over-tls"), "{asked}");
        }
        is_whole(&mut caller).await;
    }
}

/// What a record says of the time it took to get a connection, in the log and, of a call that is over, in the journal.
#[tokio::test]
async fn who_waits_for_a_new_connection_finds_that_on_record() {
    let state = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, &trusting("private-authority.pem")) + "[journal]\n";
    let mut stage = Stage::keeping(upstream, Source::Text("test", text), state.path());

    let mut first = ask(&stage, "key-acme").await;
    let socket = stage.upstream.accept().await.into_stream();
    stage.clock.advance(Duration::from_millis(40));
    let acceptor = acceptor("private.pem", &[]);
    let shaken = within("a handshake", acceptor.accept(socket)).await;
    let mut stream = shaken.expect("a handshake");
    answer(&mut stream).await;
    is_whole(&mut first).await;
    let told = stage.record().await;
    assert_eq!(
        (&told["connect_us"], &told["left_us"]),
        (&40_000.into(), &0.into())
    );

    let mut second = ask(&stage, "key-acme").await;
    answer(&mut stream).await;
    is_whole(&mut second).await;
    let told = stage.record().await;
    assert_eq!(
        (&told["ending"], &told["connect_us"]),
        (&"complete".into(), &Value::Null)
    );

    // Nobody shares that connection: another tenant's is new, and does not come about.
    let mut third = ask(&stage, "key-other").await;
    let socket = stage.upstream.accept().await.into_stream();
    stage.clock.advance(Duration::from_millis(7));
    drop(socket);
    third.answer().await;
    let told = stage.record().await;
    assert_eq!(
        (&told["code"], &told["connect_us"]),
        (&"upstream-tls".into(), &7_000.into())
    );

    let mut said = Vec::new();
    let wanted = Wanted::default();
    stage.sidecar.close();
    Reader::open(&state.path().join("journal")).read(&wanted, &mut |line| {
        if line.frame.head.kind == Kind::End {
            let payload = serde_json::from_slice(line.payload.expect("its key is here"));
            let payload: Value = payload.expect("a document");
            said.push((payload["tenant"].clone(), payload["connect_us"].clone()));
        }
        ControlFlow::Continue(())
    });
    let expected = [
        ("acme".into(), 40_000.into()),
        ("acme".into(), Value::Null),
        ("other".into(), 7_000.into()),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_upstream_that_has_to_speak_http2_and_does_not_is_told_of() {
    for (offered, sign) in [
        (&["http/1.1"][..], "TLS with the upstream failed"),
        (&[], "does not offer HTTP/2"),
    ] {
        let added = format!("http = \"2\"\n{}", trusting("private-authority.pem"));
        let mut stage = stage(&added).await;
        let mut caller = ask(&stage, "key-acme").await;
        let socket = stage.upstream.accept().await.into_stream();
        let _ = acceptor("private.pem", offered).accept(socket).await;
        let (head, body) = caller.answer().await;
        assert!(head.contains("outrigger-code: upstream-tls"), "{head}");
        assert!(body.contains(sign), "{body}");
        assert_eq!(stage.record().await["code"], "upstream-tls");
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_and_nothing_is_said() {
    for (certificate, ca, sign) in [
        (
            "expired.pem",
            "private-authority.pem",
            "certificate expired",
        ),
        (
            "elsewhere.pem",
            "private-authority.pem",
            "certificate not valid for name",
        ),
        ("server.pem", "private-authority.pem", "UnknownIssuer"),
        ("private.pem", "authority.pem", "UnknownIssuer"),
    ] {
        let mut stage = stage(&trusting(ca)).await;
        let mut caller = ask(&stage, "key-acme").await;
        let socket = stage.upstream.accept().await.into_stream();
        let both = &["h2", "http/1.1"];
        let shaken = within("a handshake", acceptor(certificate, both).accept(socket)).await;
        if let Ok(mut stream) = shaken {
            // TLS 1.3 lets the server believe for a moment that all is well.
            let mut said = Vec::new();
            let _ = within("the end", stream.read_to_end(&mut said)).await;
            assert!(said.is_empty(), "{certificate}: {}", said.escape_ascii());
        }
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{certificate}: {head}");
        assert!(head.contains("outrigger-code: upstream-tls"), "{head}");
        assert!(head.contains("x-should-retry: false"), "{head}");
        assert!(body.contains(sign), "{certificate}: {body}");
        let line = stage.record().await;
        assert_eq!(line["code"], "upstream-tls", "{line}");
        assert_eq!(line["ending"], "upstream-failed", "{line}");
        let failed = stage.metric("outrigger_upstream_connects_total", "result=\"tls\"");
        assert_eq!(failed, 1);
    }
}

#[tokio::test]
async fn no_session_is_ever_resumed() {
    let stage = stage(&trusting("private-authority.pem")).await;
    // One acceptor, so that the server would know its own tickets again.
    let acceptor = acceptor("private.pem", &["http/1.1"]);
    for key in ["key-acme", "key-other", "key-acme", "key-other"] {
        let mut caller = ask(&stage, key).await;
        let mut stream = accept(&stage.upstream, &acceptor).await;
        answer(&mut stream).await;
        is_whole(&mut caller).await;
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full), "{key}");
        drop(stream);
        stage.hung_up().await;
        // What the pool still has is found closed.
        stage.sidecar.ground.dialer.pool().sweep();
    }
}

#[tokio::test]
async fn authorities_are_read_again_and_old_connections_left() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("outrigger.toml");
    let ca = home.path().join("ca.pem");
    let put = |authority: &str| {
        let read = std::fs::read(file(authority)).expect("a file");
        // As long as a system's bundle, which has names between its certificates.
        let names = "# an authority that nobody needs\n".repeat(10_000);
        std::fs::write(&ca, [names.as_bytes(), &read].concat()).expect("a file");
    };
    put("private-authority.pem");
    let upstream = Upstream::bind().await;
    let added = format!("http = \"1.1\"\nca = \"${{file:{}}}\"", ca.display());
    std::fs::write(&path, config(upstream.at, &added)).expect("a file");
    let stage = Stage::with(upstream, Source::File(path));
    let acceptor = acceptor("private.pem", &[]);
    let mut caller = ask(&stage, "key-acme").await;
    let mut first = accept(&stage.upstream, &acceptor).await;
    answer(&mut first).await;
    is_whole(&mut caller).await;

    // Not trusted any more: neither is the connection that was made when it was.
    put("authority.pem");
    stage.sidecar.reloader.reload();
    let mut caller = ask(&stage, "key-acme").await;
    let socket = stage.upstream.accept().await.into_stream();
    let _ = acceptor.accept(socket).await;
    let (head, _) = caller.answer().await;
    assert!(head.contains("outrigger-code: upstream-tls"), "{head}");

    // What is no certificate changes nothing.
    std::fs::write(
        &ca,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .expect("a file");
    let outcome = format!("{:?}", stage.sidecar.reloader.reload());
    assert!(outcome.contains("certificates cannot be used"), "{outcome}");

    put("private-authority.pem");
    stage.sidecar.reloader.reload();
    let mut caller = ask(&stage, "key-acme").await;
    // The first connection is under the same authorities again.
    answer(&mut first).await;
    is_whole(&mut caller).await;
}

/// A process of its own, for what the environment says.
fn served(port: u16) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"off\"\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"https://localhost:{port}\"\nkey = \"sk-over-tls\"\n"
    )
}

#[tokio::test]
async fn the_systems_authorities_are_those_of_the_environment() {
    for (roots, is_trusted) in [("authority.pem", true), ("server.pem", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let upstream = host::spawn("tls-upstream", async move {
            let (socket, _) = listener.accept().await.expect("a connection");
            let mut stream = acceptor("server.pem", &["http/1.1"]).accept(socket).await?;
            for _ in 0..2 {
                answer(&mut stream).await;
            }
            std::io::Result::Ok(())
        });
        // Its own certificate is no authority: a store that is there, and does not fit.
        let roots = file(roots);
        let served = Served::start_with(&served(port), &[("SSL_CERT_FILE", &roots)]).await;
        let mut caller = Caller::connect(served.proxy).await;
        for _ in 0..2 {
            if is_trusted {
                caller.send(&post(PATH, PLAIN)).await;
                is_whole(&mut caller).await;
            }
        }
        if !is_trusted {
            caller.send(&post(PATH, PLAIN)).await;
            let (head, body) = caller.answer().await;
            assert!(head.contains("outrigger-code: upstream-tls"), "{head}");
            assert!(body.contains("invalid peer certificate"), "{body}");
        }
        let served = within("the upstream", upstream).await.expect("an upstream");
        assert_eq!(served.is_ok(), is_trusted);
    }
}

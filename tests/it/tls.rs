//! TLS with an upstream: a real handshake against roots of the environment, and against none that fit.
//! Must never trust anything but what the test says. The keys in `tls/` are worth nothing: they were made for this.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::serve::Served;
use crate::stage::{Caller, within};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
const ASK: &str = r#"{"model":"m","messages":[]}"#;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/tls")
        .join(name)
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("server-key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// An upstream that answers two calls on one TLS connection; gives what it read, and the protocol agreed on.
async fn upstream(listener: TcpListener) -> (String, Option<Vec<u8>>) {
    let (socket, _) = listener.accept().await.expect("a connection");
    let mut stream = acceptor().accept(socket).await.expect("a handshake");
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let mut got = Vec::new();
    for call in 1..=2 {
        while got
            .windows(ASK.len())
            .filter(|part| *part == ASK.as_bytes())
            .count()
            < call
        {
            let read = stream.read_buf(&mut got).await.expect("a request");
            assert!(read > 0, "closed: {}", got.escape_ascii());
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            ANSWER.len()
        );
        stream
            .write_all((head + ANSWER).as_bytes())
            .await
            .expect("a caller");
        stream.flush().await.expect("a caller");
    }
    (String::from_utf8_lossy(&got).into_owned(), agreed)
}

fn config(port: u16) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"off\"\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"https://localhost:{port}\"\nhttp = \"1.1\"\nkey = \"sk-over-tls\"\n"
    )
}

fn call() -> String {
    format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ASK}",
        ASK.len()
    )
}

#[tokio::test]
async fn an_upstream_whose_root_is_known_is_called_over_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let upstream = outrigger::host::spawn("tls-upstream", upstream(listener));
    let roots = file("authority.pem");
    let served = Served::start_with(&config(port), &[("SSL_CERT_FILE", &roots)]).await;
    let mut caller = Caller::connect(served.proxy).await;
    for _ in 0..2 {
        caller.send(call().as_bytes()).await;
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(body, ANSWER);
    }
    let (seen, agreed) = within("the upstream", upstream).await.expect("an upstream");
    assert!(seen.contains("authorization: Bearer sk-over-tls"), "{seen}");
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn an_upstream_whose_root_is_unknown_is_never_spoken_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let refused = outrigger::host::spawn("tls-upstream", async move {
        let (socket, _) = listener.accept().await.expect("a connection");
        acceptor().accept(socket).await.is_err()
    });
    // Its own certificate is no authority: a store that is there, and does not fit.
    let roots = file("server.pem");
    let served = Served::start_with(&config(port), &[("SSL_CERT_FILE", &roots)]).await;
    let mut caller = Caller::connect(served.proxy).await;
    caller.send(call().as_bytes()).await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    assert!(head.contains("outrigger-code: upstream-tls"), "{head}");
    assert!(body.contains("invalid peer certificate"), "{body}");
    assert!(within("the handshake", refused).await.expect("an upstream"));
}

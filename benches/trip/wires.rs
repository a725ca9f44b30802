//! What is spoken on each side of a subject, and the certificates of a TLS in between.
//!
//! It must never let two subjects of one run speak differently: whoever cannot, is skipped.

use std::io;
use std::sync::Arc;

use clap::ValueEnum;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

/// Both sides; what clients speak is always in clear text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wires {
    pub(crate) client: Http,
    pub(crate) upstream: Http,
    /// Whether the upstream is reached over TLS; HTTP/2 is then agreed on (ALPN), and known before otherwise.
    pub(crate) tls: bool,
}

/// Which side speaks HTTP/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Side {
    Client,
    Upstream,
    Both,
}

/// Streams that share a client's connection of HTTP/2, as the calls of one agent would; they speak as one tenant.
pub(crate) const SHARED_BY: usize = 8;

impl Wires {
    pub(crate) fn new(two: Option<Side>, tls: bool) -> Self {
        let speaks = |sides: [Side; 2]| match two {
            Some(side) if sides.contains(&side) => Http::Two,
            _ => Http::One,
        };
        Self {
            client: speaks([Side::Client, Side::Both]),
            upstream: speaks([Side::Upstream, Side::Both]),
            tls,
        }
    }

    /// What has been promised is promised of this.
    pub(crate) fn are_plain(self) -> bool {
        self == Self::new(None, false)
    }

    pub(crate) fn in_words(self) -> String {
        format!(
            "{} in, {}{} out",
            self.client.name(),
            self.upstream.name(),
            if self.tls { " over TLS" } else { "" }
        )
    }

    /// The side that speaks HTTP/2, as an argument.
    pub(crate) fn side(self) -> Option<Side> {
        match (self.client, self.upstream) {
            (Http::One, Http::One) => None,
            (Http::Two, Http::One) => Some(Side::Client),
            (Http::One, Http::Two) => Some(Side::Upstream),
            (Http::Two, Http::Two) => Some(Side::Both),
        }
    }
}

impl Http {
    fn name(self) -> &'static str {
        match self {
            Self::One => "HTTP/1.1",
            Self::Two => "HTTP/2",
        }
    }

    fn alpn(self) -> Vec<u8> {
        match self {
            Self::One => b"http/1.1".to_vec(),
            Self::Two => b"h2".to_vec(),
        }
    }
}

impl Side {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Both => "both",
        }
    }
}

/// Who signed the upstream's certificate, which is for `localhost` and 127.0.0.1. Worth nothing: made for the tests.
pub(crate) const AUTHORITY: &str = include_str!("../../tests/it/tls/authority.pem");
const CERTIFICATE: &str = include_str!("../../tests/it/tls/server.pem");
const KEY: &str = include_str!("../../tests/it/tls/server-key.pem");

/// The upstream's side, which takes either version.
pub(crate) fn server() -> io::Result<Arc<ServerConfig>> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.map_err(io::Error::other)?],
            key.map_err(io::Error::other)?,
        )
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![Http::Two.alpn(), Http::One.alpn()];
    Ok(Arc::new(config))
}

/// The bare proxy's side, which offers one version.
pub(crate) fn client(http: Http) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(AUTHORITY.as_bytes());
    roots
        .add(authority.map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![http.alpn()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

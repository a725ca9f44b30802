//! Roots of trust for TLS with upstreams, read once when first needed: reading the system's store takes
//! longer than everything else at start. Must never fall back to trusting nobody-knows-what: without
//! roots, TLS fails and says so.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::values::HttpVersion;
use crate::process::{ProcessEvent, tell};

/// The client side of TLS, built on first use.
#[derive(Default)]
pub struct TrustStore {
    configs: OnceLock<Result<Clients, String>>,
}

impl TrustStore {
    /// The TLS configuration for upstreams that speak `http`.
    ///
    /// # Errors
    /// A text that says why there is none: no roots found, or unreadable.
    pub fn client(&self, http: HttpVersion) -> Result<&Arc<ClientConfig>, String> {
        let clients = self.configs.get_or_init(|| Clients::new(&system()?));
        Ok(clients.as_ref().map_err(Clone::clone)?.of(http))
    }
}

/// One configuration for each offer of protocols, over the same roots.
struct Clients([Arc<ClientConfig>; 3]);

impl Clients {
    fn new(roots: &Arc<RootCertStore>) -> Result<Self, String> {
        let client = |http| client(Arc::clone(roots), http);
        Ok(Self([
            client(HttpVersion::Auto)?,
            client(HttpVersion::One)?,
            client(HttpVersion::Two)?,
        ]))
    }

    fn of(&self, http: HttpVersion) -> &Arc<ClientConfig> {
        let Self([auto, one, two]) = self;
        match http {
            HttpVersion::Auto => auto,
            HttpVersion::One => one,
            HttpVersion::Two => two,
        }
    }
}

/// The system's roots.
fn system() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _unusable) = roots.add_parsable_certificates(found.certs);
    tell(ProcessEvent::TrustRoots {
        source: source(),
        count: added,
    });
    if added > 0 {
        return Ok(Arc::new(roots));
    }
    let why = found.errors.first().map_or_else(
        || "the system's certificate store is empty".to_owned(),
        |error| format!("the system's certificate store cannot be read: {error}"),
    );
    Err(format!(
        "{why}; hint: install `ca-certificates` or set `SSL_CERT_FILE`"
    ))
}

/// TLS under these authorities alone.
///
/// # Errors
/// What is wrong with them.
pub(super) fn own(pem: &str, http: HttpVersion) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is none".to_owned());
    }
    client(Arc::new(roots), http)
}

fn client(roots: Arc<RootCertStore>, http: HttpVersion) -> Result<Arc<ClientConfig>, String> {
    // The provider is named, so that no other crate can make the choice ambiguous.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let offer: &[&[u8]] = match http {
        HttpVersion::Auto => &[b"h2", b"http/1.1"],
        HttpVersion::One => &[b"http/1.1"],
        HttpVersion::Two => &[b"h2"],
    };
    config.alpn_protocols = offer.iter().map(|name| name.to_vec()).collect();
    // A resumed session could be linked across tenants by the provider: each connection starts afresh.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Where the roots come from: what OpenSSL's variables name, if they are set, or the system's own place.
fn source() -> &'static str {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some())
        .unwrap_or("system")
}

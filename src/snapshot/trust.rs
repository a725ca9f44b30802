//! Roots of trust for TLS with upstreams, read once when first needed: reading the system's store takes
//! longer than everything else at start. Must never fall back to trusting nobody-knows-what: without
//! roots, TLS fails and says so.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use crate::process::{ProcessEvent, tell};

/// The client side of TLS, built on first use.
#[derive(Default)]
pub struct TrustStore {
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl TrustStore {
    /// The TLS configuration.
    ///
    /// # Errors
    /// A text that says why there is none: no roots found, or unreadable.
    pub fn client(&self) -> Result<&Arc<ClientConfig>, String> {
        self.config
            .get_or_init(build)
            .as_ref()
            .map_err(Clone::clone)
    }
}

fn build() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _unusable) = roots.add_parsable_certificates(found.certs);
    tell(ProcessEvent::TrustRoots {
        source: source(),
        count: added,
    });
    if added == 0 {
        let why = found.errors.first().map_or_else(
            || "the system's certificate store is empty".to_owned(),
            |error| format!("the system's certificate store cannot be read: {error}"),
        );
        return Err(format!(
            "{why}; hint: install `ca-certificates` or set `SSL_CERT_FILE`"
        ));
    }
    // The provider is named, so that no other crate can make the choice ambiguous.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
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

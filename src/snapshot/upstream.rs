//! An upstream as compiled: where it is, how it speaks, what it may be told.
//! Must never hold a connection: those live in `upstream/`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::Pricing;
use crate::config::values::{HttpVersion, KeyHeader, Stamp, Trust};
use crate::units::{Dialect, TenantId, UpstreamName};

/// How to reach an upstream: the part of it that names connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// TLS or not.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// What is spoken there.
    pub http: HttpVersion,
    /// The digest of the authorities that may have signed its certificate; `None` is the system's.
    pub ca: Option<[u8; 32]>,
}

/// How long to wait for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Resolve, connect and TLS together.
    pub connect: Duration,
    /// From the request's last byte to the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub between_bytes: Duration,
    /// How long an idle connection is kept.
    pub idle: Duration,
}

/// A model provider, or a server that speaks like one.
#[derive(Debug)]
pub struct Upstream {
    /// Its name, also the first path segment.
    pub name: UpstreamName,
    /// Its wire language.
    pub dialect: Dialect,
    /// Where it is.
    pub origin: Arc<Origin>,
    /// The name its certificate must have; `None` without TLS.
    pub server_name: Option<ServerName<'static>>,
    /// TLS under authorities of its own.
    pub tls: Option<Arc<ClientConfig>>,
    /// The `Host` header sent.
    pub authority: HeaderValue,
    /// The API base path, without a trailing slash: `/v1`, or the path of the configured URL.
    pub base: Box<str>,
    /// Whose prices its calls cost.
    pub pricing: Pricing,
    /// Where it processes data, if declared.
    pub region: Option<Box<str>>,
    /// The credential sent (marked sensitive); `None` lets the agent's own pass.
    pub credential: Option<Credential>,
    /// The header that carries it, and the tenants' own ones.
    pub key_header: KeyHeader,
    /// Makes pseudonyms of tenants, for `Stamp::Provider` and cache keys.
    pub pseudonyms: Pseudonyms,
    /// What it is told about the tenant.
    pub stamp: Stamp,
    /// Whether it is inside.
    pub trust: Trust,
    /// Whether it keeps nothing of what it is sent, by its operator's word.
    pub zero_retention: bool,
    /// Timeouts.
    pub patience: Patience,
}

/// The provider key, laid out as the header value that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `authorization: Bearer …`.
    Bearer(HeaderValue),
    /// `x-api-key: …`.
    ApiKey(HeaderValue),
}

/// Turns tenant ids into the names a provider is told instead: HMAC-SHA-256 (RFC 2104) under the
/// upstream's credential, so they are stable across sidecars, differ between upstreams, and cannot be
/// reversed or guessed by anybody who does not hold that credential. Without a credential the upstream's name
/// stands in: that separates tenants, and hides nothing; no stamp is made of it.
pub struct Pseudonyms {
    key: hmac::Key,
    /// Tells them from others: the digest of what they are made under.
    made_under: [u8; 32],
}

impl PartialEq for Pseudonyms {
    fn eq(&self, other: &Self) -> bool {
        self.made_under == other.made_under
    }
}

impl Eq for Pseudonyms {}

impl Pseudonyms {
    pub(super) fn new(credential: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, credential.as_bytes()),
            made_under: super::digest(credential.as_bytes()),
        }
    }

    /// The tenant's pseudonym: `or-` and 32 hexadecimal digits.
    pub fn of(&self, tenant: &TenantId) -> String {
        shown(&hmac::sign(&self.key, tenant.as_str().as_bytes()))
    }

    /// What stands for a name that `tenant` chose itself: the same for the same name, and another tenant's never.
    pub fn scoped(&self, tenant: &TenantId, name: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(tenant.as_str().as_bytes());
        // No id holds it: a tenant and a name cannot be parted in two ways, nor be taken for a tenant alone.
        context.update(b"\0");
        context.update(name);
        shown(&context.sign())
    }
}

fn shown(tag: &hmac::Tag) -> String {
    let half = tag.as_ref().iter().take(16);
    half.fold(String::from("or-"), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(***)")
    }
}

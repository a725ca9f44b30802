//! `[upstreams.*]` to [`Upstream`]s; without any, the two providers' own addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::prices::Addresses;
use super::{Bench, Overlay, Pricing};
use crate::config::values::{HttpVersion, KeyHeader, Pem, Stamp, Trust};
use crate::config::{OutCode, Problem, Raw, Sited, defaults, raw};
use crate::prices::Book;
use crate::snapshot::upstream::Pseudonyms;
use crate::snapshot::{Credential, Patience, Upstream, UpstreamOrigin, digest, trust};
use crate::units::{Dialect, Secret, UpstreamName};

/// The credential sent to the simulator, which is nobody's.
pub(super) const SIMULATED_KEY: &str = "sk-simulated";

impl Bench<'_> {
    pub(super) fn upstreams(
        &mut self,
        raw: &Raw,
        overlay: &Overlay,
        book: &Book,
    ) -> Vec<Arc<Upstream>> {
        let addresses = Addresses::of(raw);
        let mut upstreams: Vec<Upstream> = if raw.upstreams.is_empty() {
            [
                ("openai", Dialect::OpenAi, "api.openai.com"),
                ("anthropic", Dialect::Anthropic, "api.anthropic.com"),
            ]
            .into_iter()
            .filter_map(|(name, dialect, host)| {
                let pricing = addresses.pricing(book, None, host, dialect)?;
                built_in(name, dialect, host, pricing)
            })
            .collect()
        } else {
            raw.upstreams
                .iter()
                .filter_map(|upstream| {
                    let host = upstream.url.value.host().as_str();
                    let provider = upstream.provider.as_ref().map(|name| name.value.as_str());
                    let dialect = upstream.dialect.value;
                    let pricing = addresses.pricing(book, provider, host, dialect)?;
                    self.upstream(upstream, raw, pricing)
                })
                .collect()
        };
        if let Some(simulator) = overlay.simulator {
            for upstream in &mut upstreams {
                simulate(upstream, simulator);
            }
        }
        let kept = upstreams.into_iter().map(|one| self.kept.upstream(one));
        kept.collect()
    }

    fn upstream(&mut self, raw: &raw::Upstream, all: &Raw, pricing: Pricing) -> Option<Upstream> {
        let url = &raw.url.value;
        let host = url.host().as_str();
        let server_name = if url.tls() {
            Some(self.server_name(raw)?)
        } else {
            None
        };
        let authority = self.authority(raw)?;
        let key = raw
            .key
            .as_ref()
            .filter(|key| !key.value.expose().is_empty());
        let credential = match key {
            None => None,
            Some(key) => Some(self.credential(raw.key_header(), &key.value, key.site)?),
        };
        let origin = UpstreamOrigin {
            tls: url.tls(),
            host: host.into(),
            port: url.port(),
            http: raw.http(),
            ca: raw
                .ca
                .as_ref()
                .map(|ca| digest(ca.value.as_str().as_bytes())),
        };
        let tls = match &raw.ca {
            None => None,
            Some(ca) => Some(self.own_trust(raw, ca, &origin)?),
        };
        self.check_stamp(raw, all);
        Some(Upstream {
            name: raw.name.value.clone(),
            dialect: raw.dialect.value,
            origin: Arc::new(origin),
            server_name,
            tls,
            authority,
            base: if url.path().is_empty() {
                "/v1".into()
            } else {
                url.path().into()
            },
            pricing,
            region: raw
                .region
                .as_ref()
                .map(|region| region.value.as_str().into()),
            credential,
            key_header: raw.key_header(),
            pseudonyms: Pseudonyms::new(
                key.map_or(raw.name.value.as_str(), |key| key.value.expose()),
            ),
            stamp: raw.stamp(),
            trust: raw.trust(),
            zero_retention: raw.zero_retention(),
            patience: Patience {
                connect: raw.connect_timeout(),
                first_byte: raw.first_byte_timeout(),
                between_bytes: raw.between_bytes_timeout(),
                idle: raw.idle(),
            },
        })
    }

    /// What `Host` says: the port only where it is not the scheme's own.
    fn authority(&mut self, raw: &raw::Upstream) -> Option<HeaderValue> {
        let url = &raw.url.value;
        let host = url.host().as_str();
        let default_port = if url.tls() { 443 } else { 80 };
        let shown = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let authority = if url.port() == default_port {
            shown
        } else {
            format!("{shown}:{}", url.port())
        };
        let value = HeaderValue::try_from(authority).ok();
        if value.is_none() {
            let message = "the host cannot be sent in a header".into();
            let hint = "use an ASCII name";
            self.error(OutCode::InvalidValue, raw.url.site, message, hint);
        }
        value
    }

    fn own_trust(
        &mut self,
        raw: &raw::Upstream,
        ca: &Sited<Pem>,
        origin: &UpstreamOrigin,
    ) -> Option<Arc<ClientConfig>> {
        if !raw.url.value.tls() {
            let message = "`ca` is for `https`, and this upstream's `url` is `http`".into();
            self.error(OutCode::Conflict, ca.site, message, "leave it out");
            return None;
        }
        if let Some(config) = self.kept.tls(&raw.name.value, origin) {
            return Some(config);
        }
        match trust::own(ca.value.as_str(), raw.http()) {
            Ok(config) => Some(config),
            Err(why) => {
                let message = format!("the certificates cannot be used: {why}");
                let hint = "is it whole, and that of an authority?";
                self.error(OutCode::InvalidValue, ca.site, message, hint);
                None
            }
        }
    }

    fn server_name(&mut self, raw: &raw::Upstream) -> Option<ServerName<'static>> {
        let host = raw.url.value.host().as_str().to_owned();
        if let Ok(name) = ServerName::try_from(host) {
            return Some(name);
        }
        self.error(
            OutCode::InvalidValue,
            raw.url.site,
            "the host cannot be named in TLS".into(),
            "use a DNS name or an IP address",
        );
        None
    }

    pub(super) fn credential(
        &mut self,
        header: KeyHeader,
        key: &Secret,
        site: crate::config::Site,
    ) -> Option<Credential> {
        let credential = lay_out(header, key.expose());
        if credential.is_none() {
            self.error(
                OutCode::InvalidValue,
                site,
                "the key holds bytes that cannot stand in a header".into(),
                "is there a line break in it?",
            );
        }
        credential
    }

    /// A stamp that would tell an outsider who the tenant is, or that nobody could make, is an error.
    fn check_stamp(&mut self, raw: &raw::Upstream, all: &Raw) {
        let Some(stamp) = &raw.stamp else { return };
        match stamp.value {
            Stamp::Header if raw.trust() == Trust::External => self.problem(
                Problem::error(
                    OutCode::Conflict,
                    stamp.site,
                    "`stamp = \"header\"` names the tenant in clear, and this upstream is external",
                )
                .hint("set `trust = \"internal\"` if the upstream is your own, or `stamp = \"provider\"`"),
            ),
            Stamp::Provider if raw.key.is_none() && !has_own_keys(raw, all) => self.problem(
                Problem::error(
                    OutCode::Conflict,
                    stamp.site,
                    "`stamp = \"provider\"` makes pseudonyms under the upstream's `key`, and there is none",
                )
                .hint("add `key`, or `credentials` to its tenants"),
            ),
            Stamp::Header | Stamp::Provider | Stamp::None => {}
        }
    }
}

/// Whether some tenant has a credential of its own for this upstream.
fn has_own_keys(upstream: &raw::Upstream, all: &Raw) -> bool {
    let lists = all
        .tenants
        .iter()
        .filter_map(|tenant| tenant.credentials.as_ref());
    lists
        .flat_map(|list| &list.value)
        .any(|own| own.upstream.value == upstream.name.value)
}

fn built_in(name: &str, dialect: Dialect, host: &str, pricing: Pricing) -> Option<Upstream> {
    Some(Upstream {
        name: name.parse::<UpstreamName>().ok()?,
        dialect,
        origin: Arc::new(UpstreamOrigin {
            tls: true,
            host: host.into(),
            port: 443,
            http: defaults::HTTP,
            ca: None,
        }),
        server_name: Some(ServerName::try_from(host.to_owned()).ok()?),
        tls: None,
        authority: HeaderValue::try_from(host).ok()?,
        base: "/v1".into(),
        pricing,
        region: None,
        credential: None,
        key_header: defaults::key_header(dialect),
        pseudonyms: Pseudonyms::new(name),
        stamp: defaults::STAMP,
        trust: defaults::TRUST,
        zero_retention: defaults::ZERO_RETENTION,
        patience: Patience {
            connect: defaults::CONNECT_TIMEOUT,
            first_byte: defaults::FIRST_BYTE_TIMEOUT,
            between_bytes: defaults::BETWEEN_BYTES_TIMEOUT,
            idle: defaults::IDLE_TLS,
        },
    })
}

fn lay_out(header: KeyHeader, key: &str) -> Option<Credential> {
    let sensitive = |text: String| {
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    match header {
        KeyHeader::Authorization => sensitive(format!("Bearer {key}")).map(Credential::Bearer),
        KeyHeader::XApiKey => sensitive(key.to_owned()).map(Credential::ApiKey),
    }
}

/// Turns an upstream to the simulator; everything that policy looks at stays as configured.
fn simulate(upstream: &mut Upstream, at: SocketAddr) {
    let host: Box<str> = match at.ip() {
        IpAddr::V4(ip) => ip.to_string().into(),
        IpAddr::V6(ip) => ip.to_string().into(),
    };
    upstream.origin = Arc::new(UpstreamOrigin {
        tls: false,
        host,
        port: at.port(),
        http: HttpVersion::One,
        ca: None,
    });
    upstream.tls = None;
    upstream.server_name = None;
    if let Ok(authority) = HeaderValue::try_from(at.to_string()) {
        upstream.authority = authority;
    }
    upstream.base = "/v1".into();
    upstream.credential = lay_out(upstream.key_header, SIMULATED_KEY);
    upstream.pseudonyms = Pseudonyms::new(SIMULATED_KEY);
}

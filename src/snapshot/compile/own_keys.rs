//! `tenants.*.credentials` to the keys that tenants have of their own: each laid out as its upstream wants it, and
//! known to be somebody else's too, where the same text stands twice. Must never quote one.

use std::collections::HashMap;
use std::sync::Arc;

use super::Bench;
use super::upstreams::SIMULATED_KEY;
use crate::config::{OutCode, Problem, Raw, Site, raw};
use crate::snapshot::credential::{Holders, OwnKey};
use crate::snapshot::{Pseudonyms, Upstream, digest};
use crate::units::{Secret, TenantId};

/// Who shows which credential, by its digest.
pub(super) struct Shown<'r>(HashMap<[u8; 32], Vec<Shower<'r>>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shower<'r> {
    Upstream(Site),
    Tenant(&'r TenantId),
}

impl<'r> Shown<'r> {
    /// Every credential of the configuration. One that a tenant uses for two upstreams is still one tenant's.
    pub(super) fn of(raw: &'r Raw) -> Self {
        let mut by_digest: HashMap<_, Vec<Shower<'r>>> = HashMap::new();
        let mut add = |key: &Secret, shower| {
            let showers = by_digest
                .entry(digest(key.expose().as_bytes()))
                .or_default();
            if !showers.contains(&shower) {
                showers.push(shower);
            }
        };
        // Digests of nobody's keys need not be made.
        if raw
            .tenants
            .iter()
            .any(|tenant| tenant.credentials.is_some())
        {
            for key in raw.upstreams.iter().filter_map(|one| one.key.as_ref()) {
                add(&key.value, Shower::Upstream(key.site));
            }
        }
        for tenant in &raw.tenants {
            for own in tenant.credentials.iter().flat_map(|list| &list.value) {
                add(&own.key.value, Shower::Tenant(&tenant.id.value));
            }
        }
        Self(by_digest)
    }

    fn others(&self, key: &Secret, id: &TenantId) -> Option<&Shower<'r>> {
        let showers = self.0.get(&digest(key.expose().as_bytes()))?;
        showers.iter().find(|one| **one != Shower::Tenant(id))
    }
}

impl Bench<'_> {
    /// The keys a tenant has of its own. Those of a simulated upstream are simulated like the upstream's.
    pub(super) fn own_keys(
        &mut self,
        tenant: &raw::Tenant,
        upstreams: &[Arc<Upstream>],
        shown: &Shown<'_>,
        simulated: bool,
    ) -> Box<[OwnKey]> {
        let written = tenant.credentials.iter().flat_map(|list| &list.value);
        written
            .filter_map(|own| self.own_key(tenant, own, upstreams, shown, simulated))
            .collect()
    }

    fn own_key(
        &mut self,
        tenant: &raw::Tenant,
        own: &raw::OwnCredential,
        upstreams: &[Arc<Upstream>],
        shown: &Shown<'_>,
        simulated: bool,
    ) -> Option<OwnKey> {
        let named = |one: &&Arc<Upstream>| one.name == own.upstream.value;
        let Some(upstream) = upstreams.iter().find(named) else {
            let message = format!("there is no upstream `{}`", own.upstream.value);
            let hint = "see `[upstreams.*]`";
            self.error(OutCode::UnknownReference, own.upstream.site, message, hint);
            return None;
        };
        let holders = match shown.others(&own.key.value, &tenant.id.value) {
            None => Holders::One,
            Some(other) => {
                self.shared_after_all(own, other);
                Holders::Several
            }
        };
        let stand_in = simulated.then(|| Secret::new(SIMULATED_KEY.to_owned()));
        let key = stand_in.as_ref().unwrap_or(&own.key.value);
        Some(OwnKey {
            upstream: upstream.name.clone(),
            credential: self.credential(upstream.key_header, key, own.key.site)?,
            pseudonyms: Pseudonyms::new(key.expose()),
            holders,
        })
    }

    fn shared_after_all(&mut self, own: &raw::OwnCredential, other: &Shower<'_>) {
        let text = "the same credential stands elsewhere too, so what the provider keeps under it is not this tenant's alone";
        let problem = Problem::warning(OutCode::Ineffective, own.key.site, text);
        let problem = problem.hint(
            "references stay refused as for a shared key; get one of its own from the provider",
        );
        self.problem(match other {
            Shower::Upstream(site) => problem.also(*site, "here"),
            Shower::Tenant(id) => {
                let text = format!("{text}: tenant `{id}` has it");
                Problem {
                    message: text,
                    ..problem
                }
            }
        });
    }
}

//! `[identity]`, `tenants.*.keys`, `tenants.*.uids` and the tenants of listeners to what proves whom, and what is wrong or
//! open in it. Must never let a proof stand that nothing asks for: a rule that is not looked at does not hold.

use std::collections::HashMap;
use std::net::IpAddr;

use http::HeaderName;

use super::{Bench, Overlay};
use crate::config::values::{Proof, ProxyAddress};
use crate::config::{OutCode, Problem, Raw, Site, Sited, defaults, raw};
use crate::host::UNKNOWN_USER;
use crate::snapshot::KeyDigest;
use crate::units::{Map, TenantId};

/// What is accepted. Without `[identity]`: what the sockets and tenants have something for, else one fixed tenant.
pub(super) fn accepted(raw: &Raw, overlay: &Overlay) -> Vec<Proof> {
    if overlay.session.is_some() {
        return vec![Proof::Key];
    }
    if let Some(identity) = &raw.identity {
        return identity.accept();
    }
    let has = [
        (
            Proof::Listener,
            sockets(raw).any(|(_, _, tenant)| tenant.is_some()),
        ),
        (
            Proof::Uid,
            raw.tenants.iter().any(|tenant| tenant.uids.is_some()),
        ),
        (
            Proof::Key,
            raw.tenants.iter().any(|tenant| tenant.keys.is_some()),
        ),
    ];
    let found: Vec<_> = has
        .iter()
        .filter(|(_, any)| *any)
        .map(|(proof, _)| *proof)
        .collect();
    if found.is_empty() {
        return defaults::ACCEPT.to_vec();
    }
    found
}

/// The header that names tenants; one session is one tenant's.
pub(super) fn tenant_header(raw: &Raw, overlay: &Overlay) -> Option<HeaderName> {
    let header = raw
        .identity
        .as_ref()
        .and_then(|identity| identity.header.as_ref());
    let header = header.filter(|_| overlay.session.is_none())?;
    HeaderName::from_bytes(header.value.as_str().as_bytes()).ok()
}

/// A socket that agents call: its place, what it is called, and whose it is.
type Socket<'r> = (Site, String, Option<&'r TenantId>);

/// The unix sockets that agents call, and those that may be some.
fn sockets(raw: &Raw) -> impl Iterator<Item = Socket<'_>> {
    let all = raw.listen.proxy.iter().flat_map(|list| &list.value);
    all.filter_map(|at| match &at.value {
        ProxyAddress::Tcp(_) => None,
        ProxyAddress::Unix(socket) => {
            let name = socket.path.display().to_string();
            Some((at.site, name, socket.tenant.as_ref()))
        }
        ProxyAddress::Handed(socket) => {
            Some((at.site, socket.which.to_string(), socket.tenant.as_ref()))
        }
    })
}

impl Bench<'_> {
    pub(super) fn keys_of(&mut self, tenant: &raw::Tenant, keys: &mut Map<KeyDigest, TenantId>) {
        for key in tenant.keys.iter().flat_map(|list| &list.value) {
            if let Some(other) = keys.insert(*key.value.bytes(), tenant.id.value.clone()) {
                let message = format!("tenant `{other}` has this key already");
                let hint = "make another one with `outrigger keys new`";
                self.error(OutCode::DuplicateKeyHash, key.site, message, hint);
            }
        }
    }

    pub(super) fn uids_of(&mut self, tenant: &raw::Tenant, uids: &mut Map<u32, TenantId>) {
        for uid in tenant.uids.iter().flat_map(|list| &list.value) {
            if uid.value == UNKNOWN_USER {
                let message = format!(
                    "{UNKNOWN_USER} stands for every user the kernel cannot name here, so it names nobody"
                );
                let hint = "let the tenant's programs run as a user of their own";
                self.error(OutCode::InvalidValue, uid.site, message, hint);
            } else if let Some(other) = uids.insert(uid.value, tenant.id.value.clone()) {
                let message = format!("tenant `{other}` has this user already");
                let hint = "give each tenant a user of its own";
                self.error(OutCode::DuplicateUid, uid.site, message, hint);
            }
        }
    }

    /// What is wrong with the sockets, and with proofs that are there and not asked for.
    pub(super) fn check_sockets(&mut self, raw: &Raw, accept: &[Proof]) {
        let mut seen: HashMap<_, Site> = HashMap::new();
        for (site, name, tenant) in sockets(raw) {
            let message = format!("`{name}` stands twice in `listen.proxy`");
            if let Some(first) = seen.insert(name, site) {
                let problem = Problem::error(OutCode::Conflict, site, message);
                self.problem(problem.also(first, "first written here"));
            }
            let Some(tenant) = tenant else {
                continue;
            };
            if raw.tenants.iter().all(|one| one.id.value != *tenant) {
                let message = format!("there is no tenant `{tenant}`");
                let hint = "see `[tenants.*]`";
                self.error(OutCode::UnknownReference, site, message, hint);
            }
            if !accept.contains(&Proof::Listener) {
                self.not_asked_for(raw, site, "the socket is a tenant's", Proof::Listener);
            }
        }
        if !accept.contains(&Proof::Uid) {
            let written = raw.tenants.iter().find_map(|tenant| tenant.uids.as_ref());
            if let Some(Sited { site, .. }) = written {
                self.not_asked_for(raw, *site, "the tenant has users", Proof::Uid);
            }
        }
    }

    fn not_asked_for(&mut self, raw: &Raw, site: Site, what: &str, proof: Proof) {
        let message = format!(
            "{what}, and `{}` is not in `identity.accept`",
            proof.as_str()
        );
        let problem = Problem::error(OutCode::Conflict, site, message);
        let problem = problem.hint("put it there, before the proofs that count less");
        let identity = raw.identity.as_ref().map(|identity| identity.site);
        self.problem(match identity {
            Some(identity) => problem.also(identity, "what is asked for"),
            None => problem,
        });
    }

    /// Whether the header is believed from those only who are proven, and from somebody.
    pub(super) fn check_vouching(&mut self, raw: &Raw, accept: &[Proof]) {
        let header = raw
            .identity
            .as_ref()
            .and_then(|identity| identity.header.as_ref());
        let vouches = raw
            .tenants
            .iter()
            .find_map(|tenant| tenant.vouches.as_ref());
        match (header, vouches) {
            (Some(header), _) if accept.contains(&Proof::Fixed) => {
                let message = "`identity.header` is believed from a proven tenant only, and with `fixed` nobody proves anything";
                let hint = "name proofs in `identity.accept`, and give the tenant that vouches one of them";
                self.error(OutCode::Conflict, header.site, message.to_owned(), hint);
            }
            (Some(header), None) => {
                let message = "no tenant `vouches` for others, so the header can only name the tenant that is proven anyway";
                let problem = Problem::warning(OutCode::Ineffective, header.site, message);
                self.problem(
                    problem
                        .hint("give the tenant of your gateway `vouches`, or leave the header out"),
                );
            }
            (None, Some(vouches)) => {
                let message = "a tenant may be named for another only in `identity.header`, and there is none";
                let hint = "add for example `header = \"x-tenant-id\"` to `[identity]`";
                self.error(OutCode::Conflict, vouches.site, message.to_owned(), hint);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Whether anybody can be told from others, and whether strangers are kept out.
    pub(super) fn check_identity(&mut self, raw: &Raw, accept: &[Proof], tenants: usize) {
        let site = raw.identity.as_ref().map(|identity| identity.site);
        if accept.contains(&Proof::Fixed) {
            if tenants > 1 {
                let at = site.or_else(|| raw.tenants.get(1).map(|tenant| tenant.id.site));
                self.problem(
                    Problem::error(
                        OutCode::IdentityImpossible,
                        at,
                        format!("{tenants} tenants, and nothing proves which of them is calling"),
                    )
                    .hint("set `identity.accept = [\"key\"]` and give each tenant `keys`"),
                );
            }
            self.check_exposure(raw, site);
        } else if let Some((what, hint)) = unprovable(raw, accept) {
            let message = format!("{what}: every request will be refused");
            self.problem(Problem::warning(OutCode::Ineffective, site, message).hint(hint));
        }
    }

    fn check_exposure(&mut self, raw: &Raw, identity: Option<Site>) {
        let listeners = raw.listen.proxy.iter().flat_map(|list| &list.value);
        for listener in listeners {
            let what = match &listener.value {
                ProxyAddress::Tcp(port) if !is_loopback(port.at.0.ip()) => {
                    format!("`{}` can be reached by others", port.at.0)
                }
                // What it will be is not known here, and may change without a word of this configuration.
                ProxyAddress::Handed(socket) => {
                    format!("`{}` may be reached by others", socket.which)
                }
                ProxyAddress::Tcp(_) | ProxyAddress::Unix(_) => continue,
            };
            let message = format!("{what}, and no credential is asked for");
            let problem = Problem::error(OutCode::ListenerExposed, listener.site, message)
                .hint("listen on `127.0.0.1`, or set `identity.accept = [\"key\"]`");
            self.problem(match identity {
                Some(site) => problem.also(site, "anybody is the fixed tenant"),
                None => problem,
            });
        }
    }
}

/// Why nobody could prove anything, and what to do about it. What is written and wrong is an error of its own.
fn unprovable(raw: &Raw, accept: &[Proof]) -> Option<(&'static str, &'static str)> {
    let has_keys = raw.tenants.iter().any(|tenant| tenant.keys.is_some());
    let has_uids = raw.tenants.iter().any(|tenant| tenant.uids.is_some());
    let has_sockets = sockets(raw).any(|(_, _, tenant)| tenant.is_some());
    let any = accept.iter().any(|proof| match proof {
        Proof::Listener => has_sockets,
        Proof::Uid => has_uids,
        Proof::Key | Proof::Path => has_keys,
        Proof::Fixed => true,
    });
    if any {
        return None;
    }
    Some(
        if accept
            .iter()
            .any(|proof| matches!(proof, Proof::Key | Proof::Path))
        {
            (
                "keys are required, and no tenant has one",
                "make one with `outrigger keys new` and add its hash to a tenant's `keys`",
            )
        } else {
            (
                "nothing that is accepted proves any tenant",
                "give a tenant `uids`, or a socket of `listen.proxy` a `tenant`",
            )
        },
    )
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

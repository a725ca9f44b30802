//! ROUTE: whether the upstream asked for is one this tenant may use: by name, by region, by what it keeps. Yields [`Route`].
//! Must never reroute silently: none left is a refusal.

use std::sync::Arc;

use super::Refusal;
use super::decide::Allowed;
use super::record::Run;
use crate::snapshot::{NoRoute, Route, Snapshot, Tenant, Upstream};
use crate::units::Code;

pub(super) fn route(run: &Run, allowed: &Allowed) -> Result<Route, Refusal> {
    choose(
        run.snapshot(),
        run.tenant(),
        &allowed.asking.target.upstream,
    )
}

/// The route to this upstream, if the tenant may use it.
///
/// # Errors
/// The refusal, with the rule.
pub fn choose(
    snapshot: &Snapshot,
    tenant: &Arc<Tenant>,
    upstream: &Arc<Upstream>,
) -> Result<Route, Refusal> {
    snapshot
        .route(tenant, upstream)
        .map_err(|no_route| match no_route {
            NoRoute::Upstream(rule) => {
                let text = format!("this tenant may not use the upstream `{}`", upstream.name);
                Refusal::new(Code::EndpointDenied, text).by(&rule)
            }
            NoRoute::Retention(rule) => {
                let text = format!(
                    "the upstream `{}` keeps what it is sent, and nothing of this tenant's may be kept; hint: `zero_retention` of the upstream",
                    upstream.name
                );
                Refusal::new(Code::RetentionDenied, text).by(&rule)
            }
            NoRoute::Region(rule) => {
                let region = upstream.region.as_deref().unwrap_or("none declared");
                let text = format!(
                    "the upstream `{}` is in region `{region}`, which this tenant may not use",
                    upstream.name
                );
                Refusal::new(Code::RegionDenied, text).by(&rule)
            }
            NoRoute::Credential(rule) => {
                let text = format!(
                    "this tenant has no credential of its own for the upstream `{}`, and may show no other; hint: its `credentials`",
                    upstream.name
                );
                Refusal::new(Code::CredentialMissing, text).by(&rule)
            }
            NoRoute::Nameless => {
                let text = format!(
                    "the upstream `{}` is told a pseudonym, which is made under a credential, and there is none for this tenant; hint: its `credentials`",
                    upstream.name
                );
                Refusal::new(Code::CredentialMissing, text)
            }
        })
}

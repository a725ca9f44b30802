//! The terms on which a provider may work for a tenant: what it keeps, at which tier, and where the model runs.
//! Part of DECIDE. Must never take an unnamed term for the one the policy wants: it is written into the request, or
//! the request is refused.

use super::{Asker, Verdict};
use crate::config::values::{Permission, ProviderRetention};
use crate::snapshot::Upstream;
use crate::trip::Refusal;
use crate::units::{Code, Dialect, Endpoint};
use crate::wire::dialect::asked::Asked;
use crate::wire::dialect::splice::Edit;

/// Whether nothing needs to be kept at the provider where nothing may be; `store` is switched off.
pub(super) fn retention(
    asker: &Asker<'_>,
    endpoint: Endpoint,
    asked: &Asked,
    verdict: &mut Verdict,
) -> Result<(), Refusal> {
    if asker.policy.retention.value == ProviderRetention::Keep {
        return Ok(());
    }
    let background = asked.background.then_some("$.background");
    let reference = asked.references.first().map(|reference| reference.path);
    if let Some(path) = background.or(reference).or(asked.keeps) {
        let text = format!(
            "`{path}` needs something kept at the provider, which may keep nothing of this tenant's; hint: `retention.provider` of its policy"
        );
        return Err(refusal(asker, text).about(path));
    }
    if let Some(tool) = asked.hosted_tools().find(|tool| keeps(tool)) {
        let shown: String = tool.chars().take(128).collect();
        let text = format!(
            "`{shown}` keeps containers or files at the provider, which may keep nothing of this tenant's; hint: `retention.provider` of its policy"
        );
        return Err(refusal(asker, text).about("$.tools"));
    }
    let stores = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Responses);
    if stores && asked.store != Some(false) {
        verdict.edits.push(Edit::NoStore);
    }
    Ok(())
}

/// Whether an endpoint whose requests are not read may be used: nobody could say what it keeps.
pub(super) fn unread(asker: &Asker<'_>, endpoint: Endpoint) -> Result<(), Refusal> {
    if asker.policy.retention.value == ProviderRetention::Keep {
        return Ok(());
    }
    let text = format!(
        "requests of the endpoint `{endpoint}` are not read, so what they leave at the provider is not known, and it may keep nothing of this tenant's; hint: `retention.provider` of its policy"
    );
    Err(refusal(asker, text))
}

fn refusal(asker: &Asker<'_>, text: String) -> Refusal {
    Refusal::new(Code::RetentionDenied, text).by(&asker.policy.retention.rule)
}

/// Tools that work in a container or on files, both of which outlive the call.
fn keeps(tool: &str) -> bool {
    ["code_interpreter", "code_execution", "file_search", "shell"]
        .iter()
        .any(|family| tool.starts_with(family))
}

/// Whether the tiers and speeds asked for are allowed; where none is named and the account's own setting must not
/// decide, the plain one is asked for.
pub(super) fn tiers(
    asker: &Asker<'_>,
    upstream: &Upstream,
    endpoint: Endpoint,
    asked: &Asked,
    verdict: &mut Verdict,
) -> Result<(), Refusal> {
    let policy = asker.policy;
    for (tier, path) in asked.tiers() {
        tier_allowed(asker, tier, path)?;
    }
    let takes = matches!(
        endpoint,
        Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages
    );
    if policy.auto_tier == Permission::Allow || !takes || asked.service_tier().is_some() {
        return Ok(());
    }
    let plain = match upstream.dialect {
        Dialect::OpenAi => "default",
        Dialect::Anthropic => "standard_only",
    };
    tier_allowed(asker, plain, "$.service_tier")?;
    verdict.edits.push(Edit::ServiceTier(plain));
    Ok(())
}

fn tier_allowed(asker: &Asker<'_>, tier: &str, path: &'static str) -> Result<(), Refusal> {
    let (permission, rule) = asker.policy.service_tiers.permission(tier);
    if permission == Permission::Allow {
        return Ok(());
    }
    let shown: String = tier.chars().take(128).collect();
    let text = format!(
        "the service tier or speed `{shown}` is not allowed for this tenant; hint: `service_tiers.allow` of its policy"
    );
    Err(Refusal::new(Code::ServiceTierDenied, text)
        .by(rule)
        .about(path))
}

/// Where the model runs: as asked, if that is allowed, else as the policy says first.
pub(super) fn inference_geo(
    asker: &Asker<'_>,
    upstream: &Upstream,
    endpoint: Endpoint,
    asked: &Asked,
    verdict: &mut Verdict,
) -> Result<(), Refusal> {
    let Some(geo) = &asker.policy.inference_geo else {
        return Ok(());
    };
    if upstream.dialect != Dialect::Anthropic || endpoint != Endpoint::Messages {
        return Ok(());
    }
    let asked_for = asked.inference_geo();
    match (asked_for, geo.allow.value.first()) {
        (Some(place), _) if geo.allows(place) => {}
        (None, Some(first)) => verdict.edits.push(Edit::InferenceGeo(first.to_string())),
        (place, _) => {
            let shown: String = place.unwrap_or_default().chars().take(128).collect();
            let text = format!(
                "models may not run in `{shown}` for this tenant; hint: `inference_geo.allow` of its policy"
            );
            return Err(Refusal::new(Code::RegionDenied, text)
                .by(&geo.allow.rule)
                .about("$.inference_geo"));
        }
    }
    verdict.checks_geo = true;
    Ok(())
}

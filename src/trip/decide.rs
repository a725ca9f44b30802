//! DECIDE: may this tenant do this? Compares what is asked with the policy and yields [`Allowed`], with the
//! edits the policy wants, or a refusal with the rule that decided. Must never do IO, and never say yes to
//! what it does not understand.

mod terms;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;

use super::Refusal;
use super::accept::{Asking, percent_decoded};
use super::admit::COUNTED_ONLY;
use super::peek::{Content, Inquiry};
use super::record::Run;
use crate::config::values::{Permission, Stamp, StreamUsage};
use crate::limits::Ask;
use crate::snapshot::{KeyTo, Policy, Rule, Snapshot, Tenant, Upstream};
use crate::units::{Code, Dialect, Endpoint, Opening, TenantId};
use crate::wire::dialect::asked::Asked;
use crate::wire::dialect::splice::Edit;

/// The output tokens held for a request that caps nothing itself.
pub(super) const DEFAULT_OUTPUT: u64 = 4096;

/// The length of the mark in front of a `prompt_cache_key`, without its colon.
const CACHE_PREFIX: usize = 15;

/// A request that may pass, and how.
pub(super) struct Allowed {
    pub(super) asking: Box<Asking>,
    pub(super) body: AllowedBody,
}

pub(super) enum AllowedBody {
    Governed {
        asked: Box<Asked>,
        pieces: VecDeque<Bytes>,
        verdict: Verdict,
    },
    Opaque(Incoming),
}

/// What the policy makes of a governed request.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Changes to the body.
    pub edits: Vec<Edit>,
    /// The model sent, after default and rewrite; empty where the endpoint has none.
    pub model: String,
    /// The output cap after the policy's, if there is one.
    pub output_cap: Option<u64>,
    /// Whether the usage chunk must be taken out of the answer again.
    pub hides_usage: bool,
    /// Whether the answer must say where the model ran.
    pub checks_geo: bool,
    /// The rule that let the model pass, or the endpoint where none is named.
    pub rule: Option<Arc<Rule>>,
}

/// Who asks, as far as deciding needs to know.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Its policy.
    pub policy: &'a Policy,
    /// Whether other tenants may show the same credential.
    pub shared: bool,
    /// What the upstream is shown.
    pub key: KeyTo<'a>,
}

impl Verdict {
    /// Sends this output cap, per choice, in place of whatever was asked for.
    pub(super) fn cap(&mut self, most: u64) {
        self.edits
            .retain(|edit| !matches!(edit, Edit::OutputCap(_)));
        self.edits.push(Edit::OutputCap(most));
        self.output_cap = Some(most);
    }
}

impl<'a> Asker<'a> {
    /// A tenant that asks this upstream.
    pub fn of(snapshot: &Snapshot, tenant: &'a Tenant, upstream: &'a Upstream) -> Self {
        Self {
            tenant: tenant.id(),
            policy: tenant.policy(),
            shared: snapshot.is_shared(tenant, upstream),
            key: tenant.key_to(upstream),
        }
    }
}

impl Allowed {
    /// Whether the answer lists models that this tenant may not use.
    pub(super) fn lists_models(&self, policy: &Policy) -> bool {
        let target = &self.asking.target;
        target.endpoint == Endpoint::Models
            && !target.path.starts_with(MODEL_PATH)
            && !policy.models.is_open()
    }

    /// What to hold of the tenant's limits.
    pub(super) fn ask(&self) -> Ask {
        let AllowedBody::Governed { asked, verdict, .. } = &self.body else {
            return COUNTED_ONLY;
        };
        match self.asking.target.endpoint {
            Endpoint::CountTokens
            | Endpoint::ResponsesInputTokens
            | Endpoint::Moderations
            | Endpoint::ClientSecrets => COUNTED_ONLY,
            Endpoint::Embeddings | Endpoint::Speech => Ask {
                input: asked.input_estimate,
                output: 0,
            },
            _ => Ask {
                input: asked.input_estimate,
                output: verdict
                    .output_cap
                    .unwrap_or(DEFAULT_OUTPUT)
                    .saturating_mul(asked.choices),
            },
        }
    }
}

/// Whether the endpoint is open at all, before a byte of the body is read.
pub(super) fn glance(run: &Run, asking: &Asking) -> Result<(), Refusal> {
    let asker = Asker::of(run.snapshot(), run.tenant(), &asking.target.upstream);
    opened(&asker, asking.target.endpoint).map(|_| ())
}

pub(super) fn decide(run: &mut Run, inquiry: Inquiry) -> Result<Allowed, Refusal> {
    let Inquiry { asking, content } = inquiry;
    let tenant = Arc::clone(run.tenant());
    let asker = Asker::of(run.snapshot(), &tenant, &asking.target.upstream);
    let body = match content {
        Content::Opaque(body) => {
            let rule = endpoint(&asker, asking.target.endpoint, &asking.target.path)?;
            // Nobody but the journal asks for it.
            let recorded = run.ground().journal.is_some();
            run.allowed(rule.filter(|_| recorded).cloned());
            AllowedBody::Opaque(body)
        }
        Content::Governed { asked, pieces } => {
            run.asks(&asked);
            let mut verdict = judge(
                &asker,
                &asking.target.upstream,
                asking.target.endpoint,
                &asked,
            )?;
            run.sends(&verdict);
            run.allowed(verdict.rule.take());
            AllowedBody::Governed {
                asked,
                pieces,
                verdict,
            }
        }
    };
    Ok(Allowed { asking, body })
}

/// Whether an endpoint whose body is not governed is open, and by which rule; by none if it is open to everybody.
///
/// # Errors
/// The refusal, with the rule.
pub fn endpoint<'a>(
    asker: &Asker<'a>,
    endpoint: Endpoint,
    path: &str,
) -> Result<Option<&'a Arc<Rule>>, Refusal> {
    if endpoint == Endpoint::Models {
        return model_by_id(asker, path);
    }
    let rule = opened(asker, endpoint)?;
    if is_stateful(endpoint) {
        references(asker, endpoint.as_str())?;
    }
    terms::unread(asker, endpoint)?;
    Ok(rule)
}

/// Whether the policy opens an endpoint, if it is closed by default.
fn opened<'a>(asker: &Asker<'a>, endpoint: Endpoint) -> Result<Option<&'a Arc<Rule>>, Refusal> {
    if endpoint.opening() == Opening::Always {
        return Ok(None);
    }
    let (permission, rule) = asker.policy.endpoint(endpoint);
    if permission == Permission::Deny {
        let unseen = endpoint.unseen();
        let why = if unseen.is_empty() { "" } else { ", since " };
        let text = format!(
            "the endpoint `{endpoint}` is not open to this tenant{why}{unseen}; hint: `endpoints.allow` of its policy"
        );
        return Err(Refusal::new(Code::EndpointDenied, text).by(rule));
    }
    Ok(Some(rule))
}

/// Listing models is open, since the list is filtered; looking one up is as open as using it.
fn model_by_id<'a>(asker: &Asker<'a>, path: &str) -> Result<Option<&'a Arc<Rule>>, Refusal> {
    let Some(id) = path.strip_prefix(MODEL_PATH) else {
        return Ok(None);
    };
    let id = percent_decoded(id);
    let (permission, rule) = asker.policy.models.usable(&id);
    if permission == Permission::Allow {
        return Ok(Some(rule));
    }
    let shown: String = id.chars().take(128).collect();
    let text = format!("there is no model `{shown}` for this tenant");
    Err(Refusal::new(Code::ModelUnknown, text).by(rule))
}

/// Where a single model is looked up.
const MODEL_PATH: &str = "/models/";

/// Endpoints that address objects which other requests left at the provider.
fn is_stateful(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ResponseState
            | Endpoint::Files
            | Endpoint::Batches
            | Endpoint::VectorStores
            | Endpoint::Containers
            | Endpoint::Skills
            | Endpoint::Training
            | Endpoint::Assistants
            | Endpoint::ManagedAgents
            | Endpoint::Videos
            | Endpoint::Realtime
            | Endpoint::Administration
            | Endpoint::Other
    )
}

/// Judges a governed request: the order is part of the contract, since the first rule that refuses is shown.
///
/// # Errors
/// The refusal, with the rule.
pub fn judge(
    asker: &Asker<'_>,
    upstream: &Upstream,
    endpoint: Endpoint,
    asked: &Asked,
) -> Result<Verdict, Refusal> {
    let opened = opened(asker, endpoint)?;
    let mut verdict = Verdict::default();
    if endpoint == Endpoint::ClientSecrets {
        session(asker, asked)?;
    } else {
        model(asker, asked, &mut verdict)?;
    }
    if verdict.rule.is_none() {
        verdict.rule = opened.cloned();
    }
    for (other, path) in asked.other_models() {
        model_allowed(asker, other, "another model it names")
            .map_err(|refusal| refusal.about(path))?;
    }
    hosted_tools(asker, asked)?;
    background(asker, asked)?;
    for reference in &asked.references {
        references(asker, reference.kind.as_str())
            .map_err(|refusal| refusal.about(reference.path))?;
    }
    terms::retention(asker, endpoint, asked, &mut verdict)?;
    terms::tiers(asker, upstream, endpoint, asked, &mut verdict)?;
    terms::inference_geo(asker, upstream, endpoint, asked, &mut verdict)?;
    output_cap(asker.policy, endpoint, asked, &mut verdict);
    usage(asker.policy, endpoint, asked, &mut verdict);
    stamps(asker, upstream, asked, &mut verdict);
    Ok(verdict)
}

fn model(asker: &Asker<'_>, asked: &Asked, verdict: &mut Verdict) -> Result<(), Refusal> {
    let rules = &asker.policy.models;
    let named = match asked.model() {
        Some(model) => model.to_owned(),
        None => match &rules.default {
            Some(default) => {
                verdict.edits.push(Edit::Model(default.value.clone()));
                default.value.clone()
            }
            None if is_optional(asked.endpoint) => return Ok(()),
            // The stored prompt names the model, out of sight: only where any model may be used.
            None if asked.stored_prompt && rules.is_open() => return Ok(()),
            None => {
                let text = "no model is named, and the policy has no default; hint: send `model`";
                return Err(Refusal::new(Code::ModelMissing, text).about("$.model"));
            }
        },
    };
    let sent = match rules.rewritten(&named) {
        None => named,
        Some(rewrite) => {
            let to = rewrite.value.1.clone();
            verdict.edits.retain(|edit| !matches!(edit, Edit::Model(_)));
            verdict.edits.push(Edit::Model(to.clone()));
            to
        }
    };
    verdict.rule = Some(model_allowed(asker, &sent, "")?);
    verdict.model = sent;
    Ok(())
}

/// A secret opens sessions that nobody here sees: it must name its models, and is made where anything may be kept.
fn session(asker: &Asker<'_>, asked: &Asked) -> Result<(), Refusal> {
    terms::unread(asker, asked.endpoint)?;
    references(asker, asked.endpoint.as_str())?;
    if asked.other_models().next().is_some() || asker.policy.models.is_open() {
        return Ok(());
    }
    let text =
        "the session names no model, so the provider would choose; hint: send `session.model`";
    Err(Refusal::new(Code::ModelMissing, text).about("$.session.model"))
}

/// Endpoints that generate nothing with the model they do not name.
fn is_optional(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Moderations | Endpoint::ResponsesInputTokens
    )
}

fn model_allowed(asker: &Asker<'_>, model: &str, which: &str) -> Result<Arc<Rule>, Refusal> {
    let (permission, rule) = asker.policy.models.permission(model);
    if permission == Permission::Allow {
        return Ok(Arc::clone(rule));
    }
    let shown: String = model.chars().take(128).collect();
    let role = if which.is_empty() {
        String::new()
    } else {
        format!(" ({which})")
    };
    let text = format!("the model `{shown}`{role} is not allowed for this tenant");
    Err(Refusal::new(Code::ModelDenied, text)
        .by(rule)
        .about("$.model"))
}

/// What runs at the provider, where no policy of ours reaches; and what picks a model behind our back.
fn hosted_tools(asker: &Asker<'_>, asked: &Asked) -> Result<(), Refusal> {
    let stored = asked.stored_prompt.then_some("prompt");
    let fallbacks = asked.default_fallbacks.then_some("fallbacks");
    for tool in asked.hosted_tools().chain(stored).chain(fallbacks) {
        let (permission, rule) = asker.policy.hosted_tools.permission(tool);
        if permission == Permission::Deny {
            let shown: String = tool.chars().take(128).collect();
            let (what, path) = if tool == "billing_policy" {
                ("decides at the provider who pays", "$.billing_policy")
            } else {
                let what = "runs at the provider, out of reach of this tenant's rules";
                (what, "$.tools")
            };
            let text = format!(
                "`{shown}` {what}, and is not allowed; hint: `hosted_tools.allow` of its policy"
            );
            return Err(Refusal::new(Code::HostedToolDenied, text)
                .by(rule)
                .about(path));
        }
    }
    Ok(())
}

fn background(asker: &Asker<'_>, asked: &Asked) -> Result<(), Refusal> {
    let rule = &asker.policy.background;
    if asked.background && rule.value == Permission::Deny {
        let text = "work that goes on after the answer is not allowed for this tenant";
        return Err(Refusal::new(Code::BackgroundDenied, text)
            .by(&rule.rule)
            .about("$.background"));
    }
    Ok(())
}

/// Ids of objects at the provider are nobody's secret: where tenants share a credential, they would reach
/// into one another.
fn references(asker: &Asker<'_>, what: &str) -> Result<(), Refusal> {
    let rule = &asker.policy.references;
    if asker.shared && rule.value == Permission::Deny {
        let text = format!(
            "the request refers to state kept at the provider (`{what}`), where tenants share a credential; hint: `references` of its policy"
        );
        return Err(Refusal::new(Code::ReferenceDenied, text).by(&rule.rule));
    }
    Ok(())
}

fn output_cap(policy: &Policy, endpoint: Endpoint, asked: &Asked, verdict: &mut Verdict) {
    verdict.output_cap = asked.output_cap;
    if !has_output(endpoint) {
        return;
    }
    let Some(cap) = &policy.models.max_output_tokens else {
        return;
    };
    // The provider's caps are per choice, the policy's is for the whole call.
    let most = (cap.value / asked.choices.max(1)).max(1);
    if asked.output_cap.is_none_or(|wanted| wanted > most) {
        verdict.edits.push(Edit::OutputCap(most));
        verdict.output_cap = Some(most);
    }
}

pub(super) fn has_output(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ChatCompletions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::Completions
            | Endpoint::Complete
    )
}

fn usage(policy: &Policy, endpoint: Endpoint, asked: &Asked, verdict: &mut Verdict) {
    let chunks = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    let silent = chunks && asked.stream && asked.include_usage != Some(true);
    if silent && policy.stream_usage == StreamUsage::Inject {
        verdict.edits.push(Edit::IncludeUsage);
        verdict.hides_usage = true;
    }
}

fn stamps(asker: &Asker<'_>, upstream: &Upstream, asked: &Asked, verdict: &mut Verdict) {
    if upstream.stamp == Stamp::Provider {
        verdict.edits.push(Edit::Stamp {
            pseudonym: asker.key.pseudonyms.of(asker.tenant),
        });
    }
    if asker.shared && upstream.dialect == Dialect::OpenAi && asked.cache_key().is_some() {
        let mut prefix = asker.key.pseudonyms.of(asker.tenant);
        // Enough to tell tenants apart, and short, since the provider bounds the key's length.
        prefix.truncate(CACHE_PREFIX);
        prefix.push(':');
        verdict.edits.push(Edit::CacheKeyPrefix(prefix));
    }
}
